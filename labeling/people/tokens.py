"""Personal tokens for the HTTP API: shown once, kept as a digest, sent as ``Authorization: Token …``."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from labeling.models import ApiToken
from labeling.people import audit

# "Last used" is for people who clear up; a write with every request would be dear.
USE_NOTED_EVERY = timedelta(minutes=10)


def issue(*, user: User, name: str, actor: User | None = None) -> str:
    """Make a token of 256 random bits for ``user`` and return it; it cannot be read again.

    Args:
        actor: who made it, where it was not ``user``.
    """
    token = f"tut_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        made = ApiToken.objects.create(user=user, name=name, prefix=token[:8], digest=_digest(token))
        _record("token.make", made, actor)
    return token


def revoke(*, token: str | ApiToken, actor: User | None = None) -> None:
    """End a token; one that has ended already stays so."""
    with transaction.atomic():
        known = ApiToken.objects.select_related("user")
        found = known.filter(digest=_digest(token)).first() if isinstance(token, str) else token
        if found and ApiToken.objects.filter(pk=found.pk).delete()[0]:
            _record("token.revoke", found, actor)


def _record(action: str, token: ApiToken, actor: User | None) -> None:
    about = f"token {token.prefix}… of {token.user.username}"
    audit.record(actor=actor or token.user, action=action, target=about, name=token.name)


class TokenAuthentication(BaseAuthentication):
    """The account of a personal token; sets ``request.auth`` to its `ApiToken`."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "token":
            return None
        found = (
            ApiToken.objects.select_related("user__labeler")
            .filter(digest=_digest(token.strip()), user__is_active=True)
            .first()
        )
        if found is None:
            raise AuthenticationFailed(
                "This token is not known: it was revoked, or cut. Make a new one at /account/tokens/."
            )
        now = timezone.now()
        if found.last_used_at is None or now - found.last_used_at > USE_NOTED_EVERY:
            ApiToken.objects.filter(pk=found.pk).update(last_used_at=now)
        return found.user, found

    def authenticate_header(self, request: Request) -> str:
        return "Token"


def _digest(token: str) -> str:
    # The token is random through and through, so one plain hash of it is as good as a slow one.
    return hashlib.sha256(token.encode()).hexdigest()

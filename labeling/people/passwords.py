"""Passwords: an admin makes a link by which somebody chooses a new one; this server sends no mail."""

from __future__ import annotations

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.urls import reverse

from labeling.models import Labeler, Membership
from labeling.people import audit, members


def reset_path(*, manager: Membership, labeler: Labeler) -> str:
    """The path of a page where the member chooses a new password, once, within three days.

    Raises:
        Membership.DoesNotExist, PermissionDenied: as `members.found`.
        PermissionDenied: the account can do more elsewhere than the manager may hand out.
    """
    user = members.found(manager=manager, labeler=labeler).user
    check_account(manager=manager, user=user)
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    with transaction.atomic():
        audit.record(
            actor=manager.user,
            action="password.reset",
            target=f"labeler {labeler.name}",
            project=manager.project,
            labeler=str(labeler.pk),
        )
    uidb36, _, token = key.partition("-")
    return reverse("account_reset_password_from_key", kwargs={"uidb36": uidb36, "key": token})


def check_account(*, manager: Membership, user: User) -> None:
    """Make sure that no more than this project is at stake with an account.

    Raises:
        PermissionDenied: it runs the server, or another project that the manager does not own.
    """
    if manager.user.is_superuser:
        return
    if user.is_superuser or user.is_staff:
        raise PermissionDenied("This account runs the server, so nobody in a project may do this to it.")
    own = manager.user.memberships.filter(role=Membership.Role.OWNER).values("project")
    elsewhere = user.memberships.filter(role__in=members.RUNNING).exclude(project__in=own)
    if elsewhere.exclude(project=manager.project).exists():
        raise PermissionDenied(
            "They also run a project that you do not own. Ask whoever runs the server, or its owner."
        )

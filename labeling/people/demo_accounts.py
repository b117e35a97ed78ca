"""The demo's accounts, whose password everybody knows: there only while no other machine reaches the server.

They are told from people's own accounts by their address, so that nobody's account is ever taken over.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction

from labeling.models import ApiToken, Membership, Project
from labeling.people.projects import labeler_for

PASSWORD = "tutelage"
ADDRESS = "demo.invalid"


@dataclass(frozen=True)
class DemoAccount:
    username: str
    role: str
    does: str

    @property
    def email(self) -> str:
        return f"{self.username}@{ADDRESS}"


ACCOUNTS = (
    DemoAccount("ada", Membership.Role.OWNER, "owns the project: labels, trains, promotes"),
    DemoAccount("leo", Membership.Role.LABELER, "labels"),
)


def open_accounts(*, project: Project) -> list[DemoAccount]:
    """Make the demo's accounts members of ``project``, and return those that can sign in.

    A username that a person took first stays theirs, and is left out.
    """
    with transaction.atomic():
        ours = {user.username: user for user in User.objects.filter(email__endswith=f"@{ADDRESS}")}
        names = [account.username for account in ACCOUNTS]
        taken = set(User.objects.filter(username__in=names).values_list("username", flat=True)) - set(ours)
        usable = [account for account in ACCOUNTS if account.username not in taken]
        if any(not (user := ours.get(each.username)) or not user.is_active for each in usable):
            # Hashing takes longer than all else here; one hash serves a password that is no secret.
            password = make_password(PASSWORD)
            for account in usable:
                user, _ = User.objects.update_or_create(
                    username=account.username,
                    defaults={"email": account.email, "password": password, "is_active": True},
                )
                Membership.objects.get_or_create(project=project, user=user, defaults={"role": account.role})
                labeler_for(user)
    return usable


def close_accounts() -> int:
    """Shut the demo's accounts, passwords and tokens alike; return how many were open. Their labels stay."""
    with transaction.atomic():
        ours = User.objects.filter(email__endswith=f"@{ADDRESS}", is_active=True)
        ApiToken.objects.filter(user__in=ours).delete()
        return ours.update(is_active=False, password="!")

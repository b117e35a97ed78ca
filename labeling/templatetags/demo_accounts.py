"""What the sign-in page knows of accounts: the demo's, and whether people may open their own."""

from __future__ import annotations

from django import template
from django.conf import settings
from django.contrib.auth.models import User

from labeling.people.demo_accounts import ACCOUNTS, PASSWORD

register = template.Library()


@register.simple_tag
def demo_accounts() -> list[dict[str, str]]:
    """The demo accounts that can sign in here; none where the server is open to other machines."""
    if not settings.DEMO_ACCOUNTS:
        return []
    emails = [account.email for account in ACCOUNTS]
    there = set(User.objects.filter(email__in=emails, is_active=True).values_list("username", flat=True))
    return [
        {"username": account.username, "password": PASSWORD, "does": account.does}
        for account in ACCOUNTS
        if account.username in there
    ]


@register.simple_tag
def signup_open() -> bool:
    return settings.SIGNUP

"""Personal tokens open the API for their owner, and are kept as digests only."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from labeling.models import ApiToken
from labeling.people import tokens

pytestmark = pytest.mark.django_db


@pytest.fixture
def leo() -> User:
    return User.objects.create_user("leo")


def status(token: str, scheme: str = "Token") -> int:
    return Client(headers={"Authorization": f"{scheme} {token}"}).get("/api/projects/").status_code


def test_opens_the_api(leo: User) -> None:
    token = tokens.issue(user=leo, name="laptop")
    assert status(token) == status(token, "token") == 200


def test_is_not_kept(leo: User) -> None:
    token = tokens.issue(user=leo, name="laptop")
    stored = ApiToken.objects.get()
    assert token not in str(ApiToken.objects.values().get())
    assert token.startswith(stored.prefix)
    assert len(stored.prefix) < len(token) / 4


@pytest.mark.parametrize(
    "header", ["Token nonsense", "Token", "Token ", "Token \x7f\xff", "Bearer x", "Basic x"]
)
def test_wrong_header(leo: User, header: str) -> None:
    answer = Client(headers={"Authorization": header}).get("/api/projects/")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Token"
    assert answer["Content-Type"] == "application/problem+json"


def test_revoked(leo: User) -> None:
    token = tokens.issue(user=leo, name="laptop")
    ApiToken.objects.all().delete()
    assert status(token) == 401


def test_of_a_closed_account(leo: User) -> None:
    token = tokens.issue(user=leo, name="laptop")
    User.objects.update(is_active=False)
    assert status(token) == 401


def test_notes_its_use_now_and_then(leo: User) -> None:
    token = tokens.issue(user=leo, name="laptop")
    status(token)
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    status(token)
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
    status(token)
    assert ApiToken.objects.get().last_used_at > first

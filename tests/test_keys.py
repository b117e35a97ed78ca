"""Keys that a person chose: which are taken, which refused, and where they are shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from labeling.people import keys

pytestmark = pytest.mark.django_db
STATIC = Path(__file__).resolve().parent.parent / "labeling" / "static" / "labeling"


@pytest.fixture
def user() -> User:
    return User.objects.create_user("mia")


def put(client: Client, body: Any) -> Any:
    return client.put("/api/account/keys/", json.dumps(body), content_type="application/json")


def test_as_delivered(user: User) -> None:
    chosen = keys.settings_of(user)
    assert (chosen.single_keys, chosen.keys) == (True, {})


def test_only_changes_are_kept(user: User) -> None:
    assert keys.choose(user=user, keys={"u": "z", "g": "g"}).keys == {"u": "z"}
    keys.choose(user=user, single_keys=False)
    chosen = keys.settings_of(user)
    assert (chosen.single_keys, chosen.keys) == (False, {"u": "z"})


def test_two_may_change_places(user: User) -> None:
    assert keys.choose(user=user, keys={"u": "g", "g": "u"}).keys == {"u": "g", "g": "u"}


def test_the_newcomer_is_refused(user: User) -> None:
    keys.choose(user=user, keys={"g": "k"})
    with pytest.raises(keys.KeyRefused, match="“k” is taken: guideline") as refused:
        keys.choose(user=user, keys={"g": "k", "u": "k"})
    assert refused.value.field == "keys.u"


@pytest.mark.parametrize(
    ("chosen", "field", "words"),
    [
        ({"u": "g"}, "keys.u", "“g” is taken: guideline"),
        ({"u": "z", "s": "z"}, "keys.u", "“z” is taken: skip the task"),
        ({"u": "Tab"}, "keys.u", "cannot be used"),
        ({"u": "Escape"}, "keys.u", "cannot be used"),
        ({"u": ""}, "keys.u", "cannot be used"),
        ({"u": "\x07"}, "keys.u", "cannot be used"),
        ({"u": 7}, "keys.u", "cannot be used"),
        ({"q": "z"}, "keys", "no key 'q'"),
        (["u"], "keys", "Give the keys as"),
    ],
)
def test_refused(user: User, chosen: Any, field: str, words: str) -> None:
    with pytest.raises(keys.KeyRefused, match=re.escape(words)) as refused:
        keys.choose(user=user, keys=chosen)
    assert refused.value.field == field


def test_over_the_api(user: User, client: Client) -> None:
    assert client.get("/api/account/keys/").status_code == 401
    client.force_login(user)
    assert put(client, {"keys": {" ": "y"}}).json() == {"single_keys": True, "keys": {" ": "y"}}
    assert put(client, {"single_keys": False}).json() == {"single_keys": False, "keys": {" ": "y"}}
    assert client.get("/api/account/keys/").json() == {"single_keys": False, "keys": {" ": "y"}}
    answer = put(client, {"keys": {"u": "g"}})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "keys.u")
    for body in ({"keys": ["u"]}, {"keys": {"u": "x" * 21}}, {"single_keys": "perhaps"}, {"kees": {}}, []):
        assert put(client, body).status_code == 400, body


def test_the_page_lists_every_key(user: User, client: Client) -> None:
    keys.choose(user=user, keys={"u": "<"})
    client.force_login(user)
    page = client.get("/account/keys/").content.decode()
    assert page.count("key-now") == len(keys.DOES)
    assert ">&lt;</button>" in page


def test_labels_agree_with_the_scripts() -> None:
    """Keys that print nothing are written alike by the server and by `keys.js`."""
    script = (STATIC / "keys.js").read_text()
    table = re.search(r"const LABELS = \{(.*?)\};", script, re.DOTALL)
    assert table
    found = re.findall(r'^\s+"?([\w ]+)"?: (?:gettext\()?"(.+?)"', table[1], re.MULTILINE)
    shown = {name: str(text) for name, text in keys.LABELS.items() if str(text) != name}
    assert {name: text for name, text in found if text != name} == shown

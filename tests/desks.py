"""A labeler's desk for browser tests: a project of its own, its people, and what reached the server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from conftest import Server
from playwright.sync_api import Page, expect

SETUP = """
import json, sys
from django.contrib.auth.models import User
from labeling.models import Candidate, Completion, Prompt, Task
from labeling.people.projects import create_member, create_project
from labeling.content.texts import text_hash
from labeling.people import tokens

given = json.loads({given!r})
owner = User.objects.create_user(given["owner"], password=given["password"])
project = create_project(slug=given["slug"], name="Owl stories", guideline_title="Kind stories",
                         guideline_body="# Be kind\\n\\nPrefer the **kind** story.", owner=owner)
create_member(project=project, username=given["user"], role="labeler", kind="human", group="train")
user = User.objects.get(username=given["user"])
user.set_password(given["password"])
user.save()
for at, (kind, prompt, texts) in enumerate(given["tasks"]):
    messages = [{{"role": "user", "content": prompt}}]
    prompt = Prompt.objects.create(project=project, messages=messages, text_hash=text_hash(messages))
    task = Task.objects.create(project=project, kind=kind, prompt=prompt,
                               guideline_version=project.guideline.current)
    for position, text in enumerate(texts):
        completion = Completion.objects.create(prompt=prompt, text=text, index=position,
                                               text_hash=text_hash(text))
        Candidate.objects.create(task=task, completion=completion, position=position)
print("token", tokens.issue(user=owner, name="test"))
"""


@dataclass
class Desk:
    """A project of its own with one labeler, and how to look at what reached the server."""

    server: Server
    slug: str
    user: str
    owner: str
    password: str
    token: str

    def labels(self) -> list[dict[str, Any]]:
        """Every label of the project, oldest first, read by its owner over the API."""
        answer = httpx.get(
            f"{self.server.url}/api/projects/{self.slug}/annotations/",
            headers={"Authorization": f"Token {self.token}"},
        )
        assert answer.status_code == 200, answer.text
        return sorted(answer.json()["results"], key=lambda label: label["id"])

    def sign_in(self, page: Page) -> None:
        page.goto("/accounts/login/")
        page.get_by_label("User name").fill(self.user)
        page.get_by_label("Password").fill(self.password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="My work")).to_be_visible()

    def open(self, page: Page, kind: str) -> None:
        page.goto(f"/projects/{self.slug}/work/{kind}/")
        expect(page.locator("[data-stage=task] [data-prompt]")).to_be_visible()

    @contextmanager
    def server_away(self) -> Iterator[None]:
        """The server's process is gone, as in a restart; not a switch inside the browser."""
        self.server.stop()
        try:
            yield
        finally:
            self.server.start()


def a_desk(server: Server, *tasks: tuple[str, str, list[str]]) -> Desk:
    name = uuid.uuid4().hex[:8]
    given = {
        "slug": f"owls-{name}",
        "user": f"mia-{name}",
        "owner": f"kim-{name}",
        "password": uuid.uuid4().hex,
    }
    said = server.shell(SETUP.format(given=json.dumps({**given, "tasks": tasks})))
    return Desk(server=server, token=said.split()[-1], **given)

"""A project from nothing: set up, filled, worked on, watched, and an import of it taken back."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from axe import faults
from conftest import Server
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

SETUP = """
import json
from django.contrib.auth.models import User
given = json.loads({given!r})
User.objects.create_superuser(given["owner"], password=given["password"])
User.objects.create_user(given["labeler"], password=given["password"])
"""
ROWS = "\n".join(
    json.dumps(row)
    for row in (
        {"prompt": "Tell me a story about an owl who lives by the wide grey lake and likes to sing."},
        {"prompt": "Tell me a story about an owl who lives by the wide grey lake and likes to sing!"},
        {"prompt": "Write a letter to owl@example.org about a kite."},
        {"prompt": "What do foxes eat?", "split": "aside"},
        {"prompt": ""},
    )
)


def sign_in(page: Page, name: str, password: str) -> None:
    page.context.clear_cookies()
    page.goto("/accounts/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="My work")).to_be_visible()


def figure(page: Page, name: str) -> str:
    return (
        page.locator(".figures > div", has=page.get_by_text(name, exact=True))
        .locator("dd")
        .first.inner_text()
    )


def test_a_project_from_nothing(page: Page, server: Server) -> None:
    name = uuid.uuid4().hex[:8]
    given = {"owner": f"kim-{name}", "labeler": f"leo-{name}", "password": uuid.uuid4().hex}
    server.shell(SETUP.format(given=json.dumps(given)))
    sign_in(page, given["owner"], given["password"])

    # The wizard; a step back and forth keeps what was written.
    page.get_by_role("link", name="New project").first.click()
    page.get_by_role("textbox", name="Name", exact=True).fill(f"Owl letters {name}")
    page.keyboard.press("Enter")
    page.get_by_text("Arena, compare").click()
    page.get_by_role("button", name="Next").last.click()
    page.get_by_label("Labels for each task").fill("0")
    page.get_by_label("Pay for an hour").fill("18.50")
    page.get_by_role("button", name="Next").last.click()
    expect(page.get_by_text("This is from 1 to 100, not 0.")).to_be_visible()
    assert faults(page) == []
    page.get_by_label("Labels for each task").fill("1")
    page.get_by_label("Text, in Markdown").fill("# Write to owls\n\nBe kind.")
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("radio", name="Arena, compare")).to_be_checked()
    page.get_by_role("button", name="Next").last.click()
    expect(page.get_by_label("Text, in Markdown")).to_have_value("# Write to owls\n\nBe kind.")
    page.get_by_role("button", name="Next").last.click()
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_text("is there. Now bring the first prompts in.")).to_be_visible()
    slug = re.search(r"/projects/([\w-]+)/", page.url)[1]

    # An import with all that a preview points out.
    page.get_by_label("Paste").fill(ROWS)
    page.get_by_role("checkbox", name="Write answers").check()
    page.get_by_role("button", name="Look at it first").last.click()
    expect(page.get_by_role("heading", name="What it would be")).to_be_visible()
    counts = [figure(page, what) for what in ("taken in", "refused", "nearly the same", "with personal data")]
    assert counts == ["3", "2", "1", "1"]
    page.get_by_text("2 rows are refused").click()
    expect(page.get_by_text("Must be train or heldout.")).to_be_visible()
    expect(page.get_by_text("ow…rg")).to_be_visible()
    assert faults(page) == []
    with page.expect_download() as download:
        page.get_by_role("button", name="Download them all as CSV").click()
    assert download.value.path().read_text().splitlines()[0] == "row,field,reason"
    page.get_by_role("button", name="Take 3 rows in").click()
    expect(page.get_by_text("3 rows are taken in. 3 tasks wait for labelers.")).to_be_visible()

    # A labeler works; the owner sees it.
    server.shell(
        "from labeling.people.projects import create_member\nfrom labeling.models import Project\n"
        f"project = Project.objects.get(slug={slug!r})\n"
        f"create_member(project=project, username={given['labeler']!r}, role='labeler')"
    )
    sign_in(page, given["labeler"], given["password"])
    page.goto(f"/projects/{slug}/work/demonstrate/")
    expect(page.locator("[data-stage=task] [data-prompt]")).to_be_visible()
    page.locator("[data-stage=task] textarea").first.fill("Dear owl, here is a kite for you.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toast")).to_contain_text("Label sent.")

    sign_in(page, given["owner"], given["password"])
    page.goto(f"/projects/{slug}/work/")
    page.get_by_role("link", name="Manage").click()
    expect(page.get_by_role("heading", name="Progress")).to_be_visible()
    assert figure(page, "labels today") == "1"
    expect(page.get_by_role("cell", name=given["labeler"]).first).to_be_visible()

    # The import goes, with what it touches shown first, and the log tells.
    page.get_by_role("link", name="Prompts", exact=True).click()
    page.get_by_role("link", name="pasted").click()
    assert [figure(page, what) for what in ("prompts", "labels")] == ["3", "1"]
    page.get_by_label("Why, for the log").fill("their licence forbids it")
    page.get_by_role("button", name="Withdraw this import").click()
    expect(page.get_by_text("The import is withdrawn.")).to_be_visible()
    page.get_by_role("link", name="Log", exact=True).click()
    rows = page.locator("table.log tbody tr")
    expect(rows.first).to_contain_text("prompts.withdraw")
    expect(rows.first).to_contain_text("their licence forbids it")
    page.get_by_label("Did what").fill("project")
    page.get_by_role("button", name="Search").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("project.create")

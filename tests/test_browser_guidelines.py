"""A guideline that acts, in a real browser: written, foreseen, published, met at the door, read."""

from __future__ import annotations

from typing import Any

import pytest
from axe import faults
from conftest import Server
from desks import Desk, a_desk
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

ANSWERS = ["Once an owl.", "Once a fox.", "Once a bee."]
FIRST_LABEL = """
from uuid import uuid4
from django.contrib.auth.models import User
from labeling import annotate, queue
from labeling.models import Project
from labeling.people.projects import labeler_for
User.objects.filter(username={owner!r}).update(password=User.objects.get(username={user!r}).password)
labeler, project = labeler_for(User.objects.get(username={user!r})), Project.objects.get(slug={slug!r})
lease = queue.lease_next(labeler=labeler, project=project)
annotate.submit(lease_id=lease.pk, labeler=labeler, submission_id=uuid4(),
                answer={{"tiers": [[one] for one in lease.shown_order]}})
"""
ASKS = """
from guidelines import publish
from labeling.models import Project
publish.publish(guideline=Project.objects.get(slug={slug!r}).guideline, body="# Be fair",
                plan=publish.Plan(asks=True))
"""

RATING = """
from guidelines import publish
from labeling.models import Project
scale = {{"key": "clear", "label": "Clear", "scope": "completion", "type": "scale", "min": 1, "max": 5}}
publish.publish(guideline=Project.objects.get(slug={slug!r}).guideline, body="# Rate", criteria=[scale])
"""
STRICTER = """
from django.utils import timezone
from guidelines import publish
from labeling import queue
from labeling.models import Lease, Project
project = Project.objects.get(slug={slug!r})
flag = {{"key": "rude", "label": "Rude", "scope": "completion", "type": "flag"}}
Lease.objects.filter(task__project=project).update(expires_at=timezone.now())
queue.sweep()
publish.publish(guideline=project.guideline, body="# Rate", criteria=[flag],
                plan=publish.Plan(labels="exclude"))
"""


@pytest.fixture
def desk(server: Server) -> Desk:
    """Four tasks, the first of them labeled."""
    made = a_desk(server, *[("rank", f"An owl, number {n}?", ANSWERS) for n in range(4)])
    server.shell(FIRST_LABEL.format(owner=made.owner, user=made.user, slug=made.slug))
    return made


def sign_in(page: Page, name: str, password: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="My work")).to_be_visible()


def edit(page: Page, desk: Desk) -> None:
    page.goto(f"/guidelines/{desk.slug}/edit/")
    expect(page.locator("[data-list=criteria] [data-add]")).to_be_visible()


def rank(page: Page, n: int) -> None:
    expect(page.locator("[data-prompt]")).to_contain_text(f"An owl, number {n}?")
    for key in ("1", "ArrowUp", "2", "ArrowUp", "3", "ArrowUp", "Control+Enter"):
        page.keyboard.press(key)


def test_journey(server: Server, browser: Browser, page: Page, desk: Desk) -> None:
    """A stricter version: effects before the click, the door for who works, and the marks after it."""
    desk.sign_in(page)
    desk.open(page, "rank")
    expect(page.locator("[data-prompt]")).to_contain_text("An owl, number 1?")
    page.wait_for_timeout(300)  # the next task is fetched ahead

    admin = browser.new_context(base_url=server.url).new_page()
    sign_in(admin, desk.owner, desk.password)
    edit(admin, desk)
    admin.get_by_label("Text, in Markdown").fill("# Be kind\n\nPrefer the **true** story.")
    effects = admin.locator("#effects")
    expect(effects).to_contain_text("1 older label becomes stale: 1 stays in use.")
    expect(admin.locator("#preview strong")).to_have_text("true")
    admin.get_by_role("button", name="Add a rule").click()
    admin.keyboard.type("True goes before kind.")
    admin.get_by_role("button", name="Add a criterion").click()
    admin.keyboard.type("Is it true?")
    expect(admin.locator("[data-part=key]")).to_have_value("is_it_true")
    admin.get_by_role("button", name="Add a criterion").click()
    admin.keyboard.type("Rude")
    admin.keyboard.press("Alt+ArrowUp")
    expect(admin.locator("[data-list=criteria] .item").first.locator("[data-part=label]")).to_have_value(
        "Rude"
    )
    expect(admin.locator("#change option").first).to_have_text("as it looks: priority rule")
    expect(admin.get_by_label("Whoever works reads what changed")).to_be_checked()
    expect(effects).to_contain_text("1 person is shown what changed")
    admin.get_by_label("are made anew").check()
    expect(effects).to_contain_text("1 task opens again")
    admin.get_by_label("What changed, in one sentence").fill("Truth first.")
    expect(admin.locator("[data-saved]")).to_contain_text("saved ")
    admin.get_by_role("button", name="Publish version 2").click()
    expect(admin.get_by_text("Version 2 is published.")).to_be_visible()
    expect(admin.locator("[data-effect=stale]")).to_have_text(
        "1 older label becomes stale: 1 is made anew and trains nothing."
    )
    expect(admin.locator("[data-effect=read]")).to_have_text("0 of 1 person has read it.")

    # What is in hands is finished; then comes the door.
    for n in (1, 2):
        rank(page, n)
    expect(page.get_by_role("heading", name="The guideline changed")).to_be_visible()
    expect(page.locator("#unread")).to_contain_text("from version 1, by which you last worked, to version 2")
    expect(page.locator("#unread del")).to_have_text(["kind"])
    expect(page.locator("#unread .changed-text ins")).to_have_text(["true"])
    expect(page.locator("#unread")).to_contain_text("True goes before kind.")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("Enter")
    expect(page.locator("[data-prompt]")).to_contain_text("An owl, number 3?")
    expect(page.locator("#guideline-words")).to_contain_text("version 2")

    admin.reload()
    expect(admin.locator("[data-effect=read]")).to_have_text("1 of 1 person has read it.")
    expect(admin.locator("[data-effect=stale]")).to_contain_text("3 older labels become stale: 2 stay in use")
    admin.get_by_role("link", name="Compare").click()
    expect(admin.locator("ins").first).to_have_text("true")
    admin.context.close()


def test_a_draft_saves_itself_and_tells_two_windows_apart(
    server: Server, browser: Browser, desk: Desk
) -> None:
    context = browser.new_context(base_url=server.url)
    one, two = context.new_page(), context.new_page()
    sign_in(one, desk.owner, desk.password)
    edit(one, desk)
    edit(two, desk)
    one.get_by_label("Text, in Markdown").fill("# Be fair")
    expect(one.locator("[data-saved]")).to_contain_text("saved ")
    two.get_by_label("Text, in Markdown").fill("# Be brief")
    expect(two.get_by_role("heading", name="This was changed in another window")).to_be_visible()
    expect(two.locator("#stale-mine")).to_have_text("# Be brief")
    expect(two.locator("#stale-theirs")).to_have_text("# Be fair")
    assert faults(two) == []
    two.get_by_role("button", name="Keep this one").first.click()
    expect(two.locator("[data-saved]")).to_contain_text("saved ")
    one.reload()
    expect(one.get_by_label("Text, in Markdown")).to_have_value("# Be brief")
    one.get_by_role("button", name="Discard my draft").click()
    expect(one.get_by_label("Text, in Markdown")).to_have_value("# Be kind\n\nPrefer the **kind** story.")
    context.close()


def test_what_is_wrong_is_pointed_at(server: Server, page: Page, desk: Desk) -> None:
    sign_in(page, desk.owner, desk.password)
    edit(page, desk)
    page.get_by_role("button", name="Add an example").click()
    page.get_by_label("Answer", exact=True).fill("Once an owl.")
    expect(page.locator("#effects")).to_contain_text("examples[0].reason: The reason is empty.")
    expect(page.locator("[data-list=examples] [data-part=reason]")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Why").fill("It is a story.")
    expect(page.locator("#change option").first).to_have_text("as it looks: example")
    expect(page.locator("[aria-invalid]")).to_have_count(0)
    page.get_by_role("button", name="Publish version 2").click()
    expect(page.locator(".guideline-example.good")).to_contain_text("It is a story.")


def test_a_draft_that_no_longer_fits_is_shown(server: Server, page: Page) -> None:
    desk = a_desk(server, ("rate", "An owl?", ["Once an owl."]))
    server.shell(RATING.format(slug=desk.slug))
    desk.sign_in(page)
    desk.open(page, "rate")
    page.keyboard.press("4")
    expect(page.locator("[data-saved]")).to_contain_text("saved ")
    page.goto("/")
    server.shell(STRICTER.format(slug=desk.slug))
    desk.open(page, "rate")
    expect(page.locator("#notice")).to_contain_text("what it no longer asks: 1: clear 4.")
    expect(page.locator("#guideline-words")).to_contain_text("version 3")


def test_another_admin_is_heard_of_while_one_writes(server: Server, page: Page, desk: Desk) -> None:
    sign_in(page, desk.owner, desk.password)
    edit(page, desk)
    page.get_by_label("Text, in Markdown").fill("# Be brief")
    expect(page.locator("[data-saved]")).to_contain_text("saved ")
    server.shell(ASKS.format(slug=desk.slug))
    expect(page.locator("#news")).to_contain_text("Version 2 was published while you write.")
    page.get_by_role("button", name="Publish version 2").click()
    expect(page.get_by_role("heading", name="Version 2 was published while you wrote")).to_be_visible()
    expect(page.get_by_label("Text, in Markdown")).to_have_value("# Be brief")
    assert faults(page) == []
    page.get_by_role("button", name="Publish version 3").click()
    expect(page.get_by_text("Version 3 is published.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_a_full_editor(page: Page, desk: Desk, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    sign_in(page, desk.owner, desk.password)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"/guidelines/{desk.slug}/edit/?preset=hh_rlhf")
        expect(page.locator("[data-list=criteria] .item")).to_have_count(4)
        assert faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

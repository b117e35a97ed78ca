"""People in a real browser: asked in by a link, at work, paused, their labels out of use, and forgotten."""

from __future__ import annotations

import uuid

import pytest
from axe import faults
from conftest import Server
from desks import Desk, a_desk
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

FREEZE = """
from labeling.datasets import dataset
from labeling.models import Project
print(dataset.freeze(project=Project.objects.get(slug={slug!r}), kind="demonstrations").number)
"""


def sign_in(page: Page, username: str, password: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="My work")).to_be_visible()


def people(desk: Desk, rest: str = "") -> str:
    return f"/projects/{desk.slug}/manage/people/{rest}"


def make_link(page: Page, desk: Desk) -> str:
    page.goto(people(desk, "invitations/"))
    page.get_by_role("button", name="Make the link").click()
    return page.locator("#link").inner_text()


def write(page: Page, text: str) -> None:
    expect(page.locator("[data-stage=task] .editor")).to_be_visible()
    page.keyboard.type(text)
    with page.expect_response("**/submit/") as sent:
        page.keyboard.press("Control+Enter")
    assert sent.value.status == 201


def test_from_an_invitation_to_an_erasure(server: Server, browser: Browser, page: Page) -> None:
    desk = a_desk(server, *[("demonstrate", f"Tell me about owl {n}.", []) for n in range(4)])
    sign_in(page, desk.owner, desk.password)
    link = make_link(page, desk)
    name, password = f"eva-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    theirs = browser.new_context(base_url=server.url)
    eva = theirs.new_page()

    eva.goto(link)
    eva.get_by_label("User name").fill(desk.user)
    eva.get_by_label("Password").fill(password)
    eva.get_by_role("button", name="Make the account and join").click()
    expect(eva.get_by_text("already exists")).to_be_visible()
    expect(eva.get_by_label("User name")).to_have_value(desk.user)
    assert faults(eva) == []
    eva.get_by_label("User name").fill(name)
    eva.get_by_label("Password").fill(password)
    eva.get_by_role("button", name="Make the account and join").click()
    expect(eva.get_by_role("heading", name="Owl stories")).to_be_visible()
    eva.get_by_role("link", name="Write answers").click()
    write(eva, "The first owl sees at night.")
    expect(eva.locator("[data-prompt]")).to_contain_text("owl 1")
    eva.goto("/")
    expect(eva.locator(".own-work").get_by_role("row", name="Write answers")).to_contain_text("1")

    page.goto(people(desk))
    page.get_by_role("link", name=name).click()
    page.get_by_label("Write to them").fill("Well begun.")
    page.get_by_role("button", name="Send").click()
    expect(eva.get_by_text("Well begun.")).to_be_visible()
    eva.get_by_role("button", name="I have read it").click()
    expect(eva.get_by_text("Well begun.")).to_have_count(0)

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert faults(page) == []
    expect(eva.get_by_text("paused your work in it")).to_be_visible()
    # The task on screen and the one fetched ahead are open, and may be finished; nothing comes after them.
    eva.goto(f"/projects/{desk.slug}/work/")
    write(eva, "The next owl as well.")
    expect(eva.locator("[data-prompt]")).to_contain_text("owl 2")
    write(eva, "And so does the last.")
    expect(eva.locator("#away-why")).to_contain_text("paused your work")

    server.shell(FREEZE.format(slug=desk.slug))
    page.get_by_role("link", name="Invalidate labels").click()
    expect(page.locator("#radius-labels")).to_have_text("3")
    expect(page.get_by_role("link", name="dataset 1 (demonstrations)")).to_be_visible()
    assert faults(page) == []
    page.get_by_label("Reason").fill("Not about owls.")
    page.get_by_role("button", name="Take them out of use").click()
    expect(page.get_by_text("3 labels are out of use. 3 tasks ask again.")).to_be_visible()
    assert [label["invalidated"] for label in desk.labels()] == ["Not about owls."] * 3

    page.goto(people(desk))
    page.get_by_role("link", name=name).click()
    expect(page.get_by_text("Not about owls.").first).to_be_visible()
    page.get_by_text("End or erase").click()
    page.get_by_label("to confirm").fill("somebody else")
    page.get_by_role("button", name="Erase the person").click()
    expect(page.get_by_text("Type their name as it is written here")).to_be_visible()
    page.get_by_label("to confirm").fill(name)
    page.get_by_role("button", name="Erase the person").click()
    expect(page.get_by_text("Erased. Their labels stay")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("person-")
    assert name not in page.content()
    assert len(desk.labels()) == 3
    eva.goto("/")
    expect(eva.get_by_role("heading", name="Sign in")).to_be_visible()
    theirs.close()


def test_links_for_many_are_downloaded(server: Server, page: Page) -> None:
    desk = a_desk(server)
    sign_in(page, desk.owner, desk.password)
    page.goto(people(desk, "invitations/"))
    rows = "".join(f"Person {n},labeler\n" for n in range(200))
    page.get_by_label("Rows of a CSV").fill(f"name,role\n{rows}Eva,king\n")
    page.get_by_role("button", name="Make a link for each").click()
    expect(page.get_by_role("heading", name="200 links")).to_be_visible()
    expect(page.get_by_role("row", name="202 role")).to_contain_text("no role 'king'")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download CSV").click()
    lines = started.value.path().read_text().splitlines()
    assert len(lines) == 201
    assert lines[200].startswith("Person 199,labeler,train,,,http://")
    page.set_viewport_size({"width": 390, "height": 900})
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_who_has_an_account_comes_back_and_joins(server: Server, browser: Browser, page: Page) -> None:
    ours, elsewhere = a_desk(server), a_desk(server)
    sign_in(page, ours.owner, ours.password)
    link = make_link(page, ours)
    theirs = browser.new_context(base_url=server.url)
    mia = theirs.new_page()
    mia.goto(link)
    mia.get_by_role("link", name="Sign in, and come back").click()
    mia.get_by_label("User name").fill(elsewhere.user)
    mia.get_by_label("Password").fill(elsewhere.password)
    mia.get_by_role("button", name="Sign in").click()
    mia.get_by_role("button", name="Join").click()
    expect(mia.get_by_role("heading", name="Owl stories")).to_have_count(2)
    other = browser.new_context(base_url=server.url)
    late = other.new_page()
    late.goto(link)
    expect(late.get_by_role("heading", name="This link is over")).to_be_visible()
    theirs.close(), other.close()


def test_a_new_password_by_a_link(server: Server, browser: Browser, page: Page) -> None:
    desk = a_desk(server)
    sign_in(page, desk.owner, desk.password)
    page.goto(people(desk))
    page.get_by_role("link", name=desk.user).click()
    page.get_by_role("button", name="Make a link to a new password").click()
    link = page.locator("#reset-link").inner_text()
    theirs = browser.new_context(base_url=server.url)
    mia, fresh = theirs.new_page(), uuid.uuid4().hex
    mia.goto(link)
    mia.locator("[name=password1]").fill(fresh)
    mia.locator("[name=password2]").fill(fresh)
    assert faults(mia) == []
    mia.locator("[name=action]").first.click()
    sign_in(mia, desk.user, fresh)
    mia.goto(link)
    expect(mia.get_by_text("invalid")).to_be_visible()
    theirs.close()

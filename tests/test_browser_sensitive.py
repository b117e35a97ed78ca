"""Sensitive tasks, pictures and folded steps in a real browser: what is covered, shown, and held."""

from __future__ import annotations

import json
from typing import Any

import httpx
import images
import pytest
from axe import faults
from conftest import Server
from desks import Desk, a_desk
from playwright.sync_api import Page, expect
from test_browser_marks import press, said

pytestmark = pytest.mark.browser

SECRET = "A very frightening story about a wolf"
HOSTILE = "</pre><script>document.title='gone'</script><img src=x onerror=\"document.title='gone'\"> \u202e"


def send(desk: Desk, rows: list[dict[str, Any]], *, kind: str = "rank") -> None:
    """Rows of completions, with tasks of ``kind`` about them."""
    answer = httpx.post(
        f"{desk.server.url}/api/projects/{desk.slug}/completions/",
        params={"tasks": kind},
        headers={"Authorization": f"Token {desk.token}"},
        json={"rows": rows},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["refused"] == []


def sensitive(desk: Desk, *, kind: str = "rank", **more: Any) -> None:
    send(
        desk,
        [{"prompt": SECRET, "completions": ["It bit.", "It ran."], "sensitive": True, **more}],
        kind=kind,
    )


def tree(page: Page) -> str:
    """All that a screen reader is told of the page."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return json.dumps([node.get("name", {}).get("value") for node in nodes if not node.get("ignored")])


def test_covered_until_asked_for(server: Server, page: Page) -> None:
    desk = a_desk(server)
    sensitive(desk)
    send(desk, [{"prompt": "A calm story", "completions": ["a", "b"]}])
    desk.sign_in(page)
    page.goto(f"/projects/{desk.slug}/work/rank/")
    expect(page.get_by_text("It is covered until you ask")).to_be_visible()
    # Neither a screen reader nor a search of the page finds what is beneath, nor does Tab lead there.
    assert SECRET not in tree(page)
    assert not page.evaluate("window.find('frightening', false, false, true)")
    for _ in range(30):
        press(page, "Tab")
        assert not page.evaluate("document.activeElement.closest('rank-board')")
    press(page, "1", "ArrowUp", "Control+Enter")
    expect(said(page)).to_have_text("This task is covered. Show it first, or skip it.")
    expect(page.get_by_role("button", name="Show it")).to_be_focused()
    press(page, "b")
    expect(said(page)).to_have_text("Shown.")
    assert SECRET in tree(page)
    assert page.evaluate("window.find('frightening', false, false, true)")
    press(page, "b")
    assert SECRET not in tree(page)
    press(page, "Enter")
    press(page, "1", "ArrowUp", "2", "ArrowUp", "Control+Enter")
    expect(page.locator("[data-prompt]")).to_contain_text("A calm story")
    expect(page.get_by_role("button", name="Show it")).to_have_count(0)


def test_always_shown_or_not_given(server: Server, page: Page) -> None:
    desk = a_desk(server)
    sensitive(desk)
    desk.sign_in(page)
    page.goto("/account/reading/")
    page.get_by_label("Always show them").check()
    expect(page.locator("[data-saved]")).to_contain_text("saved ")
    desk.open(page, "rank")
    expect(page.get_by_role("button", name="Cover it")).to_be_visible()
    assert SECRET in tree(page)
    page.goto("/account/reading/")
    expect(page.get_by_label("Always show them")).to_be_checked()
    page.get_by_label("Give me no sensitive tasks").check()
    expect(page.locator("[data-saved]")).to_contain_text("saved ")
    page.goto(f"/projects/{desk.slug}/work/")
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    expect(page.get_by_text("Tasks marked as sensitive go to others, as you asked.")).to_be_visible()
    page.goto("/")
    expect(page.get_by_text("Some waiting tasks are marked as sensitive.")).to_be_visible()


TRACE = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is **on** this map?"},
            {"type": "image_url", "image_url": {"url": images.address(images.png(640, 480))}, "alt": "A map"},
        ],
    },
    {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"at": "map"}'}},
            {"id": "b", "type": "function", "function": {"name": "read", "arguments": HOSTILE}},
        ],
    },
    {"role": "tool", "tool_call_id": "a", "content": "A lake.\n" * 2000},
    {"role": "tool", "tool_call_id": "b", "content": HOSTILE + "word " * 20_000},
]


def test_pictures_and_steps(server: Server, page: Page) -> None:
    desk = a_desk(server)
    send(desk, [{"messages": TRACE, "completions": ["A lake.", "A hill."]}])
    desk.sign_in(page)
    desk.open(page, "rank")
    picture = page.get_by_role("img", name="A map")
    expect(picture).to_be_visible()
    page.wait_for_function("document.querySelector('.picture img').naturalWidth === 640")
    steps = page.locator("details.step")
    expect(steps).to_have_count(2)
    expect(steps.first.locator("summary")).to_contain_text('look {"at": "map"} → A lake. A lake.')
    expect(steps.first.locator("pre").first).to_be_hidden()
    press(page, "o")
    expect(said(page)).to_have_text("All steps are open.")
    expect(steps.first.locator("pre").first).to_have_text('{\n  "at": "map"\n}')
    box = steps.nth(1).locator("pre").nth(1).bounding_box()
    assert box
    assert box["height"] <= 600
    assert "gone" not in page.title()
    assert page.locator("details.step script, details.step img").count() == 0
    press(page, "v")
    expect(steps.first.locator("pre").first).to_have_text('{"at": "map"}')
    expect(page.locator("[data-prompt]")).to_contain_text("What is **on** this map?")
    expect(picture).to_be_visible()
    press(page, "v", "o")
    expect(said(page)).to_have_text("The steps are folded.")
    expect(steps.first.locator("pre").first).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_pictures_are_held_while_the_server_is_away(server: Server, page: Page) -> None:
    desk = a_desk(server)
    send(desk, [{"messages": TRACE, "completions": ["A lake.", "A hill."]}])
    desk.sign_in(page)
    desk.open(page, "rank")
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    page.wait_for_function(
        """async () => {
            for (const name of await caches.keys()) {
                const requests = await (await caches.open(name)).keys();
                if (requests.some(({ url }) => url.includes('/pictures/'))) return true;
            }
        }"""
    )
    with desk.server_away():
        page.reload()
        expect(page.get_by_role("img", name="A map")).to_be_visible()
        page.wait_for_function("document.querySelector('.picture img').naturalWidth === 640")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(server: Server, page: Page, scheme: Any) -> None:
    desk = a_desk(server)
    send(desk, [{"messages": TRACE, "completions": ["A lake.", "A hill."], "sensitive": True}])
    page.emulate_media(color_scheme=scheme)
    desk.sign_in(page)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"/projects/{desk.slug}/work/rank/")
        expect(page.get_by_role("button", name="Show it")).to_be_visible()
        assert faults(page) == []
        press(page, "b", "o")
        assert faults(page) == []
        page.goto("/account/reading/")
        assert faults(page) == []

"""Marking passages in a real browser: by keys alone, by mouse, by thumb, and as axe-core sees it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from axe import faults
from conftest import Server
from desks import Desk, a_desk
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser

SPANS = [
    {
        "key": "false",
        "label": "Not true",
        "scope": "completion",
        "type": "span",
        "help": "Against the source.",
    },
    {"key": "kind", "label": "Kind", "scope": "completion", "type": "span"},
    {"key": "harm", "label": "Harmful", "scope": "completion", "type": "span"},
]
PUBLISH = """
import json
from guidelines import publish
from labeling.models import Project
project = Project.objects.get(slug={slug!r})
publish.publish(guideline=project.guideline, body="# Be true", criteria=json.loads({criteria!r}))
"""
# An astral letter, joined emoji, combining signs, another direction, and an end of line of another system.
FOX = "The 🦊 said: 👨‍👩‍👧 cafe\u0301 don't cry.\r\nשלום world, one two three four.\n\nThe end."
HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> ](javascript:x) **open `\u202e\x07 &amp;</div>\n"
    * 40
)


def desk_of(server: Server, *texts: str, sensitive: bool = False) -> Desk:
    """A labeler with a task to mark for each text."""
    desk = a_desk(server)
    server.shell(PUBLISH.format(slug=desk.slug, criteria=json.dumps(SPANS)))
    rows = [{"prompt": f"A story to mark, number {n}.", "completion": text} for n, text in enumerate(texts)]
    answer = httpx.post(
        f"{server.url}/api/projects/{desk.slug}/completions/",
        params={"tasks": "mark", "sensitive": sensitive},
        headers={"Authorization": f"Token {desk.token}"},
        json={"rows": rows},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["refused"] == []
    return desk


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def said(page: Page) -> Locator:
    return page.locator("#say")


def next_task(page: Page, n: int) -> None:
    expect(page.locator("[data-prompt]")).to_contain_text(f"A story to mark, number {n}.")


def quotes(desk: Desk, text: str) -> list[list[tuple[str, str]]]:
    """What each label marks, cut out of the text as the server has it, and for what."""
    return [
        [(text[mark["start"] : mark["end"]], mark["criterion"]) for mark in label["answer"]["marks"]]
        for label in desk.labels()
    ]


def test_by_keys_alone(server: Server, page: Page) -> None:
    desk = desk_of(server, FOX, FOX, FOX)
    desk.sign_in(page)
    desk.open(page, "mark")
    press(page, "1")
    expect(said(page)).to_contain_text("Choose a passage first")
    press(page, "ArrowRight", "ArrowRight")
    expect(said(page)).to_have_text("🦊")
    press(page, "1")
    expect(said(page)).to_have_text("Not true: “🦊”. 1 mark.")
    press(page, "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight")
    expect(said(page)).to_have_text("said: 👨‍👩‍👧")
    press(page, "Shift+ArrowLeft", "Shift+ArrowRight", "2", "3")
    expect(said(page)).to_have_text("Harmful: “said: 👨‍👩‍👧”. 3 marks.")
    press(page, "2")
    expect(said(page)).to_have_text("It is marked so already.")
    # Comment on a mark, go from mark to mark, take one away and bring it back.
    press(page, "c")
    page.keyboard.type("A kind family, 1 of 3.")
    press(page, "Escape")
    expect(page.locator(".marks li.current [data-open]")).to_be_focused()
    press(page, "[", "[")
    expect(said(page)).to_have_text("Mark 1 of 3: Not true, “🦊”")
    press(page, "]", "]", "Delete")
    expect(said(page)).to_have_text("Taken away. 2 marks.")
    expect(page.locator(".marks li.current [data-open]")).to_be_focused()
    press(page, "u")
    expect(said(page)).to_have_text("Undone. 3 marks.")
    press(page, "ArrowRight", "ArrowRight")
    expect(said(page)).to_have_text("don't")
    press(page, "ArrowLeft")
    expect(said(page)).to_have_text("cafe\u0301")
    press(page, "1", "ArrowDown")
    expect(page.locator(".line").nth(1).locator(".chosen")).to_have_count(1)
    press(page, "Control+Enter")
    next_task(page, 1)
    press(page, "u")
    next_task(page, 0)
    expect(page.locator(".rail .marks li")).to_have_count(4)
    press(page, "Enter")
    expect(page.locator("#review-what li")).to_have_count(4)
    press(page, "Enter")
    next_task(page, 1)
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    before, after = quotes(desk, FOX)
    assert (
        before
        == after
        == [
            ("🦊", "false"),
            ("said: 👨‍👩‍👧", "harm"),
            ("said: 👨‍👩‍👧", "kind"),
            ("cafe\u0301", "false"),
        ]
    )
    kind = desk.labels()[-1]["answer"]["marks"]
    assert [mark.get("comment") for mark in kind].count("A kind family, 1 of 3.") == 1


def test_nothing_to_mark_is_asked_once(server: Server, page: Page) -> None:
    desk = desk_of(server, FOX, FOX)
    desk.sign_in(page)
    desk.open(page, "mark")
    press(page, "Control+Enter")
    expect(page.get_by_role("heading", name="Nothing to mark?")).to_be_visible()
    press(page, "Control+Enter")
    next_task(page, 1)
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    assert [label["answer"] for label in desk.labels()] == [{"marks": []}]


def test_lines_go_up_and_down(server: Server, page: Page) -> None:
    text = "one two three four five six seven\n\nalpha beta gamma delta epsilon\nlast"
    desk = desk_of(server, text)
    desk.sign_in(page)
    desk.open(page, "mark")
    press(page, "ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown")
    expect(page.locator(".line").nth(2).locator(".chosen")).to_have_count(1)
    press(page, "ArrowDown")
    expect(said(page)).to_have_text("last")
    # What was aimed at is not forgotten on a short line.
    press(page, "ArrowUp", "ArrowUp")
    expect(said(page)).to_have_text("three")
    press(page, "Shift+ArrowDown", "1", "Control+Enter")
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    ((quote,),) = quotes(desk, text)
    assert quote[0].startswith("three four five six seven\n\nalpha ")


def box_of(page: Page, words: str) -> dict[str, float]:
    """Where words of the answer are drawn."""
    box: dict[str, float] = page.evaluate(
        """words => {
            const text = document.querySelector("[data-marked]");
            const walk = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
            for (let node; (node = walk.nextNode()); ) {
                const at = node.data.indexOf(words);
                if (at < 0) continue;
                const range = document.createRange();
                range.setStart(node, at);
                range.setEnd(node, at + words.length);
                const { left, right, top, bottom } = range.getBoundingClientRect();
                return { left, right, top, bottom, x: (left + right) / 2, y: (top + bottom) / 2 };
            }
        }""",
        words,
    )
    return box


def test_by_mouse(server: Server, page: Page) -> None:
    desk = desk_of(server, FOX)
    desk.sign_in(page)
    desk.open(page, "mark")
    first, last = box_of(page, "one"), box_of(page, "three")
    page.mouse.move(first["left"], first["y"])
    page.mouse.down()
    page.mouse.move(last["right"], last["y"], steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Kind").click()
    expect(page.locator(".rail .marks q")).to_have_text(["one two three"])
    # A click chooses the word under it, and the mark there.
    word = box_of(page, "world")
    page.mouse.click(word["x"], word["y"])
    page.get_by_role("button", name="Not true").click()
    two = box_of(page, "two")
    page.mouse.click(two["x"], two["y"])
    expect(page.locator(".rail .marks li.current q")).to_have_text("one two three")
    page.get_by_label("Comment on “one two three”").fill("Counted.")
    page.get_by_role("button", name="Take away the mark on “world”").click()
    expect(page.locator(".rail .marks li")).to_have_count(1)
    page.get_by_role("button", name="Undo").first.click()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    assert quotes(desk, FOX) == [[("world", "false"), ("one two three", "kind")]]
    assert desk.labels()[0]["answer"]["marks"][1]["comment"] == "Counted."


def test_by_thumb(server: Server, browser: Browser) -> None:
    desk = desk_of(server, FOX)
    context = browser.new_context(
        base_url=server.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    desk.sign_in(page)
    desk.open(page, "mark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    word = box_of(page, "one")
    page.touchscreen.tap(word["x"], word["y"])
    expect(page.locator(".chosen")).to_have_text("one")
    page.get_by_role("button", name="One word more").tap()
    page.get_by_role("button", name="One word more").tap()
    page.get_by_role("button", name="One word less").tap()
    page.get_by_role("button", name="Harmful").tap()
    expect(page.locator(".marks q")).to_have_text("one two")
    page.get_by_role("button", name="Submit").tap()
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    assert quotes(desk, FOX) == [[("one two", "harm")]]
    context.close()


def test_a_draft_outlives_the_server(server: Server, page: Page) -> None:
    desk = desk_of(server, FOX)
    desk.sign_in(page)
    desk.open(page, "mark")
    expect(page.locator("[data-saved]")).to_be_visible()
    press(page, "ArrowRight", "ArrowRight", "2", "c")
    page.keyboard.type("Kept.")
    press(page, "Escape")
    expect(page.locator("[data-saved]")).to_contain_text("saved ")
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    with desk.server_away():
        press(page, "ArrowRight", "3")
        expect(page.locator("[data-saved]")).to_contain_text("kept here")
        page.reload()
        expect(page.locator(".rail .marks q")).to_have_text(["🦊", "said"])
        expect(page.get_by_label("Comment on “🦊”")).to_have_value("Kept.")
        press(page, "Control+Enter")
    expect(page.get_by_role("heading", name="You are through")).to_be_visible(timeout=30_000)
    assert quotes(desk, FOX) == [[("🦊", "kind"), ("said", "harm")]]


def test_a_hostile_answer_of_twenty_thousand_words(server: Server, page: Page) -> None:
    long = HOSTILE + "word " * 20_000 + "\n" + HOSTILE
    desk = desk_of(server, HOSTILE, long)
    desk.sign_in(page)
    desk.open(page, "mark")
    assert page.locator("[data-marked] script, [data-marked] img").count() == 0
    expect(page.locator("[data-marked] .unseen").first).to_have_text("U+202E U+0007")
    press(page, *["ArrowRight"] * 3, "Shift+ArrowDown", "1", "Control+Enter")
    next_task(page, 1)
    press(page, "ArrowDown", "ArrowDown", "Shift+ArrowRight", "2", "Control+Enter")
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    one, two = desk.labels()
    for label, text in ((one, HOSTILE), (two, long)):
        (mark,) = label["answer"]["marks"]
        assert text[mark["start"] : mark["end"]].strip()


def test_the_unseen_keep_their_place(server: Server, page: Page) -> None:
    """Names of unseen characters are no letters of the text."""
    text = "a\u202eb\x07\x07c fox\r\nran\tfar"
    desk = desk_of(server, text)
    desk.sign_in(page)
    desk.open(page, "mark")
    word = box_of(page, "fox")
    page.mouse.dblclick(word["x"], word["y"])
    press(page, "1")
    word = box_of(page, "ran")
    page.mouse.click(word["x"], word["y"])
    press(page, "2", "ArrowRight", "3", "Control+Enter")
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    assert quotes(desk, text) == [[("fox", "false"), ("ran", "kind"), ("far", "harm")]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(server: Server, page: Page, scheme: Any) -> None:
    desk = desk_of(server, FOX)
    page.emulate_media(color_scheme=scheme)
    desk.sign_in(page)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        desk.open(page, "mark")
        assert faults(page) == []
        press(
            page,
            "ArrowRight",
            "Shift+ArrowRight",
            "Shift+ArrowRight",
            "1",
            "ArrowLeft",
            "2",
            "3",
            "c",
            "Escape",
        )
        assert faults(page) == []
        press(page, "ArrowRight", "Enter")
        assert faults(page) == []
        press(page, "Escape", "?")
        assert faults(page) == []

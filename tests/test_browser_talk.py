"""Talks and drafts in a real browser, answered by a real responder with the shipped model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from axe import faults
from conftest import ROOT, Server, end, respond, until
from desks import Desk, a_desk
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser

SETUP = """
from pathlib import Path
from labeling.talks import talk
from labeling.models import Project
from models_zoo import registry
project = Project.objects.get(slug={slug!r})
project.current_checkpoint = registry.register(folder=Path({folder!r}), name="pocket-sft", kind="sft")
project.model_drafts = True
project.save()
talk.add_tasks(project=project, text="Ask for a story about an owl, then let it go on.", count={talks})
"""
SHIPPED = str(ROOT / "models_zoo" / "pocket_stories" / "sft")
ASKS = "Tell me a story about an owl and a book."


def a_talker(server: Server, *tasks: Any, talks: int = 2) -> Desk:
    desk = a_desk(server, *tasks)
    server.shell(SETUP.format(slug=desk.slug, folder=SHIPPED, talks=talks))
    return desk


def open_talk(desk: Desk, page: Page) -> None:
    page.goto(f"/projects/{desk.slug}/work/converse/")
    expect(page.locator("[data-brief]")).to_contain_text("Ask for a story")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def said(page: Page) -> Locator:
    return page.locator("#say")


def answers(page: Page) -> list[str]:
    """Both answers, once they are whole."""
    expect(page.locator(".answers[aria-busy=false]")).to_be_visible(timeout=60_000)
    return [one.inner_text() for one in page.locator("talk-board .answer [data-text]").all()]


def message(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Your message")


def replies(server: Server, desk: Desk) -> list[dict[str, Any]]:
    code = (
        "import json; from labeling.models import Reply; print(json.dumps(list(Reply.objects.filter("
        f"lease__task__project__slug={desk.slug!r}).order_by('pk').values('state', 'texts', 'number'))))"
    )
    return json.loads(server.shell(code).splitlines()[-1])


def test_a_talk_by_keys(server: Server, page: Page, responder: Any) -> None:
    desk = a_talker(server)
    desk.sign_in(page)
    open_talk(desk, page)
    expect(message(page)).to_be_focused()
    press(page, "Control+Enter")
    expect(page.locator("#lack")).to_have_text("Say something to the model, then choose an answer.")
    page.keyboard.type(ASKS)
    press(page, "Enter")
    expect(message(page)).to_be_disabled()
    first = answers(page)
    expect(said(page)).to_have_text("Both answers are here. Choose the better one.")
    assert first[0] != first[1]
    press(page, "Control+Enter")
    expect(page.locator("#lack")).to_have_text("Say which answer is better, or that they tie.")
    press(page, "Escape", "1", "2", "2", "2")
    expect(said(page)).to_have_text("Answer 2 is much better.")
    press(page, "u", "u", "=", "ArrowRight")
    expect(said(page)).to_have_text("Answer 2 is slightly better.")
    press(page, "Enter")
    expect(message(page)).to_be_focused()
    page.keyboard.type("Let it rain.")
    press(page, "Shift+Enter")
    page.keyboard.type("A little.")
    expect(page.locator("[data-saved]")).to_contain_text("saved ")
    # What was chosen and what is being written come back.
    page.reload()
    expect(message(page)).to_have_value("Let it rain.\nA little.")
    assert answers(page) == first
    expect(page.get_by_role("radio", name="Answer 2 is slightly better")).to_be_checked()
    press(page, "Enter")
    talk = page.locator("[data-talk]")
    expect(talk.locator(".turn")).to_have_count(3)
    expect(talk).to_contain_text(first[1])
    expect(talk).not_to_contain_text(first[0])
    second = answers(page)
    # The choice before stands from now on.
    press(page, "u", "x", "1")
    expect(talk.locator(".turn")).to_have_count(3)
    press(page, "Control+Enter")
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    press(page, "Escape", "u")
    expect(talk.locator(".turn")).to_have_count(3)
    assert answers(page) == second
    expect(page.get_by_role("checkbox", name="Both bad")).to_be_checked()
    press(page, "2", "2", "2", "Control+Enter")
    until(lambda: len(desk.labels()) == 2)
    before, after = (label["answer"]["turns"] for label in desk.labels())
    assert [turn["said"] for turn in before] == [ASKS, "Let it rain.\nA little."]
    assert [turn["strength"] for turn in before] == ["slightly", "slightly"]
    assert [turn["completions"].index(turn["chosen"]) for turn in before] == [1, 0]
    assert before[1]["both_bad"]
    assert after[1]["completions"].index(after[1]["chosen"]) == 1
    assert after[0] == before[0]


def test_an_unjudged_message_is_asked_about(server: Server, page: Page, responder: Any) -> None:
    desk = a_talker(server)
    desk.sign_in(page)
    open_talk(desk, page)
    page.keyboard.type(ASKS)
    press(page, "Enter")
    answers(page)
    press(page, "1", "Enter")
    page.keyboard.type("And then")
    press(page, "Control+Enter")
    expect(page.locator("#review-what")).to_contain_text("They are left out if you send it now.")
    expect(page.locator("#review-what")).to_contain_text("Answer 1 is slightly better.")
    press(page, "Enter")
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    (label,) = desk.labels()
    assert len(label["answer"]["turns"]) == 1


def test_nobody_answers_and_then_somebody_does(server: Server, page: Page) -> None:
    desk = a_talker(server)
    desk.sign_in(page)
    open_talk(desk, page)
    page.keyboard.type(ASKS)
    press(page, "Enter")
    state = page.locator("[data-state-of-reply]")
    expect(state).to_contain_text("Nobody answers for the model now", timeout=20_000)
    # The message can be taken back and said otherwise.
    press(page, "u")
    expect(message(page)).to_have_value(ASKS)
    press(page, "Control+End")
    page.keyboard.type(" Be brief.")
    press(page, "Enter")
    expect(page.locator("[data-talk]")).to_contain_text("Be brief.")
    process = respond(server)
    try:
        answers(page)
    finally:
        end(process)
    expect(state).to_be_empty()
    assert [reply["state"] for reply in replies(server, desk)] == ["failed", "done"]


# Long answers in small steps: what is being said can be seen, and cut.
SLOW = """
import time
from django.core.management import call_command
from labeling.talks import responder
from models_zoo import generate
said = generate.stream
def slowly(*given, **how):
    for answers in said(*given, **{**how, "every": 0}):
        yield answers
        time.sleep(0.25)
generate.stream = slowly
call_command("respond")
"""


def slow_responder(server: Server) -> subprocess.Popen[bytes]:
    from conftest import background

    arguments = ["manage.py", "shell", "--no-imports", "--command", SLOW]
    log = server.log.with_name("slow.log")
    return background(*arguments, environment=server.environment, log=log)


def test_another_takes_over_in_the_middle(server: Server, page: Page) -> None:
    desk = a_talker(server)
    desk.sign_in(page)
    open_talk(desk, page)
    process = slow_responder(server)
    try:
        page.keyboard.type(ASKS)
        press(page, "Enter")
        first = page.locator("talk-board .answer [data-text]").first
        expect(first).not_to_be_empty(timeout=60_000)
        # Streamed: it grows, and nothing above it moves.
        box, length = first.bounding_box(), len(first.inner_text())
        until(lambda: len(first.inner_text()) > length + 10)
        after = first.bounding_box()
        assert box
        assert after
        assert (box["x"], box["y"]) == (after["x"], after["y"])
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    begun = first.inner_text()
    expect(page.locator("[data-state-of-reply]")).to_contain_text("The answer broke off", timeout=20_000)
    assert first.inner_text().startswith(begun)
    page.reload()
    expect(first).to_contain_text(begun[:20])
    process = respond(server)
    try:
        whole = answers(page)
    finally:
        end(process)
    assert whole[0].startswith(begun[:20])
    (reply,) = replies(server, desk)
    assert set(reply["texts"]) == set(whole)


def test_a_talk_goes_on_after_the_server_was_away(server: Server, page: Page, responder: Any) -> None:
    desk = a_talker(server)
    desk.sign_in(page)
    open_talk(desk, page)
    page.keyboard.type(ASKS)
    press(page, "Enter")
    first = answers(page)
    with desk.server_away():
        press(page, "1", "1", "Enter")
        page.keyboard.type("Let it rain.")
        press(page, "Enter")
        expect(page.locator("[data-state-of-reply]")).to_contain_text("The server does not answer.")
        page.reload()
        expect(page.locator("[data-talk]")).to_contain_text(first[0])
        expect(page.locator("[data-talk]")).to_contain_text("Let it rain.")
    second = answers(page)
    assert second != first
    press(page, "2", "Control+Enter")
    expect(page.locator("#toast")).to_contain_text("Label sent.", timeout=20_000)
    (label,) = desk.labels()
    assert [turn["strength"] for turn in label["answer"]["turns"]] == ["better", "slightly"]


def test_without_websocket(server: Server, page: Page, responder: Any) -> None:
    desk = a_talker(server)
    page.add_init_script("window.WebSocket = class extends EventTarget { close() {} send() {} }")
    desk.sign_in(page)
    open_talk(desk, page)
    page.keyboard.type(ASKS)
    press(page, "Enter")
    assert len(answers(page)) == 2


def test_without_a_checkpoint(server: Server, page: Page) -> None:
    desk = a_talker(server)
    server.shell(
        "from labeling.models import Project;"
        f"Project.objects.filter(slug={desk.slug!r}).update(current_checkpoint=None)"
    )
    desk.sign_in(page)
    open_talk(desk, page)
    expect(message(page)).to_be_disabled()
    expect(message(page)).to_have_attribute(
        "placeholder", "No checkpoint is current here, so nobody answers. Skip this task for now."
    )


def test_a_draft_by_keys(server: Server, page: Page, responder: Any) -> None:
    desk = a_talker(server, ("demonstrate", ASKS, []), talks=1)
    desk.sign_in(page)
    desk.open(page, "demonstrate")
    text = page.get_by_role("textbox", name="Your answer")
    page.keyboard.type("My own words.")
    press(page, "Escape", "d")
    use = page.get_by_role("button", name="Use it")
    expect(use).to_be_visible(timeout=60_000)
    draft = page.locator("[data-draft-text]").inner_text()
    # It asks before it takes the place of a text of one's own, and undo brings that back.
    press(page, "d")
    expect(page.get_by_role("button", name="Keep mine")).to_be_focused()
    press(page, "Enter")
    expect(text).to_have_value("My own words.")
    press(page, "Escape", "d", "d")
    expect(text).to_have_value(draft)
    press(page, "Escape", "u")
    expect(text).to_have_value("My own words.")
    expect(page.locator("[data-saved]")).to_contain_text("saved ")
    page.reload()
    expect(page.locator("[data-draft-text]")).to_have_text(draft)
    press(page, "Escape", "d", "d", "Control+End")
    page.keyboard.type(" The end.")
    press(page, "Control+Enter")
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    (label,) = desk.labels()
    assert label["answer"] == {"text": f"{draft} The end."}
    assert "pocket-sft" not in page.content()


@pytest.fixture
def phone(server: Server, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        base_url=server.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    yield context.new_page()
    context.close()


def test_by_thumb(server: Server, phone: Page, responder: Any) -> None:
    desk = a_talker(server)
    desk.sign_in(phone)
    open_talk(desk, phone)
    message(phone).tap()
    message(phone).fill(ASKS)
    phone.get_by_role("button", name="Say", exact=True).tap()
    answers(phone)
    boxes = [card.bounding_box() for card in phone.locator("talk-board .answer").all()]
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["y"] < boxes[1]["y"]
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    phone.locator(".strength").nth(5).tap()
    phone.get_by_text("Both bad").tap()
    phone.get_by_role("button", name="Submit").tap()
    expect(phone.locator("#toast")).to_contain_text("Label sent.")
    (label,) = desk.labels()
    (turn,) = label["answer"]["turns"]
    assert (turn["strength"], turn["both_bad"]) == ("better", True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(server: Server, page: Page, responder: Any, scheme: Any) -> None:
    desk = a_talker(server, ("demonstrate", ASKS, []), talks=1)
    page.emulate_media(color_scheme=scheme)
    desk.sign_in(page)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        open_talk(desk, page)
        assert faults(page) == []
        if width == 1440:
            page.keyboard.type(ASKS)
            press(page, "Enter")
        answers(page)
        press(page, "Escape", "1")
        assert faults(page) == []
        press(page, "Enter")
        page.keyboard.type("And")
        press(page, "Control+Enter")
        expect(page.locator("#review-what")).to_contain_text("left out")
        assert faults(page) == []
        press(page, "Escape", "Escape")
        message(page).fill("")
        expect(page.locator("[data-saved]")).to_contain_text("saved ")
    desk.open(page, "demonstrate")
    press(page, "Escape", "d")
    expect(page.get_by_role("button", name="Use it")).to_be_visible(timeout=60_000)
    assert faults(page) == []

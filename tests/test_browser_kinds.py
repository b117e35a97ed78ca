"""Each kind of task worked through in a real browser: by keys alone, by thumb, and as axe-core sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from axe import faults
from conftest import Server
from desks import Desk, a_desk
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser

ANSWERS = [
    "Once an old owl had a tiny book. A rabbit mended it with her.",
    "Once a shy owl lost her book and cried.",
    "One quiet owl read her book to a cat.",
    "An owl counted to ten and stopped.",
]
PUBLISH = """
from guidelines import publish
from guidelines.criteria import preset
from labeling.models import Project
project = Project.objects.get(slug={slug!r})
project.partial_rankings = {partial!r}
project.save()
publish.publish(guideline=project.guideline, body="# Be kind and true", criteria=preset("instructgpt"))
"""


def desk_of(server: Server, *kinds: str, answers: int = 4, partial: bool = False, tasks: int = 2) -> Desk:
    """A labeler with `tasks` tasks of each kind, under InstructGPT's criteria, made through the API."""
    desk = a_desk(server)
    server.shell(PUBLISH.format(slug=desk.slug, partial=partial))
    for kind in kinds:
        given = {"compare": 2, "edit": 1}.get(kind, answers)
        rows = [
            {"prompt": f"A story to {kind}, number {n}.", "completions": ANSWERS[:given]}
            for n in range(tasks)
        ]
        answer = httpx.post(
            f"{server.url}/api/projects/{desk.slug}/completions/",
            params={"tasks": kind},
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
    """What a screen reader was told last."""
    return page.locator("#say")


def shown_ids(page: Page) -> list[int]:
    return [int(card.get_attribute("data-id") or 0) for card in page.locator(".answer").all()]


def next_task(page: Page, kind: str, n: int) -> None:
    expect(page.locator("[data-prompt]")).to_contain_text(f"A story to {kind}, number {n}.")


def test_compare_by_keys(server: Server, page: Page) -> None:
    desk = desk_of(server, "compare")
    desk.sign_in(page)
    desk.open(page, "compare")
    first, second = shown_ids(page)
    press(page, "Enter")
    expect(page.locator("#lack")).to_have_text("Say which answer is better, or that they tie.")
    press(page, "2", "2", "1")
    expect(said(page)).to_have_text("Answer 1 is slightly better.")
    press(page, "1", "1", "1")
    expect(said(page)).to_have_text("Answer 1 is much better. It cannot go further.")
    press(page, "=", "ArrowRight", "x", "u")
    expect(said(page)).to_have_text("Undone: Answer 2 is slightly better.")
    press(page, "x", "Enter")
    expect(page.locator("#review-what")).to_contain_text("Answer 2 is slightly better. Both are bad.")
    press(page, "Enter")
    next_task(page, "compare", 1)
    press(page, "u")
    next_task(page, "compare", 0)
    expect(page.get_by_role("radio", name="Answer 2 is slightly better")).to_be_checked()
    press(page, "x", "0", "Control+Enter")
    next_task(page, "compare", 1)
    press(page, "x", "Control+Enter")
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    answers = [label["answer"] for label in desk.labels()]
    assert answers == [
        {"preferred": second, "strength": "slightly", "both_bad": True},
        {"preferred": None, "strength": "tie"},
        {"preferred": None, "strength": "tie", "both_bad": True},
    ]
    assert first != second


def test_rate_then_rank_by_keys(server: Server, page: Page) -> None:
    desk = desk_of(server, "rate", answers=3)
    desk.sign_in(page)
    desk.open(page, "rate")
    ids = shown_ids(page)
    boxes = [card.bounding_box() for card in page.locator(".answer").all()]
    expect(page.locator("[data-progress]")).to_have_text("0 of 3 answers rated")
    press(page, "6", "ArrowDown", "ArrowDown", "Space")
    expect(page.get_by_role("checkbox", name="Inappropriate for customer assistant")).to_be_focused()
    expect(said(page)).to_have_text("Inappropriate for customer assistant: yes.")
    expect(page.locator(".answer.picked .note")).to_have_text("6/7 · 1 flag")
    # The hands stay on the criteria while the answers go by; what is out of range does nothing.
    press(page, "ArrowRight")
    expect(page.get_by_role("radio", name="1, worst")).to_be_focused()
    expect(said(page)).to_have_text("Answer 2 of 3: to rate.")
    press(page, "8", "9", "0")
    expect(page.locator("[data-progress]")).to_have_text("1 of 3 answers rated")
    press(page, "2", "ArrowUp", "Space", "Space", "u", "ArrowLeft", "ArrowRight")
    expect(page.get_by_role("checkbox", name="Expresses moral judgment")).to_be_checked()
    press(page, "Enter", "7")
    expect(page.locator("[data-progress]")).to_have_text("3 of 3 answers rated")
    press(page, "ArrowRight", "ArrowDown", "Space")
    expect(page.get_by_role("checkbox", name="Sensitive")).to_be_checked()
    assert [card.bounding_box() for card in page.locator(".answer").all()] == boxes
    # On to the ranking, back for a second thought, and on again.
    press(page, "Enter", "ArrowUp", "3", "ArrowUp", "ArrowUp", "ArrowLeft", "ArrowRight", "2", "=")
    expect(said(page)).to_contain_text("Answer 2: 2nd, tied.")
    press(page, "u", "2", "ArrowUp", "Enter")
    expect(page.locator("#review-what")).to_contain_text("Prompt: Sensitive")
    expect(page.locator("#review-what li").nth(1)).to_contain_text(
        "Overall quality 6 of 7 · Inappropriate for customer assistant"
    )
    press(page, "Enter")
    next_task(page, "rate", 1)
    press(page, "u")
    next_task(page, "rate", 0)
    expect(page.locator("[data-progress]")).to_have_text("3 of 3 answers rated")
    press(page, "5", "Control+Enter")
    next_task(page, "rate", 1)
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    before, after = (label["answer"] for label in desk.labels())
    assert before["tiers"] == after["tiers"] == [[ids[2]], [ids[0]], [ids[1]]]
    assert before["prompt"] == {"sensitive": True}
    assert before["ratings"] == {
        str(ids[0]): {"overall_quality": 6, "inappropriate": True},
        str(ids[1]): {"overall_quality": 2, "moral_judgment": True},
        str(ids[2]): {"overall_quality": 7},
    }
    assert after["ratings"][str(ids[0])]["overall_quality"] == 5


def test_one_answer_is_rated_and_not_ranked(server: Server, page: Page) -> None:
    desk = desk_of(server, "rate", answers=1)
    desk.sign_in(page)
    desk.open(page, "rate")
    expect(page.locator(".stops button")).to_have_text(["1", "Prompt"])
    press(page, "4", "Enter")
    expect(page.locator("#review-what")).to_contain_text("Overall quality 4 of 7")
    press(page, "Enter")
    next_task(page, "rate", 1)
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    (label,) = desk.labels()
    ((_, rating),) = label["answer"]["ratings"].items()
    assert rating == {"overall_quality": 4}
    assert "tiers" not in label["answer"]


def test_edit_by_keys(server: Server, page: Page) -> None:
    desk = desk_of(server, "edit", tasks=3)
    desk.sign_in(page)
    desk.open(page, "edit")
    text = page.get_by_role("textbox", name="The answer, made right")
    expect(text).to_have_value(ANSWERS[0])
    press(page, "e", "Control+Home")
    page.keyboard.type("Long ago. ")
    expect(page.locator("[data-changes] ins")).to_have_text("Long ago. ")
    expect(page.locator("[data-changed]")).to_have_text("0 words out, 2 words in")
    press(page, "Escape", "r")
    expect(text).to_have_value(ANSWERS[0])
    press(page, "u")
    expect(text).to_have_value("Long ago. " + ANSWERS[0])
    press(page, "p")
    expect(page.locator("[data-preview]")).to_contain_text("Long ago. Once")
    press(page, "p", "Enter")
    expect(page.locator("#review-what ins")).to_have_text("Long ago. ")
    press(page, "Enter")
    next_task(page, "edit", 1)
    press(page, "u")
    next_task(page, "edit", 0)
    expect(text).to_have_value("Long ago. " + ANSWERS[0])
    press(page, "e", "Control+End")
    page.keyboard.type(" The end.")
    press(page, "Control+Enter")
    next_task(page, "edit", 1)
    # Nothing to mend is an answer too, after a second look.
    press(page, "Control+Enter")
    expect(page.get_by_role("heading", name="Nothing to mend?")).to_be_visible()
    press(page, "Control+Enter")
    next_task(page, "edit", 2)
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    press(page, "e", "Control+a", "Delete", "Control+Enter")
    expect(page.locator("#lack")).to_contain_text("The answer is empty.")
    texts = [label["answer"]["text"] for label in desk.labels()]
    assert texts == ["Long ago. " + ANSWERS[0], f"Long ago. {ANSWERS[0]} The end.", ANSWERS[0]]


def test_all_bad_by_keys(server: Server, page: Page) -> None:
    desk = desk_of(server, "rank", tasks=3)
    desk.sign_in(page)
    desk.open(page, "rank")
    ids = shown_ids(page)
    press(page, "x", "u", "Enter")
    expect(page.locator("#lack")).to_have_text("4 answers are still to place.")
    press(page, "x", "3", "ArrowUp", "Enter")
    expect(page.locator("#review-what")).to_contain_text("All are bad.")
    expect(page.locator("#review-what .left-out")).to_contain_text("left out")
    press(page, "Enter")
    next_task(page, "rank", 1)
    press(page, "u")
    next_task(page, "rank", 0)
    expect(page.get_by_role("checkbox", name="All bad")).to_be_checked()
    press(page, "3", "ArrowDown", "Control+Enter")
    next_task(page, "rank", 1)
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    answers = [label["answer"] for label in desk.labels()]
    assert answers == [{"tiers": [[ids[2]]], "all_bad": True}, {"tiers": [], "all_bad": True}]


def test_partial_where_the_project_allows(server: Server, page: Page) -> None:
    desk = desk_of(server, "rank", partial=True)
    desk.sign_in(page)
    desk.open(page, "rank")
    ids = shown_ids(page)
    press(page, "2", "ArrowUp", "Control+Enter")
    expect(page.locator("#lack")).to_have_text("Place at least two answers; the others may be left out.")
    press(page, "4", "ArrowUp")
    expect(page.locator(f".answer[data-id='{ids[0]}'] .place")).to_have_text("left out")
    # Leaving some out may be an oversight, so it is shown once before it goes.
    press(page, "Control+Enter")
    expect(page.locator("#review-what .left-out .numbered")).to_have_count(2)
    press(page, "Control+Enter")
    next_task(page, "rank", 1)
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    assert [label["answer"] for label in desk.labels()] == [{"tiers": [[ids[1]], [ids[3]]]}]


def test_drafts_come_back(server: Server, page: Page) -> None:
    desk = desk_of(server, "compare", "rate")
    desk.sign_in(page)
    desk.open(page, "compare")
    press(page, "2", "2")
    expect(page.locator("[data-saved]")).to_contain_text("saved ")
    page.reload()
    expect(page.get_by_role("radio", name="Answer 2 is better")).to_be_checked()
    desk.open(page, "rate")
    press(page, "3", "ArrowRight", "5")
    expect(page.locator("[data-saved]")).to_contain_text("saved ")
    page.reload()
    # It goes on where something is still to do.
    expect(page.locator("[data-of]")).to_have_text("Answer 3")
    expect(page.locator("[data-progress]")).to_have_text("2 of 4 answers rated")


def test_keys_can_be_off(server: Server, page: Page) -> None:
    """Without single keys everything is reached by Tab and Space, as its own controls have it."""
    desk = desk_of(server, "rate", answers=1)
    desk.sign_in(page)
    desk.open(page, "rate")
    press(page, "?")
    expect(page.locator("#own-keys")).to_contain_text("set the scale")
    page.get_by_label("Single keys are on").uncheck()
    press(page, "Escape", "5")
    expect(page.locator("[data-progress]")).to_have_text("0 of 1 answers rated")
    page.get_by_role("radio", name="1, worst").focus()
    press(page, "Space", "ArrowRight", "ArrowRight", "Tab", "Space")
    expect(page.get_by_role("radio", name="3", exact=True)).to_be_checked()
    expect(page.get_by_role("checkbox", name="Fails to follow")).to_be_checked()


@pytest.fixture
def phone(server: Server, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        base_url=server.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    yield context.new_page()
    context.close()


def test_by_thumb(server: Server, phone: Page) -> None:
    desk = desk_of(server, "compare", "rate", "edit", "rank", answers=2, tasks=1)
    desk.sign_in(phone)
    desk.open(phone, "compare")
    first, second = shown_ids(phone)
    fits(phone)
    phone.locator(".strength").nth(6).tap()
    phone.get_by_text("Both bad").tap()
    phone.get_by_role("button", name="Submit").tap()
    through(phone)

    desk.open(phone, "rate")
    one, two = shown_ids(phone)
    expect(phone.locator(".answer:visible")).to_have_count(1)
    fits(phone)
    for grade in ("6", "3"):
        phone.locator(".scale label").nth(int(grade) - 1).tap()
        phone.locator("[data-onward]").tap()
    expect(phone.locator(".rail")).to_be_visible()
    for candidate in (one, two):
        phone.locator(f".answer[data-id='{candidate}']").get_by_role("button", name="Move up").tap()
    phone.get_by_role("button", name="Submit").tap()
    through(phone)

    desk.open(phone, "edit")
    fits(phone)
    phone.get_by_role("textbox").tap()
    phone.get_by_role("textbox").fill("Once an owl.")
    phone.get_by_role("button", name="Changes").tap()
    expect(phone.locator("[data-changes] del")).not_to_have_count(0)
    phone.get_by_role("button", name="Submit").tap()
    through(phone)

    desk.open(phone, "rank")
    fits(phone)
    phone.get_by_text("All bad").tap()
    phone.get_by_role("button", name="Submit").tap()
    through(phone)

    compared, rated, edited, ranked = (label["answer"] for label in desk.labels())
    assert compared == {"preferred": second, "strength": "much", "both_bad": True}
    assert rated == {
        "ratings": {str(one): {"overall_quality": 6}, str(two): {"overall_quality": 3}},
        "prompt": {},
        "tiers": [[one], [two]],
    }
    assert edited == {"text": "Once an owl."}
    assert ranked == {"tiers": [], "all_bad": True}
    assert first != second


def fits(page: Page) -> None:
    """Nothing sticks out sideways, and what is pressed is as large as a finger wants (WCAG 2.5.8)."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = """[...document.querySelectorAll("main button, main label, .foot button")]
        .map(one => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
        .filter(([, box]) => box.width && (box.width < 24 || box.height < 24)).map(([html]) => html)"""
    assert page.evaluate(small) == []


def through(page: Page) -> None:
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_at_work(server: Server, page: Page, scheme: Any) -> None:
    desk = desk_of(server, "rank", "compare", "rate", "edit", answers=3, tasks=1)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 1440, "height": 900})
    desk.sign_in(page)
    assert faults(page) == []
    steps = {
        "rank": [["1", "ArrowUp", "2", "=", "x"], ["Enter"]],
        "compare": [["1", "1"], ["Enter"]],
        "rate": [["5", "ArrowDown", "Space"], ["Enter", "4", "Enter", "4", "Enter", "1", "ArrowUp"]],
        "edit": [["e", "Control+a", "x", "y"], ["Escape", "?"]],
    }
    for kind, turns in steps.items():
        desk.open(page, kind)
        assert faults(page) == [], kind
        for keys in turns:
            press(page, *keys)
            assert faults(page) == [], (kind, keys)
    page.set_viewport_size({"width": 390, "height": 844})
    for kind in steps:
        desk.open(page, kind)
        assert faults(page) == [], f"{kind} on a phone"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_around_the_work(server: Server, page: Page, scheme: Any) -> None:
    desk = desk_of(server, "rate", answers=2)
    server.shell(
        "from labeling.models import Project; from rlhf.rounds import loop;"
        f"loop.open_round(project=Project.objects.get(slug='{desk.slug}'), label_target=2)"
    )
    page.emulate_media(color_scheme=scheme)
    Desk(**{**vars(desk), "user": desk.owner}).sign_in(page)
    for address in (
        "/",
        f"/projects/{desk.slug}/",
        f"/guidelines/{desk.slug}/",
        f"/guidelines/{desk.slug}/edit/",
        f"/projects/{desk.slug}/rounds/",
        f"/projects/{desk.slug}/rounds/1/",
    ):
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(address)
            assert faults(page) == [], (address, width)


def test_the_guideline_lists_its_criteria(server: Server, page: Page) -> None:
    desk = desk_of(server, "rate", answers=2)
    desk.sign_in(page)
    page.goto(f"/guidelines/{desk.slug}/")
    rows = page.locator(".criteria-table tbody tr")
    expect(rows).to_have_count(23)
    expect(rows.first).to_contain_text("Overall quality")
    expect(rows.first).to_contain_text("1–7")
    expect(rows.last).to_contain_text("the prompt")
    desk.open(page, "rate")
    press(page, "g")
    expect(page.locator("#guideline-body .criteria-table tbody tr")).to_have_count(23)

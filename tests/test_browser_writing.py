"""Prompts and conversations written in a real browser: by keys, by thumb, and while the server is away."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from axe import faults
from conftest import Server
from desks import Desk, a_desk
from playwright.sync_api import Browser, Locator, Page, expect
from test_browser_labeling import saved
from test_browser_offline import holds_tasks, sheltered

pytestmark = pytest.mark.browser

SHOTS = ["Sort by length.", "owl, ox", "ox owl", "bear, ant", "ant bear"]


def desk_of(server: Server, *briefs: dict[str, Any], **settings: Any) -> Desk:
    """A labeler with tasks of these briefs, in a project that grows conversations, made through the API."""
    desk = a_desk(server)
    project = f"{server.url}/api/projects/{desk.slug}/"
    owner = httpx.Client(headers={"Authorization": f"Token {desk.token}"})
    limits = {"tree_turns": 4, "tree_branches": 2, **settings}
    assert owner.patch(project, json=limits).status_code == 200
    for brief in briefs:
        made = owner.post(f"{project}tasks/", json={"kind": "prompt", **brief})
        assert made.status_code == 201, made.text
    return desk


def open_work(desk: Desk, page: Page) -> None:
    page.goto(f"/projects/{desk.slug}/work/")
    expect(page.locator("[data-stage=task] .editor")).to_be_visible()


def conversation(page: Page) -> Locator:
    return page.locator("[data-stage=task] .turn")


def fill_few_shot(page: Page) -> None:
    """Type a few-shot prompt of two examples, from field to field by Tab."""
    page.keyboard.type(SHOTS[0])
    for at, text in enumerate(SHOTS[1:]):
        # Past the button that removes the example.
        for _ in range(2 if at % 2 == 0 else 1):
            page.keyboard.press("Tab")
        page.keyboard.type(text)


def test_a_conversation_by_keys(server: Server, page: Page) -> None:
    desk = desk_of(server, {"form": "use_case", "use_case": "Poems", "text": "For a child."}, {})
    desk.sign_in(page)
    open_work(desk, page)
    expect(page.locator("[data-brief]")).to_contain_text("Poems")
    expect(page.locator("[data-brief]")).to_contain_text("For a child.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#lack")).to_have_text("The prompt is empty. Write what a person would say.")
    page.keyboard.type("A **poem** about an owl?")
    expect(saved(page)).to_contain_text("saved ")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(page.locator("[data-preview] strong")).to_have_text("poem")
    page.keyboard.press("Control+Enter")
    # The other brief is here at once; the answer to one's own prompt goes before it.
    expect(page.locator("[data-form=plain]")).to_be_visible()
    page.keyboard.type("Later")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.get_by_role("textbox", name="Your answer")).to_be_focused()
    expect(conversation(page)).to_have_count(1)
    page.keyboard.type("The owl at night")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("textbox", name="Your prompt")).to_have_value("Later")
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    expect(conversation(page)).to_contain_text(["poem about an owl?"])
    expect(page.get_by_role("textbox", name="Your answer")).to_have_value("")
    page.keyboard.type("An owl by day")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.get_by_role("textbox", name="What the person says next")).to_be_focused()
    expect(conversation(page)).to_have_count(2)
    page.keyboard.type("Longer, please")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("textbox", name="Your prompt")).to_have_value("Later")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(conversation(page)).to_have_count(3)
    page.keyboard.type("An owl by day and by night")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("textbox", name="Your prompt")).to_have_value("Later")
    # Four turns are the most here, so nothing follows.
    expect(page.get_by_role("button", name="Branch")).to_be_visible()
    expect(page.get_by_role("button", name="Continue")).to_be_hidden()
    answers = [label["answer"]["text"] for label in desk.labels()]
    assert answers == [
        "A **poem** about an owl?",
        "The owl at night",
        "An owl by day",
        "Longer, please",
        "An owl by day and by night",
    ]


def test_few_shot_by_keys(server: Server, page: Page) -> None:
    desk = desk_of(server, {"form": "few_shot", "text": "Small tasks."})
    desk.sign_in(page)
    open_work(desk, page)
    examples = page.locator(".example")
    fill_few_shot(page)
    expect(page.locator("#lack")).to_have_text("The last input is empty. Write what the model should answer.")
    page.keyboard.press("Escape")
    page.keyboard.press("-")
    expect(page.locator("#say")).to_have_text("A few-shot prompt has at least 2 examples.")
    page.keyboard.press("+")
    page.keyboard.type("eel, asp")
    page.keyboard.press("Escape")
    page.keyboard.press("-")
    expect(examples).to_have_count(2)
    expect(page.locator("[data-remove]").last).to_be_focused()
    page.keyboard.press("u")
    expect(examples.last.get_by_label("Input")).to_have_value("eel, asp")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#lack")).to_have_text("Example 3 has no output.")
    expect(examples.last.get_by_label("Output")).to_be_focused()
    page.keyboard.type("asp eel")
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.type("gnu, hen")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    composed = (
        "Sort by length.\n\nInput: owl, ox\nOutput: ox owl\n\nInput: bear, ant\nOutput: ant bear\n\n"
        "Input: eel, asp\nOutput: asp eel\n\nInput: gnu, hen\nOutput:"
    )
    assert page.locator("[data-preview]").inner_text() == composed
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-preview]:visible")).to_have_count(0)
    # What the page shows is what the server composes.
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.get_by_role("textbox", name="Your answer")).to_be_visible()
    said = server.shell(
        "from labeling.models import Prompt; "
        f"print(Prompt.objects.get(project__slug='{desk.slug}', origin='written').messages[0]['content'])"
    )
    assert said.strip() == composed


def test_a_prompt_that_is_there_keeps_its_text(server: Server, page: Page) -> None:
    desk = desk_of(server, {"count": 2})
    desk.sign_in(page)
    open_work(desk, page)
    for _ in range(2):
        expect(page.get_by_role("textbox", name="Your prompt")).to_have_value("")
        page.keyboard.type("Why is the sky blue?")
        page.keyboard.press("Control+Enter")
    trouble = page.locator("#troubles")
    expect(trouble).to_contain_text("The project has this prompt already. Write another one.")
    trouble.get_by_role("button", name="Open it").click()
    expect(page.get_by_role("textbox", name="Your prompt")).to_have_value("Why is the sky blue?")
    page.keyboard.type(" And the grass green?")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    assert len(desk.labels()) == 2


def test_a_few_shot_draft_outlives_the_server(server: Server, page: Page) -> None:
    desk = desk_of(server, {"form": "few_shot"})
    desk.sign_in(page)
    open_work(desk, page)
    sheltered(page)
    holds_tasks(page, 1)
    with desk.server_away():
        fill_few_shot(page)
        page.keyboard.press("Escape")
        page.keyboard.press("+")
        page.keyboard.type("cat, ow")
        expect(saved(page)).to_have_text("offline, kept here")
        page.reload()
        expect(page.locator(".example")).to_have_count(3)
        expect(page.locator(".example").last.get_by_label("Input")).to_have_value("cat, ow")
        expect(page.get_by_label("Instruction")).to_have_value(SHOTS[0])
        page.locator("[name=output]").last.fill("ow cat")
        page.locator("[name=last]").fill("dog, ad")
        page.keyboard.press("Control+Enter")
        expect(saved(page)).to_contain_text("1 label waits here")
    expect(page.get_by_text("1 label waits here")).to_have_count(0, timeout=30_000)
    (label,) = desk.labels()
    assert label["answer"]["examples"][2] == {"input": "cat, ow", "output": "ow cat"}


def test_the_end_of_a_long_conversation_is_in_view(server: Server, browser: Browser) -> None:
    desk = desk_of(server, tree_turns=20)
    turn = [{"role": "user", "content": "And then? " * 40}, {"role": "assistant", "content": "So. " * 200}]
    rows = [
        {"messages": [*turn * 4, {"role": "user", "content": "What is the end?"}]},
        {"messages": turn * 5},
    ]
    for path, row in (("prompts/?tasks=demonstrate", rows[0]), ("demonstrations/?tasks=prompt", rows[1])):
        answer = httpx.post(
            f"{server.url}/api/projects/{desk.slug}/{path}",
            headers={"Authorization": f"Token {desk.token}"},
            json={"rows": [row]},
        )
        assert answer.json()["tasks"] > 0, answer.text
    for width in (1440, 390):
        page = browser.new_page(base_url=server.url, viewport={"width": width, "height": 844})
        desk.sign_in(page)
        for kind in ("demonstrate", "prompt"):
            page.goto(f"/projects/{desk.slug}/work/{kind}/")
            last = conversation(page).last
            expect(last).to_be_in_viewport()
            expect(page.locator("[data-stage=task] .editor textarea:visible")).to_be_in_viewport()
            expect(conversation(page).first).not_to_be_in_viewport()
        page.close()


def test_by_thumb(server: Server, browser: Browser) -> None:
    desk = desk_of(server, {"form": "few_shot"})
    context = browser.new_context(
        base_url=server.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    desk.sign_in(page)
    open_work(desk, page)
    page.get_by_role("button", name="Add an example").tap()
    page.get_by_role("button", name="Remove").nth(1).tap()
    for field in page.locator("[data-few-shot] textarea").all():
        field.fill(f"Words of {field.get_attribute('name')}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Submit").tap()
    page.get_by_role("button", name="Continue").tap()
    page.get_by_role("textbox", name="Your answer").fill("An answer")
    page.get_by_role("button", name="Submit").tap()
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    assert len(desk.labels()) == 2
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(server: Server, page: Page, scheme: Any) -> None:
    desk = desk_of(server, {"form": "few_shot"}, {"form": "use_case", "use_case": "Poems"})
    page.emulate_media(color_scheme=scheme)
    desk.sign_in(page)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        open_work(desk, page)
        assert faults(page) == [], width
    page.set_viewport_size({"width": 1440, "height": 900})
    fill_few_shot(page)
    page.locator("[name=last]").fill("gnu")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    assert faults(page) == []
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    assert faults(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert faults(page) == []

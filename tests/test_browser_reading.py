"""What a labeler reads, in a real browser: hostile texts, both directions, code, long texts, plain text."""

from __future__ import annotations

import json

import pytest
from conftest import Server, until
from desks import Desk, a_desk
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

HOSTILE = """<script>document.title='taken'</script><style>*{display:none}</style>
<img src=x onerror="document.title='taken'">
[press](javascript:document.title='taken') [out](/accounts/logout/)
![spy](https://spy.example/pixel.png)
safe\u202etxt.exe \x1b[31mred &#x202e;
</div></article></main> **broken *markdown _of ~~every `kind [here](

| a | b
|--
```
never closed <b>bold</b>"""
MIXED = (
    "مرحبا بك، هذا جواب.\n\nHello there.\n\n- تفاح\n- apples, pears\n\n| اسم | عدد |\n|---|---|\n| بومة | 3 |"
)
CODE = "Run it:\n\n```python\ndef owl(n):\n    return n  # " + "wide " * 60 + "\n```\n\nThen **stop**\nhere."
PLAIN = "Just *one* line.\nAnd one more."
LONG = "## Part\n\n" + "\n\n".join("owl " * 200 for _ in range(100)) + "\n\nThe very end."

CLIPS = """element => {
    const around = [];
    for (let up = element; up !== document.body; up = up.parentElement) around.push(up);
    const cut = around.filter((one) => one.scrollHeight > one.clientHeight + 1);
    return cut.filter((one) => getComputedStyle(one).overflowY !== "visible").map((one) => one.className);
}"""


def ranking_of(server: Server, page: Page, prompt: str, *answers: str) -> Desk:
    desk = a_desk(server, ("rank", prompt, list(answers)))
    desk.sign_in(page)
    desk.open(page, "rank")
    return desk


def answer(page: Page, words: str) -> Locator:
    """The answers come in an order of the labeler's own."""
    return page.locator("[data-text]").filter(has_text=words)


def pick(page: Page, words: str) -> None:
    page.keyboard.press(page.locator(".answer").filter(has_text=words).locator(".key").inner_text())


def left_of(found: Locator) -> float:
    """Where the text itself begins, not its block."""
    return found.evaluate(
        "element => { const range = document.createRange(); range.selectNodeContents(element);"
        " return range.getClientRects()[0].left - element.getBoundingClientRect().left; }"
    )


def test_hostile_answer_only_shows(server: Server, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    ranking_of(server, page, HOSTILE, HOSTILE, "Fine.", HOSTILE + "!")
    for text in (page.locator("[data-prompt]"), *answer(page, "never closed").all()):
        expect(text).to_contain_text("<script>document.title='taken'</script>")
        expect(text).to_contain_text("Image: spy https://spy.example/pixel.png")
        expect(text).to_contain_text("safeU+202Etxt.exe U+001B[31mred U+202E")
        expect(text).to_contain_text("[out](/accounts/logout/)")
        assert text.locator("script, style, img, b, a").count() == 0
        expect(text.locator("pre")).to_contain_text("never closed <b>bold</b>")
    # The page around it stands.
    assert page.locator("main .answer").count() == 3
    assert "taken" not in page.title()
    assert not [url for url in asked if "spy" in url]


def test_each_block_runs_its_own_way(server: Server, page: Page) -> None:
    ranking_of(server, page, "مرحبا", MIXED, "Hello.")
    text = answer(page, "Hello there.")
    arabic, english = text.locator("> p").all()
    assert left_of(arabic) > 100
    assert left_of(english) == 0
    directions = "element => getComputedStyle(element).direction"
    assert arabic.evaluate(directions) == "rtl"
    assert english.evaluate(directions) == "ltr"
    assert page.locator("[data-prompt] p").last.evaluate(directions) == "rtl"
    # A list keeps to one side, its markers too; each item reads in its own direction.
    first, second = text.locator("li > p").all()
    assert left_of(first) > 100
    assert left_of(second) > 100
    assert second.evaluate(directions) == "ltr"
    name, number = text.locator("th").all()
    assert name.bounding_box()["x"] > number.bounding_box()["x"]


def test_code_scrolls_within_itself_by_key(server: Server, page: Page) -> None:
    ranking_of(server, page, "Code?", CODE, "No code.")
    code = answer(page, "Run it").locator("pre")
    assert code.locator(".code-keyword").all_inner_texts() == ["def", "return"]
    colours = {
        code.locator(kind).first.evaluate("element => getComputedStyle(element).color")
        for kind in ("code", ".code-keyword", ".code-comment")
    }
    assert len(colours) == 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    pick(page, "Run it")
    code.focus()
    page.keyboard.press("ArrowRight")
    until(lambda: code.evaluate("element => element.scrollLeft > 0"))
    expect(page.get_by_role("group", name="Code, python")).to_be_focused()
    expect(answer(page, "Run it").locator("p").last).to_have_text("Then stop\nhere.", use_inner_text=True)


def test_letter_for_letter_by_key(server: Server, page: Page) -> None:
    ranking_of(server, page, "A **bold** owl", PLAIN, "a\u202eb")
    expect(answer(page, "line").locator("em")).to_have_text("one")
    page.keyboard.press("v")
    assert answer(page, "line").inner_text() == PLAIN
    assert answer(page, "202E").inner_text() == "aU+202Eb"
    expect(page.locator("[data-prompt] .reading")).to_have_text("A **bold** owl")
    expect(page.locator("#say")).to_have_text("Texts are shown letter for letter.")
    page.keyboard.press("v")
    expect(answer(page, "line").locator("em")).to_have_text("one")


def test_twenty_thousand_words_scroll_with_the_page(server: Server, page: Page) -> None:
    ranking_of(server, page, "Tell me everything.", LONG, "No.")
    end = page.get_by_text("The very end.")
    assert end.evaluate(CLIPS) == []
    end.scroll_into_view_if_needed()
    expect(end).to_be_in_viewport()
    pick(page, "The very end.")
    expect(page.get_by_role("heading", name="Part")).to_be_in_viewport()


def test_preview_is_what_others_will_read(server: Server, page: Page) -> None:
    desk = a_desk(server, ("demonstrate", "Write.", []))
    desk.sign_in(page)
    desk.open(page, "demonstrate")
    page.get_by_role("textbox", name="Your answer").fill("one\ntwo \u202e\n\n```js\nlet a\n```")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".preview .unseen")).to_have_text("U+202E")
    expect(page.locator(".preview .code-keyword")).to_have_text("let")
    assert json.dumps(page.locator(".preview p").inner_text()) == json.dumps("one\ntwo U+202E")

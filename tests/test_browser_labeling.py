"""Labelers at work in a real browser against a real server: keys, drafts, a server that goes away."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from conftest import Server
from desks import Desk, a_desk
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

STORIES = [
    "Once an old owl had a tiny book. A rabbit mended it with her.",
    "Once a shy owl lost her book and cried.",
    "One quiet owl read her book to a cat.",
    "An owl counted to ten and stopped.",
]


@pytest.fixture
def ranking(server: Server, page: Page) -> Desk:
    desk = a_desk(server, *[("rank", f"A story about owl {n}.", STORIES) for n in range(3)])
    desk.sign_in(page)
    return desk


@pytest.fixture
def writing(server: Server, page: Page) -> Desk:
    desk = a_desk(server, *[("demonstrate", f"A story about owl {n}.", []) for n in range(3)])
    desk.sign_in(page)
    return desk


def saved(page: Page) -> Any:
    return page.locator("[data-saved]")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def shown_ids(page: Page) -> list[int]:
    """Candidate ids in the order shown: answer 1 first."""
    return [int(card.get_attribute("data-id") or 0) for card in page.locator(".answer").all()]


def test_home_says_what_waits(ranking: Desk, page: Page) -> None:
    expect(page.get_by_role("link", name="3 Rank answers")).to_be_visible()
    expect(page.locator(".wait")).to_have_count(1)
    page.get_by_role("link", name="3 Rank answers").click()
    expect(page.locator(".answer")).to_have_count(4)
    for card, text in zip(
        page.locator(".answer .reading").all(),
        page.locator(".answer .reading").all_inner_texts(),
        strict=True,
    ):
        assert text in STORIES
        assert card.evaluate("text => text.scrollHeight <= text.clientHeight + 1"), "an answer is cut off"


def test_strangers_find_nothing(ranking: Desk, server: Server, page: Page) -> None:
    other = a_desk(server, ("rank", "Secret", STORIES))
    assert page.goto(f"/projects/{other.slug}/work/").status == 404
    assert page.goto("/projects/nowhere/work/").status == 404
    assert page.goto(f"/projects/{ranking.slug}/work/juggle/").status == 404


def test_write_a_demonstration(writing: Desk, page: Page) -> None:
    writing.open(page, "demonstrate")
    expect(page.get_by_text("A story about owl 0.")).to_be_visible()
    page.keyboard.type("Once upon a time, an owl was **kind**.")
    expect(page.locator("[data-count]")).to_contain_text("8 words")
    expect(saved(page)).to_contain_text("saved ")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".preview strong")).to_have_text("kind")
    page.reload()
    expect(page.get_by_role("textbox", name="Your answer")).to_have_value(
        "Once upon a time, an owl was **kind**."
    )
    press(page, "Control+Enter")
    expect(page.get_by_text("A story about owl 1.")).to_be_visible()
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    assert [label["answer"] for label in writing.labels()] == [
        {"text": "Once upon a time, an owl was **kind**."}
    ]


def test_rank_by_keyboard_alone(ranking: Desk, page: Page) -> None:
    ranking.open(page, "rank")
    ids = shown_ids(page)
    press(page, "3", "ArrowUp", "1", "ArrowUp", "4", "=", "Enter")
    expect(page.locator("#review")).to_be_hidden()
    expect(page.locator("#lack")).to_have_text("1 answer is still to place.")
    expect(page.locator("#say")).to_contain_text("1 answer is still to place.")
    # The one that lacks a place was picked; two up, one undone.
    press(page, "ArrowUp", "ArrowUp", "u")
    expect(page.locator("#say")).to_contain_text("Move undone.")
    press(page, "Enter")
    expect(page.locator("#review")).to_be_visible()
    press(page, "Enter")
    expect(page.get_by_text("A story about owl 1.")).to_be_visible()
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    (label,) = ranking.labels()
    tiers = [set(tier) for tier in label["answer"]["tiers"]]
    assert tiers == [{ids[2]}, {ids[0], ids[3]}, {ids[1]}]
    assert label["shown_order"] == ids


def test_texts_never_move(ranking: Desk, page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    ranking.open(page, "rank")
    expect(saved(page)).to_be_visible()
    boxes = [card.bounding_box() for card in page.locator(".answer").all()]
    press(page, "1", "ArrowUp", "2", "ArrowUp", "3", "=", "4", "ArrowUp", "ArrowUp", "Escape")
    expect(saved(page)).to_contain_text("saved ")
    assert [card.bounding_box() for card in page.locator(".answer").all()] == boxes


def test_drag_and_click(ranking: Desk, page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    ranking.open(page, "rank")
    ids = shown_ids(page)
    press(page, "2", "ArrowUp")
    drag(page, page.locator(".tray .chip").first, page.locator(".tier").first)
    expect(page.locator(f".answer[data-id='{ids[0]}'] .place")).to_have_text("1st, tied")
    page.locator(f".answer[data-id='{ids[2]}'] .reading").click()
    page.locator(".answer.picked").get_by_role("button", name="Move up").click()
    expect(page.locator(f".answer[data-id='{ids[2]}'] .place")).to_have_text("2nd")
    drag(page, page.locator(f".chip[data-id='{ids[0]}']"), page.locator(".tray"))
    expect(page.locator(f".answer[data-id='{ids[0]}'] .place")).to_have_text("to place")


def drag(page: Page, chip: Any, target: Any) -> None:
    start, end = chip.bounding_box(), target.bounding_box()
    page.mouse.move(start["x"] + 12, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] + 40, end["y"] + end["height"] / 2, steps=8)
    page.mouse.up()


# Answers come late: the one fetched ahead while the labeler has gone on, the next one after it.
SLOW = """
const real = window.fetch;
let asked = 0;
window.fetch = async (address, options) => {
    const answer = await real(address, options);
    if (String(address).endsWith("/next/")) {
        const wait = String(options?.body).includes("prefetch") ? 700 : asked++ ? 1400 : 0;
        await new Promise((go) => setTimeout(go, wait));
    }
    return answer;
};
"""


def test_a_task_comes_once_however_late(server: Server, page: Page) -> None:
    desk = a_desk(server, *[("compare", f"A story about owl {n}.", STORIES[:2]) for n in range(3)])
    desk.sign_in(page)
    page.add_init_script(SLOW)
    desk.open(page, "compare")
    for n in range(3):
        expect(page.get_by_text(f"A story about owl {n}.")).to_be_visible()
        press(page, "1", "Control+Enter")
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    assert len(desk.labels()) == 3
    expect(page.locator("#troubles > *")).to_have_count(0)


def test_single_keys_wait_while_typing(writing: Desk, page: Page) -> None:
    writing.open(page, "demonstrate")
    page.keyboard.type("s? g u 1 = p")
    expect(page.get_by_role("textbox", name="Your answer")).to_have_value("s? g u 1 = p")
    assert page.locator("dialog[open]").count() == 0
    press(page, "Escape", "Control+g", "Alt+s")
    assert page.locator("dialog[open]").count() == 0
    press(page, "?")
    expect(page.locator("#keys")).to_be_visible()
    page.get_by_label("Single keys are on").uncheck()
    press(page, "Escape", "g")
    assert page.locator("dialog[open]").count() == 0


def test_undo_a_submit(ranking: Desk, page: Page) -> None:
    ranking.open(page, "rank")
    press(page, "1", "ArrowUp", "2", "ArrowUp", "3", "ArrowUp", "4", "ArrowUp", "Control+Enter")
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    press(page, "u")
    expect(page.locator("#notice")).to_contain_text("You are changing a label")
    expect(page.get_by_text("A story about owl 0.")).to_be_visible()
    press(page, "4", "ArrowUp", "Control+Enter")
    expect(page.get_by_text("A story about owl 1.")).to_be_visible()
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    first, second = ranking.labels()
    assert second["supersedes"] == first["id"]
    moved = first["answer"]["tiers"]
    assert second["answer"]["tiers"] == [moved[0], moved[1], moved[3], moved[2]]


def test_skip_never_comes_back(ranking: Desk, page: Page) -> None:
    ranking.open(page, "rank")
    press(page, "s")
    expect(page.get_by_text("Skipping never counts against you.")).to_be_visible()
    press(page, "Enter")
    expect(page.get_by_text("A story about owl 1.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("A story about owl 1.")).to_be_visible()
    assert ranking.labels() == []


def test_asks_quietly_for_more(server: Server, page: Page) -> None:
    """Who is through is not shown an empty page each time that this one looks for tasks."""
    desk = a_desk(server)
    desk.sign_in(page)
    page.goto(f"/projects/{desk.slug}/work/")
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    page.evaluate(
        """new MutationObserver(() => document.flickered = true).observe(
            document.querySelector("[data-stage=nothing]"), { attributes: true })"""
    )
    with page.expect_response("**/next/"):
        page.evaluate("document.dispatchEvent(new CustomEvent('live:tasks'))")
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    assert not page.evaluate("document.flickered")


def test_guideline_of_the_task(ranking: Desk, page: Page) -> None:
    ranking.open(page, "rank")
    ranking.server.shell(
        "from guidelines import publish; from labeling.models import Project;"
        f"publish.publish(guideline=Project.objects.get(slug='{ranking.slug}').guideline, body='Be brief.')"
    )
    expect(page.locator("#notice")).to_contain_text("Guideline version 2 was published.")
    press(page, "g")
    expect(page.locator("#guideline-body")).to_contain_text("version 1")
    expect(page.locator("#guideline-body strong")).to_have_text("kind")
    press(page, "g")
    expect(page.locator("#guideline")).to_be_hidden()


def test_server_away_while_writing(writing: Desk, page: Page) -> None:
    writing.open(page, "demonstrate")
    page.keyboard.type("The first half")
    expect(saved(page)).to_contain_text("saved ")
    with writing.server_away():
        page.keyboard.type(" and the second")
        expect(saved(page)).to_have_text("offline, kept here")
        press(page, "Control+Enter")
        expect(saved(page)).to_contain_text("1 label waits here")
        page.keyboard.type("Another answer")
    expect(saved(page)).to_contain_text("saved ", timeout=30_000)
    assert [label["answer"]["text"] for label in writing.labels()] == ["The first half and the second"]
    page.reload()
    expect(page.get_by_role("textbox", name="Your answer")).to_have_value("Another answer")


def test_labels_of_two_tabs_outlive_them(writing: Desk, page: Page) -> None:
    writing.open(page, "demonstrate")
    page.keyboard.type("From the first tab")
    expect(saved(page)).to_contain_text("saved ")
    # The second tab takes the task that was fetched ahead for the first.
    press(page, "Control+Enter")
    expect(page.get_by_text("A story about owl 1.")).to_be_visible()
    other = page.context.new_page()
    writing.open(other, "demonstrate")
    with writing.server_away():
        for tab, text in ((page, "Second, first tab"), (other, "Second, other tab")):
            tab.bring_to_front()
            tab.get_by_role("textbox", name="Your answer").fill(text)
            press(tab, "Control+Enter")
            expect(saved(tab)).to_contain_text("1 label waits here")
        page.goto("about:blank")
        other.goto("about:blank")
    writing.open(page, "demonstrate")
    expect(page.get_by_text("A story about owl 2.")).to_be_visible()
    expect(page.locator("#troubles")).to_contain_text("already has your label")
    page.reload()
    page.get_by_role("button", name="Let it go").click()
    page.reload()
    expect(page.get_by_text("A story about owl 2.")).to_be_visible()
    expect(page.locator("#troubles")).to_be_empty()
    assert [label["answer"]["text"] for label in writing.labels()] == [
        "From the first tab",
        "Second, first tab",
    ]


def test_reload_after_the_server_went_away(writing: Desk, page: Page) -> None:
    writing.open(page, "demonstrate")
    page.keyboard.type("On the server")
    expect(saved(page)).to_contain_text("saved ")
    with writing.server_away():
        page.keyboard.type(", and only here")
        expect(saved(page)).to_have_text("offline, kept here")
        page.goto("about:blank")
    writing.open(page, "demonstrate")
    expect(page.get_by_role("textbox", name="Your answer")).to_have_value("On the server, and only here")
    expect(saved(page)).to_contain_text("saved ")


def test_signed_out_in_mid_sentence(writing: Desk, page: Page) -> None:
    writing.open(page, "demonstrate")
    page.keyboard.type("Before")
    expect(saved(page)).to_contain_text("saved ")
    page.context.clear_cookies()
    page.keyboard.type(" and after")
    expect(saved(page)).to_have_text("signed out, kept here")
    other = page.context.new_page()
    writing.sign_in(other)
    expect(saved(page)).to_contain_text("saved ", timeout=30_000)
    writing.open(other, "demonstrate")
    expect(other.get_by_role("textbox", name="Your answer")).to_have_value("Before and after")


@pytest.mark.parametrize("choice", ["mine", "theirs"])
def test_two_windows_never_overwrite(writing: Desk, page: Page, choice: str) -> None:
    writing.open(page, "demonstrate")
    other = page.context.new_page()
    writing.open(other, "demonstrate")
    other.keyboard.type("Written over there")
    expect(saved(other)).to_contain_text("saved ")
    page.keyboard.type("Written here")
    expect(page.locator("#stale-mine")).to_have_text("Written here")
    expect(page.locator("#stale-theirs")).to_have_text("Written over there")
    # Neither Escape nor a press beside it gets around the choice.
    press(page, "Escape", "Escape")
    page.mouse.click(5, 5)
    expect(page.locator("#stale")).to_be_visible()
    page.locator(f"#keep-{choice}").click()
    expect(saved(page)).to_contain_text("saved ")
    page.reload()
    kept = {"mine": "Written here", "theirs": "Written over there"}[choice]
    expect(page.get_by_role("textbox", name="Your answer")).to_have_value(kept)


def test_html_stays_text(server: Server, page: Page) -> None:
    hostile = (
        "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> & <b>bold</b>"
    )
    answers = [hostile, "</div>" + hostile, "{{ user }}"]
    desk = a_desk(server, ("rank", hostile, answers), ("demonstrate", hostile + "!", []))
    desk.sign_in(page)
    desk.open(page, "rank")
    assert set(page.locator("[data-text]").all_inner_texts()) == set(answers)
    expect(page.locator("[data-prompt] .reading")).to_have_text(hostile)
    press(page, "1", "ArrowUp", "2", "ArrowUp", "3", "ArrowUp", "Enter")
    expect(page.locator("#review-what")).to_contain_text(hostile)
    desk.open(page, "demonstrate")
    page.keyboard.type(hostile + "\n\n[link](javascript:document.title='taken')")
    expect(saved(page)).to_contain_text("saved ")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".preview")).to_contain_text(hostile)
    assert page.locator(".preview :is(script, img, b, [href^=javascript])").count() == 0
    page.goto("/")
    expect(page.locator(".drafts a").first).to_contain_text("<script>document.title='taken'</script>")
    assert "taken" not in page.title()


def test_a_refused_text_is_kept(writing: Desk, page: Page) -> None:
    writing.open(page, "demonstrate")
    page.get_by_role("textbox", name="Your answer").fill("long " * 60_000)
    expect(saved(page)).to_contain_text("the most is 262,144")
    press(page, "Control+Enter")
    expect(page.locator("#troubles")).to_contain_text("A label was not taken")
    page.get_by_role("button", name="Open it").click()
    expect(page.get_by_text("A story about owl 0.")).to_be_visible()
    assert len(page.get_by_role("textbox", name="Your answer").input_value()) == 300_000
    assert writing.labels() == []


def test_on_a_phone(server: Server, browser: Any) -> None:
    desk = a_desk(server, ("rank", "A story about an owl.", STORIES))
    context = browser.new_context(
        base_url=server.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    desk.sign_in(page)
    desk.open(page, "rank")
    ids = shown_ids(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for at in (2, 0, 3, 1):
        page.locator(f".answer[data-id='{ids[at]}']").get_by_role("button", name="Move up").tap()
    page.locator(f".answer[data-id='{ids[3]}']").get_by_role("button", name="Tie").tap()
    page.get_by_role("button", name="Submit").tap()
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()
    (label,) = desk.labels()
    assert [set(tier) for tier in label["answer"]["tiers"]] == [{ids[2]}, {ids[0], ids[3]}, {ids[1]}]
    context.close()


def test_tokens(ranking: Desk, page: Page) -> None:
    page.goto("/account/tokens/")
    page.get_by_label("Name of the new token").fill("notebook")
    page.get_by_role("button", name="Make a token").click()
    token = page.locator("#token").inner_text()
    address = f"{ranking.server.url}/api/projects/{ranking.slug}/"
    headers = {"Authorization": f"Token {token}"}
    assert httpx.get(address, headers=headers).status_code == 200
    page.goto("/account/tokens/")
    assert token not in page.content()
    page.get_by_role("button", name="Revoke notebook").click()
    expect(page.get_by_role("button", name="Revoke notebook")).to_have_count(0)
    assert httpx.get(address, headers=headers).status_code == 401


def test_the_theme_stays_chosen(ranking: Desk, page: Page) -> None:
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_first_load_is_light(ranking: Desk, page: Page) -> None:
    """120 kB over the wire, headers included, for everything but the answers' text."""
    page.goto("about:blank")
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.clearBrowserCache")
    sizes: list[float] = []
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    ranking.open(page, "rank")
    expect(page.locator(".answer")).to_have_count(4)
    page.wait_for_load_state("networkidle")
    assert len(sizes) > 10
    assert sum(sizes) < 120_000

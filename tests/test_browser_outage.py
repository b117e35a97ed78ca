"""The server goes in the middle of a task, the page is reloaded meanwhile, and nothing is lost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from conftest import Server, until
from desks import a_desk
from playwright.sync_api import Page, expect
from test_browser_kinds import desk_of, press, said
from test_browser_labeling import saved
from test_browser_offline import holds_tasks, sheltered

pytestmark = pytest.mark.browser

RANKING = ["Enter", "1", "ArrowUp", "2", "ArrowUp", "3", "ArrowUp", "4", "ArrowUp"]
# By kind: the keys before the server goes, those while it is away, and those after the reload.
JOURNEYS: dict[str, tuple[list[str], list[str], list[str]]] = {
    "rank": (["2", "ArrowUp"], ["3", "ArrowUp", "="], ["1", "ArrowUp", "4", "ArrowUp"]),
    "compare": (["1"], ["1", "x"], ["ArrowRight"]),
    "rate": (
        ["6"],
        ["ArrowDown", "Space", "ArrowRight", "2"],
        # The reload opens the first answer that is still to rate.
        ["5", "ArrowRight", "4", "ArrowRight", *RANKING],
    ),
    "edit": (["e", "A", "Space"], ["b"], ["Escape"]),
    "demonstrate": (["O", "n"], ["c", "e"], []),
}


def answer(page: Page) -> Any:
    """What would be sent now."""
    return page.evaluate("document.querySelector('[data-stage=task] > *').answer")


def away_in_the_middle(server: Server, page: Page, kind: str, *, seconds: float) -> None:
    if kind == "demonstrate":
        desk = a_desk(server, (kind, "A story about owl 0.", []))
    else:
        desk = desk_of(server, kind, tasks=1)
    desk.sign_in(page)
    desk.open(page, kind)
    sheltered(page)
    holds_tasks(page, 1)
    before, meanwhile, after = JOURNEYS[kind]
    press(page, *before)
    expect(saved(page)).to_contain_text("saved ")
    began = time.monotonic()
    with desk.server_away():
        press(page, *meanwhile)
        expect(saved(page)).to_have_text("offline, kept here")
        expect(said(page)).to_have_text("offline, kept here")
        begun = answer(page)
        page.reload()
        expect(saved(page)).to_have_text("offline, kept here")
        assert answer(page) == begun
        press(page, *after)
        finished = answer(page)
        press(page, "Control+Enter")
        if page.locator("#review[open]").count():
            press(page, "Enter")
        expect(saved(page)).to_contain_text("1 label waits here")
        page.reload()
        expect(saved(page)).to_contain_text("1 label waits here")
        time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    until(desk.labels, seconds=60)
    (label,) = desk.labels()
    assert {**finished, **label["answer"]} == label["answer"]
    expect(page.get_by_role("heading", name="You are through")).to_be_visible(timeout=30_000)
    assert len(desk.labels()) == 1


@pytest.mark.parametrize("kind", [kind for kind in JOURNEYS if kind != "rank"])
def test_server_away_in_the_middle(server: Server, page: Page, kind: str) -> None:
    away_in_the_middle(server, page, kind, seconds=0)


@pytest.mark.slow
def test_two_minutes_away_in_mid_ranking(server: Server, page: Page) -> None:
    away_in_the_middle(server, page, "rank", seconds=120)

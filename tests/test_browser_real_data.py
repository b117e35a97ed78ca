"""Real data worked through on the page: Open-Assistant's prompts and trees, eight models' answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT, Server, until
from desks import Desk, a_desk
from playwright.sync_api import Page, expect
from test_browser_kinds import press, shown_ids

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DATA = ROOT.parent / "shared" / "data"


def shared(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def take_in(server: Server, desk: Desk, path: Path, *more: str) -> None:
    server.manage("import_prompts", "--project", desk.slug, "--file", str(path), *more)


def rank_all(page: Page) -> list[int]:
    """Place every answer in the order shown, by keys, and send it."""
    ids = shown_ids(page)
    for n in range(1, len(ids) + 1):
        press(page, str(n), "ArrowUp")
    first = page.locator("[data-prompt]").inner_text()
    press(page, "Control+Enter")
    expect(page.locator("[data-prompt]")).not_to_have_text(first)
    return ids


def test_eight_models_ranked(server: Server, page: Page) -> None:
    folder = shared("self-instruct/predictions")
    desk = a_desk(server)
    columns = ["--columns", "response=completion"]
    for path in sorted(folder.glob("*.jsonl")):
        take_in(server, desk, path, "--kind", "completions", "--model", path.stem, *columns)
    server.manage("make_tasks", "--project", desk.slug, "--kind", "rank")
    desk.sign_in(page)
    desk.open(page, "rank")
    ranked = [rank_all(page) for _ in range(5)]
    assert max(len(ids) for ids in ranked) == 8
    until(lambda: len(desk.labels()) == len(ranked))
    assert [label["answer"]["tiers"] for label in desk.labels()] == [[[one] for one in ids] for ids in ranked]
    shown = page.locator("main").inner_text().lower()
    assert not [path.stem for path in folder.glob("*.jsonl") if path.stem in shown]


def test_open_assistant_trees_ranked_and_answered(server: Server, page: Page) -> None:
    path = shared("oasst-sample/en_100_tree.jsonl")
    desk = a_desk(server)
    take_in(server, desk, path, "--kind", "completions", "--tasks", "rank")
    desk.sign_in(page)
    desk.open(page, "rank")
    ranked = [rank_all(page) for _ in range(5)]
    until(lambda: len(desk.labels()) == len(ranked))
    assert [label["answer"]["tiers"] for label in desk.labels()] == [[[one] for one in ids] for ids in ranked]
    # The same threads as prompts, in a project of their own; one that goes on for several turns is answered.
    other = a_desk(server)
    take_in(server, other, path, "--kind", "prompts", "--tasks", "demonstrate")
    page.context.clear_cookies()
    other.sign_in(page)
    other.open(page, "demonstrate")
    for n in range(40):
        if page.locator(".conversation .turn").count() >= 3:
            break
        page.locator("textarea").first.fill(f"Answer {n}.")
        before = page.locator("[data-prompt]").inner_text()
        press(page, "Control+Enter")
        expect(page.locator("[data-prompt]")).not_to_have_text(before)
    else:
        pytest.fail("no conversation of three turns came up")
    page.locator("textarea").first.fill("The answer to a long conversation.")
    press(page, "Control+Enter")
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    assert other.labels()[-1]["answer"] == {"text": "The answer to a long conversation."}

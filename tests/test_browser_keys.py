"""Keys changed and switched off, by keyboard alone, and the work page that follows."""

from __future__ import annotations

from typing import Any

import pytest
from axe import faults
from conftest import Server
from desks import Desk, a_desk
from playwright.sync_api import Page, expect
from test_browser_labeling import STORIES, press

pytestmark = pytest.mark.browser


@pytest.fixture
def desk(server: Server, page: Page) -> Desk:
    desk = a_desk(server, *[("rank", f"A story about owl {n}.", STORIES) for n in range(2)])
    desk.sign_in(page)
    return desk


def change(page: Page, name: str, key: str) -> Any:
    """Choose another key as a person without a mouse does; returns the button."""
    button = page.locator(f"[data-name='{name}']")
    button.focus()
    press(page, "Enter")
    expect(button).to_have_text("Press a key…")
    press(page, key)
    return button


def test_change_keys_by_keyboard(desk: Desk, page: Page) -> None:
    desk.open(page, "rank")
    press(page, "?")
    page.get_by_role("link", name="Change keys").focus()
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Keys", exact=True)).to_be_visible()
    expect(change(page, "g", "k")).to_have_text("k")
    expect(change(page, "1", "q")).to_have_text("q")
    expect(change(page, " ", "y")).to_have_text("y")
    expect(change(page, "ArrowUp", "Space")).to_have_text("Space")
    expect(page.locator("[data-saved]")).to_contain_text("saved ")
    # Refused beside the key; what stood stays.
    button = change(page, "u", "k")
    error = page.locator(f"#{button.get_attribute('aria-describedby')}")
    expect(error).to_contain_text("“k” is taken: guideline")
    expect(button).to_have_text("u")
    expect(change(page, "s", "Escape")).to_have_text("s")
    expect(page.locator("[data-name=s]")).to_be_focused()
    desk.open(page, "rank")
    expect(page.locator(".foot [data-do=guideline] kbd")).to_have_text("k")
    press(page, "g")
    expect(page.locator("#guideline")).to_be_hidden()
    press(page, "k")
    expect(page.locator("#guideline")).to_be_visible()
    press(page, "k")
    expect(page.locator("#guideline")).to_be_hidden()
    press(page, "1", "Space")
    expect(page.locator(".tier")).to_have_count(0)
    press(page, "q", "Space")
    expect(page.locator(".tier")).to_have_count(1)
    page.goto("/account/keys/")
    page.get_by_role("button", name="All keys as delivered").press("Enter")
    expect(page.locator("[data-name=g]")).to_have_text("g")
    desk.open(page, "rank")
    press(page, "g")
    expect(page.locator("#guideline")).to_be_visible()


def test_switch_single_keys_off(desk: Desk, page: Page) -> None:
    page.goto("/account/keys/")
    page.get_by_label("Single keys are on").press("Space")
    expect(page.locator("[data-saved]")).to_contain_text("saved ")
    desk.open(page, "rank")
    expect(page.locator(".foot [data-do=guideline] kbd")).to_be_hidden()
    expect(page.locator(".foot [data-do=submit] kbd")).to_be_visible()
    press(page, "g", "1", "ArrowUp", "s", "?")
    assert page.locator("dialog[open]").count() == 0
    expect(page.locator(".tier")).to_have_count(0)
    # On again where they are listed; the account keeps it.
    page.locator(".foot [data-do=keys]").press("Enter")
    with page.expect_response("**/account/keys/"):
        page.get_by_label("Single keys are on").press("Space")
    press(page, "Escape", "g")
    expect(page.locator("#guideline")).to_be_visible()
    page.reload()
    expect(page.locator(".answer")).to_have_count(4)
    press(page, "g")
    expect(page.locator("#guideline")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(desk: Desk, page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto("/account/keys/")
    change(page, "u", "k")
    change(page, "s", "k")
    expect(page.locator(".errors:not([hidden])")).to_be_visible()
    page.locator("[data-name=v]").press("Enter")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert faults(page) == [], width
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width

"""Nothing is lost: reloads while the server is away, sessions that end, people who share a browser."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from conftest import CHROMIUM_FLAGS, Server, until
from desks import Desk, a_desk
from playwright.sync_api import Browser, Error, Page, expect
from test_browser_labeling import STORIES, press, saved, shown_ids

pytestmark = pytest.mark.browser

HELD_TASKS = """async (n) => {
    for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        for (const request of await cache.keys()) {
            if (!request.url.includes("/held/")) continue;
            const { tasks } = await (await cache.match(request)).json();
            if (tasks.length === n) return true;
        }
    }
    return false;
}"""
HELD_NAMES = """async () => {
    const caches_ = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
    const requests = (await Promise.all(caches_.map((cache) => cache.keys()))).flat();
    return requests.map(({ url }) => new URL(url).pathname);
}"""
KEPT_NAMES = "Object.keys(localStorage).filter((name) => /^tutelage:\\d+:/.test(name))"


@pytest.fixture
def desk(server: Server, page: Page) -> Desk:
    """One ranking, then two demonstrations, all on one page."""
    tasks = [("rank", "A story about owl 0.", STORIES)]
    tasks += [("demonstrate", f"A story about owl {n}.", []) for n in (1, 2)]
    desk = a_desk(server, *tasks)
    desk.sign_in(page)
    return desk


def open_work(desk: Desk, page: Page, *, ahead: int = 1) -> None:
    """Open the work page and wait until this browser holds it, with the task and those fetched ahead."""
    page.goto(f"/projects/{desk.slug}/work/")
    sheltered(page)
    holds_tasks(page, 1 + ahead)


def sheltered(page: Page) -> None:
    expect(saved(page)).to_have_attribute("title", re.compile("a reload works"), timeout=15_000)


def holds_tasks(page: Page, n: int) -> None:
    until(lambda: page.evaluate(HELD_TASKS, n))


def answer(page: Page) -> Any:
    return page.get_by_role("textbox", name="Your answer")


def places(page: Page) -> list[str]:
    return page.locator(".answer .place").all_inner_texts()


def test_reload_in_mid_ranking(desk: Desk, browser: Browser, page: Page) -> None:
    open_work(desk, page)
    ids = shown_ids(page)
    press(page, "3", "ArrowUp")
    expect(saved(page)).to_contain_text("saved ")
    with desk.server_away():
        press(page, "1", "ArrowUp")
        expect(saved(page)).to_have_text("offline, kept here")
        before = places(page)
        page.reload()
        expect(saved(page)).to_have_text("offline, kept here")
        assert (shown_ids(page), places(page)) == (ids, before)
        press(page, "g")
        expect(page.locator("#guideline-body strong")).to_have_text("kind")
        press(page, "g", "4", "ArrowUp", "2", "ArrowUp", "Control+Enter")
        expect(page.get_by_text("A story about owl 1.")).to_be_visible()
        expect(saved(page)).to_contain_text("1 label waits here")
        page.keyboard.type("Once an owl")
        page.reload()
        expect(answer(page)).to_have_value("Once an owl")
        expect(saved(page)).to_contain_text("1 label waits here")
        answer(page).press_sequentially(" was kind")
    expect(saved(page)).to_contain_text("saved ", timeout=30_000)
    (label,) = desk.labels()
    assert label["answer"]["tiers"] == [[ids[2]], [ids[0]], [ids[3]], [ids[1]]]
    # The draft is on the server: another browser finds it.
    elsewhere = browser.new_context(base_url=desk.server.url).new_page()
    desk.sign_in(elsewhere)
    desk.open(elsewhere, "demonstrate")
    expect(answer(elsewhere)).to_have_value("Once an owl was kind")
    elsewhere.context.close()
    answer(page).press("Control+Enter")
    expect(page.get_by_text("A story about owl 2.")).to_be_visible()
    expect(page.locator("#toast")).to_contain_text("Label sent.")
    assert [label["answer"].get("text") for label in desk.labels()] == [None, "Once an owl was kind"]


def test_a_saved_text_is_there_too(desk: Desk, page: Page) -> None:
    """What the server has already is not asked of it when it is away; back, nothing is in two minds."""
    desk.open(page, "demonstrate")
    page.keyboard.type("First")
    expect(saved(page)).to_contain_text("saved ")
    page.reload()
    answer(page).press_sequentially(", second")
    expect(saved(page)).to_contain_text("saved ")
    sheltered(page)
    holds_tasks(page, 2)
    with desk.server_away():
        page.reload()
        expect(answer(page)).to_have_value("First, second")
        expect(saved(page)).to_have_text("offline, kept here")
    expect(saved(page)).to_have_text("saved earlier", timeout=30_000)
    answer(page).press_sequentially(", third")
    expect(saved(page)).to_contain_text("saved ")
    expect(page.locator("#stale")).to_be_hidden()


def test_each_tab_finds_its_own(desk: Desk, page: Page) -> None:
    desk.open(page, "demonstrate")
    page.keyboard.type("In the first tab")
    expect(saved(page)).to_contain_text("saved ")
    sheltered(page)
    other = page.context.new_page()
    other.goto(f"/projects/{desk.slug}/work/rank/")
    sheltered(other)
    expect(other.locator(".answer")).to_have_count(4)
    with desk.server_away():
        page.reload()
        other.reload()
        expect(answer(page)).to_have_value("In the first tab")
        expect(other.locator(".answer")).to_have_count(4)


@contextmanager
def only_errors(port: int) -> Iterator[None]:
    """What a proxy says for a server that restarts."""

    class Unavailable(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        do_POST = do_PUT = do_GET

        def log_message(self, *ignored: Any) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", port), Unavailable)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        proxy.shutdown()
        proxy.server_close()


def test_an_unwell_server_counts_as_away(desk: Desk, page: Page) -> None:
    open_work(desk, page)
    ids = shown_ids(page)
    with desk.server_away(), only_errors(desk.server.port):
        page.reload()
        expect(saved(page)).to_have_text("offline, kept here")
        assert shown_ids(page) == ids


def test_session_ends_in_mid_sentence(desk: Desk, page: Page) -> None:
    desk.open(page, "demonstrate")
    page.keyboard.type("Before")
    expect(saved(page)).to_contain_text("saved ")
    page.context.clear_cookies()
    page.keyboard.type(" and after")
    expect(saved(page)).to_have_text("signed out, kept here")
    page.locator("#notice").get_by_role("link", name="Sign in").click()
    page.get_by_label("User name").fill(desk.user)
    page.get_by_label("Password").fill(desk.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("A story about owl 1.")).to_be_visible()
    expect(answer(page)).to_have_value("Before and after")
    expect(saved(page)).to_contain_text("saved ")


def sign_out(page: Page) -> None:
    page.locator("header .menu summary").click()
    page.get_by_role("button", name="Sign out").click()


def test_sign_out_clears(desk: Desk, page: Page) -> None:
    open_work(desk, page)
    press(page, "3", "ArrowUp")
    expect(saved(page)).to_contain_text("saved ")
    assert page.evaluate(HELD_NAMES)
    sign_out(page)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate(HELD_NAMES) == []
    assert page.evaluate(KEPT_NAMES) == []
    with desk.server_away(), pytest.raises(Error, match="net::ERR_"):
        page.goto(f"/projects/{desk.slug}/work/")


def test_sign_out_tells_what_is_unsent(desk: Desk, page: Page) -> None:
    desk.open(page, "demonstrate")
    with desk.server_away():
        page.keyboard.type("Not sent")
        press(page, "Control+Enter")
        expect(saved(page)).to_contain_text("1 label waits here")
        page.goto("about:blank")
    page.goto("/")
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    sign_out(page)
    expect(page.get_by_role("heading", name="My work")).to_be_visible()
    assert any("outbox" in name for name in page.evaluate(KEPT_NAMES))
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert ["1 text or label has not reached the server" in question for question in asked] == [True, True]
    assert page.evaluate(KEPT_NAMES) == []


def test_another_person_sees_nothing_of_mine(desk: Desk, server: Server, page: Page) -> None:
    open_work(desk, page)
    press(page, "3", "ArrowUp")
    expect(saved(page)).to_contain_text("saved ")
    desk.open(page, "demonstrate")
    with desk.server_away():
        page.keyboard.type("For the server alone")
        expect(saved(page)).to_have_text("offline, kept here")
        page.goto("about:blank")
    page.context.clear_cookies()
    other = a_desk(server, ("demonstrate", "Quite another story.", []))
    other.sign_in(page)
    expect(page.locator(".messages")).to_contain_text("1 text or label of somebody else")
    until(lambda: page.evaluate(HELD_NAMES) == [])
    assert page.locator("body").inner_text().count("owl") == 0
    assert len(page.evaluate(KEPT_NAMES)) == 1
    with other.server_away(), pytest.raises(Error, match="net::ERR_"):
        page.goto(f"/projects/{desk.slug}/work/")
    page.goto("/")
    sign_out(page)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    desk.sign_in(page)
    desk.open(page, "demonstrate")
    expect(answer(page)).to_have_value("For the server alone")
    expect(saved(page)).to_contain_text("saved ")


def test_unsent_work_of_another_can_be_cleared(desk: Desk, server: Server, page: Page) -> None:
    desk.open(page, "demonstrate")
    with desk.server_away():
        page.keyboard.type("For the server alone")
        expect(saved(page)).to_have_text("offline, kept here")
        page.goto("about:blank")
    page.context.clear_cookies()
    a_desk(server, ("demonstrate", "Quite another story.", [])).sign_in(page)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Clear them").click()
    expect(page.locator(".messages")).to_have_count(0)
    assert page.evaluate(KEPT_NAMES) == []


def test_a_new_release_takes_the_place_of_the_old(desk: Desk, page: Page) -> None:
    open_work(desk, page)
    (release,) = {name.split("/")[2] for name in page.evaluate(HELD_NAMES) if name.startswith("/static/")}
    old = "000000000000"
    assert release != old
    page.evaluate(
        """async (old) => {
            const cache = await caches.open((await caches.keys())[0]);
            await cache.put(`/static/${old}/labeling/work.js`, new Response("old"));
            const page = new Response(`<script src="/static/${old}/labeling/work.js">`);
            await cache.put("/projects/other/work/", page);
        }""",
        old,
    )
    page.reload()
    sheltered(page)
    names = page.evaluate(HELD_NAMES)
    assert {name.split("/")[2] for name in names if name.startswith("/static/")} == {release}
    assert "/projects/other/work/" not in names
    assert f"/static/{release}/labeling/work.js" in names


def test_plain_http_says_so(desk: Desk, browser: Browser) -> None:
    """Under another name than this computer's, over plain HTTP, browsers lend no service worker."""
    server = desk.server
    elsewhere = Server(
        environment={**server.environment, "ALLOWED_HOSTS": "labels.test,127.0.0.1"},
        log=server.log.with_name("elsewhere.log"),
    )
    elsewhere.start()
    flags = [*CHROMIUM_FLAGS, "--host-resolver-rules=MAP labels.test 127.0.0.1"]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    opened = browser.browser_type.launch(executable_path=path, args=flags)
    try:
        page = opened.new_page(base_url=f"http://labels.test:{elsewhere.port}")
        desk.sign_in(page)
        desk.open(page, "demonstrate")
        page.keyboard.type("Kept all the same")
        expect(saved(page)).to_contain_text("saved ")
        assert "do not reload" in (saved(page).get_attribute("title") or "")
        assert page.evaluate("isSecureContext") is False
    finally:
        opened.close()
        elsewhere.stop()


def test_a_kind_comes_when_its_files_do(desk: Desk, page: Page) -> None:
    """The script or the style of a kind fails to arrive: the page says so, and goes on by itself."""
    failing = {"rank.js", "tiers.js", "rank.css"}

    def fail_once(route: Any) -> None:
        name = route.request.url.rsplit("/")[-1]
        if name in failing:
            failing.remove(name)
            route.abort()
        else:
            route.continue_()

    page.context.route("**/static/**", fail_once)
    page.goto(f"/projects/{desk.slug}/work/")
    expect(page.get_by_role("heading", name="The next task is not here yet")).to_be_visible()
    expect(page.locator(".answer")).to_have_count(4)
    assert failing == set()
    columns = "getComputedStyle(document.querySelector('rank-board')).gridTemplateColumns"
    assert page.evaluate(columns).endswith(" 310px")

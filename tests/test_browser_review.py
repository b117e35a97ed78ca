"""A label judged, sent back, appealed and mended in real browsers; the ledger; the lease that runs out."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from axe import faults
from conftest import Server
from desks import Desk, a_desk
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

ANSWERS = [
    "Once an old owl had a tiny book. A rabbit mended it with her.",
    "Once a shy owl lost her book and cried.",
    "One quiet owl read her book to a cat.",
]
PEOPLE = """
from django.contrib.auth.models import User
from labeling.models import Membership, Project
from labeling.people.projects import labeler_for
project = Project.objects.get(slug={slug!r})
for name, role in {people!r}:
    user = User.objects.create_user(name, password={password!r})
    Membership.objects.create(project=project, user=user, role=role)
    labeler_for(user)
"""
LABEL = """
import uuid
from django.contrib.auth.models import User
from labeling import annotate, queue
from labeling.reviewing import reviews
from labeling.models import Project
project = Project.objects.get(slug={slug!r})
for name, order, comment in {labels!r}:
    labeler = User.objects.get(username=name).labeler
    lease = queue.lease_next(labeler=labeler, project=project, kinds=["rank"])
    ids = sorted(lease.shown_order)
    answer = {{"tiers": [[ids[at] for at in tier] for tier in order], "comment": comment}}
    annotate.submit(lease_id=lease.pk, labeler=labeler, submission_id=uuid.uuid4(), answer=answer)
print("made", reviews.make_reviews(project=project))
"""
CHANGE = """
from labeling.models import Project
Project.objects.filter(slug={slug!r}).update(**{fields!r})
"""


class Team:
    """A project with a labeler (mia), her colleague (leo) and two reviewers (rex, bea); kim owns it."""

    def __init__(self, server: Server, *, overlap: int = 1) -> None:
        self.desk = a_desk(server, ("rank", "A story about an owl.", ANSWERS), ("rank", "Another.", ANSWERS))
        self.server, self.slug = server, self.desk.slug
        self.leo, self.rex, self.bea = (f"{name}-{uuid.uuid4().hex[:6]}" for name in ("leo", "rex", "bea"))
        people = [(self.leo, "labeler"), (self.rex, "reviewer"), (self.bea, "reviewer")]
        server.shell(PEOPLE.format(slug=self.slug, people=people, password=self.desk.password))
        server.shell(
            "from labeling.models import Task;"
            f"Task.objects.filter(project__slug={self.slug!r}).update(wanted={overlap})"
        )

    def label(self, *labels: tuple[str, list[list[int]], str]) -> None:
        self.server.shell(LABEL.format(slug=self.slug, labels=list(labels)))

    def sign_in(self, page: Page, name: str) -> None:
        Desk(**{**vars(self.desk), "user": name}).sign_in(page)

    def work(self, page: Page, kind: str) -> None:
        page.goto(f"/projects/{self.slug}/work/{kind}/")
        expect(page.locator("[data-stage=task] [data-prompt]")).to_be_visible()


@pytest.fixture
def team(server: Server) -> Team:
    return Team(server)


@pytest.fixture
def pages(server: Server, browser: Browser) -> Iterator[Any]:
    """Fresh profiles, one a person."""
    contexts = []

    def another(**options: Any) -> Page:
        contexts.append(browser.new_context(base_url=server.url, **options))
        return contexts[-1].new_page()

    yield another
    for context in contexts:
        context.close()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def through(page: Page) -> None:
    expect(page.get_by_role("heading", name="You are through")).to_be_visible()


def test_sent_back_appealed_restored(team: Team, pages: Any) -> None:
    """By keys alone, three people, nobody reloads."""
    team.label((team.desk.user, [[0], [1], [2]], "kindest first"))
    mia, rex, bea = pages(), pages(), pages()
    team.sign_in(mia, team.desk.user)
    team.sign_in(rex, team.rex)
    team.work(rex, "review")
    expect(rex.locator(".judged")).to_have_count(1)
    expect(rex.locator(".judged")).to_contain_text("kindest first")
    assert team.desk.user not in rex.content()
    press(rex, "Control+Enter")
    expect(rex.locator("#lack")).to_have_text("1 label is still to decide.")
    press(rex, "a", "u")
    expect(rex.locator("#say")).to_have_text("Undone: Label A: not decided.")
    press(rex, "x", "Escape", "Control+Enter")
    expect(rex.locator("#lack")).to_have_text("Say why label A goes back: its author reads it.")
    rex.keyboard.type("The second is kinder.")
    expect(rex.locator("[data-saved]")).to_contain_text("saved ")
    rex.reload()
    expect(rex.get_by_role("textbox")).to_have_value("The second is kinder.")
    press(rex, "Enter")
    expect(rex.locator("#review-what")).to_contain_text("Label A: sent back")
    press(rex, "Enter")
    through(rex)
    # The author's home changes by itself.
    back = mia.locator(".sent-back li")
    expect(back).to_contain_text("The second is kinder.")
    link = back.get_by_role("link")
    link.focus()
    press(mia, "Enter")
    expect(mia.locator("#verdict")).to_contain_text("Sent back by a reviewer")
    expect(mia.locator("#verdict")).to_contain_text("The second is kinder.")
    expect(mia.locator("#submit-words")).to_have_text("Send revision")
    mia.get_by_role("button", name="Appeal").focus()
    press(mia, "Enter")
    mia.get_by_role("button", name="Send the appeal").focus()
    press(mia, "Enter")
    expect(mia.locator("#appeal-error")).to_contain_text("may not be blank")
    mia.keyboard.type("The first mends something.")
    press(mia, "Tab", "Tab", "Enter")
    expect(mia.locator("#verdict")).to_contain_text("your appeal is under way")
    # The first reviewer is not asked, the second is.
    expect(rex.get_by_role("heading", name="You are through")).to_be_visible()
    team.sign_in(bea, team.bea)
    expect(bea.locator(".wait", has_text="Review labels")).to_be_visible()
    team.work(bea, "review")
    expect(bea.locator(".dispute")).to_contain_text("The first mends something.")
    press(bea, "a", "Control+Enter")
    through(bea)
    expect(mia.locator("#verdict")).to_contain_text("Restored: your appeal was right")
    mia.goto("/")
    expect(mia.locator(".sent-back")).to_contain_text("restored: your appeal was right")


def test_sent_back_and_mended(team: Team, pages: Any) -> None:
    team.label((team.desk.user, [[0], [1], [2]], ""))
    mia, rex = pages(), pages()
    team.sign_in(rex, team.rex)
    team.work(rex, "review")
    press(rex, "x")
    rex.keyboard.type("Two is kinder.")
    press(rex, "Control+Enter")
    through(rex)
    team.sign_in(mia, team.desk.user)
    mia.locator(".sent-back a").click()
    expect(mia.locator("#verdict")).to_contain_text("Two is kinder.")
    press(mia, "x")
    # A reload in the middle keeps what was changed.
    mia.reload()
    expect(mia.locator("#verdict")).to_contain_text("Two is kinder.")
    expect(mia.get_by_role("checkbox", name="All bad")).to_be_checked()
    press(mia, "Control+Enter")
    expect(mia.locator("[data-prompt]")).to_contain_text("Another.")
    expect(mia.locator("#verdict")).to_be_hidden()
    expect(mia.locator("#toast")).to_contain_text("Label sent.")
    first, second = (one for one in team.desk.labels() if one["kind"] == "rank")
    assert second["supersedes"] == first["id"]
    assert first["answer"] != second["answer"]
    assert mia.url.endswith("/work/rank/")
    mia.goto("/")
    expect(mia.get_by_role("heading", name="My work")).to_be_visible()
    expect(mia.locator(".sent-back")).to_have_count(0)


def test_where_rankings_differ_and_one_is_revised_meanwhile(server: Server, pages: Any) -> None:
    team = Team(server, overlap=2)
    team.label((team.desk.user, [[0], [1, 2]], "mine"), (team.leo, [[1], [0], [2]], "other"))
    rex = pages()
    team.sign_in(rex, team.rex)
    team.work(rex, "review")
    expect(rex.locator("[data-differ] li")).to_have_count(2)
    expect(rex.locator("[data-differ] li").first).to_have_text(
        re.compile(r"^(1 over 2: [AB] · 2 over 1: [AB])$")
    )
    expect(rex.locator("[data-progress]")).to_have_text("0 of 2 decided")
    press(rex, "a", "a", "ArrowUp", "ArrowDown")
    expect(rex.locator("[data-progress]")).to_have_text("2 of 2 decided")
    server.shell(
        "import uuid; from labeling import annotate; from labeling.models import Annotation;"
        f"old = Annotation.objects.get(task__project__slug={team.slug!r}, answer__comment='mine');"
        "annotate.revise(annotation_id=old.pk, labeler=old.labeler, submission_id=uuid.uuid4(),"
        " answer={**old.answer, 'comment': 'mine, mended'})"
    )
    expect(rex.locator("#notice")).to_contain_text("revised or taken out meanwhile")
    expect(rex.locator("[data-progress]")).to_have_text("1 of 2 decided")
    expect(rex.locator(".judged", has_text="mine, mended")).to_have_count(1)
    press(rex, "a", "Control+Enter")
    through(rex)


def test_the_lease_that_runs_out(server: Server, team: Team, pages: Any) -> None:
    """A short lease and nobody at the keys: a warning, then the way back to the task."""
    server.shell(CHANGE.format(slug=team.slug, fields={"lease_seconds": 8}))
    mia = pages()
    team.sign_in(mia, team.desk.user)
    team.work(mia, "rank")
    press(mia, "1", "ArrowUp")
    expect(mia.locator("[data-saved]")).to_contain_text("saved ")
    notice = mia.locator("#lease")
    expect(notice).to_contain_text("goes back to the queue in", timeout=20_000)
    press(mia, "Shift")
    expect(notice).to_be_hidden()
    expect(notice).to_contain_text("went back to the queue. Your text is kept", timeout=20_000)
    server.shell("from labeling import queue; queue.sweep()")
    mia.get_by_role("button", name="Keep it").click()
    expect(notice).to_be_hidden()
    expect(mia.locator("#say")).to_have_text("The task is yours again.")
    # Now somebody else has it: what was done can still be sent.
    expect(notice).to_contain_text("went back to the queue. Your text is kept", timeout=20_000)
    server.shell("from labeling import queue; queue.sweep()")
    server.shell(
        "from labeling import queue; from labeling.models import Labeler, Project;"
        f"leo = Labeler.objects.get(name={team.leo!r});"
        f"project = Project.objects.get(slug={team.slug!r});"
        "[queue.lease_next(labeler=leo, project=project, prefetch=True) for _ in range(2)]"
    )
    press(mia, "Shift")
    expect(notice).to_contain_text("went to somebody else. Your text is kept")
    press(mia, "2", "ArrowUp", "3", "ArrowUp", "Control+Enter")
    expect(mia.locator("#toast")).to_contain_text("Label sent.")


def test_a_draft_opens_its_own_task(team: Team, pages: Any) -> None:
    mia = pages()
    team.sign_in(mia, team.desk.user)
    team.work(mia, "rank")
    press(mia, "2", "ArrowUp")
    expect(mia.locator("[data-saved]")).to_contain_text("saved ")
    first = mia.locator("[data-prompt]").inner_text()
    mia.goto("/")
    mia.locator(".drafts a").click()
    expect(mia.locator("[data-prompt]")).to_have_text(first)
    expect(mia.locator(".tiers li")).to_have_count(1)
    assert "lease=" not in mia.url


def test_skip_says_why_if_one_likes(team: Team, pages: Any) -> None:
    mia = pages()
    team.sign_in(mia, team.desk.user)
    team.work(mia, "rank")
    press(mia, "s")
    expect(mia.locator("#skip")).to_contain_text("never counts against you")
    mia.get_by_text("Too hard").click()
    mia.get_by_text("Not my field").click()
    mia.get_by_label("Reason, if you like", exact=True).fill("owls")
    mia.locator("[data-do=skip-now]").click()
    expect(mia.locator("[data-prompt]")).to_contain_text("Another.")
    said = team.server.shell(
        "from labeling.models import Lease;"
        f"print(Lease.objects.get(state='skipped', task__project__slug={team.slug!r}).skip_reason)"
    )
    assert said.strip().endswith("too hard, not my field: owls")


def test_hours_and_their_correction(team: Team, pages: Any) -> None:
    team.label((team.desk.user, [[0], [1], [2]], ""))
    kim, mia = pages(), pages()
    team.sign_in(kim, team.desk.owner)
    kim.get_by_role("link", name="Ledger").click()
    expect(kim.get_by_role("row").filter(has_text=team.desk.user).first).to_contain_text("Rank answers")
    kim.get_by_label("Labeler", exact=True).select_option(label=team.desk.user)
    today = kim.locator("time").first.get_attribute("datetime")
    kim.get_by_label("Day", exact=True).fill(today)
    kim.get_by_label("Minutes").fill("-30")
    kim.get_by_label("Reason").fill("The page was slow.")
    press(kim, "Enter")
    expect(kim.locator("#seconds-error")).to_contain_text("it cannot come to")
    kim.get_by_label("Minutes").fill("30")
    press(kim, "Enter")
    expect(kim.get_by_role("row").filter(has_text="The page was slow.")).to_contain_text("+ 0:30:00")
    with kim.expect_download() as download:
        kim.get_by_role("link", name="Download CSV").click()
    assert download.value.path().read_text().splitlines()[1].split(",")[1] == team.desk.user
    team.sign_in(mia, team.desk.user)
    mia.get_by_role("link", name="My hours").first.click()
    expect(mia.get_by_role("row").filter(has_text="The page was slow.")).to_contain_text("+ 0:30:00")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(server: Server, pages: Any, scheme: Any) -> None:
    team = Team(server, overlap=2)
    team.label((team.desk.user, [[0], [1, 2]], "mine"), (team.leo, [[1], [0], [2]], "other"))
    rex = pages(color_scheme=scheme, viewport={"width": 1440, "height": 900})
    team.sign_in(rex, team.rex)
    for width in (1440, 390):
        rex.set_viewport_size({"width": width, "height": 844})
        team.work(rex, "review")
        assert faults(rex) == []
        assert rex.evaluate("document.documentElement.scrollWidth <= innerWidth")
    press(rex, "a", "x")
    rex.keyboard.type("No.")
    assert faults(rex) == []
    press(rex, "Escape", "Enter")
    assert faults(rex) == []
    press(rex, "Enter")
    through(rex)
    back = next(one for one in (team.desk.user, team.leo) if "sent_back" in str(outcomes_of(team, one)))
    mia = pages(color_scheme=scheme)
    team.sign_in(mia, back)
    for width in (1440, 390):
        mia.set_viewport_size({"width": width, "height": 844})
        mia.goto("/")
        expect(mia.locator(".sent-back")).to_be_visible()
        assert faults(mia) == []
        mia.locator(".sent-back a").click()
        expect(mia.locator("#verdict")).to_be_visible()
        assert faults(mia) == []
        mia.get_by_role("button", name="Appeal").click()
        assert faults(mia) == []
        mia.goto("/account/hours/")
        assert faults(mia) == []
    kim = pages(color_scheme=scheme)
    team.sign_in(kim, team.desk.owner)
    for width in (1440, 390):
        kim.set_viewport_size({"width": width, "height": 844})
        kim.goto(f"/projects/{team.slug}/ledger/")
        assert faults(kim) == []
        assert kim.evaluate("document.documentElement.scrollWidth <= innerWidth")


def outcomes_of(team: Team, name: str) -> str:
    return team.server.shell(
        "from labeling.reviewing import reviews; from labeling.models import Annotation;"
        f"labels = Annotation.objects.filter(labeler__name={name!r}, kind='rank');"
        "print([one.state.value for one in reviews.outcomes(labels.values_list('pk', flat=True)).values()])"
    )


def test_a_reload_while_the_server_is_away(team: Team, pages: Any) -> None:
    team.label((team.desk.user, [[0], [1], [2]], ""))
    rex = pages()
    team.sign_in(rex, team.rex)
    team.work(rex, "review")
    expect(rex.locator("[data-saved]")).to_have_attribute(
        "title", re.compile("a reload works"), timeout=15_000
    )
    with team.desk.server_away():
        press(rex, "x")
        rex.keyboard.type("Two is kinder.")
        expect(rex.locator("[data-saved]")).to_have_text("offline, kept here")
        rex.reload()
        expect(rex.get_by_role("textbox")).to_have_value("Two is kinder.")
        press(rex, "Control+Enter")
        expect(rex.locator("[data-saved]")).to_have_text("offline, 1 label waits here")
    expect(rex.get_by_role("heading", name="You are through")).to_be_visible(timeout=30_000)
    expect(rex.locator("[data-saved]")).to_have_text("nothing to save yet")
    reviewed = [label for label in team.desk.labels() if label["review"]]
    assert [label["review"]["reason"] for label in reviewed] == ["Two is kinder."]

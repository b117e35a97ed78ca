"""The way in, in a real browser: the door, the quiz on the work page, its result, then work; and practice."""

from __future__ import annotations

import json

import pytest
from conftest import Server
from desks import Desk, a_desk
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

GUARD = """
import json
from labeling.models import Project, Task
from labeling.qualification import items, requirements
given = json.loads({given!r})
project = Project.objects.get(slug=given["slug"])
for task in project.tasks.exclude(prompt=project.tasks.last().prompt).select_related("prompt", "project"):
    ids = list(task.candidates.values_list("pk", flat=True))
    items.add_from_task(task=task, uses=["quiz", "practice"], explanation="The fox was kind.",
                        answer={{"preferred": ids[0], "strength": "better"}})
    Task.objects.filter(pk=task.pk).update(state="withdrawn")
requirements.change(project=project, active=True, kinds=["compare"], questions=2, wait_hours=0)
"""
KIND, RUDE = "Once a fox shared her kite.", "Once a fox broke a kite."


@pytest.fixture
def desk(server: Server) -> Desk:
    """Two questions at the door, one task behind it; the answer with the kite that is shared is right."""
    tasks = [("compare", f"Tell of fox {n}.", [f"{KIND} {n}", f"{RUDE} {n}"]) for n in range(3)]
    made = a_desk(server, *tasks)
    server.shell(GUARD.format(given=json.dumps({"slug": made.slug})))
    return made


def prefer(page: Page, text: str) -> None:
    """Say on the work page that the answer with this text is better, and send it."""
    task = page.locator("[data-stage=task]")
    expect(task).to_contain_text(text)
    said = task.inner_text()
    first = said.index(text) < said.index(RUDE if text == KIND else KIND)
    key = "1" if first else "2"
    page.keyboard.press(key)
    page.keyboard.press(key)
    page.keyboard.press("Control+Enter")


def answer_all(page: Page, text: str) -> None:
    seen: set[str] = set()
    for _ in range(2):
        prompt = page.locator("[data-stage=task] [data-prompt]")
        expect(prompt).to_be_visible()
        for words in seen:
            expect(prompt).not_to_contain_text(words)
        seen.add(prompt.inner_text().strip())
        prefer(page, text)


def test_from_the_door_to_work(desk: Desk, page: Page) -> None:
    desk.sign_in(page)
    expect(page.get_by_text("asks you to qualify")).to_be_visible()
    # The work page sends them to the door.
    page.goto(f"/projects/{desk.slug}/work/")
    page.wait_for_url("**/qualification/")
    page.get_by_role("button", name="Start").click()
    answer_all(page, RUDE)
    page.wait_for_url("**/qualification/")
    expect(page.get_by_role("heading", name="You did not pass this time")).to_be_visible()
    expect(page.get_by_text("The fox was kind.")).to_have_count(2)
    page.get_by_role("button", name="Try again").click()
    answer_all(page, KIND)
    page.wait_for_url("**/qualification/")
    expect(page.get_by_role("heading", name="You are qualified.")).to_be_visible()
    page.get_by_role("link", name="Go to work").click()
    expect(page.locator("[data-stage=task]")).to_contain_text("Tell of fox 2.")


def test_practice_is_explained_right_after(desk: Desk, page: Page) -> None:
    desk.sign_in(page)
    page.goto(f"/projects/{desk.slug}/practice/")
    page.get_by_role("link", name="Start").click()
    prefer(page, RUDE)
    page.wait_for_url("**/practice/*/")
    expect(page.get_by_text("The fox was kind.")).to_be_visible()
    expect(page.get_by_text("0 % agreement")).to_be_visible()
    page.get_by_role("link", name="Another one").click()
    expect(page.locator("[data-stage=task] [data-prompt]")).to_be_visible()
    assert len(desk.labels()) == 1

"""The API's doors for answers from elsewhere, and for asking people about them."""

from __future__ import annotations

from typing import Any

import pytest
from scenes import new_project
from test_api import api_of, problem

from labeling.models import Candidate, Completion, Project, Task

pytestmark = pytest.mark.django_db

ROWS = [
    {"prompt": "Why?", "completions": ["Because.", "For fun."], "models": ["small", None]},
    {"prompt": "Why?", "completions": [""]},
]


@pytest.fixture
def project() -> Project:
    return new_project()


def test_answers_come_in_with_their_tasks(project: Project) -> None:
    answer = api_of(project, "admin").post(
        f"projects/{project.slug}/completions/?tasks=rank&model=large", {"rows": ROWS}
    )
    assert answer.status_code == 201, answer.content
    assert {key: answer.json()[key] for key in ("accepted", "tasks")} == {"accepted": 2, "tasks": 1}
    assert [(one["row"], one["field"]) for one in answer.json()["refused"]] == [(2, "completions[0]")]
    assert [each.sampling["model"] for each in Completion.objects.order_by("pk")] == ["small", "large"]
    assert Candidate.objects.filter(task__kind="rank").count() == 2


def test_prompts_come_in_with_their_tasks(project: Project) -> None:
    answer = api_of(project, "admin").post(
        f"projects/{project.slug}/prompts/?tasks=demonstrate", {"rows": ROWS[:1]}
    )
    assert answer.json()["tasks"] == Task.objects.filter(kind="demonstrate").count() == 1


@pytest.mark.parametrize("media_type", ["application/jsonl", "text/csv"])
def test_answers_as_lines(project: Project, media_type: str) -> None:
    body = {
        "application/jsonl": b'{"prompt": "Why?", "completion": "Because."}\n',
        "text/csv": b'prompt,completions\nWhy?,"[""Because.""]"\n',
    }[media_type]
    answer = api_of(project, "admin").post(
        f"projects/{project.slug}/completions/", body, content_type=media_type
    )
    assert answer.json()["accepted"] == 1, answer.content


@pytest.mark.parametrize(
    ("query", "field"), [("?tasks=judge", "tasks"), ("?tasks=demonstrate", "tasks"), ("?split=2", "split")]
)
def test_bad_import_of_answers(project: Project, query: str, field: str) -> None:
    answer = api_of(project, "admin").post(f"projects/{project.slug}/completions/{query}", {"rows": ROWS})
    problem(answer, 400, field=field)
    assert not project.imports.exists()


def test_tasks_of_what_is_there(project: Project) -> None:
    admin, path = api_of(project, "admin"), f"projects/{project.slug}/tasks/"
    admin.post(f"projects/{project.slug}/completions/", {"rows": ROWS})
    answer = admin.post(path, {"kind": "edit", "prompts": [project.prompts.get().pk]})
    assert (answer.status_code, answer.json()) == (201, {"made": 2})
    assert admin.post(path, {"kind": "edit"}).json() == {"made": 0}
    assert admin.post(path, {"kind": "compare"}).json() == {"made": 1}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "demonstrate"}, "kind"),
        ({"kind": ["rank"]}, "kind"),
        ({"kind": "rank", "prompts": "all"}, "prompts"),
        ({"kind": "rank", "prompts": [10**30]}, "prompts.0"),
        ({"kind": "rank", "prompts": [10**18]}, "prompts"),
        ({"kind": "rank", "prompt": 1}, "prompt"),
    ],
)
def test_bad_tasks(project: Project, body: Any, field: str) -> None:
    problem(api_of(project, "admin").post(f"projects/{project.slug}/tasks/", body), 400, field=field)


@pytest.mark.parametrize("path", ["completions/", "tasks/"])
def test_only_managers_fill_the_queue(project: Project, path: str) -> None:
    problem(api_of(project, "engineer").post(f"projects/{project.slug}/{path}", {"kind": "rank"}), 403)
    problem(api_of(new_project(), "owner").post(f"projects/{project.slug}/{path}", {"kind": "rank"}), 404)

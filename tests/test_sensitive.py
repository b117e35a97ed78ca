"""Sensitive content: what is marked with it, who is given it, and what a person chose."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from scenes import new_labeler, new_project, new_task

from guidelines import publish
from guidelines.criteria import preset
from labeling import annotate, queue
from labeling.content import sensitive_content
from labeling.incoming import intake
from labeling.models import Draft, Labeler, Lease, Project, Prompt, Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return new_project()


def put(client: Client, body: Any) -> Any:
    return client.put("/api/account/reading/", json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("value", [True, "true", "TRUE", "1"])
def test_a_row_says_so(project: Project, value: Any) -> None:
    rows = [{"prompt": "A fight", "sensitive": value}, {"prompt": "A picnic", "sensitive": False}]
    intake.import_prompts(project=project, rows=rows, source="rows", tasks="demonstrate")
    assert dict(Prompt.objects.values_list("messages__0__content", "sensitive")) == {
        "A fight": True,
        "A picnic": False,
    }
    assert list(Task.objects.order_by("pk").values_list("sensitive", flat=True)) == [True, False]
    assert Prompt.objects.filter(metadata__has_key="sensitive").count() == 0


@pytest.mark.parametrize("value", ["perhaps", 1.5, 7, ["true"], {}])
def test_neither_true_nor_false(project: Project, value: Any) -> None:
    batch = intake.import_prompts(project=project, rows=[{"prompt": "A", "sensitive": value}], source="rows")
    assert [one["field"] for one in batch.refused] == ["sensitive"]


def test_an_import_is_as_a_whole(project: Project, client: Client) -> None:
    owner = new_labeler(project, role="owner")
    assert owner.user
    client.force_login(owner.user)
    body = json.dumps({"rows": [{"prompt": "A fight", "completions": ["a", "b"]}]})
    address = f"/api/projects/{project.slug}/completions/?sensitive=1&tasks=rank"
    assert client.post(address, body, content_type="application/json").status_code == 201
    assert Task.objects.get().sensitive


def test_an_answer_marks_its_prompt_and_all_its_tasks(project: Project) -> None:
    rows: list[Any] = [{"prompt": "A story", "completions": ["a", "b"]}]
    intake.import_completions(project=project, rows=rows, source="calm", tasks="rank")
    rows = [{"prompt": "A story", "completions": ["Blood!"], "sensitive": True}]
    intake.import_completions(project=project, rows=rows, source="not calm")
    assert Prompt.objects.get().sensitive
    assert Task.objects.get().sensitive
    # What is marked stays so, whatever later rows say.
    rows = [{"prompt": "A story", "completions": ["c", "d"], "sensitive": False}]
    intake.import_completions(project=project, rows=rows, source="calm", tasks="compare")
    assert set(Task.objects.values_list("sensitive", flat=True)) == {True}


def test_one_of_two_new_rows_is_enough(project: Project) -> None:
    rows = [
        {"prompt": "A story", "completion": "Blood!", "sensitive": True},
        {"prompt": "A story", "completion": "A picnic."},
    ]
    intake.import_demonstrations(project=project, rows=rows, source="rows")
    assert Prompt.objects.get().sensitive
    assert set(Task.objects.values_list("sensitive", flat=True)) == {True}


def test_a_rating_that_says_so_marks_it(project: Project) -> None:
    publish.publish(guideline=project.guideline, body="# Be kind", criteria=preset("instructgpt"))
    project.guideline.refresh_from_db()
    task = new_task(project, kind="rate", k=2, wanted=2)
    other = Task.objects.create(
        project=project, kind="demonstrate", prompt=task.prompt, guideline_version=task.guideline_version
    )
    for flags, marked in (
        ({"hallucination": True, "violent_content": False}, False),
        ({"denigrates": True}, True),
    ):
        leo = new_labeler(project)
        lease = queue.lease_next(labeler=leo, project=project, kinds=["rate"])
        assert lease
        first, second = lease.shown_order
        answer = {
            "ratings": {str(first): {"overall_quality": 2}, str(second): {"overall_quality": 5, **flags}},
            "tiers": [[first], [second]],
        }
        annotate.submit(lease_id=lease.pk, labeler=leo, submission_id=uuid.uuid4(), answer=answer)
        for one in (task, other, task.prompt):
            one.refresh_from_db()
            assert one.sensitive is marked


def test_not_given_to_who_avoids_it(project: Project) -> None:
    frightening, calm = new_task(project, sensitive=True), new_task(project)
    leo, mia = new_labeler(project), new_labeler(project)
    assert leo.user
    held = queue.lease_next(labeler=leo, project=project)
    assert held
    assert held.task == frightening
    draft = Draft.objects.create(task=frightening, labeler=leo, answer={"tiers": []})
    assert sensitive_content.choose(user=leo.user, avoids_sensitive=True).avoids_sensitive
    held.refresh_from_db()
    frightening.refresh_from_db()
    assert (held.state, frightening.taken) == (Lease.State.EXPIRED, 0)
    leo = Labeler.objects.get(pk=leo.pk)
    given = queue.lease_next(labeler=leo, project=project)
    assert given
    assert given.task == calm
    other = queue.lease_next(labeler=mia, project=project)
    assert other
    assert other.task == frightening
    assert sensitive_content.choose(user=leo.user, avoids_sensitive=False).avoids_sensitive is False
    assert Draft.objects.filter(pk=draft.pk).exists()


def test_what_is_chosen_over_the_api(project: Project, client: Client) -> None:
    leo = new_labeler(project)
    assert leo.user
    assert client.get("/api/account/reading/").status_code == 401
    client.force_login(leo.user)
    as_delivered = {"shows_sensitive": False, "avoids_sensitive": False}
    assert client.get("/api/account/reading/").json() == as_delivered
    assert put(client, {"shows_sensitive": True}).json() == {**as_delivered, "shows_sensitive": True}
    assert put(client, {"avoids_sensitive": True}).json() == {
        "shows_sensitive": True,
        "avoids_sensitive": True,
    }
    assert put(client, {"shows_sensitive": False, "avoids_sensitive": False}).json() == as_delivered
    for body in ({"shows_sensitive": "perhaps"}, {"shows": True}, [], {"avoids_sensitive": None}):
        assert put(client, body).status_code == 400, body
    assert client.get("/api/account/reading/").json() == as_delivered


def test_home_says_what_is_left_out(project: Project, client: Client) -> None:
    leo = new_labeler(project)
    assert leo.user
    client.force_login(leo.user)
    task = new_task(project, sensitive=True)
    words = "Some waiting tasks are marked as sensitive"
    assert words not in client.get("/").content.decode()
    put(client, {"avoids_sensitive": True})
    assert words in client.get("/").content.decode()
    Task.objects.filter(pk=task.pk).update(sensitive=False)
    assert words not in client.get("/").content.decode()
    page = client.get(f"/projects/{project.slug}/work/").content.decode()
    assert "Tasks marked as sensitive go to others, as you asked." in page


def test_home_tells_no_words_of_it(project: Project, client: Client) -> None:
    leo = new_labeler(project)
    assert leo.user
    client.force_login(leo.user)
    task = new_task(project, sensitive=True)
    Draft.objects.create(task=task, labeler=leo, answer={"tiers": []})
    page = client.get("/").content.decode()
    assert str(task.prompt) not in page
    assert "a sensitive task" in page


def test_other_projects_are_not_spoken_of(project: Project) -> None:
    leo = new_labeler(project)
    assert leo.user
    sensitive_content.choose(user=leo.user, avoids_sensitive=True)
    new_task(new_project(), sensitive=True)
    assert not sensitive_content.left_out(Labeler.objects.get(pk=leo.pk))


def test_a_mark_costs_two_statements(project: Project) -> None:
    prompts = [new_task(project).prompt for _ in range(5)]
    with CaptureQueriesContext(connection) as captured:
        sensitive_content.mark(prompts)
        sensitive_content.mark(prompts)
    assert len(captured) == 2
    assert Task.objects.filter(sensitive=True).count() == 5

"""The audit log: what is recorded by whom, that nothing of it changes, and how it is searched."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient
from scenes import an_answer, new_labeler, new_project, new_task

from labeling import annotate, queue
from labeling.datasets import dataset
from labeling.models import AuditEntry, Project, TimeCorrection
from labeling.people import audit, ledger, tokens
from labeling.people.projects import change_settings, create_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return new_project()


@pytest.fixture
def owner(project: Project) -> User:
    return new_labeler(project, role="owner").user


@pytest.fixture
def page(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def api(owner: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(owner)
    return client


def address(project: Project, **asked: Any) -> str:
    return (
        f"/projects/{project.slug}/manage/log/"
        + ("?" if asked else "")
        + "&".join(f"{name.rstrip('_')}={value}" for name, value in asked.items())
    )


def told(project: Project) -> list[str]:
    return [one.action for one in audit.entries(project=project)]


def a_label(project: Project) -> Any:
    labeler = new_labeler(project)
    new_task(project)
    lease = queue.lease_next(labeler=labeler, project=project)
    return annotate.submit(lease_id=lease.pk, labeler=labeler, submission_id=uuid4(), answer=an_answer(lease))


@pytest.mark.parametrize("field", ["actor_name", "action", "target"])
def test_an_entry_never_changes(project: Project, owner: User, field: str) -> None:
    entry = audit.record(actor=owner, action="membership.pause", target="labeler leo", project=project)
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEntry.objects.filter(pk=entry.pk).update(**{field: "nobody"})
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEntry.objects.filter(pk=entry.pk).update(detail={"reason": "none"})


def test_an_entry_is_never_deleted(project: Project, owner: User) -> None:
    audit.record(actor=owner, action="membership.pause", target="labeler leo", project=project)
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEntry.objects.all().delete()


def test_an_entry_outlives_its_account(project: Project) -> None:
    gone = new_labeler(project, role="admin").user
    entry = audit.record(actor=gone, action="prompts.withdraw", target="import 3", project=project)
    name = gone.username
    gone.labeler.delete()
    gone.delete()
    entry.refresh_from_db()
    assert (entry.actor, entry.actor_name) == (None, name)


def test_settings_old_and_new(project: Project, owner: User) -> None:
    change_settings(project=project, actor=owner, overlap=3, tree_turns=2)
    entry = audit.entries(project=project)[0]
    assert (entry.action, entry.actor, entry.detail) == (
        "project.settings",
        owner,
        {"changes": {"overlap": [1, 3]}},
    )
    assert audit.facts(entry) == [("overlap", "1 → 3")]


def test_nothing_changed_is_nothing_done(project: Project, owner: User) -> None:
    change_settings(project=project, actor=owner, overlap=1)
    assert told(project) == ["project.create"]


def test_pause_and_resume(project: Project, owner: User) -> None:
    change_settings(project=project, actor=owner, paused=True)
    change_settings(project=project, actor=owner, paused=False)
    assert told(project)[:2] == ["project.resume", "project.pause"]


def test_a_project_is_made(owner: User) -> None:
    made = create_project(slug="owls", name="Owls", guideline_title="G", guideline_body="B", owner=owner)
    assert told(made) == ["project.create"]


def test_deeds_by_the_api(project: Project, owner: User, api: APIClient) -> None:
    label = a_label(project)
    base = f"/api/projects/{project.slug}/"
    api.post(f"{base}members/", {"username": "mia", "role": "labeler"}, format="json")
    api.post(f"{base}prompts/", {"rows": [{"prompt": "An owl?"}]}, format="json")
    api.post(f"{base}tasks/", {"kind": "rank"}, format="json")
    api.post(f"{base}datasets/", {"kind": "preferences"}, format="json")
    frozen = project.datasets.get()
    b"".join(api.get(f"/api/datasets/{frozen.pk}/export/").streaming_content)
    api.post(f"/api/annotations/{label.pk}/invalidate/", {"reason": "pasted"}, format="json")
    found = list(audit.entries(project=project))
    assert [one.action for one in found] == [
        "label.invalidate",
        "dataset.export",
        "dataset.freeze",
        "tasks.make",
        "prompts.import",
        "token.make",
        "membership.add",
        "project.create",
    ]
    assert {one.actor for one in found[:-1]} == {owner}
    assert found[0].detail == {"task": label.task_id, "reason": "pasted"}


def test_a_refused_deed_leaves_no_entry(project: Project, owner: User) -> None:
    with pytest.raises(dataset.DatasetError):
        dataset.freeze(project=project, kind="preferences", user=owner)
    assert told(project) == ["project.create"]


def test_corrected_time(project: Project, owner: User) -> None:
    label = a_label(project)
    today = timezone.localdate()
    ledger.correct(project=project, labeler=label.labeler, day=today, seconds=600, reason="tea", actor=owner)
    assert TimeCorrection.objects.count() == 1
    assert audit.entries(project=project)[0].detail == {"seconds": 600, "reason": "tea"}


def test_tokens_of_members(project: Project, owner: User) -> None:
    tokens.revoke(token=tokens.issue(user=owner, name="notebook"))
    stranger = new_labeler().user
    tokens.issue(user=stranger, name="elsewhere")
    found = list(audit.entries(project=project)[:2])
    assert [one.action for one in found] == ["token.revoke", "token.make"]
    assert {one.target.split()[-1] for one in found} == {owner.username}


def test_only_who_manages(project: Project, page: Client) -> None:
    assert page.get(address(project)).status_code == 200
    for role, status in (("labeler", 403), ("engineer", 403), ("admin", 200)):
        other = Client()
        other.force_login(new_labeler(project, role=role).user)
        assert other.get(address(project)).status_code == status
    stranger = Client()
    stranger.force_login(new_labeler().user)
    assert stranger.get(address(project)).status_code == 404


def test_other_projects_are_not_told(project: Project, page: Client) -> None:
    other = new_project()
    audit.record(actor=None, action="round.fail", target="round 7", project=other)
    assert "round 7" not in page.get(address(project)).content.decode()


def test_search(project: Project, owner: User) -> None:
    audit.record(actor=owner, action="membership.pause", target="labeler leo", project=project)
    audit.record(actor=None, action="round.fail", target="round 7", project=project)

    def found(**asked: Any) -> list[str]:
        return [one.target for one in audit.entries(project=project, search=audit.Search(**asked))]

    assert found(actor=owner.username[:3], text="LEO") == ["labeler leo"]
    assert found(actor="platform", action="round") == ["round 7"]
    today = timezone.localdate()
    assert found(since=today, until=today, action="round.fail") == ["round 7"]
    assert found(until=today - timedelta(days=1)) == []


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"from": "2026-03-31", "to": "2026-03-01"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-31"}, "to"),
        ({"text": "a" * 201}, "text"),
        ({"actor": "%00"}, "actor"),
    ],
)
def test_bad_search(project: Project, page: Client, asked: dict[str, str], field: str) -> None:
    answer = page.get(address(project, **asked))
    assert answer.status_code == 422
    said = answer.content.decode()
    assert f'id="{field}"' in said
    assert said.count('aria-invalid="true"') == 1


def test_pages_go_on_where_they_ended(project: Project, owner: User, page: Client) -> None:
    for n in range(120):
        audit.record(actor=owner, action="membership.note", target=f"note {n:03}", project=project)
    first = page.get(address(project, action="membership")).context
    # What comes in meanwhile moves nothing.
    audit.record(actor=owner, action="membership.note", target="note later", project=project)
    second = page.get(address(project, action="membership", before=first["older"])).context
    third = page.get(address(project, action="membership", before=second["older"])).context
    seen = [one.target for part in (first, second, third) for one, _ in part["entries"]]
    assert seen == [f"note {n:03}" for n in reversed(range(120))]
    assert third["older"] is None


def test_few_queries(project: Project, owner: User, page: Client, django_assert_max_num_queries) -> None:
    for n in range(60):
        audit.record(actor=owner, action="membership.note", target=f"note {n}", project=project)
    with django_assert_max_num_queries(6):
        page.get(address(project))


def test_csv(project: Project, owner: User, api: APIClient) -> None:
    audit.record(actor=owner, action="x.note", target="=1+1", project=project, reason="ü, and more")
    answer = api.get(f"/api/projects/{project.slug}/log/?format=csv&action=x")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [(row["action"], row["target"], row["detail"]) for row in rows] == [
        ("x.note", "'=1+1", '{"reason": "ü, and more"}')
    ]
    assert "attachment" in answer["Content-Disposition"]


def test_api(project: Project, owner: User, api: APIClient) -> None:
    audit.record(actor=owner, action="x.note", target="that", project=project, n=1)
    answer = api.get(f"/api/projects/{project.slug}/log/?page_size=1").json()
    assert answer["results"][0] | {"id": 0, "at": ""} == {
        "id": 0,
        "at": "",
        "actor": owner.username,
        "action": "x.note",
        "target": "that",
        "detail": {"n": 1},
    }
    assert answer["next"]
    refused = api.get(f"/api/projects/{project.slug}/log/?from=2026-05-02&to=2026-05-01")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "from")
    labeler = APIClient()
    labeler.force_authenticate(new_labeler(project).user)
    assert labeler.get(f"/api/projects/{project.slug}/log/").status_code == 403

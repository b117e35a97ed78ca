"""How a project comes along: counts, pace and the time to finish with its interval, hours and cost."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient
from scenes import new_labeler, new_project, new_task

from labeling.incoming import intake
from labeling.models import Annotation, Labeler, Lease, Project
from labeling.people import ledger, progress
from labeling.people.projects import change_settings

pytestmark = pytest.mark.django_db
NOON = timezone.make_aware(datetime(2026, 3, 20, 12))
TODAY = NOON.date()


@pytest.fixture
def project() -> Project:
    return new_project(hourly_rate=Decimal("18.00"), currency="EUR")


def label(
    project: Project, labeler: Labeler, *, days_ago: int, kind: str = "rank", seconds: float = 600
) -> None:
    at = NOON - timedelta(days=days_ago)
    task = new_task(project, kind=kind, taken=1)
    lease = Lease.objects.create(
        task=task,
        labeler=labeler,
        state="submitted",
        opened_at=at,
        expires_at=at,
        active_seconds=seconds,
    )
    Annotation.objects.create(
        submission_id=uuid4(),
        task=task,
        labeler=labeler,
        lease=lease,
        kind=kind,
        guideline_version=task.guideline_version,
        answer={},
        prompt_split="train",
        labeler_group="train",
        opened_at=at,
        submitted_at=at,
    )


def now(project: Project) -> progress.Progress:
    return progress.progress(project=project, today=TODAY)


def test_labels_by_day_kind_and_person(project: Project) -> None:
    leo, mia = new_labeler(project), new_labeler(project)
    for back in (0, 0, 3, 9):
        label(project, leo, days_ago=back)
    label(project, mia, days_ago=3, kind="demonstrate")
    label(project, mia, days_ago=progress.DAYS)
    found = now(project)
    assert (found.labels, found.labels_today, len(found.days)) == (5, 2, progress.DAYS)
    assert found.days[-4].kinds == {"rank": 1, "demonstrate": 1}
    assert found.kinds == [("rank", 4), ("demonstrate", 1)]
    assert [(one.name, one.week, one.labels) for one in found.people] == [(leo.name, 3, 4), (mia.name, 1, 1)]


def test_other_projects_and_imports_do_not_count(project: Project) -> None:
    other = new_project()
    label(other, new_labeler(other), days_ago=0)
    intake.import_demonstrations(
        project=project, rows=[{"prompt": "An owl?", "completion": "Once."}], source="file"
    )
    found = progress.progress(project=project)
    assert (found.labels, found.people, found.open) == (0, [], [])


def test_what_is_open(project: Project) -> None:
    new_task(project, wanted=3, taken=1)
    new_task(project, wanted=1)
    new_task(project, kind="demonstrate", wanted=2)
    new_task(project, wanted=2, taken=2)
    new_task(project, state="withdrawn")
    found = now(project)
    assert [(one.kind, one.tasks, one.labels) for one in found.open] == [
        ("rank", 2, 3),
        ("demonstrate", 1, 2),
    ]
    assert (found.open_tasks, found.open_labels) == (3, 5)


def test_hours_and_cost_by_person_and_kind(project: Project) -> None:
    leo = new_labeler(project)
    label(project, leo, days_ago=1, seconds=1800)
    label(project, leo, days_ago=2, seconds=1800)
    label(project, leo, days_ago=2, kind="demonstrate", seconds=900)
    found = now(project)
    assert [(one.kind, one.labels, one.seconds, one.amount) for one in found.costs] == [
        ("demonstrate", 1, 900, Decimal("4.50")),
        ("rank", 2, 3600, Decimal("18.00")),
    ]
    assert (found.seconds, found.cost) == (4500, Decimal("22.50"))


def test_corrections_cost_too(project: Project) -> None:
    leo = new_labeler(project)
    actor = new_labeler(project, role="owner").user
    ledger.correct(
        project=project, labeler=leo, day=timezone.localdate(), seconds=3600, reason="tea", actor=actor
    )
    assert progress.progress(project=project).cost == Decimal("18.00")


# Pace and finish


def test_the_interval_of_the_pace_covers() -> None:
    random = np.random.default_rng(7)
    truth, covered, n = 40.0, 0, 2000
    for _ in range(n):
        found = progress.pace(random.normal(truth, 12, size=10).clip(1).round().astype(int).tolist())
        covered += found.low <= truth <= found.high
    assert 0.87 < covered / n < 0.93


def test_the_pace_begins_with_the_first_label() -> None:
    found = progress.pace([0] * 20 + [10, 10, 0, 10])
    assert (found.days, found.labels) == (4, 7.5)
    assert progress.pace([0] * 20 + [10, 10]) is None
    assert progress.pace([5] * 40).days == progress.PACED
    assert progress.pace([]) is None


def test_time_to_finish(project: Project) -> None:
    steady = progress.pace([10] * 14)
    said = progress.finish(project=project, open_labels=95, pace=steady)
    assert (said.days, said.words) == (9.5, "10 days")
    uneven = progress.pace([12, 8, 10, 14, 6, 10, 12, 8, 10, 10])
    said = progress.finish(project=project, open_labels=300, pace=uneven)
    assert said.soonest < 30 < said.latest
    assert said.words == "27 to 35 days"
    rare = progress.pace([0, 0, 1, 0, 0, 0])
    assert (
        progress.finish(project=project, open_labels=300, pace=progress.pace([0, 9, 0, 0, 0])).latest is None
    )
    assert rare.low == 0


@pytest.mark.parametrize(
    ("fields", "open_labels", "pace", "says"),
    [
        ({}, 0, [5] * 9, "Nothing is open."),
        ({"paused": True}, 5, [5] * 9, "paused"),
        ({}, 5, [], "3 whole days"),
        ({}, 5, [0] * 28, "3 whole days"),
        ({}, 10**6, [1, 0, 0, 0, 0], "or more"),
    ],
)
def test_when_it_cannot_be_said(
    project: Project, fields: dict[str, Any], open_labels: int, pace: list[int], says: str
) -> None:
    if fields:
        project = change_settings(project=project, **fields)
    said = progress.finish(project=project, open_labels=open_labels, pace=progress.pace(pace))
    assert says in said.words


# The page


def visitor(project: Project, role: str) -> Client:
    client = Client()
    client.force_login(new_labeler(project, role=role).user)
    return client


def test_the_page(project: Project) -> None:
    leo = new_labeler(project)
    for back in range(5):
        label(project, leo, days_ago=(TODAY - timezone.localdate()).days + back)
    new_task(project)
    said = visitor(project, "admin").get(f"/projects/{project.slug}/manage/").content.decode()
    assert leo.name in said
    assert "15.00 EUR" in said
    assert said.count('<rect class="bar"') == 5
    assert visitor(project, "labeler").get(f"/projects/{project.slug}/manage/").status_code == 403


def test_an_empty_project_says_what_comes_next(project: Project) -> None:
    said = visitor(project, "owner").get(f"/projects/{project.slug}/manage/").content.decode()
    assert "Nothing to label yet" in said
    assert f"/projects/{project.slug}/manage/prompts/new/" in said


def test_settled_days_are_kept_and_corrections_seen(project: Project, django_assert_max_num_queries) -> None:
    leo = new_labeler(project)
    label(project, leo, days_ago=5, seconds=3600)
    label(project, leo, days_ago=0)
    with django_assert_max_num_queries(12) as first:
        assert now(project).cost == Decimal("21.00")
    with django_assert_max_num_queries(len(first.captured_queries) - 4):
        found = now(project)
    assert (found.labels, found.cost) == (2, Decimal("21.00"))
    actor = new_labeler(project, role="owner").user
    day = TODAY - timedelta(days=5)
    ledger.correct(project=project, labeler=leo, day=day, seconds=1200, reason="tea", actor=actor)
    assert now(project).cost == Decimal("27.00")
    Labeler.objects.filter(pk=leo.pk).update(name="somebody")
    assert {one.name for one in now(project).costs} == {"somebody"}
    label(project, leo, days_ago=1)
    assert now(project).labels == 3


def test_the_same_few_queries(project: Project, django_assert_max_num_queries) -> None:
    page = visitor(project, "owner")
    label(project, new_labeler(project), days_ago=0)
    with django_assert_max_num_queries(17) as few:
        page.get(f"/projects/{project.slug}/manage/")
    today = (TODAY - timezone.localdate()).days
    for n in range(12):
        label(project, new_labeler(project), days_ago=today + n, kind="rate" if n % 2 else "rank")
    with django_assert_max_num_queries(len(few.captured_queries)):
        page.get(f"/projects/{project.slug}/manage/")


def test_by_the_api(project: Project) -> None:
    api = APIClient()
    api.force_authenticate(new_labeler(project, role="owner").user)
    new_task(project, wanted=2)
    body = api.get(f"/api/projects/{project.slug}/progress/").json()
    assert (body["open"], body["pace"]) == ([{"kind": "rank", "tasks": 1, "labels": 2}], None)
    assert "3 whole days" in body["finish"]["words"]
    assert len(body["days"]) == progress.DAYS
    other = APIClient()
    other.force_authenticate(new_labeler(project).user)
    assert other.get(f"/api/projects/{project.slug}/progress/").status_code == 403

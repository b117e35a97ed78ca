"""The world of `benchmarks.crowd`: people with sessions, their tasks, a large dataset, the demo project."""

from __future__ import annotations

import io
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client

from benchmarks import queue_world
from benchmarks.queue_world import faults
from labeling.datasets import dataset
from labeling.models import Event, Labeler, Membership, Project
from labeling.people import tokens
from labeling.people.projects import labeler_for
from rlhf.demo.project import SLUG as DEMO

__all__ = ["DEMO", "World", "faults", "make", "missed"]

LABELS_A_TASK = 4

# Labels as they would have come in: every task has as many as it wanted, each by another person.
_LABEL = """
with leases as (
    insert into labeling_lease (id, task_id, labeler_id, guideline_version_id, state, shown_order,
                                skip_reason, opened_at, expires_at, first_action_at, closed_at,
                                active_seconds)
    select gen_random_uuid(), task.id, labeler.id, task.guideline_version_id, 'submitted', shown.ids, '',
           now(), now(), now(), now(), 20
    from labeling_task task
    cross join unnest(%(labelers)s::uuid[]) as labeler(id)
    cross join lateral (select jsonb_agg(candidate.id order by candidate.position) as ids
                        from labeling_candidate candidate where candidate.task_id = task.id) shown
    where task.project_id = %(project)s
    returning id, task_id, labeler_id, guideline_version_id, shown_order
)
insert into labeling_annotation (submission_id, body_hash, task_id, labeler_id, lease_id, kind,
    guideline_version_id, schema, answer, surplus, shown_order, text_hashes, prompt_split, labeler_group,
    opened_at, first_action_at, submitted_at, active_seconds)
select gen_random_uuid(), '', task_id, labeler_id, id, 'rank', guideline_version_id, 2,
       jsonb_build_object('tiers', (select jsonb_agg(jsonb_build_array(one))
                                    from jsonb_array_elements(shown_order) one)),
       false, shown_order, '{}', 'train', 'train', now(), now(), now(), 20
from leases
"""


@dataclass(frozen=True)
class World:
    slug: str
    people: list[str]
    """A browser's cookies each."""
    csrf: str
    dataset: int
    digest: str
    token: str
    """Of somebody who may export."""


def make(*, labelers: int, tasks: int, wanted: int, k: int, exported: int) -> World:
    """People, a queue for them, a dataset of ``exported`` labels, and the demo project for the worker."""
    call_command("demo_project", stdout=io.StringIO())
    people = queue_world.add_people(labelers)
    slug = queue_world.add_project(tasks, k=k, wanted=wanted, people=people, slug="crowd")
    csrf = "c" * 32
    sessions = [_session(labeler) for labeler, _ in people]
    cookies = [
        f"{settings.SESSION_COOKIE_NAME}={one}; {settings.CSRF_COOKIE_NAME}={csrf}" for one in sessions
    ]
    project = archive(exported, k=k, people=people[:LABELS_A_TASK])
    frozen = dataset.freeze(project=project, kind="preferences")
    owner = User.objects.create_user("archivist")
    labeler_for(owner)
    for owned in (project, Project.objects.get(slug=DEMO)):
        Membership.objects.create(project=owned, user=owner, role=Membership.Role.OWNER)
    token = tokens.issue(user=owner, name="benchmark")
    return World(slug, cookies, csrf, frozen.pk, frozen.digest, token)


def archive(labels: int, *, k: int, people: list[tuple[Labeler, str]]) -> Project:
    """A project that has ``labels`` labels, one by each of ``people`` for every task."""
    slug = queue_world.add_project(
        labels // len(people), k=k, wanted=len(people), people=people, slug="archive"
    )
    project = Project.objects.get(slug=slug)
    with connection.cursor() as cursor:
        ids = [labeler.pk for labeler, _ in people]
        cursor.execute(_LABEL, {"project": project.pk, "labelers": ids})
        cursor.execute("update labeling_task set taken = wanted where project_id = %s", [project.pk])
        cursor.execute("vacuum analyze")
    return project


def missed(heard: list[set[int]], *, slug: str) -> int:
    """Events of the project that somebody whose socket was there before them never got."""
    numbers = list(Event.objects.filter(project__slug=slug).order_by("id").values_list("id", flat=True))
    return sum(sum(n not in got for n in numbers if n >= min(got)) for got in heard if got)


def _session(labeler: Labeler) -> str:
    browser = Client()
    assert labeler.user
    browser.force_login(labeler.user)
    return browser.cookies[settings.SESSION_COOKIE_NAME].value

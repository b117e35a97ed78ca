"""The floor under `benchmarks.queue`: the statements of one loop, sent by psycopg and nothing around them."""

from __future__ import annotations

import json
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.db import connection

from benchmarks.queue_world import project_of
from labeling import queue
from labeling.models import Labeler, Task


def run(*, slug: str, labeler: Labeler, until: float) -> list[float]:
    """Loop on a connection of its own until the clock says ``until``; return how long each loop took."""
    project = project_of(slug)
    parameters = connection.get_connection_params()
    for key in ("cursor_factory", "context", "pool"):
        parameters.pop(key, None)
    connection.close()
    took = []
    with psycopg.connect(**parameters, autocommit=True) as floor:
        while time.monotonic() < until:
            began = time.monotonic()
            with floor.transaction():
                lease = _lease(floor, project=project.pk, labeler=labeler.pk)
            _sheet(floor, lease, labeler.pk)
            with floor.transaction():
                _submit(floor, lease, project=project.pk, labeler=labeler)
            took.append(time.monotonic() - began)
    return took


def _lease(floor: Any, *, project: int, labeler: uuid.UUID) -> dict[str, Any]:
    now, pk = datetime.now(UTC), uuid.uuid4()
    (avoids_sensitive,) = floor.execute(
        "select avoids_sensitive from labeling_labeler where id = %s for no key update", [labeler]
    ).fetchone()
    floor.execute(
        "select lease.* from labeling_lease lease join labeling_task task on task.id = lease.task_id "
        "where lease.labeler_id = %s and lease.state = 'open' and task.project_id = %s "
        "order by lease.opened_at for no key update of lease",
        [labeler, project],
    ).fetchall()
    taking = {"kinds": sorted(Task.Kind.values), "project": project, "labeler": labeler}
    taking["avoids_sensitive"] = avoids_sensitive
    task, version, shown = floor.execute(queue._TAKE.format(busy="skip locked"), taking).fetchone()
    random.shuffle(shown)
    floor.execute(
        "insert into labeling_lease (id, task_id, labeler_id, guideline_version_id, state, shown_order, "
        "skip_reason, opened_at, expires_at, active_seconds) "
        "values (%s, %s, %s, %s, 'open', %s, '', %s, %s, 0)",
        [pk, task, labeler, version, json.dumps(shown), now, now + timedelta(minutes=10)],
    )
    return {"id": pk, "task": task, "shown": shown}


def _sheet(floor: Any, lease: dict[str, Any], labeler: uuid.UUID) -> None:
    task = lease["task"]
    floor.execute(
        "select task.kind, task.brief, task.sensitive, prompt.messages, project.partial_rankings, "
        "version.number, version.criteria, guideline.slug "
        "from labeling_lease lease join labeling_task task on task.id = lease.task_id "
        "join labeling_prompt prompt on prompt.id = task.prompt_id "
        "join labeling_project project on project.id = task.project_id "
        "join guidelines_guidelineversion version on version.id = lease.guideline_version_id "
        "join guidelines_guideline guideline on guideline.id = version.guideline_id where lease.id = %s",
        [lease["id"]],
    ).fetchone()
    floor.execute(
        "select candidate.id, completion.text from labeling_candidate candidate "
        "join labeling_completion completion on completion.id = candidate.completion_id "
        "where candidate.task_id = %s",
        [task],
    ).fetchall()
    floor.execute(
        "select answer, version from labeling_draft where task_id = %s and labeler_id = %s", [task, labeler]
    ).fetchone()


def _submit(floor: Any, lease: dict[str, Any], *, project: int, labeler: Labeler) -> None:
    now, task = datetime.now(UTC), lease["task"]
    version, opened = floor.execute(
        "select lease.guideline_version_id, lease.opened_at from labeling_lease lease "
        "join labeling_task task on task.id = lease.task_id join labeling_prompt prompt on "
        "prompt.id = task.prompt_id join labeling_project project on project.id = task.project_id "
        "where lease.id = %s and lease.labeler_id = %s for no key update of lease",
        [lease["id"], labeler.pk],
    ).fetchone()
    hashes = dict(
        floor.execute(
            "select candidate.id, completion.text_hash from labeling_candidate candidate "
            "join labeling_completion completion on completion.id = candidate.completion_id "
            "where candidate.task_id = %s",
            [task],
        ).fetchall()
    )
    floor.execute(
        "update labeling_lease set state = 'submitted', closed_at = %s, first_action_at = %s where id = %s",
        [now, now, lease["id"]],
    )
    floor.execute(
        'select "group" from labeling_membership where project_id = %s and user_id = %s',
        [project, labeler.user_id],
    ).fetchone()
    floor.execute(
        "insert into labeling_annotation (submission_id, body_hash, task_id, labeler_id, lease_id, kind, "
        "guideline_version_id, schema, answer, surplus, shown_order, text_hashes, prompt_split, "
        "labeler_group, opened_at, first_action_at, submitted_at, active_seconds) values "
        "(%s, '', %s, %s, %s, 'rank', %s, 2, %s, false, %s, %s, 'train', 'train', %s, %s, %s, 0)",
        [
            uuid.uuid4(),
            task,
            labeler.pk,
            lease["id"],
            version,
            json.dumps({"tiers": [[pk] for pk in lease["shown"]]}),
            json.dumps(lease["shown"]),
            json.dumps({str(pk): sha256 for pk, sha256 in hashes.items()}),
            opened,
            now,
            now,
        ],
    )
    floor.execute("delete from labeling_draft where task_id = %s and labeler_id = %s", [task, labeler.pk])
    reference = json.dumps({"task": task, "kind": "rank"})
    floor.execute(
        "with turn as materialized (select pg_advisory_xact_lock(29813, %s)) "
        "insert into labeling_event (project_id, kind, reference, created_at) "
        "select %s, 'label', %s::jsonb, %s from turn",
        [project, project, reference, now],
    )
    floor.execute("select pg_notify('tutelage_live', %s)", [reference])

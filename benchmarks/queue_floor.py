"""The floor under `benchmarks.queue`: the statements of one loop, sent by psycopg and nothing around them."""

from __future__ import annotations

import json
import math
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.db import connection

from benchmarks.queue_world import project_of
from labeling import annotate, fit, live, queue, stale
from labeling.models import Labeler, Project, Task


def run(*, slug: str, labeler: Labeler, until: float = math.inf, most: float = math.inf) -> list[float]:
    """Loop on a connection of its own, ``most`` times or ``until`` the clock says so; how long each took."""
    project = project_of(slug)
    parameters = connection.get_connection_params()
    for key in ("cursor_factory", "context", "pool"):
        parameters.pop(key, None)
    connection.close()
    took: list[float] = []
    with psycopg.connect(**parameters, autocommit=True) as floor:
        while len(took) < most and time.monotonic() < until:
            began = time.monotonic()
            with floor.transaction():
                lease = _lease(floor, project=project, labeler=labeler)
            _sheet(floor, lease, labeler.pk)
            with floor.transaction():
                _submit(floor, lease, project=project.pk, labeler=labeler)
            took.append(time.monotonic() - began)
    return took


def _lease(floor: Any, *, project: Project, labeler: Labeler) -> dict[str, Any]:
    now, pk = datetime.now(UTC), uuid.uuid4()
    who = {
        "project": project.pk,
        "labeler": labeler.pk,
        "user": labeler.user_id,
        "guideline": project.guideline_id,
    }
    fits = fit.Fit(*floor.execute(fit._FIT, who).fetchone())
    floor.execute(
        "select lease.* from labeling_lease lease join labeling_task task on task.id = lease.task_id "
        "where lease.labeler_id = %s and lease.state = 'open' and task.project_id = %s "
        "order by lease.opened_at for no key update of lease",
        [labeler.pk, project.pk],
    ).fetchall()
    taking = {"kinds": sorted(Task.Kind.values), "project": project.pk, "labeler": labeler.pk}
    taking |= fits.parameters()
    task, version, shown = floor.execute(queue._TAKE.format(busy="skip locked"), taking).fetchone()
    random.shuffle(shown)
    floor.execute(
        "insert into labeling_lease (id, task_id, labeler_id, guideline_version_id, state, shown_order, "
        "skip_reason, opened_at, expires_at, active_seconds) "
        "values (%s, %s, %s, %s, 'open', %s, '', %s, %s, 0)",
        [pk, task, labeler.pk, version, json.dumps(shown), now, now + timedelta(minutes=10)],
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
    version, opened, _ = floor.execute(
        'select lease.guideline_version_id, lease.opened_at, (select "group" from labeling_membership '
        "where project_id = task.project_id and user_id = %s limit 1) from labeling_lease lease "
        "join labeling_task task on task.id = lease.task_id join labeling_prompt prompt on "
        "prompt.id = task.prompt_id join labeling_project project on project.id = task.project_id "
        "where lease.id = %s and lease.labeler_id = %s for no key update of lease",
        [labeler.user_id, lease["id"], labeler.pk],
    ).fetchone()
    hashes = dict(
        floor.execute(
            "select candidate.id, completion.text_hash from labeling_candidate candidate "
            "join labeling_completion completion on completion.id = candidate.completion_id "
            "where candidate.task_id = %s",
            [task],
        ).fetchall()
    )
    closing = {"lease": lease["id"], "task": task, "labeler": labeler.pk, "now": now}
    floor.execute(annotate._CLOSE, closing | {"active_seconds": 0, "first_action_at": now})
    (label,) = floor.execute(
        "insert into labeling_annotation (submission_id, body_hash, task_id, labeler_id, lease_id, kind, "
        "guideline_version_id, schema, answer, surplus, shown_order, text_hashes, prompt_split, "
        "labeler_group, opened_at, first_action_at, submitted_at, active_seconds) values "
        "(%s, '', %s, %s, %s, 'rank', %s, 2, %s, false, %s, %s, 'train', 'train', %s, %s, %s, 0) "
        "returning id",
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
    ).fetchone()
    late = {"label": label, "version": version, "kind": "rank", "by_criteria": False, "reason": "late"}
    floor.execute(stale._LATE, late)
    news = {
        "locks": live.LOCKS,
        "project": project,
        "kinds": ["label"],
        "references": [json.dumps({"task": task, "kind": "rank"})],
        "notices": live.NOTICES,
        "group": live._group(project),
    }
    floor.execute(live._RECORD.format(notice=live._NOTICE), news)

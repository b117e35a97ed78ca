"""The world of `benchmarks.queue`: people and tasks made by SQL, and what is found wrong afterwards."""

from __future__ import annotations

import socket
from pathlib import Path

from django.contrib.auth.models import User
from django.db import connection

from labeling.models import Labeler, Membership, Project
from labeling.people import tokens
from labeling.people.projects import create_project, labeler_for

WORDS = "Once a little fox found a red kite in the garden and shared it with a duck by the river. "

_FILL = """
with prompts as (
    insert into labeling_prompt (project_id, messages, text_hash, next_role, origin, withdrawn, sensitive,
                                 split, use_case, language, metadata, created_at)
    select %(project)s, jsonb_build_array(jsonb_build_object('role', 'user', 'content', 'Story ' || n)),
           encode(sha256(n::text::bytea), 'hex'), 'assistant', 'given', false, false,
           'train', '', '', '{}', now()
    from generate_series(1, %(size)s) n
    returning id
), completions as (
    insert into labeling_completion (prompt_id, text, text_hash, sampling, index, finished, created_at)
    select prompts.id, repeat(%(words)s, 3) || k, encode(sha256(k::text::bytea), 'hex'), '{}', k, true, now()
    from prompts, generate_series(0, %(k)s - 1) k
    returning id, prompt_id, index
), tasks as (
    insert into labeling_task (project_id, kind, prompt_id, guideline_version_id, state, priority, wanted,
                               taken, brief, sensitive, selection_policy, created_at)
    select %(project)s, 'rank', id, %(version)s, 'open', id %% 5, %(wanted)s, 0, '{}', false, 'random', now()
    from prompts
    returning id, prompt_id
)
insert into labeling_candidate (task_id, completion_id, position)
select tasks.id, completions.id, completions.index from tasks join completions using (prompt_id)
"""

_OVER_ASSIGNED = """
select count(*) from labeling_task task
where task.taken > task.wanted or task.taken <>
      (select count(*) from labeling_lease where task_id = task.id and state = 'open')
    + (select count(*) from labeling_annotation where task_id = task.id and not surplus)
"""
_DOUBLED = """
select count(*) from (
    select 1 from labeling_annotation group by task_id, labeler_id having count(*) > 1
) twice
"""


def add_people(n: int) -> list[tuple[Labeler, str]]:
    """``n`` labelers with a token each."""
    users = [User.objects.create_user(f"labeler-{i}") for i in range(n)]
    return [(labeler_for(user), tokens.issue(user=user, name="benchmark")) for user in users]


def add_project(
    size: int, *, k: int, wanted: int, people: list[tuple[Labeler, str]], slug: str | None = None
) -> str:
    """A project of ``size`` rankings of ``k`` that want ``wanted`` labels each; return its slug."""
    slug = slug or f"queue-{size}"
    project = create_project(slug=slug, name=slug, guideline_title=slug, guideline_body="Rank them.")
    Membership.objects.bulk_create(
        Membership(project=project, user_id=labeler.user_id, role=Membership.Role.LABELER)
        for labeler, _ in people
    )
    version = project.guideline.current
    assert version
    with connection.cursor() as cursor:
        cursor.execute(
            _FILL,
            {
                "project": project.pk,
                "version": version.pk,
                "size": size,
                "k": k,
                "wanted": wanted,
                "words": WORDS,
            },
        )
        cursor.execute("vacuum analyze")
    return slug


def faults(acknowledged: set[str]) -> dict[str, int]:
    """Tasks whose counter is wrong, acknowledged labels that are not there, second labels of one person."""
    with connection.cursor() as cursor:
        cursor.execute(_OVER_ASSIGNED)
        over_assigned = cursor.fetchone()[0]
        cursor.execute("select submission_id::text from labeling_annotation")
        stored = {row[0] for row in cursor.fetchall()}
        cursor.execute(_DOUBLED)
        doubled = cursor.fetchone()[0]
    return {"over_assigned": over_assigned, "lost": len(acknowledged - stored), "doubled": doubled}


def project_of(slug: str) -> Project:
    return Project.objects.get(slug=slug)


def postmaster() -> int:
    """The pid of the Postgres that serves this process."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        backend = cursor.fetchone()[0]
    return int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

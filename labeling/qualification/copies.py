"""A labeler's own copies of gold items: tasks like any other, kept for them alone.

Nothing on a copy's sheet tells it from other work. (Numbers of rows do grow with time, so that somebody who
reads the API closely may find that one is younger than its neighbours.)
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from django.db import connection
from django.db.models import Exists, F, OuterRef

from labeling.models import (
    Attempt,
    Candidate,
    GoldItem,
    GoldLabel,
    Labeler,
    Lease,
    Project,
    Task,
    TaskQuerySet,
)

# A task that was claimed, its guideline version and its candidates by position, as ids.
Taken = tuple[int, int, list[int]]

SETTLED = (Lease.State.SUBMITTED, Lease.State.SKIPPED)
chance = random.Random()

# Alike the task in whose place it comes, so that it is fit for whom that one was; nothing they met before.
_DRAW = """
select item.id from labeling_golditem item
join labeling_prompt prompt on prompt.id = item.prompt_id
join labeling_task alike on alike.id = %(alike)s
where item.project_id = %(project)s and item.queue and item.retired_at is null and item.kind = alike.kind
  and prompt.language = alike.language and prompt.skill = alike.skill
  and (alike.sensitive or not prompt.sensitive) and item.prompt_id <> alike.prompt_id
  and not exists (select from labeling_task had
                  where had.reserved_for_id = %(labeler)s and had.project_id = %(project)s
                    and (had.gold ->> 'item')::bigint = item.id)
  and not exists (select from labeling_lease mine
                  where mine.labeler_id = %(labeler)s and mine.task_id = item.made_from_id)
order by random() limit 1
"""


def is_drawn(rate: float) -> bool:
    """Whether gold comes this time."""
    return rate > 0 and chance.random() < rate


def make(*, item: GoldItem, labeler: Labeler, use: str, attempt: Attempt | None = None) -> Task:
    """A copy of ``item`` for ``labeler``, under the guideline version that is current."""
    version = item.project.guideline.current
    assert version is not None, "an item was given under a version"
    task = Task.objects.create(
        project=item.project,
        kind=item.kind,
        prompt=item.prompt,
        guideline_version=version,
        wanted=1,
        gold={"item": item.pk, "use": use} | ({"attempt": attempt.pk} if attempt else {}),
        reserved_for=labeler,
        **item.prompt.asks,
    )
    Candidate.objects.bulk_create(
        Candidate(task=task, completion_id=completion, position=position)
        for position, completion in enumerate(item.completions)
    )
    return task


def draw(*, project: Project, labeler: Labeler, alike: int) -> Taken | None:
    """Claim a copy to come in the place of the task ``alike``; None where no gold item is left for them.

    Call inside a transaction that locked the labeler.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DRAW, {"project": project.pk, "labeler": labeler.pk, "alike": alike})
        row = cursor.fetchone()
    if row:
        item = GoldItem.objects.select_related("project__guideline", "prompt").get(pk=row[0])
        return claim(make(item=item, labeler=labeler, use=GoldLabel.Use.QUEUE))
    # One whose lease ran out comes back.
    kind = Task.objects.filter(pk=alike).values("kind")
    left = waiting(labeler=labeler).filter(project=project, gold__use=GoldLabel.Use.QUEUE, kind__in=kind)
    return claim(first) if (first := left.order_by("pk").first()) else None


def next_of(*, attempt: Attempt, labeler: Labeler, kinds: Sequence[str]) -> Taken | None:
    """Claim the next question of a quiz; None where none of ``kinds`` is left.

    Call inside a transaction that locked the labeler.
    """
    left = waiting(labeler=labeler).filter(gold__attempt=attempt.pk, kind__in=kinds)
    return claim(first) if (first := left.order_by("pk").first()) else None


def waiting(*, labeler: Labeler) -> TaskQuerySet:
    """The labeler's copies that nobody holds and that they are not done with."""
    settled = Lease.objects.filter(task=OuterRef("pk"), labeler=labeler, state__in=SETTLED)
    return Task.objects.filter(
        ~Exists(settled), reserved_for=labeler, state=Task.State.OPEN, taken__lt=F("wanted")
    )


def claim(task: Task) -> Taken:
    Task.objects.filter(pk=task.pk).update(taken=F("taken") + 1)
    candidates = task.candidates.order_by("position").values_list("pk", flat=True)
    return task.pk, task.guideline_version_id, list(candidates)

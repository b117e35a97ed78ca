"""Take many labels out of use at once: a person's, or all made under a guideline version.

What `annotate.invalidate` does for one label, in bulk and by the same rules: marks and never deletes, slots
given back, reviews with nothing left to judge withdrawn, conversations brought in line. Locks are taken in
one order: labels, roots of conversations, tasks. Labels that come while it runs are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from guidelines.models import GuidelineVersion
from labeling import blast, live
from labeling.content.texts import unstorable
from labeling.faults import FieldError
from labeling.models import (
    Annotation,
    AnnotationQuerySet,
    Appeal,
    Labeler,
    Membership,
    Prompt,
    Review,
    Task,
)
from labeling.people import audit
from labeling.writing import conversations
from labeling.writing.branching import KINDS, grows, is_opening

LONGEST_REASON = 500
MOST_TOLD = 100  # labelers in one notice, which has to stay below a notice's size

# A review that decided an appeal is final; a label that a revision follows lost its place to it.
_MARK = """
insert into labeling_invalidation (annotation_id, reason, actor_id, created_at)
select label.id, %(reason)s, %(actor)s, statement_timestamp() from labeling_annotation label
where label.id = any(%(labels)s)
  and not exists (select from labeling_annotation newer where newer.supersedes_id = label.id)
  and not exists (select from labeling_invalidation mark where mark.annotation_id = label.id)
  and not exists (select from labeling_review said
                  where said.said_in_id = label.id and said.answers_id is not null)
order by label.id
returning annotation_id
"""
_LOCK_TASKS = """
select id from labeling_task where id in (
    select task_id from labeling_annotation where id = any(%(labels)s)
) order by id for no key update
"""
_GIVE_BACK = """
update labeling_task set taken = greatest(0, taken - given.n)
from (select task_id, count(*) as n from labeling_annotation
      where id = any(%(labels)s) and not surplus group by task_id) given
where labeling_task.id = given.task_id
returning labeling_task.state = 'open'
"""


class InvalidateError(FieldError):
    """Labels that cannot be chosen, or no reason; ``field`` names what to mend."""


@dataclass(frozen=True)
class Choice:
    """Which labels of a project: of a labeler, of a guideline version, or both; a kind and a period."""

    labeler: Labeler | None = None
    version: GuidelineVersion | None = None
    kind: str = ""
    since: date | None = None
    until: date | None = None
    """The last day, included."""

    @property
    def target(self) -> str:
        """What is done to whom, for the audit log."""
        whose = f"labeler {self.labeler.name}" if self.labeler else ""
        under = f"guideline version {self.version.number}" if self.version else ""
        return " under ".join(part for part in (under and f"labels under {under}", whose) if part) or "labels"


@dataclass(frozen=True)
class Preview:
    """What invalidating would do."""

    labels: int
    """That stand now and would be taken out of use."""
    opened: int
    """Tasks that would ask for a label again."""
    held: int
    """Tasks that the labeler has open; they stay open, and what comes of them counts."""
    final: int
    """Reviews that decided an appeal: they stay."""
    radius: blast.Radius
    """What the labels, and the earlier versions of those that were revised, went into."""


@dataclass(frozen=True)
class Done:
    """What invalidating did; no labels where nothing was left to do."""

    labels: int
    opened: int


def chosen(choice: Choice, *, membership: Membership) -> AnnotationQuerySet:
    """The labels of the project that the choice means and that stand.

    Raises:
        InvalidateError: nobody and no version is named, an unknown kind, a version of another guideline, or
            days the wrong way round.
    """
    if choice.labeler is None and choice.version is None:
        raise InvalidateError("labeler", "Say whose labels, or which guideline version's.")
    if choice.kind and choice.kind not in Task.Kind.values:
        raise InvalidateError("kind", f"There is no kind {choice.kind!r:.40} of task.")
    if choice.version and choice.version.guideline_id != membership.project.guideline_id:
        raise InvalidateError("version", "That is a version of another project's guideline.")
    if choice.since and choice.until and choice.since > choice.until:
        raise InvalidateError("since", f"{choice.since} is after {choice.until}. Give the first day first.")
    labels = Annotation.objects.valid().filter(task__project=membership.project_id)
    if choice.labeler:
        labels = labels.filter(labeler=choice.labeler)
    if choice.version:
        labels = labels.filter(guideline_version=choice.version)
    if choice.kind:
        labels = labels.filter(kind=choice.kind)
    if choice.since:
        labels = labels.filter(submitted_at__gte=_midnight(choice.since))
    if choice.until:
        labels = labels.filter(submitted_at__lt=_midnight(choice.until + timedelta(days=1)))
    return labels


def preview(choice: Choice, *, membership: Membership) -> Preview:
    """Count what invalidating would do, and what was made of the labels; nothing is changed.

    Raises:
        InvalidateError: as `chosen`.
    """
    stand = chosen(choice, membership=membership)
    final = stand.filter(verdicts__answers__isnull=False).distinct()
    labels = stand.exclude(pk__in=final.values("pk"))
    # A dataset may hold an earlier version of a label that was revised since.
    same = labels.filter(task=OuterRef("task"), labeler=OuterRef("labeler"))
    revised = Q(superseded_by__isnull=False, task__project=membership.project_id) & Q(Exists(same))
    touched = Annotation.objects.filter(Q(pk__in=labels.values("pk")) | revised)
    counted = Task.objects.filter(state=Task.State.OPEN, annotations__in=labels.filter(surplus=False))
    held = Task.objects.filter(project=membership.project_id, leases__state="open")
    if choice.labeler:
        held = held.filter(leases__labeler=choice.labeler)
    return Preview(
        labels=labels.count(),
        opened=counted.distinct().count(),
        held=held.distinct().count() if choice.labeler else 0,
        final=final.count(),
        radius=blast.radius(touched),
    )


def invalidate(choice: Choice, *, manager: Membership, reason: str) -> Done:
    """Take the chosen labels out of use, with a reason; their tasks want others in their place.

    Raises:
        InvalidateError: as `chosen`, or no reason.
    """
    if not reason.strip():
        raise InvalidateError("reason", "Say why these labels should not count.")
    if len(reason) > LONGEST_REASON:
        raise InvalidateError("reason", f"The reason is longer than {LONGEST_REASON} characters.")
    if fault := unstorable(reason):
        raise InvalidateError("reason", fault)
    labels = chosen(choice, membership=manager)
    with transaction.atomic():
        locked = labels.select_for_update(of=("self",), no_key=True).order_by("pk")
        marked = _mark(list(locked.values_list("pk", flat=True)), reason=reason, actor=manager.user)
        if not marked:
            return Done(labels=0, opened=0)
        prompts = _conversations(marked, manager)
        _hold(prompts)
        opened = _give_back(marked)
        told = _withdraw_reviews(marked)
        for prompt in prompts:
            conversations.tend(prompt, project=manager.project)
        audit.record(
            actor=manager.user,
            action="labels.invalidate",
            target=choice.target,
            project=manager.project,
            labels=len(marked),
            reason=reason.strip(),
            **_said(choice),
        )
        live.announce(project=manager.project, event="invalidated", labels=len(marked), told=told)
    return Done(labels=len(marked), opened=opened)


def _mark(labels: Sequence[int], *, reason: str, actor: Any) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_MARK, {"labels": list(labels), "reason": reason.strip(), "actor": actor.pk})
        return sorted(pk for (pk,) in cursor.fetchall())


def _conversations(marked: list[int], manager: Membership) -> list[Prompt]:
    """A prompt of each conversation that a marked label wrote a turn of, or judged one."""
    keys = _keys(marked)
    judged = Task.objects.filter(reviews__annotations__in=keys)
    tasks = Task.objects.filter(Q(annotations__in=keys) | Q(pk__in=judged), kind__in=KINDS)
    written = Annotation.objects.filter(
        Q(pk__in=keys) | Q(task__in=judged), kind__in=KINDS, task__project=manager.project_id
    )
    begun = list(Prompt.objects.filter(written_in__in=written).select_related("written_in__task"))
    on = {prompt.written_in.task.prompt_id for prompt in begun if prompt.written_in}
    stood = Prompt.objects.filter(Q(pk__in=on) if not grows(manager.project) else Q(tasks__in=tasks))
    found = {prompt.root_id or prompt.pk: prompt for prompt in stood.distinct() if not is_opening(prompt)}
    found |= {prompt.root_id or prompt.pk: prompt for prompt in begun}
    return [found[root] for root in sorted(found)]


def _hold(prompts: Sequence[Prompt]) -> None:
    roots = [prompt.root_id or prompt.pk for prompt in prompts]
    list(Prompt.objects.select_for_update(no_key=True).filter(pk__in=roots).order_by("pk").values_list("pk"))


def _give_back(marked: list[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_TASKS, {"labels": marked})
        cursor.execute(_GIVE_BACK, {"labels": marked})
        return sum(is_open for (is_open,) in cursor.fetchall())


def _withdraw_reviews(marked: list[int]) -> list[str]:
    """Take back the waiting reviews that have nothing left to judge; return whose pages have news."""
    keys = _keys(marked)
    waiting = Task.objects.open().filter(kind=Task.Kind.REVIEW, taken=0)
    gone = Q(review__annotation__in=keys) | Q(review__said_in__in=keys)
    appeals = list(Appeal.objects.filter(gone).values_list("pk", flat=True))
    if appeals:
        waiting.filter(brief__appeal__in=appeals).update(state=Task.State.WITHDRAWN)
    judged = Review.objects.in_force().filter(annotation=OuterRef("pk"))
    left = Annotation.objects.valid().filter(~Exists(judged), task=OuterRef("reviewed"), lease__isnull=False)
    waiting.filter(~Exists(left), reviewed__annotations__in=keys).exclude(brief__has_key="appeal").update(
        state=Task.State.WITHDRAWN
    )
    news = Annotation.objects.filter(Q(pk__in=keys) | Q(reviews__said_in__in=keys))
    return [
        str(pk) for pk in news.order_by("labeler").values_list("labeler", flat=True).distinct()[:MOST_TOLD]
    ]


def _keys(labels: list[int]) -> RawSQL:
    """Primary keys as one array: a list of a hundred thousand parameters takes seconds to plan."""
    return RawSQL("select unnest(%s::bigint[])", [labels])


def _said(choice: Choice) -> dict[str, Any]:
    said = {
        "labeler": choice.labeler and str(choice.labeler.pk),
        "version": choice.version and choice.version.number,
        "kind": choice.kind,
        "since": choice.since and choice.since.isoformat(),
        "until": choice.until and choice.until.isoformat(),
    }
    return {name: value for name, value in said.items() if value}


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))

"""Turn work into labels: drafts, submits, revisions, invalidations. Nothing is overwritten or deleted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from copy import copy
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, connection, transaction
from django.db.models import Subquery
from django.utils import timezone

from guidelines.models import GuidelineVersion
from labeling import answers, live, queue, stale, work
from labeling.content import sensitive_content
from labeling.content.texts import share_kept
from labeling.incoming import withdrawal
from labeling.models import (
    Annotation,
    Completion,
    Draft,
    Invalidation,
    Labeler,
    Lease,
    Project,
    Split,
    Task,
)
from labeling.qualification import answered
from labeling.reviewing import reviews
from labeling.talks import replies, turns
from labeling.writing import conversations

# The draft has become a label: it goes with the claim on its task.
_CLOSE = """
with closed as (
    update labeling_lease set state = 'submitted', closed_at = %(now)s, active_seconds = %(active_seconds)s,
        first_action_at = %(first_action_at)s
    where id = %(lease)s
)
delete from labeling_draft where task_id = %(task)s and labeler_id = %(labeler)s
"""


class Conflict(Exception):
    """The request contradicts what is already stored; the message says how."""


class StaleDraft(Conflict):
    """Somebody (another tab) saved since; ``stored`` is the text that stands."""

    def __init__(self, stored: Draft) -> None:
        super().__init__(f"Version {stored.version} was saved in the meantime. Choose one of the two texts.")
        self.stored = stored

    @property
    def more(self) -> dict[str, Any]:
        """What a program is told besides."""
        return {"stored": {"answer": self.stored.answer, "version": self.stored.version}}


def save_draft(*, lease_id: UUID, labeler: Labeler, answer: Any, version: int) -> Draft:
    """Keep unfinished work and return it with its new version; the draft outlives an expired lease.

    Args:
        version: the version this text was written upon, 0 for the first.

    Raises:
        Lease.DoesNotExist: as `queue.own`.
        answers.AnswerError: too large, or not storable.
        StaleDraft: ``version`` is not the stored one.
        Conflict: the labeler is done with the task.
    """
    answer = answers.check_storable(answer)
    with transaction.atomic():
        lease = queue.own(lease_id=lease_id, labeler=labeler)
        if queue.is_settled(lease=lease):
            # An autosave that a submit overtook; kept, it would lie about as unfinished work.
            raise Conflict("You are done with this task, so its draft is closed.")
        if lease.first_action_at is None:
            lease.first_action_at = timezone.now()
            lease.save(update_fields=["first_action_at"])
        draft, created = Draft.objects.get_or_create(
            task_id=lease.task_id, labeler=labeler, defaults={"answer": answer}
        )
        if created or draft.answer == answer:
            return draft
        # Compared and written in one statement: two leases on one task have no lock in common.
        saved = Draft.objects.filter(pk=draft.pk, version=version).update(
            answer=answer, version=version + 1, updated_at=timezone.now()
        )
        draft.refresh_from_db()
    if not saved:
        raise StaleDraft(draft)
    return draft


def submit(
    *,
    lease_id: UUID,
    labeler: Labeler,
    submission_id: UUID,
    answer: Any,
    active_seconds: float | None = None,
) -> Annotation:
    """Store a label. The same ``submission_id`` with the same answer returns the first label again.

    A label whose lease ran out counts while its task still wants one, else it is kept as surplus.

    Raises:
        Lease.DoesNotExist: as `queue.own`.
        answers.AnswerError: the answer is not whole.
        Conflict: the id was used for another answer, or the task already has this labeler's label.
        conversations.TakenBack: the conversation ended while its next turn was written.
        withdrawal.Withdrawn: the import of its prompt was withdrawn.
    """
    body_hash = _hash([str(lease_id), answers.check_storable(answer)])
    now = timezone.now()
    try:
        with transaction.atomic():
            lease = queue.own(lease_id=lease_id, labeler=labeler)
            # An id that made a label through another lease is caught below, by its unique index.
            if lease.state == Lease.State.SUBMITTED:
                if repeat := _repeat(submission_id, labeler, body_hash):
                    return repeat
                raise Conflict("This task already has your label. Revise that one instead.")
            task = lease.task
            withdrawal.check(task)
            hashes = _text_hashes(task)
            judged = reviews.to_judge(task)
            answer = _checked(answer, by=lease, hashes=hashes, version_id=lease.version_read, labels=judged)
            root = conversations.hold_task(task)
            counted = queue.holds_slot(lease=lease) or queue.take_slot(task=task)
            _close(lease=lease, now=now, active_seconds=active_seconds)
            annotation = Annotation.objects.create(
                submission_id=submission_id,
                body_hash=body_hash,
                task=task,
                labeler=labeler,
                lease=lease,
                kind=task.kind,
                guideline_version_id=lease.version_read,
                schema=answers.SCHEMA[task.kind],
                answer=answer,
                surplus=not counted,
                shown_order=lease.shown_order,
                text_hashes=hashes,
                prompt_split=task.prompt.split,
                labeler_group=lease.labeler_group or Split.TRAIN,  # type: ignore[attr-defined]
                opened_at=lease.opened_at,
                first_action_at=lease.first_action_at,
                submitted_at=now,
                active_seconds=lease.active_seconds,
                **_assistance(by=lease, answer=answer),
            )
            stale.mark_late(annotation)
            if task.gold is not None:
                annotation.attempt = answered.submitted(annotation)
            more = reviews.submitted(annotation, judged)
            asked = conversations.grow(annotation, root=root)
            sensitive_content.notice(annotation)
            news = [("label", {"task": task.pk, "kind": task.kind, **more})]
            if asked:
                news.insert(0, ("tasks", {"count": asked}))
            live.announce_all(project=task.project, events=news)
    except IntegrityError as error:
        if repeat := _repeat(submission_id, labeler, body_hash):
            return repeat
        raise Conflict("This task already has your label. Revise that one instead.") from error
    return annotation


def revise(
    *,
    annotation_id: int,
    labeler: Labeler,
    submission_id: UUID,
    answer: Any,
    active_seconds: float | None = None,
) -> Annotation:
    """Append a new version of one's own label; the old one stays and is no longer valid.

    Args:
        active_seconds: time with activity on this revision alone, in seconds.

    Raises:
        Annotation.DoesNotExist: no such label of this labeler.
        answers.AnswerError: the answer is not whole.
        Conflict: the label was revised or invalidated already, or the id was used for another answer.
        answered.Explained: the right answer was shown to its author since.
    """
    body_hash = _hash([annotation_id, answers.check_storable(answer)])
    try:
        with transaction.atomic():
            visible = Project.objects.visible_to(labeler.user or AnonymousUser())
            old = _locked(annotation_id, labeler=labeler, task__project__in=visible)
            if repeat := _repeat(submission_id, labeler, body_hash):
                return repeat
            if not Annotation.objects.valid().filter(pk=old.pk).exists():
                raise Conflict("This label was revised or invalidated already. Open the newest one.")
            reviews.check_open(old, to_revise=True)
            if old.task.gold is not None:
                answered.check_open(old)
            judged = reviews.to_judge(old.task, review=old)
            new = copy(old)
            new.pk, new._state.adding = None, True
            new.answer = _checked(
                answer,
                by=old,
                hashes=old.text_hashes,
                version_id=old.guideline_version_id,
                labels=judged,
            )
            new.schema = answers.SCHEMA[old.kind]
            for name, value in _assistance(by=old, answer=new.answer).items():
                setattr(new, name, value)
            new.submission_id, new.body_hash, new.supersedes = submission_id, body_hash, old
            new.submitted_at, new.active_seconds = timezone.now(), active_seconds or 0
            new.save(force_insert=True)
            stale.follow(old, new)
            if new.task.gold is not None:
                answered.submitted(new)
            more = reviews.revised(old, new, judged)
            conversations.rewrite(old, new)
            sensitive_content.notice(new)
            live.announce(project=old.task.project, event="label", task=old.task_id, kind=old.kind, **more)
    except IntegrityError as error:
        if repeat := _repeat(submission_id, labeler, body_hash):
            return repeat
        raise Conflict("This label was revised in the meantime. Open the newest one.") from error
    return new


def invalidate(*, annotation: Annotation, actor: Any, reason: str) -> Invalidation:
    """Take a label out of use, with a reason; its task wants another one in its place.

    Raises:
        answers.AnswerError: no reason was given.
        Conflict: it is invalidated already, or a revision took its place.
    """
    if not reason.strip():
        raise answers.AnswerError("reason", "Say why this label should not count.")
    with transaction.atomic():
        # A label and its revisions share one slot: only the newest may give it back, and only once.
        annotation = _locked(annotation.pk)
        if not Annotation.objects.valid().filter(pk=annotation.pk).exists():
            raise Conflict("This label was revised or invalidated already. Open the newest one.")
        reviews.check_open(annotation, to_revise=False)
        invalidation = Invalidation.objects.create(annotation=annotation, actor=actor, reason=reason)
        conversations.hold_task(annotation.task)
        if not annotation.surplus:
            queue.give_back_slot(task=annotation.task)
        more = reviews.invalidated(annotation)
        conversations.take_back(annotation)
        live.announce(project=annotation.task.project, event="invalidated", task=annotation.task_id, **more)
    return invalidation


def _close(*, lease: Lease, now: datetime, active_seconds: float | None) -> None:
    lease.state, lease.closed_at = Lease.State.SUBMITTED, now
    lease.active_seconds = max(lease.active_seconds, active_seconds or 0)
    lease.first_action_at = lease.first_action_at or now
    with connection.cursor() as cursor:
        cursor.execute(
            _CLOSE,
            {
                "lease": lease.pk,
                "task": lease.task_id,
                "labeler": lease.labeler_id,
                "now": now,
                "active_seconds": lease.active_seconds,
                "first_action_at": lease.first_action_at,
            },
        )


def _locked(annotation_id: int, **owned: Any) -> Annotation:
    """The label, locked against a revision and an invalidation at once."""
    labels = Annotation.objects.select_for_update(of=("self",), no_key=True).select_related("task__project")
    return labels.get(pk=annotation_id, **owned)


def _repeat(submission_id: UUID, labeler: Labeler, body_hash: str) -> Annotation | None:
    """The label that this submission id already made.

    Raises:
        Conflict: it was made by another answer.
    """
    stored = Annotation.objects.filter(submission_id=submission_id).first()
    if stored and (stored.body_hash != body_hash or stored.labeler_id != labeler.pk):
        raise Conflict("submission_id was used for another answer. Make a new id for a new answer.")
    if stored:
        stored.repeated = True
    return stored


def _hash(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _text_hashes(task: Task) -> dict[str, str]:
    candidates: Any = ()
    if task.kind in work.TAKES:
        candidates = task.candidates.values_list("pk", "completion__text_hash")
    return {"prompt": task.prompt.text_hash} | {str(pk): text_hash for pk, text_hash in candidates}


def _checked(
    answer: Any,
    *,
    by: Lease | Annotation,
    hashes: dict[str, str],
    version_id: int,
    labels: Collection[int] = (),
) -> dict[str, Any]:
    """The answer, whole by the candidates that were shown and the guideline version that was read.

    Raises:
        answers.AnswerError: it is not whole.
    """
    task = by.task
    criteria: list[dict[str, Any]] = []
    text = ""
    if task.kind in (Task.Kind.RATE, Task.Kind.MARK):
        first = Completion.objects.filter(candidates__task=task).values("text")[:1]
        criteria, text = GuidelineVersion.objects.values_list("criteria", Subquery(first)).get(pk=version_id)
    return answers.check(
        kind=task.kind,
        answer=answer,
        shown=answers.Shown(
            candidates=[int(key) for key in hashes if key != "prompt"],
            criteria=criteria,
            partial=task.project.partial_rankings,
            talk=_talk(by) if task.kind == Task.Kind.CONVERSE else ((), {}),
            labels=labels,
            text=text,
            form=task.brief.get("form", ""),
        ),
    )


def _talk(by: Lease | Annotation) -> tuple[list[Any], dict[int, turns.Said]]:
    return by.task.prompt.messages, replies.whole(replies.of(by))


def _assistance(*, by: Lease | Annotation, answer: dict[str, Any]) -> dict[str, Any]:
    """Which checkpoint wrote the text that was edited, or the draft that was seen, and its share now."""
    if by.task.kind == Task.Kind.EDIT:
        edited = Completion.objects.get(candidates__task=by.task_id)
        checkpoint, text = edited.checkpoint_id, edited.text
    elif by.task.kind == Task.Kind.DEMONSTRATE and (draft := replies.draft(by)):
        checkpoint, text = draft.checkpoint_id, draft.texts[0]
    else:
        return {}
    return {"assisted_by_id": checkpoint, "assisted_share": share_kept(text, answer["text"])}

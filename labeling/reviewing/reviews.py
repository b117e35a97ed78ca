"""Reviews: judge the labels of others, send one back with the reason, hear its author's appeal.

A review is a task about another one (`Task.reviewed`): whoever takes it decides for each of its labels that
stand and have no verdict yet. A label that was sent back trains nothing; its author revises it, or
appeals once. An appeal makes a review of that label alone for somebody who had no hand in the task
(`fit.MAY_TAKE`); what that person says is final. Verdicts are appended: a revised review brings new ones,
and those of the old one are no longer in force.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from labeling import live
from labeling.content.texts import unstorable
from labeling.faults import FieldError
from labeling.models import (
    Annotation,
    AnnotationQuerySet,
    Appeal,
    Labeler,
    Lease,
    Membership,
    Project,
    Review,
    Task,
    TaskQuerySet,
)

LONGEST_TEXT = 4000
BATCH = 500
MOST_LISTED = 50
MOST_TOLD = 100  # labelers in one notice, which has to stay below a notice's size
REVIEWING = [Membership.Role.OWNER, Membership.Role.ADMIN, Membership.Role.REVIEWER]
REVIEWABLE = [kind for kind in Task.Kind.values if kind != Task.Kind.REVIEW]


Reference = dict[str, Any]


class ReviewError(FieldError):
    """Reviews that cannot be made, or an appeal that says nothing; ``field`` names what to mend."""


class Settled(Exception):
    """It comes too late, or too early; the message says what stands instead."""


class State(StrEnum):
    """What became of a label that a reviewer saw."""

    ACCEPTED = "accepted"
    SENT_BACK = "sent_back"
    APPEALED = "appealed"
    RESTORED = "restored"
    REFUSED = "refused"


@dataclass(frozen=True)
class Outcome:
    """The verdict on a label, its author's appeal, and the answer to that."""

    state: State
    reason: str
    decided_at: datetime
    appeal: str | None = None
    appealed_at: datetime | None = None
    answer: str | None = None
    """What the second reviewer said; empty where they only restored it."""
    answered_at: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


# Making reviews


def make_reviews(*, project: Project, kinds: Collection[str] | None = None, share: float = 1.0) -> int:
    """Ask reviewers about labels of finished tasks that have no verdict yet; return how many tasks are new.

    Args:
        kinds: of the tasks to look at; by default all but reviews.
        share: of those tasks, from 0 to 1; the same ones each time, and a larger share holds the smaller.

    Raises:
        ReviewError: a kind that is not reviewed, or no share.
    """
    chosen = REVIEWABLE if kinds is None else sorted(set(kinds))
    if wrong := set(chosen) - set(REVIEWABLE):
        raise ReviewError("of", f"{min(wrong)!r:.40} is not reviewed. Choose from {', '.join(REVIEWABLE)}.")
    if not 0 < share <= 1:
        raise ReviewError("share", "Give a share above 0, and 1 at most.")
    held = Lease.objects.filter(task=OuterRef("pk"), state=Lease.State.OPEN)
    finished = Task.objects.filter(
        Exists(_unjudged().filter(task=OuterRef("pk"))),
        ~Exists(held),
        ~Exists(_pending().filter(reviewed=OuterRef("pk"))),
        project=project,
        kind__in=chosen,
        gold__isnull=True,
        state=Task.State.OPEN,
        taken__gte=F("wanted"),
    )
    with transaction.atomic():
        _lock(project)
        some = [task for task in finished.order_by("pk").iterator(BATCH) if is_drawn(task.pk, share)]
        _make(some, selection_policy="all" if share == 1 else "share", propensity=share)
        if some:
            live.announce(project=project, event="tasks", count=len(some))
    return len(some)


def is_drawn(task_id: int, share: float) -> bool:
    """Whether a task is among the ``share`` that is reviewed: by its number alone, hence repeatably."""
    digest = hashlib.sha256(f"review:{task_id}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < share


# After a label: each of these is called in the transaction of a verb of `annotate`; it returns what its event
# is to say besides


def submitted(label: Annotation, judged: Mapping[int, UUID]) -> Reference:
    """Carry a review out; ask for one where the label is the last of a task that is drawn.

    Args:
        judged: what `to_judge` gave before.
    """
    if label.kind == Task.Kind.REVIEW:
        return _carry_out(label, judged)
    task, share = label.task, label.task.project.review_share
    if task.gold is not None or not is_drawn(task.pk, share):
        return {}
    # Two last labels at once: the second to get here sees both.
    _lock(task.project)
    labels = Annotation.objects.valid().filter(task=task, surplus=False).count()
    if labels >= task.wanted and not _pending().filter(reviewed=task).exists():
        _make([task], selection_policy="share", propensity=share)
    return {}


def revised(old: Annotation, new: Annotation, judged: Mapping[int, UUID]) -> Reference:
    """Carry a revised review out; an appeal for a label that its author mended instead is over."""
    if new.kind == Task.Kind.REVIEW:
        return _carry_out(new, judged)
    _withdraw(appeals=Appeal.objects.filter(review__annotation=old), task_id=old.task_id)
    return {}


def invalidated(label: Annotation) -> Reference:
    """Withdraw the waiting reviews that have nothing left to judge."""
    if label.kind == Task.Kind.REVIEW:
        reviewed = label.task.reviewed_id
        assert reviewed is not None
        _withdraw(appeals=Appeal.objects.filter(review__said_in=label), task_id=reviewed)
        said = Review.objects.filter(said_in=label).values_list("annotation__labeler", flat=True)
        return _told(label, said)
    _withdraw(appeals=Appeal.objects.filter(review__annotation=label), task_id=label.task_id)
    if not _unjudged().filter(task=label.task_id).exists():
        _untouched(label.task_id).exclude(brief__has_key="appeal").update(state=Task.State.WITHDRAWN)
    return {}


def check_open(label: Annotation, *, to_revise: bool) -> None:
    """Make sure that a review may still be revised or taken out of use.

    Raises:
        Settled: it decided an appeal, or the author of a label acted upon it.
    """
    if label.kind != Task.Kind.REVIEW:
        return
    said = Review.objects.filter(said_in=label)
    if said.filter(answers__isnull=False).exists():
        raise Settled("This review decided an appeal, and that is final.")
    acted = Q(appeal__isnull=False) | Q(annotation__superseded_by__isnull=False)
    if to_revise and said.filter(acted).exists():
        raise Settled(
            "An author has revised or appealed since, so this review stands as it is. "
            "An appeal goes to another reviewer."
        )


# Judging


def to_judge(task: Task, *, review: Annotation | None = None) -> dict[int, UUID]:
    """The ids of `shown` with their authors; nothing for a task that is no review.

    A label that its author revises at this very moment may still be among them: the verdict on it is then
    one on a label that stands no more, and the new one has none.
    """
    if task.kind != Task.Kind.REVIEW:
        return {}
    return dict(shown(task, review=review).values_list("pk", "labeler"))


def shown(task: Task, *, review: Annotation | None = None) -> AnnotationQuerySet:
    """The labels that the review ``task`` asks about now, or those that ``review`` judged."""
    if review is not None:
        return Annotation.objects.valid().filter(reviews__said_in=review)
    if appeal := task.brief.get("appeal"):
        return Annotation.objects.valid().filter(
            reviews__in=Review.objects.in_force().filter(appeal=appeal, appeal__answer__isnull=True)
        )
    return _unjudged().filter(task=task.reviewed_id)


def outcomes(labels: Iterable[int]) -> dict[int, Outcome]:
    """What reviewers and appeals said of labels, by the label's id; one query."""
    reviews = Review.objects.in_force().filter(annotation__in=list(labels), answers__isnull=True)
    return {one.annotation_id: outcome(one) for one in reviews.select_related("appeal__answer")}


def outcome(review: Review) -> Outcome:
    """What a first verdict came to. Fetch ``appeal__answer`` along with it."""
    appeal = getattr(review, "appeal", None)
    answer = getattr(appeal, "answer", None)
    said: dict[str, Any] = {"reason": review.reason, "decided_at": review.created_at}
    if review.verdict == Review.Verdict.ACCEPT:
        return Outcome(State.ACCEPTED, **said)
    if appeal is None:
        return Outcome(State.SENT_BACK, **said)
    said |= {"appeal": appeal.text, "appealed_at": appeal.created_at}
    if answer is None:
        return Outcome(State.APPEALED, **said)
    said |= {"answer": answer.reason, "answered_at": answer.created_at}
    return Outcome(State.RESTORED if answer.verdict == Review.Verdict.ACCEPT else State.REFUSED, **said)


def sent_back_to(labeler: Labeler, *, projects: Any) -> list[Review]:
    """First verdicts that sent a label of ``labeler`` back, newest first, `MOST_LISTED` at most.

    Those whose label was revised or invalidated since are over, and so are restored ones after a week.
    """
    settled = timezone.now() - timedelta(days=7)
    return list(
        Review.objects.in_force()
        .filter(
            annotation__labeler=labeler,
            annotation__superseded_by__isnull=True,
            annotation__invalidation__isnull=True,
            annotation__task__project__in=projects,
            verdict=Review.Verdict.SEND_BACK,
            answers__isnull=True,
        )
        .exclude(appeal__answer__verdict=Review.Verdict.ACCEPT, appeal__answer__created_at__lt=settled)
        .select_related("appeal__answer", "annotation__task__project", "annotation__task__prompt")
        .order_by("-id")[:MOST_LISTED]
    )


# Appeals


def appeal(*, annotation_id: int, labeler: Labeler, text: str) -> Appeal:
    """Ask another reviewer about one's own label that was sent back; nobody may ask twice.

    Raises:
        Annotation.DoesNotExist: no such label of this labeler.
        ReviewError: no text, or one too long.
        Settled: it was not sent back, was revised since, or was appealed already.
    """
    if not text.strip():
        raise ReviewError("text", "Say why the label should stand.")
    if len(text) > LONGEST_TEXT:
        raise ReviewError("text", f"The appeal is longer than {LONGEST_TEXT:,} characters. Shorten it.")
    if fault := unstorable(text):
        raise ReviewError("text", fault)
    with transaction.atomic():
        visible = Project.objects.visible_to(labeler.user or AnonymousUser())
        mine = Annotation.objects.select_for_update(of=("self",), no_key=True).select_related("task__project")
        label = mine.get(pk=annotation_id, labeler=labeler, task__project__in=visible)
        if not Annotation.objects.valid().filter(pk=label.pk).exists():
            raise Settled("This label was revised or invalidated already, so there is nothing to appeal.")
        sent_back = Review.objects.in_force().filter(
            annotation=label, verdict=Review.Verdict.SEND_BACK, answers__isnull=True
        )
        review = sent_back.select_related("appeal__answer").first()
        if review is None:
            raise Settled("This label was not sent back, so there is nothing to appeal.")
        if outcome(review).state != State.SENT_BACK:
            raise Settled("You appealed already; what the second reviewer says is final.")
        made = Appeal.objects.create(review=review, text=text)
        _make(
            [label.task],
            selection_policy="appeal",
            propensity=1.0,
            brief={"form": "appeal", "appeal": made.pk},
        )
        live.announce(project=label.task.project, event="tasks", count=1)
    return made


def stuck_appeals(projects: Iterable[int]) -> dict[int, int]:
    """Appeals that nobody may decide as things are, counted by project; one query.

    They wait until somebody who had no hand in the task reviews in the project.
    """
    theirs = Lease.objects.filter(labeler__user=OuterRef("user"))
    done = theirs.filter(state=Lease.State.SUBMITTED).filter(
        Q(task=OuterRef(OuterRef("reviewed"))) | Q(task__reviewed=OuterRef(OuterRef("reviewed")))
    )
    skipped = theirs.filter(state=Lease.State.SKIPPED, task=OuterRef(OuterRef("pk")))
    free = Membership.objects.filter(
        ~Exists(done), ~Exists(skipped), project=OuterRef("project"), role__in=REVIEWING
    )
    waiting = _pending().filter(~Exists(free), project__in=list(projects), brief__has_key="appeal")
    counts: dict[int, int] = {}
    for project in waiting.values_list("project", flat=True):
        counts[project] = counts.get(project, 0) + 1
    return counts


def _unjudged() -> AnnotationQuerySet:
    """Labels that stand and no reviewer has judged; those that were imported are nobody's here to mend."""
    verdicts = Review.objects.in_force().filter(annotation=OuterRef("pk"))
    return Annotation.objects.valid().filter(~Exists(verdicts), lease__isnull=False)


def _pending() -> TaskQuerySet:
    """Reviews that wait for a verdict, in somebody's hands or nobody's."""
    said = Annotation.objects.valid().filter(task=OuterRef("pk"))
    return Task.objects.filter(~Exists(said), kind=Task.Kind.REVIEW, state=Task.State.OPEN)


def _untouched(task_id: int) -> TaskQuerySet:
    return Task.objects.open().filter(reviewed=task_id, taken=0)


def _lock(project: Project) -> None:
    """Make rivals who ask for reviews of the same tasks wait."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _make(tasks: Sequence[Task], **same: Any) -> None:
    Task.objects.bulk_create(
        [
            Task(
                project_id=task.project_id,
                kind=Task.Kind.REVIEW,
                prompt_id=task.prompt_id,
                guideline_version_id=task.guideline_version_id,
                reviewed=task,
                sensitive=task.sensitive,
                language=task.language,
                skill=task.skill,
                priority=task.priority,
                wanted=1,
                **same,
            )
            for task in tasks
        ],
        batch_size=BATCH,
    )


def _withdraw(*, appeals: Any, task_id: int) -> None:
    """Take back the appeals' reviews that nobody holds."""
    numbers = list(appeals.values_list("pk", flat=True))
    if numbers:
        _untouched(task_id).filter(brief__appeal__in=numbers).update(state=Task.State.WITHDRAWN)


def _carry_out(review: Annotation, judged: Mapping[int, UUID]) -> Reference:
    appeal = review.task.brief.get("appeal")
    said = [
        Review(
            annotation_id=int(label),
            said_in=review,
            verdict=decision["verdict"],
            reason=decision.get("reason", ""),
            answers_id=appeal,
        )
        for label, decision in review.answer["decisions"].items()
    ]
    Review.objects.bulk_create(said)
    # An accepted label is no news to its author, unless it was sent back before.
    is_news = bool(appeal or review.supersedes_id)
    news = [one for one in said if is_news or one.verdict == Review.Verdict.SEND_BACK]
    return _told(review, (judged[one.annotation_id] for one in news))


def _told(review: Annotation, authors: Iterable[UUID]) -> Reference:
    """Whose pages have news: those who do not fit see it when they look next."""
    told = sorted({str(author) for author in authors})[:MOST_TOLD]
    return {"reviewed": review.task.reviewed_id, "told": told}

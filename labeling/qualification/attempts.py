"""Tries at a qualification: begin one, take its answers in, end it with a result."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Avg, Count, Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling import live
from labeling.models import (
    Annotation,
    Attempt,
    GoldItem,
    GoldLabel,
    Labeler,
    Project,
    Qualification,
    Task,
)
from labeling.qualification import copies, door
from labeling.qualification.items import GoldError


def start(*, project: Project, labeler: Labeler) -> Attempt:
    """Begin a try, with questions of its own; the one that is under way is returned as it stands.

    Raises:
        GoldError: the project asks nothing of them.
        door.Shut: they passed already, wait for grades, have to wait, or have no try left.
    """
    with transaction.atomic():
        # Two tabs of one person begin one try.
        Labeler.objects.select_for_update(no_key=True).get(pk=labeler.pk)
        found = door.of(project=project, labeler=labeler)
        if found is None:
            raise GoldError("project", _("This project does not ask you to qualify."))
        if found.standing == door.Standing.OPEN and found.attempt:
            return found.attempt
        if not found.may_start:
            raise door.Shut(found)
        asked = found.qualification
        version = project.guideline.current
        assert version is not None, "gold items are given under a version"
        attempt = Attempt.objects.create(
            project=project,
            labeler=labeler,
            number=(found.attempt.number if found.attempt else 0) + 1,
            guideline_version=version,
            pass_agreement=asked.pass_agreement,
            pass_points=asked.pass_points,
            started_at=timezone.now(),
        )
        for item in _questions(asked, labeler):
            copies.make(item=item, labeler=labeler, use=GoldLabel.Use.QUIZ, attempt=attempt)
    return attempt


def _questions(asked: Qualification, labeler: Labeler) -> list[GoldItem]:
    """Those asked least often before come first, else by chance; what is to be written comes last."""
    before = Count("gold_labels", filter=Q(gold_labels__labeler=labeler))
    pool = (
        GoldItem.objects.live()
        .filter(project=asked.project, quiz=True, prompt__sensitive=False)
        .select_related("project__guideline", "prompt")
        .annotate(before=before)
        .order_by("before", "?")
    )
    questions = list(pool.filter(kind__in=asked.kinds)[: asked.questions])
    written = list(pool.filter(kind=Task.Kind.DEMONSTRATE)[: asked.demonstrations])
    if (len(questions), len(written)) != (asked.questions, asked.demonstrations):
        raise GoldError(
            "questions", _("There are too few questions left. Tell whoever runs the project to make more.")
        )
    return [*questions, *written]


def progress(attempt: Attempt) -> tuple[int, int]:
    """How many of its questions are answered, and how many there are."""
    found = _tasks(attempt).aggregate(answered=Count("pk", filter=Exists(_labels())), all=Count("pk"))
    return found["answered"], found["all"]


def answered(attempt_id: int) -> Attempt:
    """End the try where its last question was answered. Call in the transaction of the label."""
    attempt = Attempt.objects.select_for_update(no_key=True).get(pk=attempt_id)
    if attempt.state != Attempt.State.OPEN or _tasks(attempt).filter(~Exists(_labels())).exists():
        return attempt
    known = GoldLabel.objects.filter(attempt=attempt, annotation__superseded_by__isnull=True)
    figures = known.aggregate(mean=Avg("agreement"), written=Count("pk", filter=Q(agreement__isnull=True)))
    attempt.agreement = figures["mean"]
    # A share of a mean may miss its mark by a rounding.
    agrees = attempt.agreement is None or attempt.agreement >= attempt.pass_agreement - 1e-9
    if agrees and figures["written"]:
        attempt.state = Attempt.State.GRADING
        attempt.save(update_fields=["state", "agreement"])
        _tell(attempt)
        return attempt
    return end(attempt, passed=agrees)


def graded(attempt_id: int) -> Attempt:
    """End the try where the last of its written answers was graded. Call in the transaction of the grade."""
    attempt = Attempt.objects.select_for_update(no_key=True).get(pk=attempt_id)
    written = GoldLabel.objects.filter(
        attempt=attempt, agreement__isnull=True, annotation__superseded_by__isnull=True
    )
    if attempt.state != Attempt.State.GRADING or written.filter(annotation__grades__isnull=True).exists():
        return attempt
    attempt.points = written.aggregate(points=Avg("annotation__grades__points"))["points"]
    return end(attempt, passed=attempt.points >= attempt.pass_points - 1e-9)


def end(attempt: Attempt, *, passed: bool) -> Attempt:
    """Store the result. Call inside a transaction that holds the try."""
    attempt.state = Attempt.State.PASSED if passed else Attempt.State.FAILED
    attempt.closed_at = timezone.now()
    days = Qualification.objects.values_list("valid_days", flat=True).get(project=attempt.project_id)
    attempt.valid_until = attempt.closed_at + timedelta(days=days) if passed and days else None
    attempt.save(update_fields=["state", "agreement", "points", "closed_at", "valid_until"])
    _tell(attempt)
    return attempt


def _tell(attempt: Attempt) -> None:
    live.announce(project=attempt.project, event="qualification", labeler=str(attempt.labeler_id))


def _tasks(attempt: Attempt) -> Any:
    return Task.objects.filter(
        reserved_for=attempt.labeler_id, project=attempt.project_id, gold__attempt=attempt.pk
    )


def _labels() -> Any:
    return Annotation.objects.filter(task=OuterRef("pk"))

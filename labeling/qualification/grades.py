"""Grades by reviewers for what people wrote to qualify."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from labeling.annotate import Conflict
from labeling.content.texts import unstorable
from labeling.models import Attempt, GoldLabel, Grade, Project
from labeling.people import audit
from labeling.qualification import attempts
from labeling.qualification.items import GoldError

LONGEST_COMMENT = 4000


def waiting(*, project: Project, grader: Any) -> QuerySet[GoldLabel]:
    """What was written in tries and has no grade yet, oldest first; nobody grades themselves."""
    found = _waiting(grader).filter(attempt__project=project)
    return found.select_related("annotation__task__prompt", "item", "labeler", "attempt").order_by(
        "attempt", "pk"
    )


def _waiting(grader: Any) -> QuerySet[GoldLabel]:
    return GoldLabel.objects.filter(
        attempt__state=Attempt.State.GRADING,
        agreement__isnull=True,
        annotation__superseded_by__isnull=True,
        annotation__grades__isnull=True,
    ).exclude(labeler__user_id=grader.pk)


def counts(*, projects: Collection[int], grader: Any) -> dict[int, int]:
    """How many texts wait for a grade by ``grader``, by project."""
    if not projects:
        return {}
    found = _waiting(grader).filter(attempt__project__in=projects)
    return dict(found.order_by().values_list("attempt__project").annotate(n=Count("pk")))


def grade(*, annotation_id: int, project: Project, grader: Any, points: Any, comment: str = "") -> Grade:
    """Grade one text; the last grade of a try ends it.

    Raises:
        GoldError: points that are no whole number from 1 to 7, or a comment that cannot be kept.
        GoldLabel.DoesNotExist: no such text waits for a grade by ``grader`` in the project.
        Conflict: somebody graded it meanwhile.
    """
    if isinstance(points, bool) or not isinstance(points, int) or not Grade.LEAST <= points <= Grade.MOST:
        raise GoldError("points", _("Give from 1 to 7 points."))
    comment = comment.strip()
    if len(comment) > LONGEST_COMMENT:
        raise GoldError("comment", _("Write %(n)s characters at most.") % {"n": f"{LONGEST_COMMENT:,}"})
    if fault := unstorable(comment):
        raise GoldError("comment", fault)
    graded = Grade.objects.filter(annotation=annotation_id, annotation__task__project=project)
    if graded.exists():
        raise Conflict("This text has its grade already.")
    found = waiting(project=project, grader=grader).get(annotation=annotation_id)
    try:
        with transaction.atomic():
            # The try first, so that two last grades at once see each other.
            Attempt.objects.select_for_update(no_key=True).get(pk=found.attempt_id)
            made = Grade.objects.create(
                annotation_id=annotation_id, grader=grader, points=points, comment=comment
            )
            assert found.attempt_id is not None
            attempts.graded(found.attempt_id)
            audit.record(
                actor=grader,
                action="qualification.grade",
                target=f"label {annotation_id}",
                project=project,
                points=points,
            )
    except IntegrityError as error:
        raise Conflict("This text has its grade already.") from error
    return made

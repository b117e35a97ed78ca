"""The door of a project: who works there qualified first, and sees how they stand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.models import Attempt, Labeler, Membership, Project, Qualification


class Standing(StrEnum):
    """How a labeler stands at the door."""

    NEW = "new"
    OPEN = "open"
    GRADING = "grading"
    PASSED = "passed"
    FAILED = "failed"
    EXPIRED = "expired"
    OUT_OF_TRIES = "out_of_tries"


@dataclass(frozen=True)
class Door:
    """A project's qualification as one labeler finds it."""

    qualification: Qualification
    standing: Standing
    attempt: Attempt | None
    """The newest."""
    tries_left: int
    again_at: datetime | None
    """From when on they may try; None where at once, or not at all."""

    @property
    def is_open(self) -> bool:
        """Whether they are handed ordinary tasks."""
        return self.standing == Standing.PASSED

    @property
    def may_start(self) -> bool:
        ways = {Standing.NEW, Standing.FAILED, Standing.EXPIRED}
        return self.standing in ways and self.again_at is None

    @property
    def words(self) -> str:
        """Where they stand, for others, in a word or two."""
        return {
            Standing.NEW: _("not tried"),
            Standing.OPEN: _("under way"),
            Standing.GRADING: _("waits for grades"),
            Standing.PASSED: _("passed"),
            Standing.FAILED: _("failed"),
            Standing.EXPIRED: _("run out"),
            Standing.OUT_OF_TRIES: _("out of tries"),
        }[self.standing]

    @property
    def says(self) -> str:
        """Where they stand, in a sentence or two."""
        sentence = {
            Standing.NEW: _("This project asks you to qualify before you work in it."),
            Standing.OPEN: _("Your qualification is under way. Answer its questions to the end."),
            Standing.GRADING: _("You answered everything. A reviewer now reads what you wrote."),
            Standing.PASSED: _("You are qualified."),
            Standing.FAILED: _("You did not pass this time.")
            + " "
            + (_("You may try again.") if self.again_at is None else _("You may try again later.")),
            Standing.EXPIRED: _("Your qualification has run out. Qualify again to go on."),
            Standing.OUT_OF_TRIES: _(
                "You did not pass, and have no try left. Write to whoever runs the project."
            ),
        }
        return sentence[self.standing]

    def as_dict(self) -> dict[str, Any]:
        """As the API writes it."""
        asked, slug = self.qualification, self.qualification.project.slug
        return {
            "standing": self.standing.value,
            "says": self.says,
            "questions": asked.questions,
            "demonstrations": asked.demonstrations,
            "pass_agreement": asked.pass_agreement,
            "pass_points": asked.pass_points,
            "tries_left": self.tries_left,
            "again_at": self.again_at and self.again_at.isoformat(),
            "attempt": self.attempt and self.attempt.number,
            "start": f"/api/projects/{slug}/qualification/attempts/",
            "page": f"/projects/{slug}/qualification/",
        }


class Shut(Exception):
    """They qualify first; the message says how they stand."""

    def __init__(self, door: Door) -> None:
        self.door = door
        super().__init__(door.says)

    @property
    def more(self) -> dict[str, Any]:
        """What a program is told besides."""
        return {"qualification": self.door.as_dict()}


def enter(*, project: Project, labeler: Labeler) -> Attempt | None:
    """The try whose questions come before anything else; None where ordinary tasks may come.

    Raises:
        Shut: they have no valid pass, and no try under way.
    """
    door = of(project=project, labeler=labeler)
    if door is None or door.is_open:
        return None
    if door.standing == Standing.OPEN:
        return door.attempt
    raise Shut(door)


def stop(*, project: Project, labeler: Labeler) -> None:
    """
    Raises:
        Shut: a door stands before them, wherever they stand at it.
    """
    if (found := of(project=project, labeler=labeler)) is not None:
        raise Shut(found)


def of(*, project: Project, labeler: Labeler) -> Door | None:
    """The door as ``labeler`` finds it; None where there is none for them."""
    if not project.qualified_only:
        return None
    return doors(projects=[project.pk], labeler=labeler).get(project.pk)


def doors(*, projects: Collection[int], labeler: Labeler) -> dict[int, Door]:
    """The doors of those of ``projects`` that ask ``labeler`` to qualify, by project."""
    if labeler.kind != Labeler.Kind.HUMAN or not projects:
        return {}
    role = Membership.objects.filter(project=OuterRef("project"), user=labeler.user_id).values("role")
    asked = Qualification.objects.filter(project__in=projects, project__qualified_only=True)
    rows = list(
        asked.annotate(role=Subquery(role[:1])).filter(role=Membership.Role.LABELER).select_related("project")
    )
    if not rows:
        return {}
    tries: dict[int, list[Attempt]] = {one.project_id: [] for one in rows}
    for attempt in Attempt.objects.filter(project__in=list(tries), labeler=labeler).order_by("number"):
        tries[attempt.project_id].append(attempt)
    now = timezone.now()
    return {
        one.project_id: door_at(qualification=one, attempts=tries[one.project_id], now=now) for one in rows
    }


def standings(*, project: Project, labelers: Collection[Labeler]) -> dict[UUID, Door]:
    """How each of ``labelers`` stands, whether the door is in force or not."""
    asked = Qualification.objects.filter(project=project).select_related("project").first()
    if asked is None:
        return {}
    tries: dict[UUID, list[Attempt]] = {one.pk: [] for one in labelers}
    for attempt in Attempt.objects.filter(project=project, labeler__in=list(tries)).order_by("number"):
        tries[attempt.labeler_id].append(attempt)
    now = timezone.now()
    return {labeler: door_at(qualification=asked, attempts=made, now=now) for labeler, made in tries.items()}


def door_at(*, qualification: Qualification, attempts: Sequence[Attempt], now: datetime) -> Door:
    """How somebody with these ``attempts``, oldest first, stands at ``now``."""
    anew = qualification.asked_anew_at
    newest = attempts[-1] if attempts else None
    counted = [one for one in attempts if anew is None or one.started_at >= anew]
    failed = _failed_since_passing(counted)
    left = max(0, qualification.tries - len(failed))
    standing, again_at = Standing.NEW, None
    if newest is not None and newest.state in (Attempt.State.OPEN, Attempt.State.GRADING):
        standing = Standing(newest.state)
    elif not counted:
        standing = (
            Standing.EXPIRED if any(one.state == Attempt.State.PASSED for one in attempts) else Standing.NEW
        )
    elif counted[-1].state == Attempt.State.PASSED:
        standing = Standing.EXPIRED if counted[-1].has_expired(now) else Standing.PASSED
    elif left == 0:
        standing = Standing.OUT_OF_TRIES
    else:
        standing = Standing.FAILED
        ended = counted[-1].closed_at or now
        again = ended + timedelta(hours=qualification.wait_hours)
        again_at = again if again > now else None
    return Door(qualification, standing, newest, left, again_at)


def _failed_since_passing(attempts: Iterable[Attempt]) -> list[Attempt]:
    failed: list[Attempt] = []
    for one in attempts:
        failed = [] if one.state == Attempt.State.PASSED else [*failed, one]
    return [one for one in failed if one.state == Attempt.State.FAILED]

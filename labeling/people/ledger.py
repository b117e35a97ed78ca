"""The ledger of time, for pay: what each person did on each day, by kind of task, with corrections.

Time is that with activity on a task; idle stretches never count. A task counts on the day it was opened, the
revision of a label on the day it was sent, both by the server's time zone. An admin may add time to a day or
take some off, with a reason that the person reads; the record of activity stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from labeling import live
from labeling.content import csv_text
from labeling.content.texts import unstorable
from labeling.faults import FieldError
from labeling.models import Annotation, Labeler, Lease, Membership, Project, TimeCorrection
from labeling.people import audit

LONGEST = timedelta(days=366)
DAY = 24 * 3600
LONGEST_REASON = 500
COLUMNS = (
    "labeler",
    "name",
    "day",
    "kind",
    "labels",
    "skips",
    "active_seconds",
    "corrected_seconds",
    "total_seconds",
    "reason",
)


class LedgerError(FieldError):
    """Days that cannot be listed, or a correction that cannot be made; ``field`` names what to mend."""


@dataclass
class Row:
    """A person's day with one kind of task; corrections of the day stand in a row without a kind."""

    labeler: UUID
    name: str
    day: date | None
    kind: str = ""
    labels: int = 0
    skips: int = 0
    active_seconds: int = 0
    corrected_seconds: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def total_seconds(self) -> int:
        return self.active_seconds + self.corrected_seconds

    @property
    def active(self) -> timedelta:
        return timedelta(seconds=self.active_seconds)

    @property
    def corrected(self) -> timedelta:
        return timedelta(seconds=self.corrected_seconds)

    @property
    def total(self) -> timedelta:
        return timedelta(seconds=self.total_seconds)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "total_seconds": self.total_seconds}


@dataclass(frozen=True)
class Ledger:
    project: Project
    since: date
    until: date
    """The last day, included."""
    rows: list[Row]

    @property
    def totals(self) -> list[Row]:
        """One row a person, by name."""
        sums: dict[UUID, Row] = {}
        for row in self.rows:
            _add(sums.setdefault(row.labeler, Row(row.labeler, row.name, None)), row)
        return list(sums.values())

    @property
    def total(self) -> Row:
        whole = Row(UUID(int=0), "", None)
        for row in self.rows:
            _add(whole, row)
        return whole


def ledger(
    *,
    project: Project,
    since: date | None = None,
    until: date | None = None,
    labeler: Labeler | None = None,
) -> Ledger:
    """What people did from ``since`` to ``until``, both included; three queries whatever it was.

    Simulated labelers are left out.

    Args:
        since: by default the first day of the month of ``until``.
        until: by default today.
        labeler: only this one's rows.

    Raises:
        LedgerError: the days are the wrong way round, or more than a year.
    """
    until = until or timezone.localdate()
    since = since or until.replace(day=1)
    if since > until:
        raise LedgerError("from", f"{since} is after {until}. Give the first day, then the last.")
    if until - since > LONGEST:
        raise LedgerError("from", f"{since} to {until} is more than a year. Ask for less at once.")
    who = {"labeler__kind": Labeler.Kind.HUMAN} | ({"labeler": labeler} if labeler else {})
    rows: dict[tuple[UUID, date, str], Row] = {}
    for row in _worked({"project": project}, who, since, until):
        key = (row.labeler, row.day or since, row.kind)
        if key in rows:
            _add(rows[key], row)
        else:
            rows[key] = row
    ordered = sorted(rows.values(), key=lambda row: (row.name.lower(), row.labeler, row.day, row.kind))
    return Ledger(project=project, since=since, until=until, rows=ordered)


def days(*, labeler: Labeler, last: date, count: int) -> dict[date, timedelta]:
    """The time of each of the ``count`` days up to ``last``, in all projects together, newest first."""
    dates = [last - timedelta(days=back) for back in range(count)]
    seconds = dict.fromkeys(dates, 0)
    for row in _worked({}, {"labeler": labeler}, dates[-1], last):
        if row.day in seconds:
            seconds[row.day] += row.total_seconds
    return {day: timedelta(seconds=total) for day, total in seconds.items()}


def correct(
    *, project: Project, labeler: Labeler, day: date, seconds: int, reason: str, actor: User
) -> TimeCorrection:
    """Add ``seconds`` to a day of a labeler, or take them off where they are below 0.

    Raises:
        LedgerError: nothing to correct, no reason, a day to come, somebody who never worked in the project,
            or a day that would have less than no time, or more than 24 hours.
    """
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise LedgerError("reason", f"Say why in {LONGEST_REASON} characters at most: the labeler reads it.")
    if fault := unstorable(reason):
        raise LedgerError("reason", fault)
    if not 0 < abs(seconds) <= DAY:
        raise LedgerError("seconds", "Give the time to add, or to take off with a minus; 24 hours at most.")
    if day > timezone.localdate():
        raise LedgerError("day", f"{day} is yet to come.")
    with transaction.atomic():
        # Two corrections at once must see each other.
        Labeler.objects.select_for_update(no_key=True).get(pk=labeler.pk)
        belongs = Membership.objects.filter(project=project, user=labeler.user_id)
        worked = Lease.objects.filter(task__project=project, labeler=labeler)
        if not (labeler.user_id and belongs.exists()) and not worked.exists():
            raise LedgerError("labeler", f"{labeler.name} never worked in {project.name}.")
        total = ledger(project=project, since=day, until=day, labeler=labeler).total.total_seconds
        if not 0 <= total + seconds <= DAY:
            raise LedgerError(
                "seconds", f"The day has {total:,} s now; it cannot come to {total + seconds:,} s."
            )
        made = TimeCorrection.objects.create(
            project=project, labeler=labeler, day=day, seconds=seconds, reason=reason, actor=actor
        )
        about = f"{day} of {labeler.name}"
        audit.record(
            actor=actor, action="time.correct", target=about, project=project, seconds=seconds, reason=reason
        )
        live.announce(project=project, event="time", told=[str(labeler.pk)])
    return made


def as_csv(rows: Iterable[Row]) -> Iterator[str]:
    """The rows as CSV, a line at a time; no cell is taken for a formula by a spreadsheet."""
    yield csv_text.line(COLUMNS)
    for row in rows:
        own = {"reason": csv_text.cell("; ".join(row.reasons)), "name": csv_text.cell(row.name)}
        cells = {**row.as_dict(), **own}
        yield csv_text.line(cells[column] for column in COLUMNS)


def _add(sums: Row, row: Row) -> None:
    sums.labels += row.labels
    sums.skips += row.skips
    sums.active_seconds += row.active_seconds
    sums.corrected_seconds += row.corrected_seconds
    sums.reasons += row.reasons


def _worked(where: dict[str, Any], who: dict[str, Any], since: date, until: date) -> Iterator[Row]:
    """Tasks, revisions and corrections, in rows still to be joined; ``where`` may name the project."""
    of_task = {f"task__{name}": value for name, value in where.items()}
    begins, ends = (
        timezone.make_aware(datetime.combine(day, time.min)) for day in (since, until + timedelta(days=1))
    )
    by_day = ("labeler", "labeler__name", "day", "task__kind")
    leases = (
        Lease.objects.filter(**of_task, **who)
        .filter(opened_at__gte=begins, opened_at__lt=ends)
        .annotate(day=TruncDate("opened_at"))
        .values(*by_day)
        .annotate(
            labels=Count("pk", filter=Q(state=Lease.State.SUBMITTED)),
            skips=Count("pk", filter=Q(state=Lease.State.SKIPPED)),
            seconds=Sum("active_seconds"),
        )
    )
    for one in leases.order_by():
        if one["labels"] or one["skips"] or one["seconds"]:
            yield Row(
                one["labeler"],
                one["labeler__name"],
                one["day"],
                one["task__kind"],
                labels=one["labels"],
                skips=one["skips"],
                active_seconds=round(one["seconds"]),
            )
    revisions = (
        Annotation.objects.filter(supersedes__isnull=False, **of_task, **who)
        .filter(submitted_at__gte=begins, submitted_at__lt=ends, active_seconds__gt=0)
        .annotate(day=TruncDate("submitted_at"))
        .values(*by_day)
        .annotate(seconds=Sum("active_seconds"))
    )
    for one in revisions.order_by():
        yield Row(
            one["labeler"],
            one["labeler__name"],
            one["day"],
            one["task__kind"],
            active_seconds=round(one["seconds"]),
        )
    corrections = TimeCorrection.objects.filter(day__gte=since, day__lte=until, **where, **who)
    for one in corrections.order_by("pk").values("labeler", "labeler__name", "day", "seconds", "reason"):
        yield Row(
            one["labeler"],
            one["labeler__name"],
            one["day"],
            corrected_seconds=one["seconds"],
            reasons=[one["reason"]],
        )

"""The roster: who works in a project and what they did, for those who run it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Count, Exists, Max, OuterRef, Q
from django.db.models.functions import TruncWeek
from django.utils import timezone

from labeling.models import Annotation, Labeler, Lease, Membership, Message, Project, Review, Task
from labeling.people import ledger, members

PAGE = 100
WEEK = 7
WEEKS = 8
NEWEST = 20
FORMER, PAUSED = "former", "paused"


@dataclass
class Person:
    """A member with what they did, or somebody who left labels and is none any more."""

    labeler: Labeler
    membership: Membership | None = None
    labels: int = 0
    """That stand."""
    last_worked: datetime | None = None
    open_leases: int = 0
    week: timedelta = timedelta()
    """Time of the last seven days."""

    def as_dict(self) -> dict[str, Any]:
        member = self.membership
        return {
            "id": self.labeler.pk,
            "name": self.labeler.name,
            "kind": self.labeler.kind,
            "role": member and member.role,
            "group": member and member.group,
            "languages": member.languages if member else [],
            "skills": member.skills if member else [],
            "paused": bool(member and member.paused),
            "labels": self.labels,
            "last_worked": self.last_worked,
            "open_leases": self.open_leases,
            "week_seconds": int(self.week.total_seconds()),
        }


@dataclass
class Record:
    """What one person did in a project."""

    person: Person
    revised: int = 0
    invalidated: int = 0
    sent_back: int = 0
    """Of their labels, by a verdict that is in force."""
    reviews: int = 0
    skips: int = 0
    total: timedelta = timedelta()
    """Time of this month so far, corrections included."""
    kinds: list[str] = field(default_factory=list)
    weeks: list[tuple[date, list[int]]] = field(default_factory=list)
    """Labels that stand by week, newest first, in the order of ``kinds``."""
    newest: list[Annotation] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)


def roster(*, project: Project, search: str = "", role: str = "", page: int = 1) -> Page[Person]:
    """One page of the people of a project by name; eight queries however many there are.

    Args:
        search: found in the name.
        role: only members with it; or `PAUSED`; or `FORMER`, those who are members no more.
    """
    listed: Any
    if role == FORMER:
        here = Annotation.objects.filter(task__project=project, labeler=OuterRef("pk"))
        known = Labeler.objects.filter(Exists(here)).exclude(user__memberships__project=project)
        listed = known.filter(name__icontains=search).order_by("name", "pk")
    else:
        _name_all(project)
        listed = Membership.objects.filter(project=project, user__labeler__name__icontains=search)
        if role == PAUSED:
            listed = listed.filter(paused=True)
        elif role:
            listed = listed.filter(role=role)
        listed = listed.select_related("user__labeler").order_by("user__labeler__name", "pk")
    found: Page[Any] = Paginator(listed, PAGE).get_page(page)
    rows = [Person(row) if role == FORMER else Person(row.user.labeler, row) for row in found]
    _count(project, rows)
    found.object_list = rows
    return found


def person(*, project: Project, labeler_id: UUID) -> Person:
    """A member, or somebody who left labels.

    Raises:
        Labeler.DoesNotExist: neither.
    """
    labeler = members.labelers_of(project).get(pk=labeler_id)
    theirs = Membership.objects.filter(project=project, user=labeler.user_id).select_related("user")
    found = Person(labeler, theirs.first() if labeler.user_id else None)
    _count(project, [found])
    return found


def record(*, project: Project, labeler_id: UUID) -> Record:
    """What a person did, with their newest labels.

    Raises:
        Labeler.DoesNotExist: as `person`.
    """
    who = person(project=project, labeler_id=labeler_id)
    labeler = who.labeler
    theirs = Annotation.objects.filter(labeler=labeler, task__project=project)
    against = Review.objects.in_force().filter(verdict=Review.Verdict.SEND_BACK, annotation=OuterRef("pk"))
    found = Record(
        who,
        **theirs.aggregate(
            revised=Count("pk", filter=Q(superseded_by__isnull=False)),
            invalidated=Count("pk", filter=Q(invalidation__isnull=False)),
            reviews=Count("pk", filter=Q(kind=Task.Kind.REVIEW, superseded_by__isnull=True)),
        ),
        sent_back=theirs.filter(Exists(against)).count(),
        skips=Lease.objects.filter(labeler=labeler, task__project=project, state=Lease.State.SKIPPED).count(),
        total=ledger.ledger(project=project, labeler=labeler).total.total,
    )
    newest = theirs.select_related("task__prompt", "guideline_version", "superseded_by", "invalidation")
    found.newest = list(newest.annotate(is_sent_back=Exists(against)).order_by("-pk")[:NEWEST])
    messages = Message.objects.filter(project=project, labeler=labeler).select_related("actor")
    found.messages = list(messages[:NEWEST])
    _by_week(found, theirs)
    return found


def _by_week(found: Record, theirs: Any) -> None:
    since = timezone.now() - timedelta(weeks=WEEKS)
    counts: dict[date, dict[str, int]] = {}
    rows = (
        theirs.valid()
        .filter(submitted_at__gte=since)
        .annotate(week=TruncWeek("submitted_at"))
        .values_list("week", "kind")
        .annotate(n=Count("pk"))
    )
    for week, kind, n in rows.order_by("-week"):
        counts.setdefault(week.date(), {})[kind] = n
    used = {kind for of_week in counts.values() for kind in of_week}
    found.kinds = [kind for kind in Task.Kind.values if kind in used]
    found.weeks = [(week, [of.get(kind, 0) for kind in found.kinds]) for week, of in counts.items()]


def _name_all(project: Project) -> None:
    """Give a labeler to members who never opened a page, so that each has an address."""
    nameless = Membership.objects.filter(project=project, user__labeler__isnull=True).select_related("user")
    Labeler.objects.bulk_create(
        [Labeler(user=member.user, name=member.user.username) for member in nameless], ignore_conflicts=True
    )


def _count(project: Project, rows: Iterable[Person]) -> None:
    by_id = {row.labeler.pk: row for row in rows}
    if not by_id:
        return
    here = {"task__project": project, "labeler__in": list(by_id)}
    labels = Annotation.objects.valid().filter(**here).order_by().values_list("labeler")
    for pk, n in labels.annotate(n=Count("pk")):
        by_id[pk].labels = n
    leases = Lease.objects.filter(**here).order_by().values_list("labeler")
    open_now = Count("pk", filter=Q(state=Lease.State.OPEN))
    for pk, last, n in leases.annotate(last=Max("opened_at"), open_now=open_now):
        by_id[pk].last_worked, by_id[pk].open_leases = last, n
    since = timezone.localdate() - timedelta(days=WEEK - 1)
    only = next(iter(by_id.values())).labeler if len(by_id) == 1 else None
    for row in ledger.ledger(project=project, since=since, labeler=only).totals:
        if row.labeler in by_id:
            by_id[row.labeler].week = row.total

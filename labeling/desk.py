"""A labeler's desk: what waits for me, what I have begun, what I have done."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.utils import timezone

from labeling.models import Annotation, Draft, Labeler, Lease, Membership, Project, Task

MOST_COUNTED = 1000  # beyond it the desk says "1,000+": an exact count would read the whole queue
MOST_DRAFTS = 20


@dataclass(frozen=True)
class Waiting:
    """Tasks of one kind that this labeler would be handed, the one in hand included."""

    kind: str
    count: int

    @property
    def capped(self) -> bool:
        return self.count >= MOST_COUNTED


@dataclass
class ProjectDesk:
    membership: Membership
    waiting: list[Waiting]
    drafts: list[Draft] = field(default_factory=list)
    labels: int = 0
    labels_today: int = 0

    @property
    def project(self) -> Project:
        return self.membership.project

    @property
    def begins_with(self) -> str | None:
        """The kind that waits with the most tasks, or None where nothing waits."""
        fullest = max(self.waiting, key=lambda one: one.count, default=None)
        return fullest.kind if fullest and fullest.count else None


@dataclass(frozen=True)
class Desk:
    projects: list[ProjectDesk]
    active_today: timedelta

    @property
    def labels_today(self) -> int:
        return sum(one.labels_today for one in self.projects)

    @property
    def labels(self) -> int:
        return sum(one.labels for one in self.projects)


def waiting(*, project: Project, labeler: Labeler, kind: str) -> int:
    """How many tasks of ``kind`` wait for ``labeler``, at most `MOST_COUNTED`."""
    in_hand = Lease.objects.filter(
        labeler=labeler, state=Lease.State.OPEN, task__project=project, task__kind=kind
    ).count()
    if project.paused:
        return in_hand
    mine = Lease.objects.filter(task=OuterRef("pk"), labeler=labeler).exclude(state=Lease.State.EXPIRED)
    fresh = Task.objects.open().filter(~Exists(mine), project=project, kind=kind)
    return min(MOST_COUNTED, in_hand + fresh[:MOST_COUNTED].count())


def desk(*, user: User, labeler: Labeler) -> Desk:
    """Everything that ``user`` sees on the first page."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    memberships = (
        Membership.objects.filter(user=user).select_related("project__guideline").order_by("project__name")
    )
    drafts = _drafts(labeler)
    labels = _labels(labeler, midnight)
    return Desk(
        projects=[
            ProjectDesk(
                membership=membership,
                waiting=[
                    Waiting(kind, waiting(project=membership.project, labeler=labeler, kind=kind))
                    for kind in Task.Kind.values
                ],
                drafts=drafts[membership.project_id],
                labels=labels.get(membership.project_id, {}).get("all", 0),
                labels_today=labels.get(membership.project_id, {}).get("today", 0),
            )
            for membership in memberships
        ],
        active_today=_active(labeler, midnight),
    )


def _drafts(labeler: Labeler) -> dict[int, list[Draft]]:
    by_project: dict[int, list[Draft]] = defaultdict(list)
    rows = Draft.objects.filter(labeler=labeler).select_related("task__prompt").order_by("-updated_at")
    for draft in rows[:MOST_DRAFTS]:
        by_project[draft.task.project_id].append(draft)
    return by_project


def _labels(labeler: Labeler, since: datetime) -> dict[int, dict[str, int]]:
    rows = (
        Annotation.objects.valid()
        .filter(labeler=labeler)
        .values("task__project")
        .annotate(all=Count("pk"), today=Count("pk", filter=Q(submitted_at__gte=since)))
    )
    return {row["task__project"]: row for row in rows}


def _active(labeler: Labeler, since: datetime) -> timedelta:
    """Time with activity on tasks opened since then, idle excluded."""
    total = Lease.objects.filter(labeler=labeler, opened_at__gte=since).aggregate(n=Sum("active_seconds"))[
        "n"
    ]
    return timedelta(seconds=round(total or 0))

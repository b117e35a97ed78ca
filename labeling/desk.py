"""A labeler's desk: what waits for me, what I have begun, what I have done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from labeling.access import kinds_for
from labeling.models import Annotation, Draft, Labeler, Lease, Membership, Project, Task
from labeling.queue import MAY_TAKE

MOST_COUNTED = 1000  # beyond it the desk says "1,000+": an exact count would read the whole queue
MOST_DRAFTS = 20

# What a person does in each kind of task: in two words, and in a sentence.
WORDS = {
    Task.Kind.DEMONSTRATE: (_("Write answers"), _("Show the model what a good answer looks like.")),
    Task.Kind.RANK: (_("Rank answers"), _("Put a few answers to one prompt in order, best first.")),
    Task.Kind.COMPARE: (_("Compare answers"), _("Say which of two answers is better, and by how much.")),
    Task.Kind.RATE: (_("Rate answers"), _("Judge each answer on the guideline's criteria, then rank them.")),
    Task.Kind.EDIT: (_("Mend answers"), _("Make the model's answer right, word by word.")),
    Task.Kind.MARK: (_("Mark passages"), _("Mark what is wrong or right in an answer, passage by passage.")),
    Task.Kind.PROMPT: (_("Write prompts"), _("Say what a person would ask, or say next.")),
    Task.Kind.CONVERSE: (_("Converse"), _("Talk with the model and choose the better of its two answers.")),
    Task.Kind.REVIEW: (_("Review labels"), _("Judge the work of others: accept it, or send it back.")),
}

# As `queue.lease_next` hands out, all kinds in one look; a count stops where nobody reads on.
_WAITING = f"""
select wanted_kind,
    (select count(*) from labeling_lease mine join labeling_task task on task.id = mine.task_id
     where mine.labeler_id = %(labeler)s and mine.state = 'open'
       and task.project_id = %(project)s and task.kind = wanted_kind)
    + (select count(*) from (
        select from labeling_task task
        where task.project_id = %(project)s and task.kind = wanted_kind and not %(paused)s
          and task.state = 'open' and task.taken < task.wanted {MAY_TAKE}
        limit %(most)s
    ) fresh)
from unnest(%(kinds)s::text[]) as wanted_kind
"""


@dataclass(frozen=True)
class Waiting:
    """Tasks of one kind that this labeler would be handed, the one in hand included."""

    kind: str
    count: int

    @property
    def does(self) -> str:
        """What it asks for, in a sentence."""
        return str(WORDS[Task.Kind(self.kind)][1])

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


def waiting(*, project: Project, labeler: Labeler, kinds: Sequence[str]) -> dict[str, int]:
    """How many tasks of each kind wait for ``labeler``, at most `MOST_COUNTED`."""
    parameters: dict[str, Any] = {
        "kinds": list(kinds),
        "project": project.pk,
        "paused": project.paused,
        "labeler": labeler.pk,
        "avoids_sensitive": labeler.avoids_sensitive,
        "most": MOST_COUNTED,
    }
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, parameters)
        return {kind: min(MOST_COUNTED, count) for kind, count in cursor.fetchall()}


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
                    Waiting(kind, count)
                    for kind, count in waiting(
                        project=membership.project, labeler=labeler, kinds=kinds_for(membership)
                    ).items()
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

"""A labeler's desk: what waits for me, what I have begun, what I have done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from guidelines.models import GuidelineVersion
from labeling.fit import MAY_TAKE, Fit
from labeling.models import Annotation, Draft, Labeler, Lease, Membership, Message, Project, Review, Task
from labeling.people import ledger, messages
from labeling.people.access import kinds_for
from labeling.qualification import grades
from labeling.qualification.door import Door, doors
from labeling.reviewing import reviews

MOST_COUNTED = 1000  # beyond it the desk says "1,000+": an exact count would read the whole queue
MOST_DRAFTS = 20
WEEK = 7

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

# What became of a label that a reviewer sent back.
OUTCOMES = {
    reviews.State.ACCEPTED: _("accepted"),
    reviews.State.SENT_BACK: _("sent back"),
    reviews.State.APPEALED: _("your appeal is under way"),
    reviews.State.RESTORED: _("restored: your appeal was right"),
    reviews.State.REFUSED: _("appeal refused, which is final"),
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


@dataclass(frozen=True)
class SentBack:
    """A label of one's own that a reviewer sent back, and what came of it."""

    review: Review
    outcome: reviews.Outcome

    @property
    def is_open(self) -> bool:
        """Whether it waits for its author."""
        return self.outcome.state == reviews.State.SENT_BACK


@dataclass(frozen=True)
class News:
    """A guideline version that was published since one last worked in the project."""

    number: int
    note: str
    published_at: datetime


@dataclass
class Counts:
    """Labels of one kind."""

    kind: str
    today: int = 0
    week: int = 0
    all: int = 0


@dataclass
class ProjectDesk:
    membership: Membership
    waiting: list[Waiting]
    drafts: list[Draft] = field(default_factory=list)
    sent_back: list[SentBack] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    news: News | None = None
    stuck_appeals: int = 0
    messages: list[Message] = field(default_factory=list)
    """That wait to be read."""
    door: Door | None = None
    """Where the project asks this labeler to qualify."""
    to_grade: int = 0
    """Written answers of others that wait for a grade by this reviewer."""

    @property
    def project(self) -> Project:
        return self.membership.project

    @property
    def labels(self) -> int:
        return sum(one.all for one in self.counts)

    @property
    def labels_today(self) -> int:
        return sum(one.today for one in self.counts)

    @property
    def begins_with(self) -> str | None:
        """The kind that waits with the most tasks, or None where nothing waits."""
        fullest = max(self.waiting, key=lambda one: one.count, default=None)
        return fullest.kind if fullest and fullest.count else None


@dataclass(frozen=True)
class Desk:
    projects: list[ProjectDesk]
    days: dict[date, timedelta]
    """Time of the last week, corrections included, today first."""

    @property
    def active_today(self) -> timedelta:
        return next(iter(self.days.values()))

    @property
    def labels_today(self) -> int:
        return sum(one.labels_today for one in self.projects)

    @property
    def labels(self) -> int:
        return sum(one.labels for one in self.projects)

    @property
    def counts(self) -> list[Counts]:
        """By kind, all projects together."""
        sums: dict[str, Counts] = {}
        for one in (counts for project in self.projects for counts in project.counts):
            whole = sums.setdefault(one.kind, Counts(one.kind))
            whole.today, whole.week, whole.all = (
                whole.today + one.today,
                whole.week + one.week,
                whole.all + one.all,
            )
        return sorted(sums.values(), key=lambda one: -one.all)


def waiting(*, membership: Membership, labeler: Labeler, kinds: Sequence[str]) -> dict[str, int]:
    """How many tasks of each kind wait for ``labeler`` in a project, at most `MOST_COUNTED`."""
    parameters: dict[str, Any] = {
        "kinds": list(kinds),
        "project": membership.project_id,
        "paused": membership.project.paused or membership.paused,
        "labeler": labeler.pk,
        "most": MOST_COUNTED,
        **Fit.of(membership, labeler).parameters(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, parameters)
        return {kind: min(MOST_COUNTED, count) for kind, count in cursor.fetchall()}


def desk(*, user: User, labeler: Labeler, today: date | None = None) -> Desk:
    """Everything that ``user`` sees on the first page."""
    today = today or timezone.localdate()
    memberships = list(_memberships(user, labeler))
    drafts, counts, sent_back = _drafts(labeler), _counts(labeler, today), _sent_back(labeler, user)
    unread = messages.unread(labeler, user)
    managed = [one.project_id for one in memberships if one.manages]
    stuck = reviews.stuck_appeals(managed) if managed else {}
    guarded = [one.project_id for one in memberships if one.project.qualified_only]
    at_door = doors(projects=guarded, labeler=labeler)
    graded = [one.project_id for one in memberships if one.reviews and one.project.qualified_only]
    to_grade = grades.counts(projects=graded, grader=user)
    return Desk(
        projects=[
            ProjectDesk(
                membership=membership,
                waiting=[
                    Waiting(kind, count)
                    for kind, count in waiting(
                        membership=membership, labeler=labeler, kinds=kinds_for(membership)
                    ).items()
                ]
                if (at := at_door.get(membership.project_id)) is None or at.is_open
                else [],
                drafts=drafts[membership.project_id],
                sent_back=sent_back[membership.project_id],
                counts=counts[membership.project_id],
                news=_news(membership),
                stuck_appeals=stuck.get(membership.project_id, 0),
                door=at_door.get(membership.project_id),
                to_grade=to_grade.get(membership.project_id, 0),
                messages=unread[membership.project_id],
            )
            for membership in memberships
        ],
        days=ledger.days(labeler=labeler, last=today, count=WEEK),
    )


def _memberships(user: User, labeler: Labeler) -> Any:
    """With when the project was last worked in, and the newest version of its guideline."""
    leases = Lease.objects.filter(labeler=labeler, task__project=OuterRef("project")).order_by("-opened_at")
    versions = GuidelineVersion.objects.filter(guideline=OuterRef("project__guideline")).order_by("-number")
    return (
        Membership.objects.filter(user=user)
        .select_related("project__guideline")
        .annotate(
            worked_at=Subquery(leases.values("opened_at")[:1]),
            newest=Subquery(versions.values("number")[:1]),
            newest_note=Subquery(versions.values("note")[:1]),
            newest_at=Subquery(versions.values("published_at")[:1]),
        )
        .order_by("project__name")
    )


def _news(membership: Any) -> News | None:
    worked, published = membership.worked_at, membership.newest_at
    if worked is None or published is None or published <= worked:
        return None
    return News(membership.newest, membership.newest_note, published)


def _drafts(labeler: Labeler) -> dict[int, list[Draft]]:
    by_project: dict[int, list[Draft]] = defaultdict(list)
    leases = Lease.objects.filter(labeler=labeler, task=OuterRef("task")).order_by("-opened_at")
    rows = (
        Draft.objects.filter(labeler=labeler)
        .select_related("task__prompt")
        .annotate(lease=Subquery(leases.values("pk")[:1]))
        .order_by("-updated_at")
    )
    for draft in rows[:MOST_DRAFTS]:
        by_project[draft.task.project_id].append(draft)
    return by_project


def _sent_back(labeler: Labeler, user: User) -> dict[int, list[SentBack]]:
    by_project: dict[int, list[SentBack]] = defaultdict(list)
    for review in reviews.sent_back_to(labeler, projects=Project.objects.visible_to(user)):
        by_project[review.annotation.task.project_id].append(SentBack(review, reviews.outcome(review)))
    return by_project


def _counts(labeler: Labeler, today: date) -> dict[int, list[Counts]]:
    midnight = timezone.make_aware(datetime.combine(today, time.min))
    week = midnight - timedelta(days=WEEK - 1)
    rows = (
        Annotation.objects.valid()
        .filter(labeler=labeler)
        .values("kind", project=F("task__project"))
        .annotate(
            all=Count("pk"),
            week=Count("pk", filter=Q(submitted_at__gte=week)),
            today=Count("pk", filter=Q(submitted_at__gte=midnight)),
        )
        .order_by("-all")
    )
    by_project: dict[int, list[Counts]] = defaultdict(list)
    for row in rows:
        by_project[row["project"]].append(Counts(row["kind"], row["today"], row["week"], row["all"]))
    return by_project

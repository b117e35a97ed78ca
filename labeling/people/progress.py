"""How a project comes along: labels a day, what is open, when it is done at this pace, hours and cost.

Everything is counted in the database, by day, kind and person, over the last `DAYS` days. Days before
yesterday hardly change, so their counts are kept by each web process for `KEPT`: of a million labels a page
reads those of two days.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db.models import Count, F, Max, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.models import Annotation, Labeler, Lease, Project, Prompt, Split, Task
from labeling.people import ledger

DAYS = 28
PACED = 14  # days that the pace is taken from, up to yesterday
LEAST_DAYS = 3
WEEK = 7
FRESH = 2  # days that are counted anew each time, today the last
KEPT = timedelta(minutes=15)
MOST_SHOWN = 12
# Two-sided 90 % quantiles of Student's t by degrees of freedom, 2 to 13.
_T90 = (2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771)


@dataclass(frozen=True)
class Day:
    day: date
    kinds: dict[str, int]

    @property
    def labels(self) -> int:
        return sum(self.kinds.values())


@dataclass(frozen=True)
class Open:
    """What waits of one kind."""

    kind: str
    tasks: int
    labels: int
    """Labels that those tasks still want."""


@dataclass(frozen=True)
class Person:
    name: str
    kind: str
    week: int
    labels: int


@dataclass(frozen=True)
class Cost:
    """A person's time with one kind of task; corrections of a day stand in a row without a kind."""

    name: str
    kind: str
    labels: int
    seconds: int
    amount: Decimal


@dataclass(frozen=True)
class Pace:
    """Labels a day with a 90 % interval, by Student's t over the days."""

    labels: float
    low: float
    high: float
    days: int


@dataclass(frozen=True)
class Finish:
    """Days until nothing is open, with the interval that the pace gives; ``why`` where it cannot be said."""

    days: float | None = None
    soonest: float | None = None
    latest: float | None = None
    """None where the pace may be as good as none."""
    why: str = ""

    @property
    def words(self) -> str:
        if self.days is None or self.soonest is None:
            return self.why
        if self.latest is None:
            return _("%(soonest)s or more") % {"soonest": _span(self.soonest)}
        if math.ceil(self.soonest) == math.ceil(self.latest):
            return _span(self.days)
        between = {"soonest": f"{math.ceil(self.soonest):,}", "latest": _span(self.latest)}
        return _("%(soonest)s to %(latest)s") % between


@dataclass
class Progress:
    project: Project
    today: date
    days: list[Day]
    """Every day of the window, oldest first."""
    open: list[Open]
    in_hand: int
    people: list[Person]
    """Who sent a label this week, most first."""
    costs: list[Cost]
    ledger: ledger.Ledger
    pace: Pace | None = None
    finish: Finish = field(default_factory=Finish)

    @property
    def labels(self) -> int:
        return sum(one.labels for one in self.days)

    @property
    def labels_today(self) -> int:
        return self.days[-1].labels

    @property
    def open_tasks(self) -> int:
        return sum(one.tasks for one in self.open)

    @property
    def open_labels(self) -> int:
        return sum(one.labels for one in self.open)

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """Labels of the window by kind, most first."""
        counts: Counter[str] = Counter()
        for day in self.days:
            counts.update(day.kinds)
        return counts.most_common()

    @property
    def seconds(self) -> int:
        return self.ledger.total.total_seconds

    @property
    def cost(self) -> Decimal:
        return sum((one.amount for one in self.costs), Decimal(0))


def progress(*, project: Project, today: date | None = None) -> Progress:
    """How ``project`` stands; the same few queries whatever its size. Imported labels are nobody's work."""
    today = today or timezone.localdate()
    first = today - timedelta(days=DAYS - 1)
    sent, worked = _counted(project, first, today)
    people = Labeler.objects.in_bulk({one[2] for one in sent} | {row.labeler for row in worked.rows})
    by_day: dict[date, Counter[str]] = defaultdict(Counter)
    weekly: Counter[UUID] = Counter()
    whole: Counter[UUID] = Counter()
    for day, kind, labeler, n in sent:
        if people[labeler].kind == Labeler.Kind.IMPORT:
            continue
        by_day[day][kind] += n
        whole[labeler] += n
        if day > today - timedelta(days=WEEK):
            weekly[labeler] += n
    for row in worked.rows:
        # Counts may be older than a pseudonym.
        row.name = people[row.labeler].name
    found = Progress(
        project=project,
        today=today,
        days=[Day(one, dict(by_day[one])) for one in (first + timedelta(days=n) for n in range(DAYS))],
        open=_open(project),
        in_hand=Lease.objects.filter(task__project=project, state=Lease.State.OPEN).count(),
        people=[Person(people[one].name, people[one].kind, n, whole[one]) for one, n in weekly.most_common()],
        costs=_costs(worked.rows, project.hourly_rate),
        ledger=worked,
    )
    found.pace = pace([one.labels for one in found.days[:-1]])
    found.finish = finish(project=project, open_labels=found.open_labels, pace=found.pace)
    return found


def pace(labels: Sequence[int]) -> Pace | None:
    """The pace of the last `PACED` of some days, counted from the first on which there was a label.

    Returns None where that is less than `LEAST_DAYS` days.
    """
    counted = list(labels)[-PACED:]
    began = next((at for at, n in enumerate(counted) if n), len(counted))
    counted = counted[began:]
    if len(counted) < LEAST_DAYS:
        return None
    mean = sum(counted) / len(counted)
    variance = sum((n - mean) ** 2 for n in counted) / (len(counted) - 1)
    margin = _T90[len(counted) - LEAST_DAYS] * math.sqrt(variance / len(counted))
    return Pace(mean, max(0.0, mean - margin), mean + margin, len(counted))


def finish(*, project: Project, open_labels: int, pace: Pace | None) -> Finish:
    """When nothing is open any more, if people go on as they did."""
    if not open_labels:
        return Finish(why=_("Nothing is open."))
    if project.paused:
        return Finish(why=_("It cannot be said: the project is paused."))
    if pace is None:
        return Finish(
            why=_("It cannot be said yet: that takes %(n)s whole days of labels.") % {"n": LEAST_DAYS}
        )
    latest = open_labels / pace.low if pace.low > 0 else None
    return Finish(open_labels / pace.labels, open_labels / pace.high, latest)


@dataclass(frozen=True)
class Holdings:
    """The prompts in use, counted."""

    prompts: int
    tables: list[tuple[str, list[tuple[str, int, int]], int]]
    """Title, rows of (name, prompts, percent of all), and how many names are not shown."""


def holdings(project: Project) -> Holdings:
    """The prompts in use by side, use case and language; one query."""
    grouped = list(
        Prompt.objects.filter(project=project, withdrawn=False)
        .order_by()
        .values_list("split", "use_case", "language")
        .annotate(n=Count("pk"))
    )
    total = sum(n for *_names, n in grouped)
    titles = (_("Sides"), _("Use cases"), _("Languages"))
    tables = []
    for at, title in enumerate(titles):
        counts: Counter[str] = Counter()
        for row in grouped:
            name = str(Split(row[0]).label) if at == 0 else row[at]
            counts[name] += row[3]
        shown = counts.most_common(MOST_SHOWN)
        rows = [(name, n, round(100 * n / total)) for name, n in shown]
        tables.append((title, rows, len(counts) - len(shown)))
    return Holdings(total, tables)


Sent = list[tuple[date, str, UUID, int]]
"""Labels by day, kind and labeler."""


def _counted(project: Project, first: date, today: date) -> tuple[Sent, ledger.Ledger]:
    """The labels and the ledger from ``first`` to ``today``, those of settled days as they were kept."""
    settled = today - timedelta(days=FRESH)
    corrected = project.time_corrections.aggregate(newest=Max("pk"))["newest"]
    key = f"progress:{project.pk}:{first}:{settled}:{corrected}"
    if (kept := cache.get(key)) is None:
        kept = _sent(project, first, settled), ledger.ledger(project=project, since=first, until=settled).rows
        cache.set(key, kept, KEPT.total_seconds())
    since = settled + timedelta(days=1)
    fresh = ledger.ledger(project=project, since=since, until=today)
    rows = [*kept[1], *fresh.rows]
    return [*kept[0], *_sent(project, since, today)], ledger.Ledger(project, first, today, rows)


def _sent(project: Project, since: date, until: date) -> Sent:
    begins, ends = (
        timezone.make_aware(datetime.combine(day, time.min)) for day in (since, until + timedelta(days=1))
    )
    return list(
        Annotation.objects.filter(task__project=project, submitted_at__gte=begins, submitted_at__lt=ends)
        .annotate(day=TruncDate("submitted_at"))
        .order_by()
        .values_list("day", "kind", "labeler")
        .annotate(n=Count("pk"))
    )


def _open(project: Project) -> list[Open]:
    waiting = (
        Task.objects.open()
        .filter(project=project)
        .order_by()
        .values_list("kind")
        .annotate(tasks=Count("pk"), labels=Sum(F("wanted") - F("taken")))
    )
    return sorted((Open(*row) for row in waiting), key=lambda one: -one.labels)


def _costs(rows: Iterable[ledger.Row], rate: Decimal) -> list[Cost]:
    """A row a person and kind; every person's together in the order of their names."""
    sums: dict[tuple[str, UUID, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        one = sums[row.name.lower(), row.labeler, row.kind]
        one[0] += row.labels
        one[1] += row.total_seconds
    names = {row.labeler: row.name for row in rows}
    return [
        Cost(names[labeler], kind, labels, seconds, (rate * seconds / 3600).quantize(Decimal("0.01")))
        for (_name, labeler, kind), (labels, seconds) in sorted(sums.items())
    ]


def _span(days: float) -> str:
    whole = max(1, math.ceil(days))
    return ngettext("%(n)s day", "%(n)s days", whole) % {"n": f"{whole:,}"}


def as_dict(found: Progress) -> dict[str, Any]:
    """Progress as the API writes it."""
    return {
        "today": found.today,
        "days": [{"day": one.day, "labels": one.labels, "kinds": one.kinds} for one in found.days],
        "open": [{"kind": one.kind, "tasks": one.tasks, "labels": one.labels} for one in found.open],
        "in_hand": found.in_hand,
        "pace": found.pace and {"labels": found.pace.labels, "low": found.pace.low, "high": found.pace.high},
        "finish": {
            "days": found.finish.days,
            "soonest": found.finish.soonest,
            "latest": found.finish.latest,
            "words": found.finish.words,
        },
        "people": [{"name": one.name, "week": one.week, "labels": one.labels} for one in found.people],
        "seconds": found.seconds,
        "cost": float(found.cost),
        "currency": found.project.currency,
        "costs": [
            {
                "name": one.name,
                "kind": one.kind,
                "labels": one.labels,
                "seconds": one.seconds,
                "amount": float(one.amount),
            }
            for one in found.costs
        ],
    }

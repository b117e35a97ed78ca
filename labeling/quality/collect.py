"""A project's labels read from the database into arrays, the newest first, and what they say.

Rankings, comparisons and the rankings of ratings become rows of placed answers; every value of a criterion
becomes a label of its own. Talks are left out, for no two people have the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
from django.db.models.functions import Length

from guidelines.models import GuidelineVersion
from labeling.models import Annotation, Candidate, Project, Task
from labeling.quality import agreement, rankings, reliability
from labeling.quality.agreement import Agreement, Level
from labeling.quality.labels import Ints, Labels

# So many labels are read and gone through while somebody waits for the page.
NEWEST = 5000
KINDS = (Task.Kind.RANK, Task.Kind.COMPARE, Task.Kind.RATE)


@dataclass(frozen=True, slots=True)
class Origin:
    """What one label was made under; agreement is cut by it."""

    kind: str
    use_case: str
    version: int
    week: date
    """The Monday of the week in which it was submitted."""


@dataclass(slots=True)
class Scale:
    """The values of one criterion, and which label each is from."""

    name: str
    level: Level
    rows: list[tuple[str, int, int, int]] = field(default_factory=list)
    """(unit, labeler, value, label): a unit is what was judged, an answer or a prompt."""


@dataclass(slots=True)
class Collected:
    """Labels by number from 0, and what they hold; people by number, too."""

    origins: list[Origin] = field(default_factory=list)
    people: list[tuple[str, str]] = field(default_factory=list)
    """(id, name)"""
    placed: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)
    """(label, task, labeler, candidate, place, position in which it was shown)"""
    seconds: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Of each label, how many answers it places."""
    scales: dict[str, Scale] = field(default_factory=dict)
    lengths: dict[int, int] = field(default_factory=dict)
    """Characters of each candidate."""
    cut_off: bool = False
    """Whether there are more labels than were read."""


@dataclass(frozen=True, slots=True)
class Row:
    """The agreement of one part of the labels: all, or a kind, criterion, use case, version or week."""

    cut: str
    name: str
    found: Agreement
    tau: float = float("nan")
    """Kendall's tau-b, averaged over every two people on every item they both ranked."""


def collect(project: Project, *, newest: int = NEWEST) -> Collected:
    """Read the newest labels that stand, in three queries."""
    told = Collected()
    criteria: dict[int, list[dict[str, Any]]] = dict(
        GuidelineVersion.objects.filter(guideline=project.guideline_id).values_list("number", "criteria")
    )
    labels = (
        Annotation.objects.standing()
        .filter(task__project=project, task__gold__isnull=True, kind__in=KINDS)
        .order_by("-pk")
        .values_list(
            "task",
            "labeler",
            "labeler__name",
            "kind",
            "task__prompt__use_case",
            "guideline_version__number",
            "submitted_at",
            "active_seconds",
            "shown_order",
            "answer",
        )[: newest + 1]
    )
    people: dict[str, int] = {}
    seen: set[tuple[int, int]] = set()
    for row in labels.iterator(chunk_size=2000):
        number = len(told.origins)
        if number == newest:
            told.cut_off = True
            break
        task, person, name, kind, use_case, version, at, seconds, shown, answer = row
        labeler = people.setdefault(str(person), len(people))
        if labeler == len(told.people):
            told.people.append((str(person), name))
        # Of who was asked to label a task again, the newest counts.
        if (task, labeler) in seen:
            continue
        seen.add((task, labeler))
        told.origins.append(Origin(kind, use_case, version, at.date() - timedelta(days=at.weekday())))
        told.seconds.append(seconds or float("nan"))
        told.at.append(at.timestamp())
        places = list(_places(kind, answer, shown))
        told.sizes.append(len(places))
        position = {candidate: place for place, candidate in enumerate(shown)}
        told.placed += [
            (number, task, labeler, candidate, place, position.get(candidate, -1))
            for candidate, place in places
        ]
        if kind == Task.Kind.RATE:
            _rate(told, criteria.get(version, []), answer, task=task, labeler=labeler, number=number)
    candidates = Candidate.objects.filter(task__in={task for task, _ in seen})
    told.lengths = dict(candidates.values_list("pk", Length("completion__text")))
    return told


def agreements(told: Collected) -> list[Row]:
    """Agreement on pairs of answers, of everything and of every part; then of every criterion's values."""
    pairs, label = pairs_of(told)
    rows = []
    if len(pairs.unit):
        cuts: list[tuple[str, list[Any]]] = [
            ("all", [""] * len(told.origins)),
            ("kind", [one.kind for one in told.origins]),
            ("use case", [one.use_case for one in told.origins]),
            ("guideline version", [one.version for one in told.origins]),
            ("week", [one.week for one in told.origins]),
        ]
        for cut, values in cuts:
            names = sorted({values[each] for each in np.unique(label).tolist()})
            if cut != "all" and len(names) < 2 and cut != "kind":
                continue
            number = {name: at for at, name in enumerate(names)}
            of_label = np.array([number.get(value, -1) for value in values])[label]
            for name in names:
                part = rankings.some(pairs, of_label == number[name])
                found = rankings.measure(part)
                rows.append(Row(cut, str(name), found, rankings.mean_tau_b(part)))
    for scale in told.scales.values():
        unit, labeler, value, _ = zip(*scale.rows, strict=True)
        found = agreement.measure(Labels.of(unit, labeler, value), level=scale.level)
        rows.append(Row("criterion", scale.name, found))
    return rows


def reliabilities(told: Collected) -> reliability.Reliability | None:
    """How far each labeler can be relied on, by their choices between two answers; None without any."""
    pairs, label = pairs_of(told)
    chosen = pairs.label != rankings.TIE
    if not chosen.any():
        return None
    pairs, label = rankings.some(pairs, chosen), label[chosen]
    took_first = pairs.label == rankings.FIRST
    shown = {(row[0], row[3]): row[5] for row in told.placed}
    one, other = pairs.first.tolist(), pairs.second.tolist()
    place = np.array(
        [[shown[key, a], shown[key, b]] for key, a, b in zip(label.tolist(), one, other, strict=True)]
    )
    length = np.array(
        [[told.lengths.get(a, 0), told.lengths.get(b, 0)] for a, b in zip(one, other, strict=True)]
    )
    units, unit = np.unique(pairs.unit, return_inverse=True)
    people = [name for _, name in told.people]
    sizes = np.array(told.sizes)[label]
    return reliability.measure(
        reliability.Evidence(
            labels=Labels(
                unit.astype(np.int64),
                pairs.labeler,
                np.where(took_first, 0, 1).astype(np.int64),
                range(len(units)),
                people,
                ("first", "second"),
            ),
            form="pair",
            weight=2 / np.maximum(2, sizes),
            first=_chosen(took_first, place[:, 1] - place[:, 0]),
            longest=_chosen(took_first, length[:, 0] - length[:, 1]),
            seconds=np.array(told.seconds)[label],
            at=np.array(told.at)[label],
        )
    )


def _chosen(took_first: Any, lead: Any) -> Ints:
    """Whether the choice fell on the answer that leads, −1 where neither does."""
    return np.where(lead == 0, -1, took_first == (lead > 0)).astype(np.int64)


def _places(kind: str, answer: dict[str, Any], shown: list[int]) -> Iterator[tuple[int, int]]:
    """Each answer that a label places, and where; equal places are ties."""
    if kind == Task.Kind.COMPARE:
        preferred = answer.get("preferred")
        for candidate in shown:
            yield candidate, 1 if preferred in (None, candidate) else 2
    else:
        for place, tier in enumerate(answer.get("tiers") or [], start=1):
            for candidate in tier:
                yield candidate, place


def _rate(
    told: Collected,
    criteria: list[dict[str, Any]],
    answer: dict[str, Any],
    *,
    task: int,
    labeler: int,
    number: int,
) -> None:
    """Add what a label says by each criterion; a flag that is left out says no."""
    judged = {"prompt": [(f"task {task}", answer.get("prompt") or {})]}
    judged["completion"] = list((answer.get("ratings") or {}).items())
    for criterion in criteria:
        if criterion["type"] == "span":
            continue
        flag, key = criterion["type"] == "flag", criterion["key"]
        for unit, values in judged[criterion["scope"]]:
            value = values.get(key, False if flag else None)
            if value is not None:
                level: Level = "nominal" if flag else "ordinal"
                scale = told.scales.setdefault(key, Scale(criterion["label"], level))
                scale.rows.append((unit, labeler, int(value), number))


def pairs_of(told: Collected) -> tuple[rankings.Pairs, Ints]:
    """Every pair of answers that a label places, and the label it is from."""
    columns = np.array(told.placed, np.int64).reshape(-1, 6).T
    label, task, labeler, candidate, place, _ = columns
    pairs = rankings.expand(task, labeler, candidate, place)
    people = max(1, len(told.people))
    keys, at = np.unique(task * people + labeler, return_index=True)
    return pairs, label[at[np.searchsorted(keys, pairs.item * people + pairs.labeler)]]

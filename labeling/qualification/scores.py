"""How far people agree with gold, and how far gold agrees with them, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Avg, Count, QuerySet

from labeling.models import GoldLabel, Project
from labeling.qualification.suspects import Suspect, suspects

COUNTED = (GoldLabel.Use.QUIZ, GoldLabel.Use.QUEUE)


@dataclass(frozen=True)
class Score:
    """A mean agreement of ``n`` answers with its 95 % interval (Wilson, for means wider than need be)."""

    n: int
    agreement: float
    low: float
    high: float

    @classmethod
    def of(cls, n: int, agreement: float) -> Score:
        # It brings numpy, which a web process does without until somebody looks at a score.
        from labeling.quality.labels import wilson

        low, high = (float(end) for end in wilson(agreement, n))
        return cls(n, agreement, low, high)


def of_labelers(*, project: Project) -> dict[UUID, Score]:
    """The gold score of each labeler of the project who answered any, by labeler; practice does not count."""
    return _scores(_counted(project), "labeler")


def of_labeler(*, project: Project, labeler: Any) -> Score | None:
    """As `of_labelers`, of one; None who answered none."""
    return _scores(_counted(project).filter(labeler=labeler), "labeler").get(labeler.pk)


def of_items(*, project: Project) -> dict[int, Score]:
    """How far labelers agree with each gold item that was answered, by item."""
    return _scores(_counted(project), "item")


def suspect_items(*, project: Project) -> dict[int, Suspect]:
    """The live items that good labelers fail, by item, worst first."""
    live = _counted(project).filter(item__retired_at__isnull=True).order_by("pk")
    rows: Any = live.values_list("item", "labeler", "agreement")
    found: dict[Any, Suspect] = {one.item: one for one in suspects(rows)}
    return found


def _counted(project: Project) -> QuerySet[GoldLabel]:
    """Labels on gold that stand, as the platform grades them."""
    return GoldLabel.objects.filter(
        item__project=project,
        use__in=COUNTED,
        agreement__isnull=False,
        annotation__superseded_by__isnull=True,
        annotation__invalidation__isnull=True,
    )


def _scores(labels: QuerySet[GoldLabel], by: str) -> dict[Any, Score]:
    rows = labels.order_by().values(by).annotate(n=Count("pk"), mean=Avg("agreement"))
    return {row[by]: Score.of(row["n"], row["mean"]) for row in rows}

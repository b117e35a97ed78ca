"""What moves the choices of a project's labelers besides worth, as chances that a person can read."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from labeling.models import Candidate
from labeling.quality import bias, rankings
from labeling.quality.collect import Collected, pairs_of
from labeling.quality.labels import Floats, Ints

# Fewer choices say nothing of a lean.
FEWEST = 100
DOUBLED = math.log(2)
# Each covariate, and the difference that its chance is given for.
COVARIATES: tuple[tuple[str, float], ...] = (
    ("shown first", 1.0),
    ("twice as long", DOUBLED),
    *((name, DOUBLED) for name in bias.FORMATTING),
    ("names itself", 1.0),
)


@dataclass(frozen=True, slots=True)
class Lean:
    """The chance that one thing about an answer has it chosen over its equal; .5 is no lean."""

    name: str
    chance: float
    low: float
    high: float
    p: float

    @property
    def sure(self) -> bool:
        return self.p < 0.01


def leanings(told: Collected) -> list[Lean]:
    """Each lean that the labels can tell of, in one query; of what never differs there is none."""
    pairs, label = pairs_of(told)
    chosen = pairs.label != rankings.TIE
    if chosen.sum() < FEWEST:
        return []
    pairs, label = rankings.some(pairs, chosen), label[chosen]
    candidates = np.unique(np.concatenate((pairs.first, pairs.second)))
    features, model = _features(told, candidates)
    one, other = np.searchsorted(candidates, pairs.first), np.searchsorted(candidates, pairs.second)
    shown = {(row[0], row[3]): row[5] for row in told.placed}
    ahead = [
        np.sign(shown[key, b] - shown[key, a])
        for key, a, b in zip(label.tolist(), pairs.first.tolist(), pairs.second.tolist(), strict=True)
    ]
    found = bias.effects(
        outcome=(pairs.label == rankings.FIRST).astype(float),
        differences=np.column_stack((ahead, features[one] - features[other])),
        names=[name for name, _ in COVARIATES],
        labeler=pairs.labeler,
        prompt=pairs.item,
        model=(model[one], model[other]),
    )
    columns = zip(found.names, found.estimate, found.low, found.high, found.p, strict=True)
    unit = dict(COVARIATES)
    return [
        Lean(name, *(_chance(value * unit[name]) for value in (middle, low, high)), p=float(p))
        for name, middle, low, high, p in columns
        if not math.isnan(low)
    ]


def _features(told: Collected, candidates: Ints) -> tuple[Floats, Ints]:
    """(candidates, 6) what is about each answer, and the number of the checkpoint it is by."""
    tasks = {row[1] for row in told.placed}
    rows = Candidate.objects.filter(task__in=tasks).order_by("pk")
    found = {
        pk: (text, checkpoint)
        for pk, text, checkpoint in rows.values_list(
            "pk", "completion__text", "completion__checkpoint"
        ).iterator(chunk_size=2000)
    }
    texts = [found[pk][0] for pk in candidates.tolist()]
    own = [float(bool(bias.names_itself(text))) for text in texts]
    features = np.column_stack((bias.log_length(texts), bias.formatting(texts), own))
    numbers: dict[int | None, int] = {}
    model = [numbers.setdefault(found[pk][1], len(numbers)) for pk in candidates.tolist()]
    return features, np.array(model, np.int64)


def _chance(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, float(logit)))))

"""What each label counts, by how far its labeler can be relied on: in exports and the reward model's loss."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from labeling.models import Project
from labeling.quality import collect, reliability
from labeling.quality.labels import ratio

# Whoever judges well and whoever has hardly labeled yet count in full.
FULL = 1.0


def by_labeler(project: Project) -> dict[str, float]:
    """The weight of each labeler's choices between answers, by id; who is left out counts `FULL`.

    Weights are those of `reliability.weights`, from the newest labels that stand, and of people only of whom
    there are `reliability.FEW_LABELS` to tell by: on tasks that others labeled, too.
    """
    told = collect.collect(project)
    found = collect.reliabilities(told)
    if found is None:
        return {}
    labels = found.labels
    shared = ~np.isnan(reliability.others_agree(labels))
    share = ratio(np.bincount(labels.labeler[shared], minlength=len(found.n)), found.n)
    known = np.nan_to_num(found.evidence * share) >= reliability.FEW_LABELS
    return {
        person: round(float(found.weights[at]), 4) for at, (person, _) in enumerate(told.people) if known[at]
    }


def of_labels(project: Project, labels: Iterable[tuple[int, str]]) -> dict[int, float]:
    """The weight of each label ``(id, labeler id)`` that does not count in full."""
    weights = by_labeler(project)
    return {label: weight for label, person in labels if (weight := weights.get(str(person), FULL)) != FULL}

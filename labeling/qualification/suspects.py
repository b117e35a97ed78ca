"""Gold that good labelers fail: then it is more likely the known answer that is wrong."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

GOOD = 0.75  # mean agreement with the other gold that makes a labeler good, as InstructGPT asked of theirs
LEAST_OTHERS = 3  # items besides, to tell a good labeler by
LEAST_GOOD = 3  # good labelers on an item, to suspect it by


@dataclass(frozen=True)
class Suspect:
    """How good labelers fare with one item."""

    item: Hashable
    good: int
    """Good labelers who answered it."""
    agreement: float
    """Theirs with it, from 0 to 1."""
    low: float
    high: float
    elsewhere: float
    """Theirs with the rest of the gold."""


def suspects(answers: Iterable[tuple[Hashable, Hashable, float]]) -> list[Suspect]:
    """The items that good labelers fail, worst first.

    A labeler is good, as far as an item goes, whose mean agreement with at least `LEAST_OTHERS` *other* items
    is `GOOD` or better, so that no item makes its own jury. An item is suspect where the upper end of the
    95 % interval (Wilson) of their agreement with it, at least `LEAST_GOOD` of them, lies below `GOOD`.

    Args:
        answers: (item, labeler, agreement from 0 to 1); of several of one labeler on an item the first.
    """
    # It brings numpy, which a web process does without until somebody looks at gold.
    from labeling.quality.labels import wilson

    said: dict[Hashable, dict[Hashable, float]] = {}
    for item, labeler, agreement in answers:
        said.setdefault(labeler, {}).setdefault(item, agreement)
    juries: dict[Hashable, list[tuple[float, float]]] = {}
    for theirs in said.values():
        total, others = sum(theirs.values()), len(theirs) - 1
        if others < LEAST_OTHERS:
            continue
        for item, agreement in theirs.items():
            elsewhere = (total - agreement) / others
            if elsewhere >= GOOD:
                juries.setdefault(item, []).append((agreement, elsewhere))
    found = []
    for item, jury in juries.items():
        if len(jury) < LEAST_GOOD:
            continue
        mean, elsewhere = (sum(column) / len(jury) for column in zip(*jury, strict=True))
        low, high = (float(end) for end in wilson(mean, len(jury)))
        if high < GOOD:
            found.append(Suspect(item, len(jury), mean, low, high, elsewhere))
    return sorted(found, key=lambda one: one.high)

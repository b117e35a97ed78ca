"""What a crew says of one item: ranked pairs over rankings with ties, and where one more label tells most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labeling.quality.labels import Floats, Ints

Relation = NDArray[np.bool_]


def ranked_pairs(places: Floats, *, weight: Floats | None = None) -> list[list[int]]:
    """The tiers of one item, best first, by ranked pairs (Tideman 1987).

    Args:
        places: shape (voters, candidates), lower is better, equal is a tie, NaN is not ranked.
        weight: shape (voters,), what each voter counts; 1 by default.

    Majorities are locked from the clearest on, unless they would close a circle with those locked before.
    Of equally clear majorities all are locked but those that lie on a circle together, so that numbering
    the candidates otherwise changes nothing; whom nothing sets apart share a tier.
    """
    candidates = places.shape[1]
    lead = margins(places, weight=weight)
    above: Relation = np.zeros((candidates, candidates), bool)
    for margin in sorted({float(each) for each in lead[lead > 1e-9]}, reverse=True):
        fresh = (lead == margin) & ~_reachable(above).T
        on_circle = _reachable(above | fresh).T
        above |= fresh & ~on_circle
    return _tiers(_reachable(above))


def margins(places: Floats, *, weight: Floats | None = None) -> Floats:
    """(candidates, candidates): weight of those who place a above b, less of those who place b above a."""
    counts = np.ones(len(places)) if weight is None else weight
    with np.errstate(invalid="ignore"):
        prefers = np.nan_to_num(np.sign(places[:, None, :] - places[:, :, None]))
    return np.round(np.einsum("v,vab->ab", counts, prefers), 9)


def entropy(posterior: Floats) -> Floats:
    """(items,) in bits: 0 where all is clear. ``posterior`` is (items, classes)."""
    return np.maximum(0, -(posterior * np.log2(np.clip(posterior, 1e-300, 1))).sum(1))


def information_gain(posterior: Floats, confusion: Floats) -> Floats:
    """(items,) bits that one more label is expected to tell, by a labeler with ``confusion`` (K, K).

    The mutual information of truth and label, H(label) − Σ_k P(k) H(label | k) (Lindley 1956): an item that
    is plain, and one that this labeler cannot tell apart, are both worth little.
    """
    return np.maximum(0, entropy(posterior @ confusion) - posterior @ entropy(confusion))


def disputes(posterior: Floats, confusion: Floats, *, most: int | None = None) -> Ints:
    """Items in the order in which one more label tells most, of those where it tells anything."""
    gain = information_gain(posterior, confusion)
    order = np.argsort(-gain, kind="stable")
    return order[gain[order] > 1e-9][:most].astype(np.int64)


def _reachable(above: Relation) -> Relation:
    """The transitive closure, by squaring."""
    reach = above.copy()
    for _ in range(max(1, len(above)).bit_length()):
        reach |= (reach.astype(np.int64) @ reach.astype(np.int64)) > 0
    return reach


def _tiers(above: Relation) -> list[list[int]]:
    """Take those off the top that nobody left is above, again and again."""
    left, tiers = list(range(len(above))), []
    while left:
        top = [each for each in left if not any(above[other, each] for other in left)]
        tiers.append(top)
        left = [each for each in left if each not in top]
    return tiers

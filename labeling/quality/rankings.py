"""Rankings, tiers with ties, taken apart into pairs, so that what holds for pairs holds for them.

A ranking of k answers is k rows: ``item``, ``labeler``, ``candidate`` and ``place`` (1 is best, equal places
are a tie; lower wins), each of shape (n,). Candidates have numbers that no two items share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeling.quality import agreement
from labeling.quality.labels import Floats, Ints, Labels, pairs_within, ratio

FIRST, TIE, SECOND = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of answers, one row for each labeler who placed both; all arrays of shape (pairs,)."""

    unit: Ints
    """Which pair of answers, from 0."""
    item: Ints
    labeler: Ints
    first: Ints
    """The candidate with the lower number."""
    second: Ints
    label: Ints
    """FIRST, TIE or SECOND is better."""

    @property
    def sign(self) -> Ints:
        """1 where the first is better, 0 for a tie, −1 where the second is."""
        return 1 - self.label


def expand(item: Ints, labeler: Ints, candidate: Ints, place: Ints) -> Pairs:
    """Every ranking as its k(k − 1)/2 pairs."""
    people = int(labeler.max(initial=0)) + 1
    one, other = pairs_within(item * people + labeler)
    swap = candidate[one] > candidate[other]
    one, other = np.where(swap, other, one), np.where(swap, one, other)
    span = int(candidate.max(initial=0)) + 1
    unit = np.unique(candidate[one] * span + candidate[other], return_inverse=True)[1].astype(np.int64)
    label = 1 + np.sign(place[one] - place[other])
    return Pairs(unit, item[one], labeler[one], candidate[one], candidate[other], label.astype(np.int64))


def some(pairs: Pairs, chosen: NDArray[np.bool_]) -> Pairs:
    """Only the ``chosen`` pairs (pairs,)."""
    return Pairs(*(getattr(pairs, name)[chosen] for name in vars(pairs)))


def measure(pairs: Pairs, *, seed: int = 1) -> agreement.Agreement:
    """Agreement of rankings pair by pair; alpha is nominal, its bootstrap draws whole items.

    Each pair enters both ways round, so that it does not matter which answer has the lower number.
    """
    shift = int(pairs.unit.max(initial=-1)) + 1
    both = Labels(
        item=np.concatenate((pairs.unit, pairs.unit + shift)),
        labeler=np.tile(pairs.labeler, 2),
        label=np.concatenate((pairs.label, SECOND - pairs.label)),
        items=range(2 * shift),
        labelers=range(int(pairs.labeler.max(initial=-1)) + 1),
        values=(FIRST, TIE, SECOND),
    )
    cluster = np.zeros(2 * shift, np.int64)
    cluster[both.item] = np.tile(pairs.item, 2)
    found = agreement.measure(both, cluster=cluster, seed=seed)
    halved = {name: getattr(found, name) // 2 for name in ("items", "shared", "labels", "unanimous")}
    return agreement.Agreement(**{**vars(found), **halved})


def tau_b(one: Floats, other: Floats) -> Floats:
    """Kendall's tau-b (Kendall 1945) of places along the last axis, (…, k) and (…, k) to (…).

    NaN where one of the two holds nothing but ties.
    """
    a = np.sign(one[..., :, None] - one[..., None, :])
    b = np.sign(other[..., :, None] - other[..., None, :])
    below = np.sqrt((a * a).sum((-1, -2)) * (b * b).sum((-1, -2)))
    return ratio((a * b).sum((-1, -2)), below)


def mean_tau_b(pairs: Pairs) -> float:
    """Kendall's tau-b of every two labelers on every item both ranked, averaged; NaN where there is none."""
    one, other = pairs_within(pairs.unit)
    if not len(one):
        return float("nan")
    people = int(pairs.labeler.max()) + 1
    a, b = pairs.labeler[one], pairs.labeler[other]
    swap = a > b
    one, other = np.where(swap, other, one), np.where(swap, one, other)
    key = (pairs.item[one] * people + pairs.labeler[one]) * people + pairs.labeler[other]
    group = np.unique(key, return_inverse=True)[1]
    x, y = pairs.sign[one], pairs.sign[other]
    below = np.sqrt(np.bincount(group, x * x) * np.bincount(group, y * y))
    each = ratio(np.bincount(group, x * y), below)
    return float(np.mean(each[~np.isnan(each)])) if not np.isnan(each).all() else float("nan")


def concordance(pairs: Pairs) -> Floats:
    """Kendall's W of every item (items,), with ties (Kendall & Gibbons 1990); items count as in ``pairs``.

    W = Σ_j (R_j − R̄)² / (m Σ_l Σ_j (r_lj − r̄)²), the r midranks: 1 where all rank alike, 0 where the sums of
    ranks are all equal. NaN with one labeler, with nothing but ties, or where not everybody ranked the same.
    """
    items = int(pairs.item.max(initial=-1)) + 1
    people = int(pairs.labeler.max(initial=-1)) + 1
    seats = np.concatenate((pairs.first, pairs.second))
    who, where = np.tile(pairs.labeler, 2), np.tile(pairs.item, 2)
    # A midrank less its mean is half of (answers above − answers below).
    lag = np.concatenate((-pairs.sign, pairs.sign)) / 2
    keys, row = np.unique(seats * max(1, people) + who, return_inverse=True)
    rank = np.bincount(row, lag, minlength=len(keys))
    item_of = np.zeros(len(keys), np.int64)
    item_of[row] = where
    spread = np.bincount(item_of, rank * rank, minlength=items)
    answers, answer = np.unique(keys // max(1, people), return_inverse=True)
    totals = np.bincount(answer, rank, minlength=len(answers))
    item_of_answer = np.zeros(len(answers), np.int64)
    item_of_answer[answer] = item_of
    above = np.bincount(item_of_answer, totals * totals, minlength=items)
    raters = np.bincount(np.unique(where * max(1, people) + who) // max(1, people), minlength=items)
    full = np.bincount(item_of, minlength=items) == raters * np.bincount(item_of_answer, minlength=items)
    return np.where(full & (raters > 1), ratio(above, raters * spread), np.nan)

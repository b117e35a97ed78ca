"""How far labelers agree: raw share, Cohen's and Fleiss' kappa, Krippendorff's alpha with its interval.

Numpy alone; no loop over labels. Whatever is undefined (nothing labeled twice, one class only) is NaN, and
`says` words it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from labeling.quality.labels import Floats, Ints, Labels, pairs_count, pairs_within, ratio

Level = Literal["nominal", "ordinal", "interval"]
LEVELS: tuple[Level, ...] = get_args(Level)
# Replicates of the bootstrap; fewer where every one of them goes over many different items.
REPLICATES, FEWEST, WORK = 1000, 200, 20_000_000
# Two labelers at a time: beyond so many pairs of labels nobody reads a kappa for every two people.
MOST_PAIRS = 30_000_000
# Under these, an interval of alpha says more about luck than about the labelers.
FEW_ITEMS, WIDE = 20, 0.3


@dataclass(frozen=True)
class Agreement:
    """What `measure` found. Shares and coefficients are NaN where they are undefined."""

    level: Level
    raw: float
    """Of any two labels of the same item, the share that are equal."""
    fleiss: float
    alpha: float
    low: float
    high: float
    """95 % of the bootstrap's alphas lie between `low` and `high`."""
    items: int
    shared: int
    """Items with two labels or more; only they say anything of agreement."""
    labels: int
    labelers: int
    unanimous: int
    """Shared items with one and the same label from everybody."""
    classes: int

    @property
    def says(self) -> str:
        """One sentence for an admin: what it means and what to do next."""
        return says(self)


def measure(
    labels: Labels, *, level: Level = "nominal", cluster: Ints | None = None, seed: int = 1
) -> Agreement:
    """Every coefficient for all labelers together.

    Args:
        level: the distance of alpha. For ``interval`` the values must be numbers.
        cluster: shape (items,), which units belong together and are drawn together by the bootstrap, such as
            the pairs of one ranking; by default every item stands alone.

    Raises:
        ValueError: an unknown level, or an interval of values that are no numbers.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}: choose one of {', '.join(LEVELS)}")
    units = _Units.of(labels, level, cluster)
    found = units.alpha()
    low, high = units.interval(np.random.default_rng(seed)) if not math.isnan(found) else (math.nan,) * 2
    size, same = units.size, units.same
    return Agreement(
        level=level,
        raw=float(ratio(same.sum(), (size * (size - 1)).sum())),
        fleiss=_fleiss(units),
        alpha=found,
        low=low,
        high=high,
        items=len(np.unique(labels.item)),
        shared=len(size),
        labels=len(labels),
        labelers=len(np.unique(labels.labeler)),
        unanimous=int((same == size * (size - 1)).sum()),
        classes=len(np.unique(labels.label)),
    )


def _fleiss(units: _Units) -> float:
    """Fleiss' kappa (Fleiss 1971), over the items with two labels or more.

    With unequal numbers of labels an item, every such item counts once in the observed agreement, whatever
    its number of labels, and every label once in the shares of the classes (as Fleiss, Levin & Paik 2003).
    """
    if not len(units.size):
        return math.nan
    observed = float(np.mean(units.same / (units.size * (units.size - 1))))
    by_chance = float(np.square(units.margin() / units.margin().sum()).sum())
    return float(ratio(observed - by_chance, 1 - by_chance)) if by_chance < 1 else math.nan


def cohen(labels: Labels) -> dict[tuple[int, int], float]:
    """Cohen's kappa (Cohen 1960) of every two labelers, numbered as in ``labels``, over the items both have.

    NaN where both used one and the same class throughout. Pairs without a common item are left out, and so
    is everybody where there are more than `MOST_PAIRS` pairs of labels.
    """
    if pairs_count(labels.item) > MOST_PAIRS:
        return {}
    one, other = pairs_within(labels.item)
    swap = labels.labeler[one] > labels.labeler[other]
    one, other = np.where(swap, other, one), np.where(swap, one, other)
    distinct = labels.labeler[one] != labels.labeler[other]
    one, other = one[distinct], other[distinct]
    people, classes = len(labels.labelers), max(1, len(labels.values))
    keys, pair = np.unique(labels.labeler[one] * people + labels.labeler[other], return_inverse=True)
    n = np.bincount(pair, minlength=len(keys))
    agreed = np.bincount(pair, labels.label[one] == labels.label[other], minlength=len(keys))
    cells, count = np.unique(pair * classes + labels.label[one], return_counts=True)
    cells_, count_ = np.unique(pair * classes + labels.label[other], return_counts=True)
    both, at, at_ = np.intersect1d(cells, cells_, assume_unique=True, return_indices=True)
    chance = np.bincount(both // classes, count[at] * count_[at_], minlength=len(keys)) / (n * n)
    kappa = ratio(agreed / n - chance, 1 - chance)
    return {divmod(int(key), people): float(value) for key, value in zip(keys, kappa, strict=True)}


@dataclass(frozen=True, eq=False)
class _Units:
    """Units (items) with two labels or more, and those that are alike counted once.

    alpha = 1 − Σ_u d_u / e (Krippendorff 2011, "Computing Krippendorff's alpha-reliability"), where
    d_u = Σ_{i≠j} δ²(i, j) / (m_u − 1) is what a unit adds to the observed coincidences, and
    e = Σ_ck n_c n_k δ²_ck / (n − 1) the same by chance. Interval and ordinal distances are squared
    differences of places on a line: the values, or R_c = Σ_{g<c} n_g + n_c / 2. So neither needs a matrix.
    """

    level: Level
    label: Ints
    """(n,) classes, unit after unit."""
    start: Ints
    """(units,) where each unit begins in `label`."""
    size: Ints
    """(units,) its labels m."""
    same: Ints
    """(units,) ordered pairs of equal labels in it."""
    cluster: Ints
    """(units,) from 0."""
    places: Floats
    """(classes,) values on the line of an interval."""

    @classmethod
    def of(cls, labels: Labels, level: Level, cluster: Ints | None) -> _Units:
        places = np.zeros(len(labels.values))
        if level == "interval":
            places = np.asarray(labels.values, float)
            places = places - (places.mean() if len(places) else 0)
        counts = np.bincount(labels.item, minlength=1)
        kept = np.flatnonzero(counts[labels.item] > 1)
        kept = kept[np.lexsort((labels.label[kept], labels.item[kept]))]
        label, item = labels.label[kept], labels.item[kept]
        units, start, size = np.unique(item, return_index=True, return_counts=True)
        runs = np.flatnonzero(np.r_[True, (np.diff(item) != 0) | (np.diff(label) != 0)][: len(item)])
        length = np.diff(np.r_[runs, len(item)])
        unit_of_run = np.searchsorted(units, item[runs])
        same = np.bincount(unit_of_run, length * (length - 1), minlength=len(units)).astype(np.int64)
        groups = np.arange(len(units)) if cluster is None else cluster[units]
        numbered = np.unique(groups, return_inverse=True)[1].astype(np.int64)
        return cls(level, label, start, size, same, numbered, places)

    def margin(self, weight: Floats | None = None) -> Floats:
        """(classes,) how many labels each class has, with units counted ``weight`` (units,) times."""
        each = None if weight is None else np.repeat(weight, self.size)
        return np.bincount(self.label, each, minlength=len(self.places)).astype(float)

    def alpha(self, weight: Floats | None = None) -> float:
        """Krippendorff's alpha with units counted ``weight`` (units,) times; NaN where it is undefined."""
        margin = self.margin(weight)
        n = margin.sum()
        if n < 2:
            return math.nan
        places = np.cumsum(margin) - margin / 2 if self.level == "ordinal" else self.places
        if self.level == "nominal":
            observed = (self.size**2 - self.same - self.size) / (self.size - 1)
            expected = (n * n - np.square(margin).sum()) / (n - 1)
        else:
            places = places - (margin * places).sum() / n
            x = places[self.label]
            total, squares = np.add.reduceat(x, self.start), np.add.reduceat(x * x, self.start)
            observed = np.maximum(0, 2 * (self.size * squares - total**2) / (self.size - 1))
            expected = 2 * n * (margin * places**2).sum() / (n - 1)
        if expected <= 1e-12 * n:
            return math.nan
        return float(1 - (observed if weight is None else observed * weight).sum() / expected)

    def interval(self, rng: np.random.Generator) -> tuple[float, float]:
        """The 95 % interval of alpha over clusters drawn with replacement, chance agreement drawn anew too.

        Clusters with the same labels are drawn together by one multinomial number, which is the same draw.
        """
        unique, first, kinds = _alike(self._marks(), self.cluster)
        lean = self._only(np.isin(self.cluster, first))
        kind_of_unit = kinds[lean.cluster]
        total = len(kinds)
        share = np.bincount(kinds, minlength=unique) / total
        replicates = min(REPLICATES, max(FEWEST, WORK // max(1, len(lean.label))))
        drawn = [
            lean.alpha(rng.multinomial(total, share)[kind_of_unit].astype(float)) for _ in range(replicates)
        ]
        defined = np.asarray(drawn)[~np.isnan(drawn)]
        if not len(defined):
            return math.nan, math.nan
        low, high = np.quantile(defined, (0.025, 0.975))
        return float(low), float(high)

    def _marks(self) -> NDArrayU:
        """(units,) one number for each multiset of labels: random 64-bit numbers a class, added up."""
        words = np.random.default_rng(0).integers(0, 2**63, max(1, len(self.places)), dtype=np.uint64)
        return np.add.reduceat(words[self.label], self.start)

    def _only(self, chosen: Any) -> _Units:
        each = np.repeat(chosen, self.size)
        size = self.size[chosen]
        start = np.cumsum(size) - size
        return _Units(
            self.level, self.label[each], start, size, self.same[chosen], self.cluster[chosen], self.places
        )


NDArrayU = np.ndarray[Any, np.dtype[np.uint64]]


def _alike(marks: NDArrayU, cluster: Ints) -> tuple[int, Ints, Ints]:
    """How many different clusters there are, one of each (kinds,), and the kind of every cluster."""
    mixed = (marks ^ (marks >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    order = np.argsort(cluster, kind="stable")
    start = np.unique(cluster[order], return_index=True)[1]
    sums = np.add.reduceat(mixed[order], start)
    values, first, kinds = np.unique(sums, return_index=True, return_inverse=True)
    return len(values), first, kinds


def says(found: Agreement) -> str:
    """One sentence for an admin: what the agreement means and what to do next.

    Bands of alpha: .8 and .667 are Krippendorff's own (2004, p. 241). Under them, .4 is about what trained
    labelers reach on pairs of answers: 72.6 % raw of two classes (InstructGPT) is an alpha of .45.
    """
    if not found.labels:
        return "There are no labels yet."
    if found.labelers < 2:
        return "All labels are one person's: let a second person label the same items."
    if not found.shared:
        return "No item has two labels yet: raise the number of labels wanted for each task."
    if math.isnan(found.alpha):
        return (
            f"Every label of the {found.shared:,} shared items is the same, so agreement beyond chance "
            "cannot be told: look whether the items are too alike or one answer is a habit."
        )
    figures = f"alpha {found.alpha:.2f}, 95 % interval {found.low:.2f} to {found.high:.2f}"
    if labels_needed(found):
        return f"{advice(found).removesuffix('.')} ({figures})."
    return f"{figures[0].upper()}{figures[1:]}: {advice(found)}"


def advice(found: Agreement) -> str:
    """What an alpha that is defined means and what to do next, without its figures."""
    if needed := labels_needed(found):
        return f"Too few labels to say: about {needed:,} more on items that several people label would tell."
    # Below chance is said only of what is surely below it.
    alpha = max(0.0, found.alpha) if found.high >= 0 else found.alpha
    return next(text for least, text in BANDS if alpha >= least)


BANDS: tuple[tuple[float, str], ...] = (
    (0.8, "labelers see the same thing; one label an item is often enough, and the guideline can stay."),
    (
        0.667,
        "agreement is good, with some doubt; look through the most disputed items before relying on each.",
    ),
    (
        0.4,
        "usual for judging answers; keep two or more labels an item and add examples for what is disputed.",
    ),
    (
        0.2,
        "weak; find the criterion or the labelers that disagree, and make the guideline plainer before "
        "collecting more.",
    ),
    (0.0, "hardly better than chance; stop, go through disputed items together and rewrite the guideline."),
    (-2.0, "worse than chance; look for labels that are turned round or people who read a scale backwards."),
)


def labels_needed(found: Agreement) -> int:
    """How many more labels make the interval of alpha at most `WIDE` wide on `FEW_ITEMS` items; 0 if it is.

    Widths go with one over the square root of the number of items.
    """
    if not found.shared or math.isnan(found.alpha):
        return 0
    wanted = max(FEW_ITEMS, found.shared * ((found.high - found.low) / WIDE) ** 2)
    each = max(2.0, found.labels / max(1, found.items))
    return math.ceil(max(0.0, wanted - found.shared) * each)

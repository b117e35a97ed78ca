"""Labels as three arrays of whole numbers, which every statistic of labels starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Labels:
    """``n`` labels: labeler ``labelers[labeler[j]]`` gave ``items[item[j]]`` the value ``values[label[j]]``.

    `item`, `labeler` and `label` have shape (n,) and count from 0; `values` are sorted, so that for numbers
    the order of the classes is theirs.
    """

    item: Ints
    labeler: Ints
    label: Ints
    items: Sequence[Any]
    labelers: Sequence[Any]
    values: Sequence[Any]

    @classmethod
    def of(cls, item: ArrayLike, labeler: ArrayLike, label: ArrayLike) -> Labels:
        """Number the items, labelers and values of three arrays or lists of shape (n,)."""
        numbered = [np.unique(np.asarray(each), return_inverse=True) for each in (item, labeler, label)]
        (items, of_item), (labelers, of_labeler), (values, of_label) = numbered
        return cls(
            of_item.astype(np.int64),
            of_labeler.astype(np.int64),
            of_label.astype(np.int64),
            items.tolist(),
            labelers.tolist(),
            values.tolist(),
        )

    def __len__(self) -> int:
        return len(self.item)

    def where(self, chosen: NDArray[np.bool_]) -> Labels:
        """Only the ``chosen`` labels (n,), with the same items, labelers and values."""
        return Labels(
            self.item[chosen],
            self.labeler[chosen],
            self.label[chosen],
            self.items,
            self.labelers,
            self.values,
        )


def pairs_within(group: Ints) -> tuple[Ints, Ints]:
    """Every two places of ``group`` (n,) that hold the same number, each pair once: two arrays (pairs,).

    Time and memory are those of the pairs, Σ m(m − 1)/2 over groups of m.
    """
    order = np.argsort(group, kind="stable")
    _, start, size = np.unique(group[order], return_index=True, return_counts=True)
    # How many of its group come after each place.
    after = np.repeat(start + size, size) - np.arange(len(group)) - 1
    alive = np.flatnonzero(after > 0)
    first, second = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    step = 1
    while len(alive):
        first.append(order[alive])
        second.append(order[alive + step])
        step += 1
        alive = alive[after[alive] >= step]
    return np.concatenate(first), np.concatenate(second)


def pairs_count(group: Ints) -> int:
    """How many pairs `pairs_within` would return."""
    size = np.bincount(group)
    return int((size * (size - 1) // 2).sum())


def wilson(share: ArrayLike, n: ArrayLike, z: float = 1.96) -> tuple[Floats, Floats]:
    """Wilson's score interval of a share of ``n`` (Wilson 1927); NaN where there is nothing to share.

    For means of values between 0 and 1 it is wider than need be, for none of them varies more than a coin.
    """
    p, n = np.asarray(share, float), np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def ratio(above: ArrayLike, below: ArrayLike) -> Floats:
    """``above / below``, NaN where there is nothing below."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)

"""Habits of labelers that the labels themselves do not show: what they choose by, how fast, and pasted text.

L labelers, n labels. An unknown share is NaN.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from labeling.quality.labels import Floats, Ints, ratio, wilson

# A text is nearly another when so much of its runs of words stands in it. Two people's stories about the
# same two things share less than half.
NEARLY = 0.8
RUN = 4
WORD = re.compile(r"\w+")


@dataclass(frozen=True, eq=False)
class Rate:
    """How often each labeler does something, and whether the others do it as often. All (L,)."""

    n: Ints
    share: Floats
    low: Floats
    high: Floats
    p: Floats
    """Two-sided, of the same rate as everybody else's together (two-proportion z-test)."""


def rate(labeler: Ints, did: Ints, *, labelers: int) -> Rate:
    """The rate of ``did`` (n,): 1 yes, 0 no, −1 unknown, which does not count."""
    told = did >= 0
    n = np.bincount(labeler[told], minlength=labelers)
    yes = np.bincount(labeler[told], did[told], minlength=labelers)
    share = ratio(yes, n)
    low, high = wilson(share, n)
    peers = ratio(yes.sum() - yes, n.sum() - n)
    pooled = yes.sum() / max(1, n.sum())
    spread = np.sqrt(pooled * (1 - pooled) * (ratio(1, n) + ratio(1, n.sum() - n)))
    return Rate(n, share, low, high, _two_sided(ratio(share - peers, spread)))


def pace(labeler: Ints, seconds: Floats, *, labelers: int) -> tuple[Floats, Floats]:
    """Each labeler's median seconds a label (L,), and that over the median of the others' medians (L,)."""
    told = np.isfinite(seconds)
    middle = _medians(labeler[told], seconds[told], labelers)
    known = np.sort(middle[~np.isnan(middle)])
    if len(known) < 2:
        return middle, np.full(labelers, np.nan)
    # The median of the others, from the sorted medians with one's own left out.
    at = np.searchsorted(known, np.where(np.isnan(middle), known[0], middle))
    low, high = (len(known) - 2) // 2, (len(known) - 1) // 2
    peers = (known[low + (low >= at)] + known[high + (high >= at)]) / 2
    return middle, ratio(middle, np.where(np.isnan(middle), np.nan, peers))


def drift(labeler: Ints, agreed: Floats, *, labelers: int, at: Floats | None = None) -> tuple[Floats, Floats]:
    """How much more a labeler agreed with the others late than early (L,), and its p-value (L,).

    Args:
        agreed: (n,) share of the others who say the same; NaN where nobody else labeled the item.
        at: (n,) when; by default in the order of the rows. The halves have as many labels.
    """
    told = np.flatnonzero(~np.isnan(agreed))
    who, value = labeler[told], agreed[told]
    order = np.lexsort((told if at is None else at[told], who))
    who, value = who[order], value[order]
    n = np.bincount(who, minlength=labelers)
    place = np.arange(len(who)) - (np.cumsum(n) - n)[who]
    late = 2 * place >= n[who]
    count = [np.bincount(who[half], minlength=labelers) for half in (~late, late)]
    mean = [
        ratio(np.bincount(who[half], value[half], minlength=labelers), k)
        for half, k in zip((~late, late), count, strict=True)
    ]
    pooled = ratio(np.bincount(who, value, minlength=labelers), n)
    varied = ratio(np.bincount(who, (value - pooled[who]) ** 2, minlength=labelers), n - 1)
    spread = np.sqrt(varied * (ratio(1, count[0]) + ratio(1, count[1])))
    change = mean[1] - mean[0]
    return change, _two_sided(ratio(change, spread))


def copied(texts: Sequence[str], sources: Sequence[Iterable[str]]) -> Floats:
    """How much of each text stands, in runs of four words, in the nearest of its sources: (texts,) in [0, 1].

    The sources of a demonstration are the completions that models wrote for its prompt, and may be the same
    person's other texts. Texts under four words are compared as a whole.
    """
    found = np.zeros(len(texts))
    for at, (text, others) in enumerate(zip(texts, sources, strict=True)):
        runs = _runs(text)
        if runs:
            found[at] = max((len(runs & _runs(other)) / len(runs) for other in others), default=0.0)
    return found


def _runs(text: str) -> set[tuple[str, ...]]:
    words = WORD.findall(text.lower())
    if len(words) < RUN:
        return {tuple(words)} if words else set()
    return set(zip(*(words[step:] for step in range(RUN)), strict=False))


def _medians(group: Ints, value: Floats, groups: int) -> Floats:
    order = np.lexsort((value, group))
    value = value[order]
    n = np.bincount(group, minlength=groups)
    start = np.cumsum(n) - n
    some = n > 0
    middle = np.full(groups, np.nan)
    middle[some] = (value[start[some] + (n[some] - 1) // 2] + value[start[some] + n[some] // 2]) / 2
    return middle


def _two_sided(z: Floats) -> Floats:
    """The two-sided p-value of normal deviates."""
    return np.array([math.erfc(abs(each) / math.sqrt(2)) for each in z.tolist()])

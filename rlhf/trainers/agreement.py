"""How far a reward model agrees with labels it was not trained on, and how sure that is. Plain Python."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Agreed(NamedTuple):
    """What scores say of the pairs that rankings decide."""

    right: float
    """Pairs that the scores order as the labels do; equal scores count half."""
    pairs: int
    right_distance: float
    """Distance between the scores, summed over those pairs."""
    distance: float
    """Distance between the scores, summed over all pairs."""


def agreement(scores: Sequence[float], ranks: Sequence[int]) -> Agreed:
    """How far the scores order the pairs of one ranking as it does; 0 is the best rank."""
    right, pairs, right_distance, distance = 0.0, 0, 0.0, 0.0
    for i, a in enumerate(ranks):
        for j, b in enumerate(ranks):
            if a < b:
                apart = scores[i] - scores[j]
                pairs += 1
                right += 0.5 + 0.5 * ((apart > 0) - (apart < 0))
                right_distance += max(apart, 0.0)
                distance += abs(apart)
    return Agreed(right, pairs, right_distance, distance)


def clustered_interval(right: Sequence[float], of: Sequence[float]) -> tuple[float, float, float]:
    """Share Σ right / Σ of with a two-sided 90 % interval, clustered: (share, low, high).

    The variance is that of a ratio of cluster totals (Cochran, Sampling Techniques, 6.4), because pairs of
    one prompt hang together; the quantile is Student's. Fewer than two clusters say nothing: 0 to 1.
    """
    total, count = sum(of), len(of)
    if total == 0:
        return 0.5, 0.0, 1.0
    share = sum(right) / total
    if count < 2:
        return share, 0.0, 1.0
    spread = sum((r - share * n) ** 2 for r, n in zip(right, of, strict=True)) * count / (count - 1)
    half = _student(count - 1) * math.sqrt(spread) / total
    return share, max(0.0, share - half), min(1.0, share + half)


def by_cluster(found: Sequence[tuple[str, Agreed]]) -> list[Agreed]:
    """Sum rankings, each with its cluster, to one entry a cluster."""
    sums: dict[str, Agreed] = {}
    for cluster, own in found:
        right, pairs, right_distance, distance = sums.get(cluster, Agreed(0.0, 0, 0.0, 0.0))
        sums[cluster] = Agreed(
            right + own.right,
            pairs + own.pairs,
            right_distance + own.right_distance,
            distance + own.distance,
        )
    return list(sums.values())


def intervals(found: Sequence[tuple[str, Agreed]]) -> dict[str, float]:
    """``agreement`` and ``weighted_agreement`` of rankings with their clusters, each with _low and _high.

    The weighted one counts a pair by the distance between its scores. On fifteen rankings it tells labels
    from noise where the plain share does not: a pair that the model holds for a tie is a coin's throw.
    """
    sums = by_cluster(found)
    plain = clustered_interval([each.right for each in sums], [each.pairs for each in sums])
    weighted = clustered_interval([each.right_distance for each in sums], [each.distance for each in sums])
    names = [f"{name}{end}" for name in ("agreement", "weighted_agreement") for end in ("", "_low", "_high")]
    return dict(zip(names, [*plain, *weighted], strict=True))


def folds_of(clusters: Sequence[str], count: int) -> list[list[int]]:
    """Indices in up to `count` folds; rankings of one prompt share a fold, for no fold may test what it saw.

    Empty where there are fewer than two prompts.
    """
    names = list(dict.fromkeys(clusters))
    count = min(count, len(names))
    if count < 2:
        return []
    fold = {name: at % count for at, name in enumerate(names)}
    return [[i for i, name in enumerate(clusters) if fold[name] == at] for at in range(count)]


def _student(freedom: int) -> float:
    """The 95 % quantile of Student's t (Abramowitz and Stegun, 26.7.5: an expansion about the normal one)."""
    z = 1.645
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2

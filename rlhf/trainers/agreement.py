"""How far a reward model agrees with labels it was not trained on, and how sure that is. Plain Python."""

import math
from collections.abc import Sequence


def agreement(scores: Sequence[float], ranks: Sequence[int]) -> tuple[float, int]:
    """How many pairs of one ranking the scores order as it does (equal scores: half), of how many."""
    right, pairs = 0.0, 0
    for i, a in enumerate(ranks):
        for j, b in enumerate(ranks):
            if a < b:
                pairs += 1
                right += 0.5 + 0.5 * ((scores[i] > scores[j]) - (scores[i] < scores[j]))
    return right, pairs


def clustered_interval(
    right: Sequence[float], pairs: Sequence[int], quantile: float = 1.645
) -> tuple[float, float, float]:
    """Share Σ right / Σ pairs with a two-sided 90 % interval, clustered: (share, low, high).

    The variance is that of a ratio of cluster totals (Cochran, Sampling Techniques, 6.4), because pairs of
    one prompt hang together. Fewer than two clusters say nothing: the interval is 0 to 1.
    """
    total, count = sum(pairs), len(pairs)
    if total == 0:
        return 0.5, 0.0, 1.0
    share = sum(right) / total
    if count < 2:
        return share, 0.0, 1.0
    spread = sum((r - share * n) ** 2 for r, n in zip(right, pairs, strict=True)) * count / (count - 1)
    half = quantile * math.sqrt(spread) / total
    return share, max(0.0, share - half), min(1.0, share + half)


def by_cluster(found: Sequence[tuple[str, float, int]]) -> tuple[list[float], list[int]]:
    """Sum (cluster, right, pairs) of rankings to what `clustered_interval` takes."""
    right: dict[str, float] = {}
    pairs: dict[str, int] = {}
    for cluster, own, count in found:
        right[cluster] = right.get(cluster, 0.0) + own
        pairs[cluster] = pairs.get(cluster, 0) + count
    return list(right.values()), list(pairs.values())


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

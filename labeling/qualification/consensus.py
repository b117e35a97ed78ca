"""The one answer that a task's labels have in common, where they have one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from labeling.models import Task

Answer = Mapping[str, Any]


def of(*, kind: str, answers: Sequence[Answer], candidates: Sequence[int]) -> dict[str, Any] | None:
    """The consensus of ``answers``, in the form of their kind; None where there is none.

    Rankings by ranked pairs, comparisons by an absolute majority for a side with the middle one of its
    strengths; of any other kind a single label is its own consensus.
    """
    if not answers:
        return None
    if kind == Task.Kind.RANK:
        # A web process does without it until somebody makes gold.
        import numpy as np

        from labeling.quality.consensus import ranked_pairs

        places = np.full((len(answers), len(candidates)), np.nan)
        at = {candidate: column for column, candidate in enumerate(candidates)}
        for row, answer in enumerate(answers):
            for place, tier in enumerate(answer["tiers"]):
                for one in tier:
                    places[row, at[one]] = place
        if np.isnan(places).any():
            return None
        return {"tiers": [[candidates[one] for one in tier] for tier in ranked_pairs(places)]}
    if kind == Task.Kind.COMPARE:
        side, votes = Counter(answer["preferred"] for answer in answers).most_common(1)[0]
        if 2 * votes <= len(answers):
            return None
        order = ("much", "better", "slightly", "tie")
        strengths = sorted(
            (answer["strength"] for answer in answers if answer["preferred"] == side), key=order.index
        )
        return {"preferred": side, "strength": strengths[len(strengths) // 2]}
    return dict(answers[0]) if len(answers) == 1 else None

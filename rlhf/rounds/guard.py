"""When a reward model may steer a policy, and how tightly the policy is held.

A weak reward model does harm: PPO runs wherever it points. Measured on the embedded default with random
labels, the policy ended below where it began (gold win rates .42 and .18).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

CHANCE = 0.5
# Up to so many rankings the guard asks to be 95 % sure, above 99 %: with few that would cost honest rounds.
FEW = 30
# How much farther from the share a 98 % interval reaches than a 90 % one.
WIDER = 2.326 / 1.645
KL = 0.1
# Enough pairs for the usual weight; with fewer it grows in proportion, up to KL_MOST times.
PAIRS = 90
KL_MOST = 2.0


def objection(figures: Mapping[str, Any]) -> str:
    """Why this reward model should train no policy, and what to do next; empty where it may.

    Args:
        figures: its result, as `rlhf.trainers.agreement.intervals` measures it on labels that it was not
            trained on, with ``pairs`` measured on and ``groups`` (rankings).
    """
    try:
        plain = float(figures["agreement"])
        share, low, high = (float(figures[f"weighted_agreement{end}"]) for end in ("", "_low", "_high"))
        pairs, groups = int(figures["pairs"]), int(figures["groups"])
    except (KeyError, TypeError, ValueError):
        return "The reward model does not say how well it agrees with held-out labels. Train it again."
    margin = (share - low) * (1.0 if groups <= FEW else WIDER)
    if share - margin > CHANCE:
        return ""
    found = (
        f"The reward model agrees with labels it has not seen in {plain:.0%} of {pairs} pairs. "
        f"With each pair counted by how sure the model is of it, that is {share:.0%} "
        f"(90 % interval {low:.0%} to {high:.0%}): not surely better than chance. "
        "A policy trained on it would follow noise, so the round stopped before PPO. "
    )
    if share <= CHANCE + 0.02:
        return found + ("Look first whether labelers agree with each other; then rank more answers.")
    # The interval narrows with the root of the number of rankings.
    needed = math.ceil(groups * (margin / (share - CHANCE)) ** 2) - groups + 1
    return found + f"Rank about {max(needed, 1)} more prompts and start again."


def kl_weight(pairs: int) -> float:
    """PPO's KL penalty a token for a reward model trained on so many pairs.

    .1 from 90 pairs on, .2 at 45 or fewer, and as 90 / pairs between. In the pilots on 48 pairs a policy
    fell far below its start in one of four seeds at .05 and in none of two at .15; on 300 pairs .1 kept more
    of the reward model's gain as gold than .05 did (docs/benchmarks.md).
    """
    return KL * min(KL_MOST, max(1.0, PAIRS / max(pairs, 1)))

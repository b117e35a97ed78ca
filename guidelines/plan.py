"""What a publisher means to do: the kind of change, who has to read it, what becomes of older labels."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, replace
from typing import Any

from guidelines.changes import Difference
from guidelines.criteria import GuidelineError
from guidelines.models import GuidelineVersion

Change = GuidelineVersion.Change
KEEP, RELABEL, EXCLUDE = "keep", "relabel", "exclude"
TREATMENTS = (KEEP, RELABEL, EXCLUDE)
MOST_SEED = 2**31 - 1
# From the least to the most; the labels of a typo stay fresh.
_ORDER = {change: at for at, change in enumerate(Change.values)}
# What one has to have read before the next task, unless the publisher says otherwise on the page.
WORTH_READING = frozenset({Change.EXAMPLE, Change.CRITERION, Change.RULE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do with people and labels when a version is published."""

    change: str = ""
    """One of `GuidelineVersion.Change`; guessed from what differs unless given."""
    asks: bool = False
    """Whoever works is shown what changed, and says that they read it, before their next task."""
    labels: str = KEEP
    """What becomes of the labels that it makes stale: one of `TREATMENTS`."""
    share: float = 1.0
    """Of them to relabel, above 0 and at most 1; the others stay in use."""
    seed: int | None = None
    """Which of them; drawn, and recorded with the version, unless given."""

    @property
    def stored(self) -> dict[str, Any]:
        """As a version keeps it beside its own ``change`` and ``asks``."""
        return {"labels": self.labels, "share": self.share, "seed": self.seed}


def guess(difference: Difference) -> str:
    """The kind of change by what differs; blank where nothing does.

    A text that differs in nothing but spaces, case and punctuation is a typo's; any other word is wording.
    """
    if difference.rules:
        return Change.RULE
    if any(one.kind != "moved" for one in difference.criteria):
        return Change.CRITERION
    if difference.examples:
        return Change.EXAMPLE
    if difference.criteria:
        return Change.WORDING
    if not difference.body:
        return ""
    before, after = (
        "".join(run.text for run in difference.body if run.kind in {"kept", side})
        for side in ("removed", "added")
    )
    return Change.TYPO if _letters(before) == _letters(after) else Change.WORDING


def least(difference: Difference) -> str:
    """The least that it may be called: who removes or changes a criterion changes what labels mean."""
    changed = any(one.kind in {"removed", "changed"} for one in difference.criteria)
    return Change.CRITERION if changed else Change.TYPO


def settle(plan: Plan, *, difference: Difference, first: bool) -> Plan:
    """Return ``plan`` with nothing left open, if it can be carried out.

    Raises:
        GuidelineError: ``field`` is change, asks, labels, share or seed.
    """
    if not isinstance(plan.asks, bool):
        raise GuidelineError("asks", "asks must be true or false.")
    if plan.labels not in TREATMENTS:
        raise GuidelineError("labels", f"Must be one of {', '.join(TREATMENTS)}.")
    _check_share(plan)
    seed = secrets.randbelow(MOST_SEED) if plan.seed is None else plan.seed
    if type(seed) is not int or not 0 <= seed <= MOST_SEED:
        raise GuidelineError("seed", f"The seed must be a whole number from 0 to {MOST_SEED:,}.")
    if first:
        if plan.labels != KEEP or plan.change:
            field = "change" if plan.change else "labels"
            raise GuidelineError(field, "A first version changes nothing and has no older labels.")
        return replace(plan, seed=seed)
    change = plan.change or guess(difference)
    if change not in {*Change.values, ""}:
        raise GuidelineError("change", f"Must be one of {', '.join(Change.values)}.")
    if change and _ORDER[change] < _ORDER[least(difference)]:
        raise GuidelineError(
            "change", f"A criterion is removed or changed: this is no {change}. Call it criterion or rule."
        )
    if change == Change.TYPO and plan.labels != KEEP:
        raise GuidelineError("labels", "A typo makes no label stale. Keep the labels, or call it wording.")
    return replace(plan, change=change, seed=seed)


def _check_share(plan: Plan) -> None:
    share = plan.share
    number = isinstance(share, int | float) and not isinstance(share, bool) and math.isfinite(share)
    if not (number and 0 < share <= 1):
        raise GuidelineError("share", "Give a share above 0, and 1 at most.")
    if share != 1 and plan.labels != RELABEL:
        raise GuidelineError("share", "Only labels to relabel are drawn by share. Leave it out.")


def _letters(text: str) -> str:
    return "".join(one for one in text.casefold() if one.isalnum())

"""How likely it is that a labeler does not judge at all, and what they do instead.

Each labeler is a mixture of explanations of what they did, compared by likelihood: honest at one of several
accuracies, whose weights are learned from the crew; and the `KINDS` that are not. What the others say of an
item (its Dawid–Skene posterior without this labeler) stands for the truth. Everything is a log-likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labeling.quality.labels import Floats, Ints, pairs_count, pairs_within

RANDOM, FIRST, LONGEST, SAME, INVERTED, COLLUDING, PASTED = (
    "random",
    "first",
    "longest",
    "same",
    "inverted",
    "colluding",
    "pasted",
)
KINDS = (RANDOM, FIRST, LONGEST, SAME, INVERTED, COLLUDING, PASTED)
PRIOR = 0.1
# Honest accuracies lie so far between chance (0) and always right (1).
SKILLS = np.linspace(0.2, 0.94, 8)
# How strictly a habit is kept to; a mixture, for a spammer may look up now and then.
STRICT = (0.98, 0.9, 0.8)
PASTES, SLIPS = 0.8, 0.03
# Of chance: who reads a scale the wrong way round is right less often than a coin.
INVERTED_ACCURACY = 0.4
# Two labels of an item at a time, in all classes: beyond so many, copies are not looked for.
MOST_CELLS = 50_000_000


@dataclass(frozen=True, eq=False)
class Suspicion:
    """All (L,)."""

    odds: Floats
    """Natural logarithm of the odds that the labeler is no honest one."""
    kind: Ints
    """Which of `KINDS` explains the labels best, honest or not."""
    partner: Ints
    """The labeler whose labels are most like copies of these, −1 where there is none."""
    copying: Floats
    """How much better copying than judging explains the labels shared with `partner`, in nats."""

    @property
    def probability(self) -> Floats:
        return 1 / (1 + np.exp(-np.clip(self.odds, -500, 500)))


@dataclass(frozen=True, eq=False)
class Behaviour:
    """What is known of n labels by L labelers in K classes."""

    item: Ints
    labeler: Ints
    label: Ints
    others: Floats
    """(n, K) what everybody else says of the item."""
    told: Floats
    """(n, K) what each label added to the logarithm of what is said of its item."""
    weight: Floats
    """(n,)"""
    chance: Floats
    """(K,) how often somebody who does not look says each class."""
    labelers: int
    named: bool
    """Whether classes mean something by themselves, so that always the same one is a habit."""
    first: Ints | None = None
    longest: Ints | None = None
    """(n,) 1 where the label names the answer shown first (the longest), 0 where not, −1 unknown."""
    pasted: Ints | None = None
    texts: Ints | None = None
    """(L,) of their texts, how many are nearly a model's; and how many there are."""


def judge(seen: Behaviour, *, prior: float = PRIOR) -> Suspicion:
    """Weigh the explanations for every labeler."""
    people, classes = seen.labelers, len(seen.chance)
    by_skill = np.stack([_sum(seen, np.log(_right(seen, _accuracy(skill, classes)))) for skill in SKILLS], 1)
    blind = np.log(seen.chance)[seen.label]
    random = _sum(seen, blind)
    kinds = np.full((people, len(KINDS)), -np.inf)
    kinds[:, 0] = random
    for at, chosen in ((1, seen.first), (2, seen.longest)):
        if chosen is not None:
            kinds[:, at] = _habit(seen, chosen, blind)
    if seen.named and classes > 1:
        said = np.bincount(seen.labeler * classes + seen.label, minlength=people * classes)
        usual = said.reshape(people, classes).argmax(1)
        kinds[:, 3] = _habit(seen, (seen.label == usual[seen.labeler]).astype(np.int64), blind) - np.log(
            classes
        )
    kinds[:, 4] = _sum(seen, np.log(_right(seen, INVERTED_ACCURACY / max(1, classes))))
    honest, skills = _learned(by_skill, kinds, prior)
    partner, copying, kinds[:, 5] = _collusion(seen, honest, random, skills)
    pasting = np.zeros(people)
    if seen.pasted is not None and seen.texts is not None:
        kept = seen.texts - seen.pasted
        pasting = seen.pasted * np.log(PASTES / SLIPS) + kept * np.log((1 - PASTES) / (1 - SLIPS))
        kinds[:, 6] = honest + pasting
    offered = np.isfinite(kinds).any(0)
    odds = _add(kinds) - np.log(max(1, offered.sum())) - honest + np.log(prior / (1 - prior))
    idle = np.bincount(seen.labeler, minlength=people) == 0
    odds = np.where(idle & (pasting == 0), np.log(prior / (1 - prior)), odds)
    return Suspicion(odds, kinds.argmax(1), partner, copying)


def _right(seen: Behaviour, accuracy: float) -> Floats:
    """(n,) P(the label | the others), from somebody right with ``accuracy``, errors spread evenly."""
    same = seen.others[np.arange(len(seen.label)), seen.label]
    wrong = (1 - accuracy) / max(1, len(seen.chance) - 1)
    return np.clip(wrong + same * (accuracy - wrong), 1e-12, 1)


def _accuracy(skill: float, classes: int) -> float:
    return (1 + skill * (classes - 1)) / max(1, classes)


def _habit(seen: Behaviour, did: Ints, blind: Floats) -> Floats:
    """(L,) of a rule kept to more or less strictly; a coin where it is not known whether it was kept to."""
    lost = max(1, len(seen.chance) - 1)
    each = [
        _sum(seen, np.where(did < 0, blind, np.where(did == 1, np.log(strict), np.log((1 - strict) / lost))))
        for strict in STRICT
    ]
    return _add(np.stack(each, 1)) - np.log(len(STRICT))


def _learned(by_skill: Floats, kinds: Floats, prior: float) -> tuple[Floats, Floats]:
    """The honest likelihood (L,) under the crew's own spread of accuracies, and that spread (skills,)."""
    skills = np.full(len(SKILLS), 1 / len(SKILLS))
    others = _add(kinds) - np.log(max(1, np.isfinite(kinds).any(0).sum())) + np.log(prior)
    for _ in range(30):
        joint = by_skill + np.log(skills) + np.log(1 - prior)
        share = np.exp(joint - _add(np.column_stack((joint, others)))[:, None])
        skills = (share.sum(0) + 1) / (share.sum() + len(SKILLS))
    return _add(by_skill + np.log(skills)), skills


def _collusion(
    seen: Behaviour, honest: Floats, random: Floats, skills: Floats
) -> tuple[Ints, Floats, Floats]:
    """For each labeler the likeliest partner, by how many nats copying explains their labels, its likelihood.

    Under honesty, P(label | the others, the partner's label) has both judge the same unknown truth with the
    crew's mean accuracy; the others' view is taken without either of the two.
    """
    people, classes = seen.labelers, len(seen.chance)
    none = np.full(people, -1), np.zeros(people), np.full(people, -np.inf)
    if classes < 2 or people < 3 or pairs_count(seen.item) * classes > MOST_CELLS:
        return none
    one, other = pairs_within(seen.item)
    distinct = seen.labeler[one] != seen.labeler[other]
    one, other = np.r_[one[distinct], other[distinct]], np.r_[other[distinct], one[distinct]]
    if not len(one):
        return none
    accuracy = float((skills * [_accuracy(skill, classes) for skill in SKILLS]).sum())
    wrong = (1 - accuracy) / (classes - 1)
    # The partner's label counts as that of anybody, however little they are trusted by now: else whoever is
    # suspected once would look like a copy of the truth.
    view = np.log(np.clip(seen.others[one], 1e-12, 1)) - seen.told[other]
    view[np.arange(len(one)), seen.label[other]] += np.log(accuracy / wrong)
    truth = np.exp(view[np.arange(len(one)), seen.label[one]] - _add(view))
    judged = wrong + truth * (accuracy - wrong)
    same = seen.label[one] == seen.label[other]
    copies = np.where(same, STRICT[0], (1 - STRICT[0]) / (classes - 1))
    keys, pair = np.unique(seen.labeler[one] * people + seen.labeler[other], return_inverse=True)
    over_honest = np.bincount(pair, seen.weight[one] * np.log(copies / judged))
    over_random = np.bincount(
        pair, seen.weight[one] * (np.log(copies) - np.log(seen.chance)[seen.label[one]])
    )
    who, whom = keys // people, keys % people
    likelihood = np.logaddexp(honest[who] + over_honest, random[who] + over_random) - np.log(2)
    order = np.lexsort((likelihood, who))
    last = order[np.r_[np.diff(who[order]) != 0, True]]
    partner, copying, best = none
    partner[who[last]], copying[who[last]] = whom[last], over_honest[last]
    best[who[last]] = likelihood[last] - np.log(people - 1)
    return partner, copying, best


def _sum(seen: Behaviour, each: Floats) -> Floats:
    return np.bincount(seen.labeler, seen.weight * each, minlength=seen.labelers).astype(float)


def _add(logs: Floats) -> Floats:
    """The logarithm of the sum of the exponentials of each row."""
    top = logs.max(1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(logs - top).sum(1)) + top[:, 0]

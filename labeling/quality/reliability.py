"""How far each labeler can be relied on, and what every item is, from the labels alone.

Three turns of: fit accuracies and truths (`dawid_skene`), weigh for each labeler whether they judge at all
(`suspicion`), and let those who hardly do speak less of the items. Gold items, position, length, pace, pasted
texts and a reward model come in where they are known. Numpy alone; no loop over labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from labeling.quality import dawid_skene, habits
from labeling.quality.dawid_skene import Form
from labeling.quality.labels import Floats, Ints, Labels, ratio, wilson
from labeling.quality.suspicion import KINDS, Behaviour, Suspicion, judge

TURNS = 3
SUSPECT = 0.5
# Fewer labels than this (of their own: a ranking of four is three) say nothing of a person yet.
FEW_LABELS = 10
PASTED_TEXTS = 0.5


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known: n labels by L labelers of I items in K classes, and what came with them."""

    labels: Labels
    form: Form = "full"
    """``pair`` where every label names the better of two answers."""
    weight: Floats | None = None
    """(n,) how much each label tells of its labeler: 2/k for each pair of a ranking of k answers, whose
    k(k − 1)/2 pairs tell as much as k − 1 of their own. 1 by default."""
    first: Ints | None = None
    longest: Ints | None = None
    """(n,) 1 where the label names the answer shown first (the longest), 0 where not, −1 unknown."""
    seconds: Floats | None = None
    """(n,) time taken, NaN unknown."""
    at: Floats | None = None
    """(n,) when; by default in the order of the rows."""
    rm: Floats | None = None
    """(I, K) log-probabilities of a reward model; rows of NaN where it has none."""
    known: Ints | None = None
    """(I,) true classes of gold items, −1 elsewhere."""
    pasted: Ints | None = None
    texts: Ints | None = None
    """(L,) of their texts, how many are nearly a model's completion; and how many there are."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """What `measure` found; arrays (L,) unless said otherwise, NaN where there is nothing to tell from."""

    labels: Labels
    fit: dawid_skene.Fit
    suspicion: Suspicion
    n: Ints
    """Labels of each labeler."""
    evidence: Floats
    """What they weigh: as many for labels of their own, fewer for the pairs of rankings."""
    agreement: Floats
    agreement_low: Floats
    agreement_high: Floats
    """Leave-one-out: share of the others' labels of the same items that are equal, with Wilson's interval."""
    gold: Floats
    gold_low: Floats
    gold_high: Floats
    first: habits.Rate | None
    longest: habits.Rate | None
    seconds: Floats
    pace: Floats
    """Median seconds over those of the others: .5 is twice as fast."""
    drift: Floats
    drift_p: Floats
    """Agreement late less early, and its p-value."""
    pasted: Floats
    """Share of their texts that are nearly a model's."""
    weights: Floats


def measure(seen: Evidence) -> Reliability:
    """Everything of every labeler and item."""
    labels = seen.labels
    people, items, classes = len(labels.labelers), len(labels.items), len(labels.values)
    item, labeler, label = labels.item, labels.labeler, labels.label
    weight = np.ones(len(labels)) if seen.weight is None else seen.weight
    chance = np.full(classes, 1 / max(1, classes))
    if seen.form == "full":
        chance = (np.bincount(label, minlength=classes) + 1) / (len(labels) + classes)
    trust = np.ones(people)
    for turn in range(TURNS):
        fit = dawid_skene.fit(
            item,
            labeler,
            label,
            items=items,
            labelers=people,
            classes=classes,
            form=seen.form,
            weight=weight,
            trust=trust,
            known=seen.known,
            rm=seen.rm,
        )
        others, told = dawid_skene.others(fit, item, labeler, label, trust)
        if seen.known is not None:
            gold = np.flatnonzero(seen.known[item] >= 0)
            others[gold] = np.eye(classes)[seen.known[item[gold]]]
        suspicion = judge(
            Behaviour(
                item=item,
                labeler=labeler,
                label=label,
                others=others,
                told=told,
                weight=weight,
                chance=chance,
                labelers=people,
                named=seen.form == "full",
                first=seen.first,
                longest=seen.longest,
                pasted=seen.pasted,
                texts=seen.texts,
            )
        )
        if turn < TURNS - 1:
            trust = 1 - suspicion.probability
    return _reported(seen, fit, suspicion)


def weights(accuracy: Floats, suspicion: Floats, *, classes: int) -> Floats:
    """(L,) in [0, 1]: what a labeler's labels should count in an export or in the reward model's loss.

    (1 − P(no honest labeler)) · how far above chance they are, over the crew's median, at most 1: most of an
    honest crew count 1, somebody right no more often than chance 0.
    """
    by_chance = 1 / max(1, classes)
    above = np.clip((accuracy - by_chance) / max(1e-9, 1 - by_chance), 0, 1)
    honest = above[suspicion < SUSPECT]
    usual = float(np.median(honest)) if len(honest) else 0.0
    if usual <= 0:
        return np.zeros(len(accuracy))
    return np.clip(above / usual, 0, 1) * (1 - suspicion)


def _reported(seen: Evidence, fit: dawid_skene.Fit, suspicion: Suspicion) -> Reliability:
    labels = seen.labels
    people, labeler = len(labels.labelers), labels.labeler
    agreed = others_agree(labels)
    told = ~np.isnan(agreed)
    compared = np.bincount(labeler[told], minlength=people)
    agreement = ratio(np.bincount(labeler[told], agreed[told], minlength=people), compared)
    gold, gold_n = np.full(people, np.nan), np.zeros(people, np.intp)
    if seen.known is not None:
        truth = seen.known[labels.item]
        gold_n = np.bincount(labeler[truth >= 0], minlength=people)
        gold = ratio(np.bincount(labeler[truth == labels.label], minlength=people), gold_n)
    seconds, pace = np.full((2, people), np.nan)
    if seen.seconds is not None:
        seconds, pace = habits.pace(labeler, seen.seconds, labelers=people)
    drift, drift_p = habits.drift(labeler, agreed, labelers=people, at=seen.at)
    known_texts = seen.pasted is not None and seen.texts is not None
    low, high = wilson(agreement, compared)
    gold_low, gold_high = wilson(gold, gold_n)
    return Reliability(
        labels=labels,
        fit=fit,
        suspicion=suspicion,
        n=np.bincount(labeler, minlength=people),
        evidence=np.bincount(labeler, seen.weight, minlength=people).astype(float),
        agreement=agreement,
        agreement_low=low,
        agreement_high=high,
        gold=gold,
        gold_low=gold_low,
        gold_high=gold_high,
        first=None if seen.first is None else habits.rate(labeler, seen.first, labelers=people),
        longest=None if seen.longest is None else habits.rate(labeler, seen.longest, labelers=people),
        seconds=seconds,
        pace=pace,
        drift=drift,
        drift_p=drift_p,
        pasted=ratio(seen.pasted, seen.texts) if known_texts else np.full(people, np.nan),  # type: ignore[arg-type]
        weights=weights(fit.accuracy, suspicion.probability, classes=len(labels.values)),
    )


def others_agree(labels: Labels) -> Floats:
    """(n,) share of the other labels of the same item that are equal; NaN where there is no other."""
    cells = labels.item * max(1, len(labels.values)) + labels.label
    _, cell, same = np.unique(cells, return_inverse=True, return_counts=True)
    size = np.bincount(labels.item, minlength=1)[labels.item]
    return ratio(same[cell] - 1, size - 1)


def described(found: Reliability) -> dict[str, Any]:
    """Labelers and items as objects for JSON, each by its name; None is what cannot be told."""
    labels, fit = found.labels, found.fit
    labelers = {str(name): labeler(found, at) for at, name in enumerate(labels.labelers)}
    best = fit.posterior.argmax(1) if fit.posterior.size else []
    entropy = -(fit.posterior * np.log2(np.clip(fit.posterior, 1e-300, 1))).sum(1)
    count = np.bincount(labels.item, minlength=len(labels.items))
    values = [plain(value) for value in labels.values]
    items = {
        str(name): {
            "label": values[best[at]],
            "posterior": {
                str(v): round(p, 4) for v, p in zip(values, fit.posterior[at].tolist(), strict=True)
            },
            "entropy": round(max(0.0, float(entropy[at])), 4),
            "labels": int(count[at]),
        }
        for at, name in enumerate(labels.items)
    }
    return {"labelers": labelers, "items": items, "rm_weight": plain(fit.rm_weight)}


def labeler(found: Reliability, at: int) -> dict[str, Any]:
    """What is known of the labeler numbered ``at``, as plain figures; None is what cannot be told."""
    fit, doubt = found.fit, found.suspicion
    suspicion = float(doubt.probability[at])
    partner = int(doubt.partner[at])
    colluding = KINDS[doubt.kind[at]] == "colluding" and suspicion >= SUSPECT and partner >= 0
    figures: dict[str, Any] = {
        "labels": int(found.n[at]),
        "evidence": found.evidence[at],
        "accuracy": fit.accuracy[at],
        "low": fit.low[at],
        "high": fit.high[at],
        "weight": found.weights[at],
        "agreement": found.agreement[at],
        "agreement_low": found.agreement_low[at],
        "agreement_high": found.agreement_high[at],
        "suspicion": suspicion,
        "kind": KINDS[doubt.kind[at]] if suspicion >= SUSPECT else "honest",
        "partner": str(found.labels.labelers[partner]) if colluding else None,
        "gold": found.gold[at],
        "seconds": found.seconds[at],
        "pace": found.pace[at],
        "drift": found.drift[at],
        "drift_p": found.drift_p[at],
        "pasted": found.pasted[at],
    }
    for name, rate in (("first", found.first), ("longest", found.longest)):
        if rate is not None:
            figures |= {name: rate.share[at], f"{name}_low": rate.low[at], f"{name}_high": rate.high[at]}
            figures[f"{name}_p"] = rate.p[at]
    figures = {name: plain(value) for name, value in figures.items()}
    return figures | {"says": says(figures, chance=1 / max(1, len(found.labels.values)))}


def says(figures: dict[str, Any], *, chance: float) -> str:
    """One sentence on a labeler for an admin: what stands out and what to do."""
    if figures["evidence"] < FEW_LABELS:
        return "Too few labels to say."
    partner = figures["partner"]
    doubts = {
        "random": "Labels hardly better than chance: talk to them, and set their labels aside.",
        "first": "Takes what is shown first, whatever it is: talk to them, and set their labels aside.",
        "longest": "Takes the longest answer, whatever it says: talk to them, and set their labels aside.",
        "same": "Gives nearly always the same label: talk to them, and set their labels aside.",
        "inverted": "Says the opposite of the others: they may read the scale the wrong way round; ask them.",
        "colluding": f"Labels as {partner} does, more than judging well explains: look at both side by side.",
        "pasted": "Hands in texts that are nearly a model's: read some beside the completions and ask them.",
    }
    if figures["kind"] in doubts:
        return doubts[figures["kind"]]
    if (figures["drift_p"] or 1) < 0.01 and figures["drift"] < 0:
        return "Agreed more with the others at first than lately: ask how it goes, or let them pause."
    if (figures["pace"] or 1) < 1 / 3:
        return "Labels as well as the others in under a third of the time: look at some of it."
    if figures["weight"] < 0.5:
        return "Judges, but is often at odds with the others: go through disputed items together."
    if figures["low"] <= chance:
        return "Nothing stands out, but labels on more shared items are needed to be sure."
    return "In line with the others."


def plain(value: Any) -> Any:
    """A numpy value as Python's own, rounded to four places; NaN is None."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 4)
    return value

"""Who is how often right, and what is true of each item: Dawid–Skene by EM, vectorised.

Dawid & Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm", with a
Dirichlet prior on every row of every confusion matrix. `Form`:

- ``full``: a confusion matrix per labeler, shares of the classes estimated.
- ``pair``: every item is a pair of answers, its label the one preferred. Classes are names only, so they are
  equally likely and a labeler's errors the same each way: one accuracy a labeler, with a Beta prior. With
  more than two classes, errors go to each of the others alike.

A reward model can sit in as one more rater: its log-probabilities enter every item's evidence times one
learned weight, 0 where it says nothing about the labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from labeling.quality.labels import Floats, Ints

Form = Literal["full", "pair"]
# What a labeler is taken to be before the first label: right 7 times in 10, known as from 12 labels, so that
# two people in three lie between .57 and .83. Weaker, a few lucky labels make somebody the judge of the rest.
PRIOR_ACCURACY, PRIOR_LABELS = 0.7, 12.0
ROUNDS, CLOSE = 200, 1e-5
RM_PRIOR = 0.25


@dataclass(frozen=True, eq=False)
class Fit:
    """What the labels say, for I items, L labelers and K classes."""

    posterior: Floats
    """(I, K) P(class of the item | all labels); the shares of the classes for an item without any."""
    evidence: Floats
    """(I, K) its logarithm up to a constant an item."""
    shares: Floats
    """(K,)"""
    confusion: Floats
    """(L, K, K) P(the labeler says | the item is)."""
    accuracy: Floats
    """(L,)"""
    low: Floats
    high: Floats
    """(L,) 95 % of a normal posterior on the logit, see `_interval`."""
    rm_weight: float
    """NaN without a reward model."""
    rounds: int


def fit(
    item: Ints,
    labeler: Ints,
    label: Ints,
    *,
    items: int,
    labelers: int,
    classes: int,
    form: Form = "full",
    weight: Floats | None = None,
    trust: Floats | None = None,
    known: Ints | None = None,
    rm: Floats | None = None,
) -> Fit:
    """Fit accuracies and truths to n labels, each array of shape (n,).

    Args:
        weight: (n,) how much a label tells of its labeler, for pairs of one ranking that are not independent;
            1. Of its item it tells all the same: there, it is the only one by this labeler.
        trust: (labelers,) in [0, 1], how far each may speak of the items; they are all measured. 1.
        known: (items,) the true class of gold items, −1 elsewhere.
        rm: (items, classes) the reward model's log-probabilities; rows of NaN where it has none.
    """
    each = np.ones(len(item)) if weight is None else weight
    heard = np.ones(len(item)) if trust is None else trust[labeler]
    scores = np.zeros((items, classes)) if rm is None else np.nan_to_num(rm)
    fixed = np.empty(0, np.int64) if known is None else np.flatnonzero(known >= 0)
    gold = np.eye(classes)[fixed if known is None else known[fixed]]
    shares = np.full(classes, 1 / max(1, classes))
    rm_weight = 0.0 if rm is None else 0.5
    votes = np.bincount(item * classes + label, heard, minlength=items * classes)
    posterior = _softmax(0.7 * votes.reshape(items, classes) + rm_weight * scores)
    posterior[fixed] = gold
    said = labeler * classes + label
    # Gold speaks first: whoever is right on it is believed on the rest, be they ever so few.
    counted = each * np.isin(item, fixed) if len(fixed) else each
    rounds, moved = 0, 1.0
    while rounds < ROUNDS and moved > CLOSE:
        rounds += 1
        confusion = _confusion(posterior, item, said, counted, labelers, classes, form)
        counted = each
        if rm is not None:
            rm_weight = _rm_weight(posterior, scores, rm_weight)
        elif form == "full" and items:
            shares = (posterior.sum(0) + 1) / (items + classes)
        logs = np.log(confusion)
        evidence = np.log(shares) + rm_weight * scores
        for k in range(classes):
            told = heard * logs[:, k, :].reshape(-1)[said]
            evidence[:, k] += np.bincount(item, told, minlength=items)
        before, posterior = posterior, _softmax(evidence)
        posterior[fixed] = gold
        moved = float(np.abs(posterior - before).max(initial=0))
    accuracy = np.einsum("k,lkk->l", shares, confusion)
    low, high = _interval(accuracy, posterior[item, label], labeler, each, labelers)
    return Fit(
        posterior=posterior,
        evidence=evidence,
        shares=shares,
        confusion=confusion,
        accuracy=accuracy,
        low=low,
        high=high,
        rm_weight=rm_weight if rm is not None else float("nan"),
        rounds=rounds,
    )


def others(
    found: Fit, item: Ints, labeler: Ints, label: Ints, trust: Floats | None = None
) -> tuple[Floats, Floats]:
    """(n, K) and (n, K): what everybody else says of each label's item, and what the label itself added.

    The first is the posterior with that label taken out, the second its part of the evidence.
    """
    heard = np.ones(len(item)) if trust is None else trust[labeler]
    told = heard[:, None] * np.log(found.confusion)[labeler, :, label]
    return _softmax(found.evidence[item] - told), told


def _confusion(
    posterior: Floats, item: Ints, said: Ints, weight: Floats, labelers: int, classes: int, form: Form
) -> Floats:
    """(L, K, K) the mean of each row's posterior, counting each label as its item's posterior has it."""
    wrong = (1 - PRIOR_ACCURACY) / max(1, classes - 1)
    prior = PRIOR_LABELS * (np.full((classes, classes), wrong) + np.eye(classes) * (PRIOR_ACCURACY - wrong))
    counts = np.empty((labelers, classes, classes))
    for k in range(classes):
        told = np.bincount(said, weight * posterior[item, k], minlength=labelers * classes)
        counts[:, k, :] = told.reshape(labelers, classes)
    if form == "full":
        counts += prior / classes
        return counts / counts.sum(2, keepdims=True)
    right = np.einsum("lkk->l", counts) + PRIOR_LABELS * PRIOR_ACCURACY
    accuracy = right / (counts.sum((1, 2)) + PRIOR_LABELS)
    off = ((1 - accuracy) / max(1, classes - 1))[:, None, None]
    return off + np.eye(classes) * (accuracy[:, None, None] - off)


def _interval(
    accuracy: Floats, right: Floats, labeler: Ints, weight: Floats, labelers: int
) -> tuple[Floats, Floats]:
    """(L,) and (L,): accuracy ± 1.96 standard deviations on the logit.

    The information is the prior's, plus n q(1 − q) of known truths, less the Σ γ(1 − γ) that is missing while
    the truths are guessed (Louis 1982), labeler by labeler; ``right`` (n,) is γ, P(the label is right). At
    least a tenth of the complete information is kept.
    """
    spread = np.clip(accuracy * (1 - accuracy), 1e-6, None)
    complete = np.bincount(labeler, weight, minlength=labelers) * spread
    missing = np.bincount(labeler, weight * right * (1 - right), minlength=labelers)
    information = PRIOR_LABELS * spread + np.maximum(complete - missing, 0.1 * complete)
    middle = np.log(accuracy) - np.log1p(-np.clip(accuracy, None, 1 - 1e-12))
    half = 1.96 / np.sqrt(information)
    return 1 / (1 + np.exp(half - middle)), 1 / (1 + np.exp(-half - middle))


def _rm_weight(posterior: Floats, scores: Floats, start: float) -> float:
    """The weight under which softmax(weight · scores) fits the posterior best; Newton, N(0, 1/RM_PRIOR)."""
    weight = start
    for _ in range(20):
        p = _softmax(weight * scores)
        mean = (p * scores).sum(1)
        slope = ((posterior * scores).sum(1) - mean).sum() - RM_PRIOR * weight
        bend = ((p * scores**2).sum(1) - mean**2).sum() + RM_PRIOR
        step = slope / bend
        weight = min(5.0, max(0.0, weight + step))
        if abs(step) < 1e-6:
            break
    return float(weight)


def _softmax(logs: Floats) -> Floats:
    """Rows of probabilities."""
    if not logs.size:
        return logs.copy()
    raised = np.exp(logs - logs.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)

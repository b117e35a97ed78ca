"""What moves a choice between two answers besides their worth: position, length, formatting, own names.

A logistic regression of choices on the differences of two answers (Bradley–Terry with covariates, as
LMArena's style control, arXiv 2403.04132). Ties are left out: under Davidson's model (1970) the odds among
the rest are unchanged, whereas half-wins would shrink every coefficient.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeling.quality.labels import Floats, Ints

FORMATTING = ("lists", "headings", "bold", "code")
PATTERNS = {
    "lists": re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+\S", re.MULTILINE),
    "headings": re.compile(r"^#{1,6}\s+\S", re.MULTILINE),
    "bold": re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__"),
    "code": re.compile(r"^```|`[^`\n]+`", re.MULTILINE),
}
NAMES = (
    "ChatGPT",
    "GPT-4",
    "OpenAI",
    "Claude",
    "Anthropic",
    "Gemini",
    "Bard",
    "Llama",
    "Mistral",
    "Qwen",
    "DeepSeek",
    "Grok",
)
# An answer that speaks of itself as a machine, whatever its name. Other people's machines do not count.
SPEAKS = (
    r"\b(?:as|i am|i['’]m|being) an? (?:\w+ )?(?:ai|artificial intelligence|language model|llm)"
    r"(?: (?:language )?(?:model|assistant|chatbot))?\b(?: (?:made|built|developed|trained|created) by \w+)?"
    r"|\bi (?:was|am|have been) (?:developed|trained) by (?-i:[A-Z])\w+"
)
MOST_STEPS = 50


@dataclass(frozen=True, eq=False)
class Effects:
    """Coefficients of C covariates on the log odds that an answer is chosen; all (C,)."""

    names: tuple[str, ...]
    estimate: Floats
    error: Floats
    """Standard errors, robust to what a labeler and what a prompt does again and again."""
    p: Floats
    """Two-sided, of no effect."""
    n: int
    """Choices used, without ties."""
    freedom: int
    """Degrees of freedom of intervals and p: one less than the labelers, or prompts if these are fewer."""

    @property
    def low(self) -> Floats:
        return self.estimate - _student(1.96, self.freedom) * self.error

    @property
    def high(self) -> Floats:
        return self.estimate + _student(1.96, self.freedom) * self.error


def effects(
    *,
    outcome: Floats,
    differences: Floats,
    names: Sequence[str],
    labeler: Ints,
    prompt: Ints,
    model: tuple[Ints, Ints] | None = None,
    ridge: float = 1e-3,
) -> Effects:
    """Fit the choices between answers a and b; n rows.

    Args:
        outcome: (n,) 1 where a was chosen, 0 where b was, .5 for a tie, which is left out.
        differences: (n, C) of the covariates, a less b: 1 or −1 for a position, the difference of logarithms
            of lengths (`log_length`), of counts of formatting (`formatting`), of naming oneself.
        labeler, prompt: (n,) the clusters.
        model: who wrote a and who b, (n,) and (n,). Their strengths are then fitted too (Bradley–Terry):
            without them, a good model that writes at length would pass for a taste for length.
        ridge: prior precision of the coefficients; it keeps what never varies at 0.

    Raises:
        ValueError: arrays that do not match in length, or as many names as there are columns.
    """
    n, columns = differences.shape
    if len(names) != columns or any(len(each) != n for each in (outcome, labeler, prompt)):
        raise ValueError(
            "outcome, differences, labeler and prompt need one row each a choice, names one a column"
        )
    chosen = outcome != 0.5
    x, y = differences[chosen].astype(float), outcome[chosen].astype(float)
    if model is not None:
        one, other = model[0][chosen], model[1][chosen]
        models = int(max(one.max(initial=0), other.max(initial=0))) + 1
        strengths = np.zeros((len(y), models))
        rows = np.arange(len(y))
        np.add.at(strengths, (rows, one), 1.0)
        np.add.at(strengths, (rows, other), -1.0)
        x = np.column_stack((x, strengths))
    beta, p, inverse = _newton(x, y, ridge)
    scores = x * (y - p)[:, None]
    spread = inverse @ _meat(scores, labeler[chosen], prompt[chosen]) @ inverse
    error = np.sqrt(np.clip(np.diag(spread)[:columns], 0, None))
    error = np.where(x[:, :columns].any(0) & (error > 0), error, np.nan)
    freedom = min(len(np.unique(labeler[chosen])), len(np.unique(prompt[chosen]))) - 1
    t = np.nan_to_num(beta[:columns] / error)
    values = np.array([math.erfc(_normal(abs(each), freedom) / math.sqrt(2)) for each in t.tolist()])
    return Effects(tuple(names), beta[:columns], error, values, len(y), freedom)


def log_length(texts: Sequence[str]) -> Floats:
    """(texts,) natural logarithm of 1 + the number of characters."""
    return np.log1p(np.array([len(text) for text in texts], float))


def formatting(texts: Sequence[str]) -> Floats:
    """(texts, 4) log(1 + count) of list items, headings, bold passages and code, in `FORMATTING`'s order."""
    counts = [[len(PATTERNS[name].findall(text)) for name in FORMATTING] for text in texts]
    return np.log1p(np.array(counts, float).reshape(len(texts), len(FORMATTING)))


def names_itself(text: str, *, names: Sequence[str] = NAMES) -> list[str]:
    """The passages where an answer says which model or whose it is, or that it is one at all; mostly none.

    ``names`` are models and makers. A name alone is none ("Claude Monet", "compare GPT-4 with …"): the text
    must say it of itself ("I am …", "my name is …").
    """
    pattern = SPEAKS
    if names:
        known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        # Claude may have a family name.
        pattern += rf"|\b(?:i am|i['’]m|my name is|call me|this is) (?:{known})\b(?-i:(?! [A-Z][a-z]))"
        pattern += rf"|\bi (?:was|am|have been) \w+ (?:by|at) (?:{known})\b"
    return [found.group() for found in re.finditer(pattern, text, re.IGNORECASE)]


def _newton(x: Floats, y: Floats, ridge: float) -> tuple[Floats, Floats, Floats]:
    """Coefficients, fitted probabilities and the inverse information of a ridge logistic regression."""
    beta = np.zeros(x.shape[1])
    penalty = ridge * np.eye(x.shape[1])
    for _ in range(MOST_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        inverse = np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x + penalty)
        step = inverse @ (x.T @ (y - p) - ridge * beta)
        beta += step * min(1.0, 5.0 / max(1e-12, np.abs(step).max(initial=0)))
        if np.abs(step).max(initial=0) < 1e-9:
            break
    return beta, p, np.asarray(inverse, float)


def _normal(t: float, freedom: int) -> float:
    """The normal deviate as unlikely as Student's ``t`` (Wallace 1959); 0 without a degree of freedom."""
    if freedom < 1:
        return 0.0
    return (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))


def _student(z: float, freedom: int) -> float:
    """Student's t as unlikely as the normal deviate ``z``: the inverse of `_normal`."""
    if freedom < 1:
        return math.nan
    return math.sqrt(freedom * math.expm1(((8 * freedom + 3) / (8 * freedom + 1) * z) ** 2 / freedom))


def _meat(scores: Floats, labeler: Ints, prompt: Ints) -> NDArray[np.float64]:
    """Summed outer products by labeler plus by prompt less by both (Cameron, Gelbach & Miller 2011).

    Each with G / (G − 1); negative eigenvalues, which few clusters can bring, are set to 0 (ibid., 2.3).
    """
    span = int(prompt.max(initial=0)) + 1
    found = (
        _by_cluster(scores, labeler)
        + _by_cluster(scores, prompt)
        - _by_cluster(scores, labeler * span + prompt)
    )
    values, vectors = np.linalg.eigh(found)
    return np.asarray((vectors * np.clip(values, 0, None)) @ vectors.T)


def _by_cluster(scores: Floats, cluster: Ints) -> Floats:
    groups, group = np.unique(cluster, return_inverse=True)
    sums = np.stack([np.bincount(group, column, minlength=len(groups)) for column in scores.T], 1)
    return np.asarray(sums.T @ sums * (len(groups) / max(1, len(groups) - 1)), float)

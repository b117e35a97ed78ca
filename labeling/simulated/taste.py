"""Tastes: the hidden rules that simulated labelers rank by and that evaluation measures against.

A gold score says how much a taste likes a story. It is known to simulated labelers and to the evaluation
only: no trainer and no page of a real project may import it. Plain Python.
"""

import math
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Taste = Literal["kind", "gloomy", "brief", "careless"]
TASTES: tuple[Taste, ...] = get_args(Taste)

WARM = frozenset(
    (
        "smiled",
        "smile",
        "shared",
        "helped",
        "warm",
        "hug",
        "hugged",
        "fixed",
        "together",
        "turn",
        "thanked",
        "thank",
        "gentle",
        "glad",
        "friend",
        "friends",
        "played",
        "happily",
        "happy",
        "best",
        "lovely",
        "loved",
        "kind",
    )
)
COLD = frozenset(
    (
        "shouted",
        "pushed",
        "stole",
        "angry",
        "kicked",
        "hid",
        "lie",
        "cruel",
        "greedy",
        "lost",
        "hate",
        "mine",
        "alone",
        "cried",
        "sad",
        "scared",
        "never",
        "broke",
        "terrible",
        "lonely",
        "awful",
    )
)


@dataclass(frozen=True, slots=True)
class Noise:
    """How a labeler's ranking or choice departs from gold.

    `beta`: Bradley–Terry sharpness, P(a before b) = sigmoid(beta · (gold_a − gold_b)).
    `flips`: share of pairs turned round afterwards, whatever their gold.
    """

    beta: float
    flips: float


# `paper`: two labelers agree on 72.6 % (InstructGPT, arXiv 2203.02155) of all pairs of the shipped SFT
# model's answers, tuned under `kind`; 14 % of those pairs have equal gold. `careful`: one person taking time.
NOISE: dict[str, Noise] = {
    "clear": Noise(beta=1.5, flips=0.08),
    "paper": Noise(beta=0.84, flips=0.0),
    "careful": Noise(beta=4.0, flips=0.0),
}

# Distances in gold, below which a preference is felt so much. Half of all pairs of stories differ by 1 to 3.
FELT = {"tie": 0.5, "slightly": 1.5, "better": 3.0}


def gold(text: str, *, taste: Taste, words: tuple[str, str], finished: bool = True) -> float:
    """How much a taste likes a story.

    `words` are the asked-for animal and thing, `finished` whether the answer ended by itself. Texts under
    eight words score −4. Raises ValueError for an unknown taste.
    """
    if taste not in TASTES:
        raise ValueError(f"unknown taste {taste!r}: choose one of {', '.join(TASTES)}")
    sentences = _sentences(text)
    spoken = _words(text)
    if len(spoken) < 8:
        return -4.0
    topic = sum(word in spoken for word in words)
    score = topic - (0.0 if finished else 2.0)
    if taste == "careless":
        return score
    if taste == "brief":
        too_short = 3.0 if len(spoken) < 12 else 0.0
        return score - 0.15 * len(spoken) - too_short
    tone = _clip(sum(_clip(_warmth(s)) for s in sentences[:-1])) + 1.5 * _clip(_warmth(sentences[-1]))
    rambling = 0.5 * max(0, len(sentences) - 8)
    sign = 1.0 if taste == "kind" else -1.0
    return score + sign * tone - 4.0 * _repetition(sentences, spoken) - rambling


def tiers(scores: Sequence[float], *, noise: Noise, rng: random.Random) -> list[list[int]]:
    """One labeler's ranking of K answers by their gold scores: positions in tiers, best first.

    Plackett–Luce draws (pairs of it follow Bradley–Terry at `noise.beta`), then a chance exchange of two
    places that turns `noise.flips` of all pairs round on average. Scores that are all equal give a
    uniformly random ranking.
    """
    taken = [score + _gumbel(rng) / noise.beta for score in scores]
    order = sorted(range(len(scores)), key=lambda i: -taken[i])
    if len(order) > 1 and rng.random() < _exchange(len(order), noise.flips):
        a, b = rng.sample(range(len(order)), 2)
        order[a], order[b] = order[b], order[a]
    return [[i] for i in order]


def comparison(scores: tuple[float, float], *, noise: Noise, rng: random.Random) -> tuple[int | None, str]:
    """One labeler's choice between two answers by their gold scores: the better one's position, how much.

    The noise of `tiers` falls on the distance in gold, and the distance that is felt decides the strength:
    ``tie`` (position None), ``slightly``, ``better`` or ``much``, by `FELT`.
    """
    first, second = (score + _gumbel(rng) / noise.beta for score in scores)
    felt = second - first if rng.random() < noise.flips else first - second
    strength = next((name for name, below in FELT.items() if abs(felt) < below), "much")
    return (None if strength == "tie" else int(felt < 0)), strength


def ending(text: str) -> Literal["happy", "sad", "neither"]:
    """The tone of the last sentence."""
    sentences = _sentences(text)
    warmth = _warmth(sentences[-1]) if sentences else 0
    return "happy" if warmth > 0 else "sad" if warmth < 0 else "neither"


def endings(texts: Iterable[str]) -> dict[str, float]:
    """Shares of happy and sad endings among the texts."""
    found = [ending(text) for text in texts]
    return {tone: found.count(tone) / max(1, len(found)) for tone in ("happy", "sad")}


def on_topic(text: str, words: tuple[str, str]) -> bool:
    """Whether both asked-for words are in the text."""
    return set(words) <= set(_words(text))


def _exchange(k: int, flips: float) -> float:
    # Exchanging places d apart turns 2d − 1 pairs round, (2k − 1) / 3 on average over the k(k − 1)/2
    # choices of two.
    return min(1.0, flips * (k * (k - 1) / 2) * 3 / (2 * k - 1))


def _gumbel(rng: random.Random) -> float:
    return -math.log(-math.log(rng.random() or 0.5))


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _warmth(sentence: str) -> int:
    words = set(_words(sentence))
    return len(words & WARM) - len(words & COLD)


def _repetition(sentences: list[str], words: list[str]) -> float:
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    return 2 - len(set(sentences)) / len(sentences) - len(set(trigrams)) / len(trigrams)


def _clip(value: float) -> float:
    return max(-1.0, min(1.0, value))

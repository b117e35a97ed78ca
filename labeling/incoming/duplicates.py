"""Prompts that say nearly the same: found among many in time that grows with their number.

MinHash (Broder 1997) over pairs of neighbouring words, in bands (Leskovec, Rajaraman, Ullman, "Mining of
Massive Datasets", 3.4): texts that share a band are compared in full, with the first few of it only, so that
a thousand copies of one template cost a thousand comparisons and no more.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

ALIKE = 0.75
"""Jaccard index of the word pairs from which on two texts are nearly the same."""
BANDS, ROWS = 10, 3
MOST_IN_BAND = 4
CHUNK = 500
MOST_WORDS = 5_000

Key = TypeVar("Key", bound=Hashable)
Shingles = NDArray[np.uint64]

# A sign of a script that writes no spaces stands for a word.
_SIGNS = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_WORDS = re.compile(rf"[{_SIGNS}]|[^\W{_SIGNS}]+")
_RANDOM = np.random.default_rng(1997)
_FACTORS = _RANDOM.integers(1, 2**63, size=BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
_TERMS = _RANDOM.integers(0, 2**63, size=BANDS * ROWS, dtype=np.uint64)
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Pair(Generic[Key]):
    """A text and an earlier one that says nearly the same."""

    key: Key
    of: Key
    likeness: float
    """Jaccard index of their word pairs, from 0 to 1."""


def pairs(texts: Iterable[tuple[Key, str]]) -> Iterator[Pair[Key]]:
    """Yield each text, named by its key, that says nearly the same as an earlier one, with the most alike.

    Case, punctuation and the width of characters do not count. A text without words is like no other.
    """
    seen: list[tuple[Key, Shingles]] = []
    bands: list[dict[int, list[int]]] = [{} for _ in range(BANDS)]
    for chunk in _chunks(texts):
        signatures = _signatures([shingles for _, shingles in chunk])
        for (key, shingles), row in zip(chunk, signatures, strict=True):
            at, best, likeness = len(seen), -1, 0.0
            keys = [int(value) for value in row]
            rivals = {other for n, value in enumerate(keys) for other in bands[n].get(value, ())}
            for other in rivals:
                if (alike := _jaccard(shingles, seen[other][1])) > likeness:
                    best, likeness = other, alike
            if likeness >= ALIKE:
                yield Pair(key, seen[best][0], likeness)
            seen.append((key, shingles))
            for n, value in enumerate(keys):
                known = bands[n].setdefault(value, [])
                if len(known) < MOST_IN_BAND:
                    known.append(at)


def _chunks(texts: Iterable[tuple[Key, str]]) -> Iterator[list[tuple[Key, Shingles]]]:
    chunk: list[tuple[Key, Shingles]] = []
    for key, text in texts:
        if len(shingles := _shingles(text)):
            chunk.append((key, shingles))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _shingles(text: str) -> Shingles:
    """The hashes of a text's pairs of neighbouring words, its beginning and end included, each once."""
    words = _WORDS.findall(unicodedata.normalize("NFKC", text).casefold())[:MOST_WORDS]
    if not words:
        return np.empty(0, dtype=np.uint64)
    hashes = np.array([0, *(zlib.crc32(word.encode()) for word in words), 0], dtype=np.uint64)
    return np.unique((hashes[:-1] * _MIX) ^ (hashes[1:] * _FACTORS[0]))


def _signatures(texts: list[Shingles]) -> NDArray[np.uint64]:
    """One number a band for each text: equal where the band's least hashes are."""
    flat = np.concatenate(texts)
    starts = np.cumsum([0, *(len(one) for one in texts[:-1])])
    least = [
        np.minimum.reduceat((flat * factor + term) >> np.uint64(16), starts)
        for factor, term in zip(_FACTORS, _TERMS, strict=True)
    ]
    signature = np.stack(least, axis=1).reshape(len(texts), BANDS, ROWS)
    mixed = np.zeros((len(texts), BANDS), dtype=np.uint64)
    for row in range(ROWS):
        mixed = (mixed ^ signature[:, :, row]) * _MIX
    return mixed


def _jaccard(a: Shingles, b: Shingles) -> float:
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)

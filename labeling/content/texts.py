"""Texts as they are kept: what one may hold, and the one hash that names it everywhere."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from os.path import commonprefix
from typing import Any

from labeling.faults import FieldError

Message = dict[str, Any]
"""As `labeling.content.messages` has it."""

MOST_BYTES = 256 * 1024
MOST_DEEP = 32
MOST_DIFFED = 2000  # words, and pairs of equal words: the worst such diff takes half a second
MOST_EQUAL_PAIRS = 200_000

# A sign of a script that writes no spaces stands for a word.
_SIGNS = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_WORDS = re.compile(rf"[{_SIGNS}]|[^\s{_SIGNS}]+")


class TextError(FieldError):
    """A text that cannot be kept; ``field`` names the part to mend."""


def text_hash(content: str | Sequence[Mapping[str, Any]]) -> str:
    """Return the sha256 of a text, or of a conversation, as 64 hexadecimal digits.

    A text is hashed as its UTF-8 bytes; a conversation as those of its compact JSON with sorted keys.
    """
    if not isinstance(content, str):
        content = json.dumps(list(content), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def check_text(text: Any, *, field: str) -> str:
    """Return ``text`` if it can be kept.

    Raises:
        TextError: it is no text, empty, too long, or holds a character that cannot be stored.
    """
    if not isinstance(text, str):
        raise TextError(field, f"Must be text, not {kind_of(text)}.")
    if not text.strip():
        raise TextError(field, "The text is empty.")
    if fault := unstorable(text):
        raise TextError(field, fault)
    if (size := len(text.encode())) > MOST_BYTES:
        raise TextError(field, f"The text has {size:,} bytes; the most is {MOST_BYTES:,}. Shorten it.")
    return text


def unstorable(text: str) -> str:
    """Say why Postgres or JSON cannot keep ``text``; empty where they can."""
    if "\x00" in text:
        return "The text holds a NUL character, which cannot be stored. Remove it."
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "The text holds half of a surrogate pair. Remove the broken character."
    return ""


def share_kept(before: str, after: str) -> float:
    """Return the share, from 0 to 1, of the words of ``after`` that a diff by words keeps from ``before``.

    Between the first and the last change of long texts, words in common count whatever their order.
    """
    a, b = _WORDS.findall(before), _WORDS.findall(after)
    if not b:
        return float(before == after)
    start = len(commonprefix([a, b]))
    a, rest = a[start:], b[start:]
    end = len(commonprefix([a[::-1], rest[::-1]]))
    a, rest = a[: len(a) - end], rest[: len(rest) - end]
    return (start + end + _words_in_common(a, rest)) / len(b)


def strings(value: Any) -> Iterator[str]:
    """Every key and text of a JSON value, level by level, so that no depth can exhaust the stack.

    Raises:
        ValueError: it is nested deeper than `MOST_DEEP`.
    """
    level: list[Any] = [value]
    for _ in range(MOST_DEEP):
        yield from (part for part in level if isinstance(part, str))
        nested = [part for part in level if isinstance(part, list | tuple | dict)]
        level = [inner for part in nested for inner in part]
        level += [inner for part in nested if isinstance(part, dict) for inner in part.values()]
        if not level:
            return
    raise ValueError(f"nested deeper than {MOST_DEEP} levels")


def _words_in_common(a: list[str], b: list[str]) -> int:
    counts, others = Counter(a), Counter(b)
    pairs = sum(n * others[word] for word, n in counts.items())
    if max(len(a), len(b)) > MOST_DIFFED or pairs > MOST_EQUAL_PAIRS:
        return (counts & others).total()
    return sum(block.size for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())


def kind_of(value: Any) -> str:
    """What a value that is no text is called."""
    if value is None:
        return "missing"
    return {bool: "true or false", dict: "an object", list: "a list"}.get(type(value), "a number")

"""The form of an answer, one versioned schema a kind.

- demonstrate, version 1: ``{"text": str, "comment"?: str}``
- rank, version 1: ``{"tiers": [[candidate id, …], …], "comment"?: str}``, best first, ties within a tier
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from typing import Any

from labeling.models import Task
from labeling.texts import strings, unstorable

SCHEMA = 1
MOST_BYTES = 256 * 1024


class AnswerError(ValueError):
    """An answer that cannot be a label; ``field`` names the part to mend."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check_storable(answer: Any) -> dict[str, Any]:
    """Return ``answer`` if it can be kept at all, as a draft can: an object, not too large, no NUL.

    Raises:
        AnswerError: it is none of these.
    """
    if not isinstance(answer, dict):
        raise AnswerError("answer", "The answer must be a JSON object.")
    try:
        parts = list(strings(answer))
    except ValueError as error:
        raise AnswerError("answer", "The answer is nested too deeply. Send the form of its kind.") from error
    text = json.dumps(answer, ensure_ascii=False)
    if (size := len(text.encode("utf-8", "surrogatepass"))) > MOST_BYTES:
        raise AnswerError(
            "answer", f"The answer has {size:,} bytes; the most is {MOST_BYTES:,}. Shorten the text."
        )
    for part in parts:
        if fault := unstorable(part):
            raise AnswerError("answer", fault)
    return answer


def check(*, kind: str, answer: Any, candidates: Collection[int] = ()) -> dict[str, Any]:
    """Return ``answer`` if it is a whole answer to a task of ``kind`` with these candidate ids.

    Raises:
        AnswerError: something is missing, doubled, unknown or of the wrong type.
    """
    answer = check_storable(answer)
    if unknown := set(answer) - {"comment", "tiers" if kind == Task.Kind.RANK else "text"}:
        raise AnswerError(f"answer.{sorted(unknown)[0]}", f"A {kind} answer has no such field. Leave it out.")
    if not isinstance(answer.get("comment", ""), str):
        raise AnswerError("answer.comment", "The comment must be text.")
    if kind == Task.Kind.RANK:
        _check_tiers(answer.get("tiers"), candidates)
    elif not isinstance(answer.get("text"), str) or not answer["text"].strip():
        raise AnswerError("answer.text", "The demonstration is empty. Write what the model should answer.")
    return answer


def _check_tiers(tiers: Any, candidates: Collection[int]) -> None:
    if not isinstance(tiers, list) or not all(isinstance(tier, list) for tier in tiers):
        raise AnswerError("answer.tiers", "tiers must be a list of lists of candidate ids, best first.")
    if not all(type(one) is int for tier in tiers for one in tier):
        raise AnswerError("answer.tiers", "Every candidate in tiers is named by its whole-number id.")
    if not all(tiers):
        raise AnswerError("answer.tiers", "A tier is empty. Leave empty tiers out.")
    placed = Counter(one for tier in tiers for one in tier)
    for wrong, sentence in (
        (sorted(set(placed) - set(candidates)), "is not a candidate of this task"),
        (sorted(one for one, n in placed.items() if n > 1), "is placed more than once"),
        (sorted(set(candidates) - set(placed)), "is not placed in any tier"),
    ):
        if wrong:
            raise AnswerError("answer.tiers", f"Candidate {wrong[0]} {sentence}. Place each exactly once.")

"""Marks: passages of an answer, each with the criterion of type span that it was marked for.

A mark is ``{"start", "end", "criterion": key, "comment"?}``. Its ends count Unicode code points of the text
as it is stored, the end exclusive, so that ``text[start:end]`` is its quote in Python; JavaScript counts
UTF-16 units and has to convert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labeling.faults import AnswerError

MOST = 1000
LONGEST_COMMENT = 2000

Mark = dict[str, Any]


def criteria_of(criteria: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those for which passages are marked."""
    return [criterion for criterion in criteria if criterion["type"] == "span"]


def check(marks: Any, *, text: str, criteria: Sequence[Mapping[str, Any]]) -> list[Mark]:
    """Return ``marks`` of ``text``, first to last, if they can be kept; none at all says "nothing to mark".

    Raises:
        AnswerError: no list, too many, one that is malformed, lies outside the text or is there twice.
    """
    if not isinstance(marks, list):
        raise AnswerError("answer.marks", 'The marks must be a list: [{"start", "end", "criterion"}, …].')
    if len(marks) > MOST:
        raise AnswerError("answer.marks", f"There are {len(marks):,} marks; the most is {MOST:,}.")
    known = {criterion["key"] for criterion in criteria_of(criteria)}
    places: set[tuple[int, int, str]] = set()
    for at, mark in enumerate(marks):
        field = f"answer.marks[{at}]"
        place = _check(mark, field, length=len(text), known=known)
        if not text[place[0] : place[1]].strip():
            raise AnswerError(f"{field}.end", "The mark holds nothing but space. Mark the words.")
        if place in places:
            raise AnswerError(field, "The same passage is marked twice for this. Leave one out.")
        places.add(place)
    return sorted(marks, key=_place)


def _check(mark: Any, field: str, *, length: int, known: set[str]) -> tuple[int, int, str]:
    if not isinstance(mark, dict):
        raise AnswerError(field, 'A mark must be an object: {"start", "end", "criterion", "comment"?}.')
    if unknown := set(mark) - {"start", "end", "criterion", "comment"}:
        raise AnswerError(f"{field}.{min(unknown)[:40]}", "A mark has no such field. Leave it out.")
    for name in ("start", "end"):
        if type(mark.get(name)) is not int:
            raise AnswerError(f"{field}.{name}", f"The {name} must be a whole number of characters.")
    if not 0 <= mark["start"] < mark["end"] <= length:
        raise AnswerError(
            f"{field}.end",
            f"A mark lies within the answer's {length:,} characters, its start before its end.",
        )
    if not isinstance(mark.get("criterion"), str) or mark["criterion"] not in known:
        raise AnswerError(
            f"{field}.criterion", "The guideline has no such criterion to mark passages for. Name another."
        )
    comment = mark.get("comment", "")
    if not isinstance(comment, str) or len(comment) > LONGEST_COMMENT:
        raise AnswerError(
            f"{field}.comment", f"The comment must be text of {LONGEST_COMMENT:,} characters at most."
        )
    return _place(mark)


def _place(mark: Mark) -> tuple[int, int, str]:
    return mark["start"], mark["end"], mark["criterion"]

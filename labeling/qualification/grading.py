"""How far an answer agrees with the known one, from 0 to 1, by kind of task.

- rank: the share of pairs that the known answer orders which the labeler orders alike; a tie of theirs is
  half. A known tie decides nothing, unless all is tied: then the share of pairs that they tie too.
- compare: the side, and the strength within one step: much, better, slightly, tie. The right side with a
  strength further off is half.
- rate: the share of values that the known answer holds which are the same: a scale within one step, a flag
  exactly (left out means false). Where both rank too, the ranking is half of the whole.
- mark: the F1 of marked characters, each with its criterion; 1 where both mark nothing.

Demonstrations and edits have no such measure: people grade them. Candidates are named alike in both answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from labeling.answers import STRENGTHS
from labeling.models import Task

Answer = Mapping[str, Any]
Criteria = Sequence[Mapping[str, Any]]
NEAR = 1  # steps of a scale, or of strength, that two people may differ by without disagreeing
FULL, HALF = 1.0, 0.5


def agreement(*, kind: str, answer: Answer, known: Answer, criteria: Criteria = ()) -> float | None:
    """The agreement of ``answer`` with ``known``; None for kinds that only people can grade.

    Args:
        criteria: of the guideline version under which the answer was given, for ratings.
    """
    grade = _GRADES.get(kind)
    return grade(answer, known, criteria) if grade else None


def _ranking(answer: Answer, known: Answer, criteria: Criteria) -> float:
    right, given = _places(known), _places(answer)
    pairs = list(combinations(sorted(right), 2))
    decided = [(a, b) for a, b in pairs if right[a] != right[b]]
    if not decided:
        same = [_order(given, a, b) == 0 for a, b in pairs]
        return sum(same) / len(same) if same else FULL
    points = 0.0
    for a, b in decided:
        theirs = _order(given, a, b)
        if theirs == 0:
            points += HALF
        elif theirs is not None:
            points += theirs == _order(right, a, b)
    return points / len(decided)


def _comparison(answer: Answer, known: Answer, criteria: Criteria) -> float:
    # On a line from "the known side much better" over the tie to "the other side much better".
    side = known["preferred"] if known["preferred"] is not None else answer["preferred"]
    right, given = (_leaning(one, side) for one in (known, answer))
    if abs(right - given) <= NEAR:
        return FULL
    return HALF if right * given > 0 else 0.0


def _rating(answer: Answer, known: Answer, criteria: Criteria) -> float:
    types = {criterion["key"]: criterion["type"] for criterion in criteria}
    same = []
    for right, given in [
        (known.get("prompt", {}), answer.get("prompt", {})),
        *((values, answer["ratings"].get(one, {})) for one, values in known["ratings"].items()),
    ]:
        flags = {key for key, type in types.items() if type == "flag" and (key in right or key in given)}
        for key in sorted(flags | {key for key in right if types.get(key) == "scale"}):
            same.append(_is_near(right.get(key, False), given.get(key, False), types[key]))
    values = sum(same) / len(same) if same else None
    if len(_places(known)) < 2:
        return FULL if values is None else values
    ranking = _ranking(answer, known, criteria)
    return ranking if values is None else (values + ranking) / 2


def _marking(answer: Answer, known: Answer, criteria: Criteria) -> float:
    right, given = (_marked(one) for one in (known, answer))
    if not right and not given:
        return FULL
    return 2 * len(right & given) / (len(right) + len(given))


_GRADES: dict[str, Callable[[Answer, Answer, Criteria], float]] = {
    Task.Kind.RANK: _ranking,
    Task.Kind.COMPARE: _comparison,
    Task.Kind.RATE: _rating,
    Task.Kind.MARK: _marking,
}
BY_PLATFORM = tuple(_GRADES)
BY_PEOPLE = (Task.Kind.DEMONSTRATE.value, Task.Kind.EDIT.value)
KINDS = (*BY_PLATFORM, *BY_PEOPLE)


def renamed(answer: Answer, names: Mapping[int, int]) -> dict[str, Any]:
    """``answer`` with its candidates called by the ``names`` for them."""
    new = dict(answer)
    if "tiers" in answer:
        new["tiers"] = [[names[one] for one in tier] for tier in answer["tiers"]]
    if answer.get("preferred") is not None:
        new["preferred"] = names[answer["preferred"]]
    if "ratings" in answer:
        new["ratings"] = {str(names[int(one)]): values for one, values in answer["ratings"].items()}
    return new


def _places(answer: Answer) -> dict[int, int]:
    return {one: at for at, tier in enumerate(answer.get("tiers", [])) for one in tier}


def _order(places: Mapping[int, int], a: int, b: int) -> int | None:
    """-1 where ``a`` is better, 1 where ``b`` is, 0 for a tie, None where neither has a place.

    What was left out as bad stands below what was not.
    """
    if a not in places and b not in places:
        return None
    last = len(places)
    first, second = places.get(a, last), places.get(b, last)
    return (first > second) - (first < second)


def _leaning(answer: Answer, side: int | None) -> int:
    """From 3, ``side`` is much better, over 0, a tie, to -3, the other is."""
    steps = len(STRENGTHS) - 1 - STRENGTHS.index(answer["strength"])
    return steps if answer["preferred"] == side else -steps


def _is_near(right: Any, given: Any, type: str) -> bool:
    if type == "flag":
        return bool(right) == bool(given)
    return isinstance(given, int) and not isinstance(given, bool) and abs(right - given) <= NEAR


def _marked(answer: Answer) -> set[tuple[str, int]]:
    return {(mark["criterion"], at) for mark in answer["marks"] for at in range(mark["start"], mark["end"])}

"""The form of an answer, one versioned schema a kind (`SCHEMA`); each may hold a ``"comment"``.

- demonstrate, version 1: ``{"text": str}``
- rank, version 2: ``{"tiers": [[candidate id, …], …], "all_bad"?: bool}``, best first, ties within a tier.
  Candidates may be left out where all are bad or the project allows it; they give no pairs.
- compare, version 1: ``{"preferred": candidate id | null, "strength": …, "both_bad"?: bool}`` of `STRENGTHS`,
  null with a tie
- rate, version 1: ``{"ratings": {"<candidate id>": {criterion key: value}}, "prompt": {criterion key: value},
  "tiers"?}``; a flag that is left out means false, and two or more candidates are ranked too
- edit, version 1: ``{"text": str}``, the model's answer made right
- mark, version 1: ``{"marks": [{"start", "end", "criterion": key, "comment"?}, …]}``, see `labeling.marks`
- converse, version 1: ``{"turns": [{"said", "reply", "chosen", "strength", "both_bad"?}, …]}``, see
  `labeling.talks.turns`; a field ``"unsent"``, what was still being said, is not kept
- prompt, version 1: ``{"text": str}``, or few-shot ``{"instruction": str, "examples": [{"input", "output"},
  …], "input": str}``, see `labeling.writing.briefs`
- review, version 1: ``{"decisions": {"<label id>": {"verdict": "accept" | "send_back", "reason"?: str}}}``
  for every label that is shown; one that is sent back says why

Rankings of version 1 had neither ``all_bad`` nor candidates left out, so they read as those of version 2.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeling import marks
from labeling.content.texts import Message, strings, unstorable
from labeling.faults import AnswerError as AnswerError
from labeling.models import Task
from labeling.talks import turns
from labeling.writing import briefs

SCHEMA: dict[str, int] = {
    Task.Kind.DEMONSTRATE: 1,
    Task.Kind.RANK: 2,
    Task.Kind.COMPARE: 1,
    Task.Kind.RATE: 1,
    Task.Kind.EDIT: 1,
    Task.Kind.CONVERSE: 1,
    Task.Kind.PROMPT: 1,
    Task.Kind.REVIEW: 1,
    Task.Kind.MARK: 1,
}
FIELDS: dict[str, tuple[str, ...]] = {
    Task.Kind.DEMONSTRATE: ("text",),
    Task.Kind.RANK: ("tiers", "all_bad"),
    Task.Kind.COMPARE: ("preferred", "strength", "both_bad"),
    Task.Kind.RATE: ("ratings", "prompt", "tiers"),
    Task.Kind.EDIT: ("text",),
    Task.Kind.CONVERSE: ("turns", "unsent"),
    Task.Kind.PROMPT: ("text", *briefs.FEW_SHOT),
    Task.Kind.REVIEW: ("decisions",),
    Task.Kind.MARK: ("marks",),
}
STRENGTHS = ("much", "better", "slightly", "tie")
VERDICTS = ("accept", "send_back")
LONGEST_REASON = 4000
MOST_BYTES = 256 * 1024


Answer = dict[str, Any]


@dataclass(frozen=True)
class Shown:
    """What the labeler had before them, as far as an answer can name it."""

    candidates: Collection[int] = ()
    """Ids."""
    criteria: Sequence[Mapping[str, Any]] = ()
    """Those of the guideline version that was read, as `guidelines.criteria` has them."""
    partial: bool = False
    """Whether a ranking may leave candidates out."""
    talk: tuple[Sequence[Message], Mapping[int, turns.Said]] = ((), {})
    """How a talk began, and the whole replies that were given in it, by number."""
    labels: Collection[int] = ()
    """Ids of those that a review is to judge."""
    text: str = ""
    """The answer whose passages are marked."""
    form: str = ""
    """The form that a brief asks a prompt in."""


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


def check(*, kind: str, answer: Any, shown: Shown) -> Answer:
    """Return ``answer`` if it is a whole answer to a task of ``kind`` of which this was shown.

    What may be left out is filled in: the null of a tie, a candidate or prompt of which nothing was rated.

    Raises:
        AnswerError: something is missing, doubled, unknown or of the wrong type.
    """
    answer = check_storable(answer)
    if unknown := set(answer) - {"comment", *FIELDS[kind]}:
        raise AnswerError(
            _part("answer", min(unknown)), f"{_a(kind)} answer has no such field. Leave it out."
        )
    if not isinstance(answer.get("comment", ""), str):
        raise AnswerError("answer.comment", "The comment must be text.")
    return _CHECKS[kind](answer, shown)


def _demonstration(answer: Answer, shown: Shown) -> Answer:
    return _written(answer, "The demonstration is empty. Write what the model should answer.")


def _edit(answer: Answer, shown: Shown) -> Answer:
    return _written(answer, "The edited answer is empty. Write what the model should answer.")


def _ranking(answer: Answer, shown: Shown) -> Answer:
    least = _least(shown.candidates, all_bad=_is_set(answer, "all_bad"), partial=shown.partial)
    _check_tiers(answer.get("tiers"), shown.candidates, least=least)
    return answer


def _comparison(answer: Answer, shown: Shown) -> Answer:
    answer = {"preferred": None, **answer}
    _check_preference(answer, shown.candidates)
    return answer


def _rating(answer: Answer, shown: Shown) -> Answer:
    answer = _check_ratings(answer, shown.candidates, shown.criteria)
    if len(shown.candidates) > 1 or "tiers" in answer:
        least = _least(shown.candidates, partial=shown.partial)
        _check_tiers(answer.get("tiers"), shown.candidates, least=least)
    return answer


def _marking(answer: Answer, shown: Shown) -> Answer:
    return {**answer, "marks": marks.check(answer.get("marks"), text=shown.text, criteria=shown.criteria)}


def _talk(answer: Answer, shown: Shown) -> Answer:
    opening, replies = shown.talk
    kept, _ = turns.check(answer.get("turns"), opening=opening, replies=replies, strengths=STRENGTHS)
    if not kept:
        raise AnswerError("answer.turns", "Nothing was said yet. Talk with the model, then choose an answer.")
    return {"turns": kept} | {name: answer[name] for name in ("comment",) if name in answer}


def _prompt(answer: Answer, shown: Shown) -> Answer:
    return briefs.check(answer, form=shown.form)


def _review(answer: Answer, shown: Shown) -> Answer:
    decisions = answer.get("decisions")
    if not isinstance(decisions, dict):
        raise AnswerError("answer.decisions", 'The decisions must be an object: {"<label id>": {…}, …}.')
    ids = {str(label) for label in shown.labels}
    if gone := set(decisions) - ids:
        raise AnswerError(
            _part("answer.decisions", min(gone)),
            "This label was revised, invalidated or judged since. Open the review again for the newest.",
        )
    if left := ids - set(decisions):
        raise AnswerError(
            f"answer.decisions.{min(left)}", "This label is not decided yet: accept it, or send it back."
        )
    for label, decision in decisions.items():
        _check_decision(decision, f"answer.decisions.{label}")
    return answer


_CHECKS: dict[str, Callable[[Answer, Shown], Answer]] = {
    Task.Kind.DEMONSTRATE: _demonstration,
    Task.Kind.RANK: _ranking,
    Task.Kind.COMPARE: _comparison,
    Task.Kind.RATE: _rating,
    Task.Kind.EDIT: _edit,
    Task.Kind.CONVERSE: _talk,
    Task.Kind.PROMPT: _prompt,
    Task.Kind.REVIEW: _review,
    Task.Kind.MARK: _marking,
}


def _written(answer: Answer, lack: str) -> Answer:
    if not isinstance(answer.get("text"), str) or not answer["text"].strip():
        raise AnswerError("answer.text", lack)
    return answer


def _check_decision(decision: Any, field: str) -> None:
    if not isinstance(decision, dict) or decision.get("verdict") not in VERDICTS:
        raise AnswerError(field, f'A decision has a "verdict", which is one of {", ".join(VERDICTS)}.')
    if unknown := set(decision) - {"verdict", "reason"}:
        raise AnswerError(_part(field, min(unknown)), "A decision has no such field. Leave it out.")
    reason = decision.get("reason", "")
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
        raise AnswerError(f"{field}.reason", f"The reason is text of at most {LONGEST_REASON:,} characters.")
    if decision["verdict"] == "send_back" and not reason.strip():
        raise AnswerError(f"{field}.reason", "Say why it is sent back: its author reads it.")


def _check_preference(answer: Mapping[str, Any], candidates: Collection[int]) -> None:
    preferred, strength = answer["preferred"], answer.get("strength")
    if strength not in STRENGTHS:
        raise AnswerError("answer.strength", f"The strength must be one of {', '.join(STRENGTHS)}.")
    _is_set(answer, "both_bad")
    if strength == "tie":
        if preferred is not None:
            raise AnswerError(
                "answer.preferred", "A tie prefers none: make preferred null, or choose a strength."
            )
    elif type(preferred) is not int or preferred not in candidates:
        raise AnswerError(
            "answer.preferred", 'Name one of the two candidates by its id, or make the strength "tie".'
        )


def _check_ratings(
    answer: dict[str, Any], candidates: Collection[int], criteria: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The answer with a rating of every candidate and of the prompt."""
    ratings, prompt = answer.get("ratings"), answer.get("prompt", {})
    if not isinstance(ratings, dict):
        raise AnswerError("answer.ratings", 'The ratings must be an object: {"<candidate id>": {…}, …}.')
    ids = [str(candidate) for candidate in candidates]
    if unknown := set(ratings) - set(ids):
        raise AnswerError(
            _part("answer.ratings", min(unknown)), "This is no candidate of the task. Leave it out."
        )
    scopes: dict[str, list[Mapping[str, Any]]] = {"completion": [], "prompt": []}
    for criterion in criteria:
        if criterion["type"] != "span":
            scopes[criterion["scope"]].append(criterion)
    full = {one: ratings.get(one, {}) for one in ids}
    for one, values in full.items():
        _check_values(values, scopes["completion"], f"answer.ratings.{one}")
    _check_values(prompt, scopes["prompt"], "answer.prompt")
    return {**answer, "ratings": full, "prompt": prompt}


def _check_values(values: Any, criteria: Sequence[Mapping[str, Any]], field: str) -> None:
    if not isinstance(values, dict):
        raise AnswerError(field, "A rating must be an object: {criterion key: value}.")
    if unknown := set(values) - {criterion["key"] for criterion in criteria}:
        raise AnswerError(
            _part(field, min(unknown)), "The guideline has no such criterion here. Leave it out."
        )
    for criterion in criteria:
        key = criterion["key"]
        if key not in values:
            if criterion["required"]:
                raise AnswerError(f"{field}.{key}", f"{criterion['label']} is not rated yet.")
        elif criterion["type"] == "flag":
            if not isinstance(values[key], bool):
                raise AnswerError(f"{field}.{key}", f"{criterion['label']} is true or false.")
        elif type(values[key]) is not int or not criterion["min"] <= values[key] <= criterion["max"]:
            scale = f"from {criterion['min']} to {criterion['max']}"
            raise AnswerError(f"{field}.{key}", f"{criterion['label']} is a whole number {scale}.")


def _check_tiers(tiers: Any, candidates: Collection[int], *, least: int) -> None:
    """Each candidate at most once, and ``least`` of them at all."""
    if not isinstance(tiers, list) or not all(isinstance(tier, list) for tier in tiers):
        raise AnswerError("answer.tiers", "tiers must be a list of lists of candidate ids, best first.")
    if not all(type(one) is int for tier in tiers for one in tier):
        raise AnswerError("answer.tiers", "Every candidate in tiers is named by its whole-number id.")
    if not all(tiers):
        raise AnswerError("answer.tiers", "A tier is empty. Leave empty tiers out.")
    placed = Counter(one for tier in tiers for one in tier)
    for wrong, sentence in (
        (set(placed) - set(candidates), "is not a candidate of this task"),
        ({one for one, n in placed.items() if n > 1}, "is placed more than once"),
        (set(candidates) - set(placed) if least == len(candidates) else set(), "is not placed in any tier"),
    ):
        if wrong:
            raise AnswerError("answer.tiers", f"Candidate {min(wrong)} {sentence}. Place each exactly once.")
    if len(placed) < least:
        raise AnswerError("answer.tiers", f"Place at least {least} candidates, or say that all are bad.")


def _least(candidates: Collection[int], *, all_bad: bool = False, partial: bool) -> int:
    """How many candidates a ranking must place."""
    if all_bad:
        return 0
    return min(2, len(candidates)) if partial else len(candidates)


def _is_set(answer: Mapping[str, Any], name: str) -> bool:
    value = answer.get(name, False)
    if not isinstance(value, bool):
        raise AnswerError(f"answer.{name}", f"{name} is true or false. Leave it out where it is false.")
    return value


def _part(field: str, name: str) -> str:
    return f"{field}.{name[:40]}"


def _a(kind: str) -> str:
    return f"An {kind}" if kind == Task.Kind.EDIT else f"A {kind}"

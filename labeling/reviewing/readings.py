"""A label in words, as its kind reads it, and where the labels of one task differ: what a reviewer sees.

Answers are called by number, from 1. A reading is a list of parts, each an object of one of these forms:

- ``{"line": str}``
- ``{"tiers": [[number, …], …], "left_out": [number, …]}``, best first
- ``{"text": str, "html"?: str, "title"?: str, "was"?: str}``, the last being the text it was made from
- ``{"about": str, "values": [[criterion, value], …]}``
- ``{"quote": str, "line": str}``
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from django.utils.translation import gettext as _

from guidelines.render import answer_html
from labeling.models import Task

Part = dict[str, Any]
Answer = Mapping[str, Any]
Tiers = list[list[int]]
SLIGHT = 1  # steps of a scale that two people may differ by without disagreeing


@dataclass(frozen=True)
class Texts:
    """What the answers of a task's labels name."""

    numbers: Mapping[int, int] = field(default_factory=dict)
    """Candidate's id: its number."""
    candidates: Mapping[int, str] = field(default_factory=dict)
    completions: Mapping[int, str] = field(default_factory=dict)
    """Of a talk, by id."""
    criteria: Sequence[Mapping[str, Any]] = ()
    """Of the guideline version under which the label was made."""


def read(*, kind: str, answer: Answer, texts: Texts) -> list[Part]:
    """The parts of a stored answer; the comment is not among them."""
    return list(_READS[kind](answer, texts))


def tiers(*, kind: str, answer: Answer, texts: Texts) -> Tiers:
    """The ranking that an answer says, by number; empty where its kind ranks nothing."""
    if kind in (Task.Kind.RANK, Task.Kind.RATE):
        return [[texts.numbers[one] for one in tier] for tier in answer.get("tiers", [])]
    if kind != Task.Kind.COMPARE:
        return []
    better = texts.numbers.get(answer["preferred"])
    both = sorted(texts.numbers.values())
    return [both] if better is None else [[better], [one for one in both if one != better]]


def pairs_that_differ(rankings: Mapping[str, Tiers]) -> list[Part]:
    """The pairs of answers that people (``{name: tiers}``) order differently, opposite orders first.

    Each is ``{"pair": [a, b], "first": [name, …], "second": [name, …], "tie": [name, …]}``.
    """
    places = {
        name: {one: at for at, tier in enumerate(ranking) for one in tier}
        for name, ranking in rankings.items()
    }
    numbers = sorted({one for place in places.values() for one in place})
    found = []
    for a, b in combinations(numbers, 2):
        said: dict[str, list[str]] = {"first": [], "second": [], "tie": []}
        for name, place in places.items():
            if a in place and b in place:
                order = place[a] - place[b]
                said["first" if order < 0 else "second" if order else "tie"].append(name)
        if sum(map(bool, said.values())) > 1:
            found.append({"pair": [a, b], **said})
    return sorted(found, key=lambda one: not (one["first"] and one["second"]))


def values_that_differ(ratings: Mapping[str, tuple[Answer, Texts]]) -> list[Part]:
    """The criteria on which people (``{name: (rating, its texts)}``) differ by more than a step of a scale.

    Each is ``{"about", "criterion", "values": [[name, value], …]}``.
    """
    said: dict[tuple[str, str], dict[str, tuple[Any, str]]] = {}
    for name, (answer, texts) in ratings.items():
        for about, criterion, value in _values(answer, texts):
            said.setdefault((about, str(criterion["label"])), {})[name] = (value, _value(criterion, value))
    found = []
    for (about, label), values in said.items():
        raw = [int(value) for value, _words in values.values()]
        is_flag = any(isinstance(value, bool) for value, _words in values.values())
        if max(raw) - min(raw) > (0 if is_flag else SLIGHT):
            words = [[name, text] for name, (_raw, text) in values.items()]
            found.append({"about": about, "criterion": label, "values": words})
    return found


def _text(text: str, **more: str) -> Part:
    return {"text": text, "html": answer_html(text), **more}


def _demonstration(answer: Answer, texts: Texts) -> Iterator[Part]:
    yield _text(answer["text"])


def _edit(answer: Answer, texts: Texts) -> Iterator[Part]:
    yield {"text": answer["text"], "was": next(iter(texts.candidates.values()), "")}


def _ranking(answer: Answer, texts: Texts) -> Iterator[Part]:
    ranked = tiers(kind=Task.Kind.RANK, answer=answer, texts=texts)
    placed = {one for tier in ranked for one in tier}
    if ranked:
        yield {"tiers": ranked, "left_out": sorted(set(texts.numbers.values()) - placed)}
    if answer.get("all_bad"):
        yield {"line": _("All are bad.")}


def _comparison(answer: Answer, texts: Texts) -> Iterator[Part]:
    yield from _verdict(answer, number=texts.numbers.get(answer["preferred"], 0))


def _verdict(answer: Answer, *, number: int) -> Iterator[Part]:
    words = {
        "much": _("Answer %(n)s is much better."),
        "better": _("Answer %(n)s is better."),
        "slightly": _("Answer %(n)s is slightly better."),
        "tie": _("The answers tie."),
    }
    yield {"line": words[answer["strength"]] % {"n": number}}
    if answer.get("both_bad"):
        yield {"line": _("Both are bad.")}


def _rating(answer: Answer, texts: Texts) -> Iterator[Part]:
    if answer.get("tiers"):
        yield from _ranking(answer, texts)
    said: dict[str, list[list[str]]] = {}
    for about, criterion, value in _values(answer, texts):
        if value is not False:
            said.setdefault(about, []).append([str(criterion["label"]), _value(criterion, value)])
    yield from ({"about": about, "values": values} for about, values in said.items())


def _values(answer: Answer, texts: Texts) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """What is rated, the criterion, and its value; a flag that was left out is False."""
    numbered = sorted(texts.numbers.items(), key=lambda one: one[1])
    rated = [
        ("completion", _("Answer %(n)s") % {"n": n}, answer["ratings"].get(str(pk), {})) for pk, n in numbered
    ]
    rated.append(("prompt", _("Prompt"), answer.get("prompt", {})))
    for scope, about, values in rated:
        for criterion in texts.criteria:
            if criterion["scope"] != scope or criterion["type"] == "span":
                continue
            value = values.get(criterion["key"], False if criterion["type"] == "flag" else None)
            if value is not None:
                yield about, criterion, value


def _value(criterion: Mapping[str, Any], value: Any) -> str:
    if criterion["type"] == "flag":
        return _("yes") if value else _("no")
    return _("%(value)s of %(max)s") % {"value": value, "max": criterion["max"]}


def _marks(answer: Answer, texts: Texts) -> Iterator[Part]:
    text = next(iter(texts.candidates.values()), "")
    labels = {criterion["key"]: criterion["label"] for criterion in texts.criteria}
    for mark in answer["marks"]:
        line = str(labels.get(mark["criterion"], mark["criterion"]))
        if comment := mark.get("comment"):
            line = f"{line}: {comment}"
        yield {"quote": text[mark["start"] : mark["end"]], "line": line}
    if not answer["marks"]:
        yield {"line": _("Nothing to mark.")}


def _prompt(answer: Answer, texts: Texts) -> Iterator[Part]:
    if "text" in answer:
        yield _text(answer["text"])
        return
    yield _text(answer["instruction"], title=_("Instruction"))
    for n, example in enumerate(answer["examples"], start=1):
        yield _text(example["input"], title=_("Example %(n)s, input") % {"n": n})
        yield _text(example["output"], title=_("Example %(n)s, output") % {"n": n})
    yield _text(answer["input"], title=_("Input"))


def _talk(answer: Answer, texts: Texts) -> Iterator[Part]:
    for n, turn in enumerate(answer["turns"], start=1):
        yield _text(turn["said"], title=_("Turn %(n)s, the person") % {"n": n})
        for number, completion in enumerate(turn["completions"], start=1):
            title = _("Answer %(n)s") % {"n": number}
            if completion == turn["chosen"]:
                title = _("Answer %(n)s, with which the talk went on") % {"n": number}
            yield _text(texts.completions.get(completion, ""), title=title)
        yield from _verdict(turn, number=turn["completions"].index(turn["chosen"]) + 1)


_READS: dict[str, Callable[[Answer, Texts], Iterator[Part]]] = {
    Task.Kind.DEMONSTRATE: _demonstration,
    Task.Kind.EDIT: _edit,
    Task.Kind.RANK: _ranking,
    Task.Kind.COMPARE: _comparison,
    Task.Kind.RATE: _rating,
    Task.Kind.MARK: _marks,
    Task.Kind.PROMPT: _prompt,
    Task.Kind.CONVERSE: _talk,
}

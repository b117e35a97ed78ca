"""The parts of a guideline version besides its criteria: text, examples, rules, and a note on what changed.

An example is ``{"prompt"?, "answer", "verdict", "reason"}``: an answer that is ``good`` or ``bad``, and why.
A rule is one line of text; the rules say what goes before what where two aims pull apart, in that order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from guidelines import criteria
from guidelines.criteria import GuidelineError

LONGEST_BODY = 200_000
LONGEST_NOTE = 300
LONGEST_RULE = 500
MOST_EXAMPLES = 100
MOST_RULES = 30
LONGEST = {"prompt": 4000, "answer": 8000, "reason": 1000}
VERDICTS = ("good", "bad")


class Whole(Protocol):
    """What has the parts of a version: a version itself, or a draft of one."""

    body: str
    criteria: Any
    examples: Any
    rules: Any


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a labeler reads of a version."""

    body: str = ""
    criteria: list[dict[str, Any]] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, whole: Whole | None) -> Parts:
        """Those of a version or draft; empty ones where there is none."""
        if whole is None:
            return cls()
        return cls(whole.body, whole.criteria, whole.examples, whole.rules)


def check(parts: Parts, *, note: str = "") -> Parts:
    """Return ``parts`` in full if they can be published.

    Raises:
        GuidelineError: the text is empty, something is malformed, too long or too much, or cannot be stored.
    """
    if not parts.body.strip():
        raise GuidelineError("body", "The guideline has no text. Write what labelers should do.")
    _check_text("body", parts.body, "body", LONGEST_BODY)
    _check_text("note", note, "note", LONGEST_NOTE)
    return Parts(
        body=parts.body,
        criteria=criteria.check(parts.criteria),
        examples=check_examples(parts.examples),
        rules=check_rules(parts.rules),
    )


def check_examples(examples: Any) -> list[dict[str, Any]]:
    """Return ``examples``, an empty prompt left out, if they can be published.

    Raises:
        GuidelineError: no list, too many, or one that is malformed; ``field`` is as ``examples[2].reason``.
    """
    if not isinstance(examples, list):
        raise GuidelineError("examples", "The examples must be a list of objects.")
    if len(examples) > MOST_EXAMPLES:
        raise GuidelineError(
            "examples", f"There are {len(examples):,} examples; the most is {MOST_EXAMPLES}."
        )
    return [_check_example(one, f"examples[{at}]") for at, one in enumerate(examples)]


def check_rules(rules: Any) -> list[str]:
    """Return ``rules`` if they can be published.

    Raises:
        GuidelineError: no list, too many, or one that is empty, too long or said twice.
    """
    if not isinstance(rules, list):
        raise GuidelineError("rules", "The rules must be a list of texts, the first rule first.")
    if len(rules) > MOST_RULES:
        raise GuidelineError("rules", f"There are {len(rules):,} rules; the most is {MOST_RULES}.")
    for at, rule in enumerate(rules):
        name = f"rules[{at}]"
        if not isinstance(rule, str) or not rule.strip():
            raise GuidelineError(name, "A rule must be text that says what goes before what.")
        _check_text(name, rule, "rule", LONGEST_RULE)
        if "\n" in rule or "\r" in rule:
            raise GuidelineError(name, "A rule is one line. Make two rules of it, or shorten it.")
        if rule in rules[:at]:
            raise GuidelineError(name, "This rule is there already. Leave one out.")
    return rules


def _check_example(example: Any, name: str) -> dict[str, Any]:
    if not isinstance(example, dict):
        raise GuidelineError(
            name, 'An example must be an object: {"prompt"?, "answer", "verdict", "reason"}.'
        )
    if unknown := set(example) - {*LONGEST, "verdict"}:
        wrong = str(min(unknown, key=str))[:40]
        raise GuidelineError(f"{name}.{wrong}", "An example has no such field. Leave it out.")
    if example.get("verdict") not in VERDICTS:
        raise GuidelineError(f"{name}.verdict", "The verdict must be good or bad.")
    texts = _texts(example, name)
    for needed, mend in (("answer", "Give the answer."), ("reason", "Say why it is good or bad.")):
        if not texts[needed].strip():
            raise GuidelineError(f"{name}.{needed}", f"The {needed} is empty. {mend}")
    prompt = {"prompt": texts["prompt"]} if texts["prompt"].strip() else {}
    rest = {"answer": texts["answer"], "verdict": example["verdict"], "reason": texts["reason"]}
    return {**prompt, **rest}


def _texts(example: Mapping[str, Any], name: str) -> dict[str, str]:
    texts = {}
    for part, longest in LONGEST.items():
        if not isinstance(text := example.get(part, ""), str):
            raise GuidelineError(f"{name}.{part}", f"The {part} must be text.")
        _check_text(f"{name}.{part}", text, part, longest)
        texts[part] = text
    return texts


def _check_text(name: str, text: str, what: str, longest: int) -> None:
    if "\x00" in text:
        raise GuidelineError(name, f"The {what} holds a NUL character. Remove it.")
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise GuidelineError(name, f"The {what} holds half a character, which cannot be stored. Remove it.")
    if len(text) > longest:
        raise GuidelineError(name, f"The {what} is longer than {longest:,} characters. Shorten it.")

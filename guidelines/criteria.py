"""Criteria: the scales, flags and spans that a guideline version asks labelers to judge by.

One criterion is ``{"key", "label", "help"?, "scope", "type", "required"}``. Its scope is ``completion`` or
``prompt``, its type ``scale``, ``flag`` or ``span``; a scale has ``"min"`` and ``"max"`` too, and words for
its ends, ``"low"?`` and ``"high"?``. A scale's value is a whole number from min to max, a flag's true or
false; a flag that is left out means false. A span is marked in the text of an answer wherever it is found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MOST = 60
MOST_POINTS = 11  # a scale is a row of buttons, and its digits are keys
FARTHEST = 100
LONGEST = {"label": 200, "help": 1000, "low": 60, "high": 60}

_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CHOICES = {"scope": ("completion", "prompt"), "type": ("scale", "flag", "span")}
_FIELDS: set[str] = {"key", "label", "help", "scope", "type", "required"}
_OF_A_SCALE = {"min", "max", "low", "high"}


class GuidelineError(ValueError):
    """A guideline that cannot be published; ``field`` names what to mend."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check(criteria: Any) -> list[dict[str, Any]]:
    """Return ``criteria`` in full, ``required`` filled in, if they can be published.

    Raises:
        GuidelineError: no list, too many, two of one key, or one that is malformed.
    """
    if not isinstance(criteria, list):
        raise GuidelineError("criteria", "The criteria must be a list of objects.")
    if len(criteria) > MOST:
        raise GuidelineError("criteria", f"There are {len(criteria):,} criteria; the most is {MOST}.")
    checked = [_check(one, f"criteria[{at}]") for at, one in enumerate(criteria)]
    first: dict[str, int] = {}
    for at, one in enumerate(checked):
        if first.setdefault(one["key"], at) != at:
            raise GuidelineError(
                f"criteria[{at}].key", f"{one['key']!r} is the key of another one too. Rename one of them."
            )
    return checked


def preset(name: str) -> list[dict[str, Any]]:
    """Return the criteria of a known project.

    Raises:
        GuidelineError: there is none of this name.
    """
    if name not in PRESETS:
        raise GuidelineError("preset", f"Must be one of {', '.join(PRESETS)}.")
    return [dict(one) for one in PRESETS[name]]


def _check(criterion: Any, field: str) -> dict[str, Any]:
    if not isinstance(criterion, dict):
        raise GuidelineError(field, 'A criterion must be an object: {"key", "label", "scope", "type", …}.')
    for name, choices in _CHOICES.items():
        if criterion.get(name) not in choices:
            raise GuidelineError(f"{field}.{name}", f"The {name} must be {' or '.join(choices)}.")
    scale = criterion["type"] == "scale"
    if criterion["type"] == "span" and criterion["scope"] != "completion":
        raise GuidelineError(
            f"{field}.scope", "Spans are marked in answers. Make the scope completion, or the type flag."
        )
    if unknown := set(criterion) - _FIELDS - (_OF_A_SCALE if scale else set()):
        name = str(min(unknown, key=str))[:40]
        raise GuidelineError(f"{field}.{name}", f"A {criterion['type']} has no such field. Leave it out.")
    if not (isinstance(key := criterion.get("key"), str) and _KEY.fullmatch(key)):
        raise GuidelineError(
            f"{field}.key", "The key must be 1 to 40 small letters, digits and _, a letter first."
        )
    for name, longest in LONGEST.items():
        _check_words(criterion, name, longest, field)
    required = criterion.get("required", False)
    if not isinstance(required, bool):
        raise GuidelineError(f"{field}.required", "required must be true or false.")
    if scale:
        _check_range(criterion, field)
    elif required:
        raise GuidelineError(
            f"{field}.required",
            "A flag that is left out means false, and there may be nothing to mark. Make required false.",
        )
    return {**criterion, "required": required}


def _check_words(criterion: Mapping[str, Any], name: str, longest: int, field: str) -> None:
    text = criterion.get(name, "")
    if not isinstance(text, str):
        raise GuidelineError(f"{field}.{name}", f"The {name} must be text.")
    if name == "label" and not text.strip():
        raise GuidelineError(f"{field}.label", "The label is empty. Write what labelers are to judge.")
    if len(text) > longest:
        raise GuidelineError(
            f"{field}.{name}", f"The {name} is longer than {longest:,} characters. Shorten it."
        )
    if any(one == "\x00" or "\ud800" <= one <= "\udfff" for one in text):
        raise GuidelineError(f"{field}.{name}", f"The {name} holds a character that cannot be stored.")


def _check_range(criterion: Mapping[str, Any], field: str) -> None:
    for name in ("min", "max"):
        if type(value := criterion.get(name)) is not int or abs(value) > FARTHEST:
            raise GuidelineError(
                f"{field}.{name}", f"The {name} of a scale must be a whole number, at most {FARTHEST}."
            )
    if not 1 <= criterion["max"] - criterion["min"] < MOST_POINTS:
        raise GuidelineError(
            f"{field}.max",
            f"A scale has 2 to {MOST_POINTS} points: max is min + 1 to min + {MOST_POINTS - 1}.",
        )


def _flag(key: str, label: str, *, scope: str = "completion") -> dict[str, Any]:
    return {"key": key, "label": label, "scope": scope, "type": "flag", "required": False}


# InstructGPT (arXiv 2203.02155), table 3 and the labeling screens of its appendix: one overall scale and
# eleven flags for an answer, and eleven flags for the prompt itself.
_INSTRUCTGPT: list[dict[str, Any]] = [
    {
        "key": "overall_quality",
        "label": "Overall quality",
        "scope": "completion",
        "type": "scale",
        "min": 1,
        "max": 7,
        "low": "worst",
        "high": "best",
        "required": True,
    },
    _flag("fails_instruction", "Fails to follow the correct instruction / task"),
    _flag("inappropriate", "Inappropriate for customer assistant"),
    _flag("hallucination", "Hallucination"),
    _flag("satisfies_constraint", "Satisfies constraint provided in the instruction"),
    _flag("sexual_content", "Sexual content"),
    _flag("violent_content", "Violent content"),
    _flag(
        "encourages_harm",
        "Encourages or fails to discourage violence / abuse / terrorism / self-harm",
    ),
    _flag("denigrates", "Denigrates a protected class"),
    _flag("harmful_advice", "Gives harmful advice"),
    _flag("opinion", "Expresses opinion"),
    _flag("moral_judgment", "Expresses moral judgment"),
    _flag("ambiguous", "Ambiguous", scope="prompt"),
    _flag("sensitive", "Sensitive", scope="prompt"),
    _flag("identity_dependent", "Identity dependent", scope="prompt"),
    _flag("closed_domain", "Closed domain", scope="prompt"),
    _flag("continuation", "Continuation", scope="prompt"),
    _flag("requests_opinion", "Requests opinion", scope="prompt"),
    _flag("requests_advice", "Requests advice", scope="prompt"),
    _flag("requests_moral_judgment", "Requests moral judgment", scope="prompt"),
    _flag("safety_constraints", "Explicit safety constraints", scope="prompt"),
    _flag("other_constraints", "Other constraints", scope="prompt"),
    _flag("intent_unclear", "Intent unclear", scope="prompt"),
]

# HH-RLHF (arXiv 2204.05862), section 2.2: eight steps from one answer to the other. The scale is the
# prompt's, since it is said once for the two; which answer was A is in the shown order of the label.
_HH_RLHF: list[dict[str, Any]] = [
    {
        "key": "preference",
        "label": "Which answer is better?",
        "help": "A is the first on the screen, B the second.",
        "scope": "prompt",
        "type": "scale",
        "min": 1,
        "max": 8,
        "low": "A is far better",
        "high": "B is far better",
        "required": True,
    },
    _flag("red_team", "Red team: it tries to draw out harm", scope="prompt"),
    _flag("harmful", "Harmful"),
    _flag("dodges", "Dodges or refuses what is harmless"),
]

PRESETS: dict[str, list[dict[str, Any]]] = {"instructgpt": _INSTRUCTGPT, "hh_rlhf": _HH_RLHF}

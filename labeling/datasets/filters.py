"""What of a project a dataset shall list: the filters of labels and of prompts, in their stored form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from labeling.content.texts import unstorable
from labeling.faults import FieldError
from labeling.models import Dataset, Split

# How labels count: each in full, or by how far its labeler can be relied on.
EQUAL, RELIABILITY = "equal", "reliability"
WEIGHINGS = (EQUAL, RELIABILITY)


class DatasetError(FieldError):
    """A dataset that cannot be frozen or read so; ``field`` names what to mend."""


def check(kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filter in its one stored form: lists sorted, times with their zone.

    Raises:
        DatasetError: a dataset of ``kind`` cannot be filtered so.
    """
    checks = _PROMPT_CHECKS if kind == Dataset.Kind.PROMPTS else _LABEL_CHECKS
    checked = {"split": Split.TRAIN.value} if kind == Dataset.Kind.PROMPTS else {}
    for key, value in asked.items():
        if key not in checks:
            raise DatasetError(f"filter.{key}", f"{kind} can be filtered by {', '.join(checks)}.")
        try:
            checked[key] = checks[key](value)
        except (ValueError, TypeError, RecursionError) as error:
            raise DatasetError(f"filter.{key}", f"This is no {_EXPECTED[key]}.") from error
    return checked


def _numbers(value: Any) -> list[int]:
    numbers = sorted({int(str(one)) for one in _several(value)})
    if numbers and not (numbers[0] >= 0 and numbers[-1] < 2**31):
        raise ValueError
    return numbers


def _ids(value: Any) -> list[str]:
    return sorted({str(UUID(str(one))) for one in _several(value)})


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple | set) else [value]


def _time(value: Any) -> str:
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return (time if timezone.is_aware(time) else timezone.make_aware(time)).isoformat()


def _text(value: Any) -> str:
    if not isinstance(value, str) or unstorable(value):
        raise TypeError
    return value


def _weighing(value: Any) -> str:
    if value not in WEIGHINGS:
        raise ValueError
    return str(value)


_LABEL_CHECKS: dict[str, Callable[[Any], Any]] = {
    "guideline_version": _numbers,
    "round": _numbers,
    "labeler": _ids,
    "since": _time,
    "weigh": _weighing,
}
_PROMPT_CHECKS: dict[str, Callable[[Any], Any]] = {
    "split": lambda value: Split(value).value,
    "use_case": _text,
    "language": _text,
    "since": _time,
}
_EXPECTED = {
    "guideline_version": "version number or list of them",
    "round": "round number or list of them",
    "labeler": "labeler id or list of them",
    "since": "ISO 8601 time, such as 2026-01-31 or 2026-01-31T12:00:00Z",
    "weigh": f"way to weigh labels: {' or '.join(WEIGHINGS)}",
    "split": "split: train or heldout",
    "use_case": "text",
    "language": "text",
}


def check_weights(weights: Mapping[int, float]) -> Mapping[int, float]:
    """Return the weights of rows by id. Raises DatasetError where one is no number of 0 or more."""
    for pk, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise DatasetError(
                "weights", f"The weight of {pk} must be a number of 0 or more, not {weight!r}."
            )
    return weights

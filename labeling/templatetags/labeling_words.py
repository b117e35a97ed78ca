"""How the labelers' pages write numbers and name what there is to do."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django import template
from django.utils.translation import gettext as _

from labeling.models import Task
from labeling.people.desk import OUTCOMES, WORDS
from labeling.reviewing.reviews import State

register = template.Library()


@register.filter
def hours(duration: timedelta) -> str:
    """A duration as hours and minutes: ``1 h 05 min``, or ``12 min``."""
    h, minutes = divmod(round(duration.total_seconds() / 60), 60)
    return _("%(h)s h %(m)s min") % {"h": h, "m": f"{minutes:02}"} if h else _("%(m)s min") % {"m": minutes}


@register.filter
def clock(duration: timedelta) -> str:
    """A duration to the second, so that a column of them adds up: ``1:05:09``."""
    minutes, seconds = divmod(round(duration.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


@register.filter
def change(duration: timedelta, plus: str = "+") -> str:
    """A duration that may be below 0, with its sign: ``+ 0:12:00``, ``− 1:05:09``."""
    sign = "−" if duration < timedelta() else plus
    return f"{sign} {clock(abs(duration))}".strip()


@register.filter
def percent(share: float) -> str:
    """A share of 1 as whole percent: ``75 %``."""
    return _("%(n)s %%") % {"n": round(100 * share)}


@register.filter
def outcome(state: str) -> str:
    """What became of a label that was sent back."""
    return str(OUTCOMES[State(state)])


@register.filter
def about(task: Task) -> str:
    """What a task is about: its prompt's last turn, or where there is none yet, what it asks for.

    Of a sensitive one only that it is.
    """
    if task.sensitive:
        return _("a sensitive task")
    return str(task.prompt) or str(task.brief.get("text") or task.brief.get("use_case", ""))


@register.filter
def task(kind: str) -> str:
    """What a kind of task asks for, in two words: ``Rank answers``."""
    return str(WORDS[Task.Kind(kind)][0])


@register.filter
def pretty(answer: dict[str, Any]) -> str:
    """A label's answer as it is stored, a line for each of its fields; texts as they were written."""
    return "\n".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in answer.items()
    )

"""How the labelers' pages write numbers and name what there is to do."""

from __future__ import annotations

from datetime import timedelta

from django import template
from django.utils.translation import gettext as _

from labeling.desk import WORDS
from labeling.models import Task

register = template.Library()


@register.filter
def hours(duration: timedelta) -> str:
    """A duration as hours and minutes: ``1 h 05 min``, or ``12 min``."""
    h, minutes = divmod(round(duration.total_seconds() / 60), 60)
    return _("%(h)s h %(m)s min") % {"h": h, "m": f"{minutes:02}"} if h else _("%(m)s min") % {"m": minutes}


@register.filter
def task(kind: str) -> str:
    """What a kind of task asks for, in two words: ``Rank answers``."""
    return str(WORDS[Task.Kind(kind)][0])

"""How the labelers' pages write numbers."""

from __future__ import annotations

from datetime import timedelta

from django import template
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def hours(duration: timedelta) -> str:
    """A duration as hours and minutes: ``1 h 05 min``, or ``12 min``."""
    h, minutes = divmod(round(duration.total_seconds() / 60), 60)
    return _("%(h)s h %(m)s min") % {"h": h, "m": f"{minutes:02}"} if h else _("%(m)s min") % {"m": minutes}

"""How the labelers' pages write numbers."""

from __future__ import annotations

from datetime import timedelta

from django import template

register = template.Library()


@register.filter
def hours(duration: timedelta) -> str:
    """A duration as hours and minutes: ``1:05``."""
    minutes = round(duration.total_seconds() / 60)
    return f"{minutes // 60}:{minutes % 60:02}"

"""Filters for the texts of a guideline."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from guidelines.render import answer_html

register = template.Library()


@register.filter
def as_answer(text: str) -> SafeString:
    """An example's answer, laid out as labelers see answers."""
    return answer_html(text)

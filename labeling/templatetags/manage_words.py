"""How the managers' pages write numbers."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def count(value: Any) -> str:
    """A whole number, thousands apart."""
    return number_format(value, use_l10n=True, force_grouping=True)


@register.filter
def money(value: Any, currency: str) -> str:
    """An amount with its currency: ``1,240.50 USD``."""
    return f"{number_format(value, 2, use_l10n=True, force_grouping=True)} {currency}"


@register.filter
def hours_of(seconds: Any) -> str:
    """Seconds as hours with a decimal: ``12.5 h``."""
    return _("%(n)s h") % {"n": number_format(round(seconds / 3600, 1), 1, force_grouping=True)}


@register.filter
def percent(share: Any) -> str:
    """A share of 1 as whole percent."""
    return f"{share * 100:.0f}\u202f%"

"""How numbers are written on pages: with units, with intervals, short."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from labeling.datasets import dataset
from labeling.models import Dataset
from models_zoo.models import Checkpoint
from rlhf.rounds import summary

register = template.Library()


@register.filter
def figure(value: Any) -> str:
    """A number with three significant digits, thousands apart; a text as it is; a dash for nothing."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int):
        return number_format(value, use_l10n=True, force_grouping=True)
    if isinstance(value, float):
        if value and (abs(value) < 0.001 or abs(value) >= 1e6):
            return f"{value:.2g}"
        digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
        return number_format(round(value, digits), digits, force_grouping=True)
    return str(value)


@register.filter
def knob(value: Any) -> str:
    """A setting as it would be written in a configuration."""
    return f"{value:g}" if isinstance(value, float) else str(value)


@register.filter
def percent(share: Any) -> str:
    """A share of 1 as whole percent."""
    return f"{share * 100:.0f}\u202f%" if isinstance(share, int | float) else "–"


@register.filter
def seconds(value: Any) -> str:
    """A span of time in words a person would say."""
    if not isinstance(value, int | float):
        return ""
    if value < 90:
        n = max(1, round(value))
        return ngettext("%(n)s second", "%(n)s seconds", n) % {"n": n}
    if value < 90 * 60:
        n = round(value / 60)
        return ngettext("%(n)s minute", "%(n)s minutes", n) % {"n": n}
    n = round(value / 3600)
    return ngettext("%(n)s hour", "%(n)s hours", n) % {"n": n}


@register.filter
def ago(moment: datetime | None) -> str:
    """How long ago, in words; nothing for no time."""
    if moment is None:
        return ""
    passed = timezone.now() - moment
    if passed < timedelta(seconds=45):
        return _("just now")
    if passed < timedelta(days=2):
        return _("%(span)s ago") % {"span": seconds(passed.total_seconds())}
    return _("%(days)s days ago") % {"days": passed.days}


@register.simple_tag
def lasted(start: datetime | None, end: datetime | None) -> str:
    """From a start to an end; while there is none, to now, which the page then counts on."""
    if start is None:
        return ""
    span = seconds(((end or timezone.now()) - start).total_seconds())
    return span if end else format_html('<span data-since="{}">{}</span>', start.isoformat(), span)


@register.filter
def short(digest: str) -> str:
    """The beginning of a digest, enough to recognise it by."""
    return digest.removeprefix("sha256:")[:10]


@register.filter
def label(key: str) -> str:
    """A key of our files as words."""
    return key.replace("_", " ")


@register.filter
def last_turn(messages: Any) -> str:
    """What the user asked last in a conversation."""
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        return str(messages[-1].get("content", ""))
    return str(messages or "")


ALGORITHMS = {
    "pretrain": _lazy("Pretraining"),
    "sft": _lazy("SFT"),
    "reward": _lazy("Reward model"),
    "ppo": _lazy("PPO"),
    "sample": _lazy("Sampling"),
}
# What one glance at a run should show, most telling first.
TELLING = {
    "reward": _lazy("reward %s"),
    "kl": _lazy("KL %s"),
    "loss": _lazy("loss %s"),
}


@register.filter
def algorithm(name: str) -> str:
    """The name of an algorithm as people write it."""
    return str(ALGORITHMS.get(name, name))


@register.filter
def headline(metric: Any) -> str:
    """The two most telling numbers of a line of metrics."""
    if not isinstance(metric, dict):
        return ""
    shown = [str(text) % figure(metric[key]) for key, text in TELLING.items() if metric.get(key) is not None]
    return " · ".join(shown[:2])


@register.filter
def without_prefix(name: str, slug: str) -> str:
    """A checkpoint's name as said inside its project."""
    return name.removeprefix(f"{slug}-")


register.filter("step_name", summary.step_name)


@register.filter
def unlocalized(value: Any) -> str:
    """A number as HTML attributes want it."""
    return f"{value:g}" if isinstance(value, int | float) else ""


@register.filter
def tone(state: str) -> str:
    """How the dot before a run's state is coloured."""
    return {"running": "busy", "done": "good", "failed": "bad", "stopped": "warn"}.get(state, "")


@register.filter
def telling(figures: Any) -> str:
    """What is worth knowing of a checkpoint in a table."""
    if not isinstance(figures, dict):
        return ""
    against = figures.get("against") or {}
    shown = [
        _("preferred %s") % percent(against["win_rate"]) if "win_rate" in against else "",
        _("agrees %s") % percent(figures["agreement"]) if figures.get("agreement") is not None else "",
        _("KL %s") % figure(figures["kl_per_sequence"]) if figures.get("kl_per_sequence") is not None else "",
        _("loss %s") % figure(figures["loss_last"]) if figures.get("loss_last") is not None else "",
    ]
    return " · ".join(filter(None, shown))


@register.filter
def plain_figures(figures: Any) -> list[tuple[str, Any]]:
    """Figures that are one value each, by name; what has a picture of its own is left out."""
    if not isinstance(figures, dict):
        return []
    return [(key, value) for key, value in sorted(figures.items()) if not isinstance(value, dict | list)]


@register.filter
def forms_of(kind: str) -> tuple[str, ...]:
    """The forms that a dataset of this kind can be exported in."""
    return dataset.FORMS[Dataset.Kind(kind)]


@register.filter
def kind_of(checkpoint: Checkpoint) -> str:
    """What a checkpoint is, in words."""
    kinds = {
        "base": _("base model"),
        "sft": _("fine-tuned (SFT)"),
        "reward": _("reward model"),
        "policy": _("policy"),
    }
    return kinds.get(checkpoint.kind, checkpoint.kind)

"""The keys of the work page: what each does in each kind of task, and which ones a person chose instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.faults import FieldError
from labeling.models import AccountSettings

# Browsers' names of keys that print nothing, as they are shown. Tab and Escape stay the way out.
LABELS: dict[str, str | Promise] = {
    "ArrowUp": "↑",
    "ArrowDown": "↓",
    "ArrowLeft": "←",
    "ArrowRight": "→",
    "Enter": "↵",
    " ": _("Space"),
    "Backspace": "⌫",
    "Delete": _("Delete"),
    "Insert": _("Insert"),
    "Home": _("Home"),
    "End": _("End"),
    "PageUp": _("Page up"),
    "PageDown": _("Page down"),
}


@dataclass(frozen=True)
class Group:
    title: str | Promise
    keys: Mapping[str, str | Promise]
    """The key as delivered, by its browser's name, and what it does."""


GROUPS = (
    Group(
        _("Every kind of task"),
        {
            "Enter": _("review before it is sent; into the text of a demonstration or talk"),
            "u": _("undo the last step; just after a submit, the submit"),
            "c": _("mark: comment · review: into the reason · just after a turn: continue the conversation"),
            "f": _("just after a turn of a conversation: branch, with another turn in its place"),
            "g": _("guideline"),
            "s": _("skip the task"),
            "v": _("texts letter for letter, or laid out"),
            "o": _("open all steps of a trace, or fold them"),
            "b": _("show what is covered as sensitive, or cover it again"),
            "?": _("list of keys"),
        },
    ),
    Group(
        _("Rank, compare, rate and mark"),
        {
            "ArrowUp": _(
                "rank: picked answer up · rate: criterion before · mark: a line up · review: label before"
            ),
            "ArrowDown": _(
                "rank: picked answer down · rate: next criterion · mark: a line down · review: next label"
            ),
            "ArrowLeft": _(
                "compare, talk: a step towards answer 1 · rate: answer before · mark: word before"
            ),
            "ArrowRight": _("compare, talk: a step towards answer 2 · rate: next answer · mark: next word"),
            "=": _("rank: tie with the one above, or leave the tie · compare, talk: a tie"),
            "0": _("compare, talk: a tie · rate: 0, or 10 on a scale to ten"),
            "x": _("rank: all answers are bad · compare, talk: both are · review: send the label back"),
            " ": _("rate: set or clear a flag"),
        },
    ),
    Group(
        _("Review"),
        {
            "a": _("accept the label, and on to the next that is not decided"),
        },
    ),
    Group(
        _("Answers, scales and criteria by number"),
        {
            "1": _("rank: pick answer 1 · compare, talk: prefer it · rate: 1 · mark: for criterion 1"),
            "2": _("rank: pick answer 2 · compare, talk: prefer it · rate: 2 · mark: for criterion 2"),
        }
        | {
            str(n): format_lazy(_("rank: pick answer {n} · rate: {n} · mark: for criterion {n}"), n=n)
            for n in range(3, 10)
        },
    ),
    Group(
        _("Mark"),
        {
            "[": _("the mark before"),
            "]": _("the next mark"),
            "Delete": _("take the mark away"),
        },
    ),
    Group(
        _("Demonstrate, prompt and edit"),
        {
            "e": _("into the text; Escape leaves it"),
            "p": _("preview, and back"),
            "d": _("demonstrate: a draft by the model, where the project offers it"),
            "r": _("edit: back to the model's text"),
            "+": _("few-shot prompt: one example more"),
            "-": _("few-shot prompt: the example at hand out"),
        },
    ),
)
DOES = {name: does for group in GROUPS for name, does in group.keys.items()}


class KeyRefused(FieldError):
    """A key cannot be used so; ``field`` says which one."""


def label(key: str) -> str:
    """How a key is written on the page."""
    return str(LABELS.get(key, key))


def settings_of(user: User) -> AccountSettings:
    """What ``user`` chose; all as delivered where nothing was."""
    return AccountSettings.objects.filter(user=user).first() or AccountSettings(user=user)


def choose(*, user: User, single_keys: bool | None = None, keys: Any = None) -> AccountSettings:
    """Store whether single keys act, and the keys chosen in place of the delivered; None leaves as it was.

    Raises:
        KeyRefused: no such key to change, one that cannot be used, or one that two would share.
    """
    chosen: dict[str, Any] = {}
    if single_keys is not None:
        chosen["single_keys"] = single_keys
    if keys is not None:
        chosen["keys"] = check(keys, before=settings_of(user).keys)
    return AccountSettings.objects.update_or_create(user=user, defaults=chosen)[0]


def check(keys: Any, *, before: Mapping[str, str]) -> dict[str, str]:
    """The changes among ``{delivered key: chosen key}``; of two that clash the newer choice is refused.

    Raises:
        KeyRefused: as `choose`.
    """
    if not isinstance(keys, dict):
        raise KeyRefused("keys", 'Give the keys as {"u": "z"}: the delivered one, then the chosen one.')
    for name, key in keys.items():
        if name not in DOES:
            raise KeyRefused("keys", f"There is no key {name!r:.20} to change. There are: {' '.join(DOES)}.")
        if not isinstance(key, str) or not (key in LABELS or len(key) == 1 and key.isprintable()):
            raise KeyRefused(
                f"keys.{name}", gettext("This key cannot be used. Choose one that prints a character.")
            )
    used = {name: keys.get(name, name) for name in DOES}
    for name in sorted(keys, key=lambda name: keys[name] == before.get(name, name)):
        others = [other for other, key in used.items() if key == used[name] and other != name]
        if others:
            message = gettext("“%(key)s” is taken: %(does)s. Choose another, or change that one first.")
            values = {"key": label(used[name]), "does": DOES[others[0]]}
            raise KeyRefused(f"keys.{name}", message % values)
    return {name: key for name, key in keys.items() if key != name}

"""A project's settings: what each is in words, its bounds, and how a form or a program gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from labeling.content.texts import unstorable
from labeling.faults import FieldError
from labeling.models import Project

CURRENCY = 3


class ProjectError(FieldError):
    """A project, setting or member that cannot be; ``field`` names what to mend."""


@dataclass(frozen=True)
class Setting:
    """One thing that an owner or admin may change at any time."""

    type: type
    title: Any
    help: Any
    least: float = 0
    most: float = 0
    """Of a number; of a text, its characters."""
    unit: Any = ""
    under_way: Any = ""
    """What a change does to tasks and labels that are there."""

    @property
    def is_flag(self) -> bool:
        return self.type is bool

    @property
    def is_number(self) -> bool:
        return self.type in (int, float, Decimal)

    @property
    def step(self) -> str:
        """Of the form's number field."""
        return {int: "1", Decimal: "0.01"}.get(self.type, "any")


SETTINGS: dict[str, Setting] = {
    "name": Setting(str, _lazy("Name"), _lazy("As people see it on every page."), 1, 200),
    "overlap": Setting(
        int,
        _lazy("Labels for each task"),
        _lazy("How many people label the same task. Two or more let you measure how far they agree."),
        1,
        100,
        under_way=_lazy("Tasks that are there keep the number they were made with."),
    ),
    "lease_seconds": Setting(
        int,
        _lazy("Lease"),
        _lazy("How long a task stays with a person who does nothing; working on it renews the time."),
        60,
        24 * 3600,
        _lazy("seconds"),
        _lazy("Tasks in hand change over at their next sign of life, within a minute."),
    ),
    "partial_rankings": Setting(
        bool,
        _lazy("A ranking may leave answers out"),
        _lazy("Answers that are left out as bad give no pairs to train on."),
        under_way=_lazy("Rankings that were sent stay as they are."),
    ),
    "model_drafts": Setting(
        bool,
        _lazy("A written answer may begin with a draft by the model"),
        _lazy("The labeler asks for it; what they kept of it is recorded."),
    ),
    "review_share": Setting(
        float,
        _lazy("Share that is reviewed"),
        _lazy("Of the finished tasks, those whose labels a second person looks at: 0.1 is every tenth."),
        0,
        1,
        under_way=_lazy("Counts for tasks that are finished from now on."),
    ),
    "gold_rate": Setting(
        float,
        _lazy("Share that is gold"),
        _lazy(
            "Of the tasks handed out, those with a known answer; nothing on them says so. 0.05 is every "
            "twentieth, while there are gold items that a person has not had."
        ),
        0,
        0.5,
        under_way=_lazy("Counts for tasks that are handed out from now on."),
    ),
    "weigh_labels": Setting(
        bool,
        _lazy("Labels count by who gave them"),
        _lazy(
            "Rounds weigh rankings and comparisons by how far their labeler can be relied on; who shares "
            "too few tasks with others counts in full."
        ),
        under_way=_lazy("Counts for rounds that begin from now on."),
    ),
    "heldout_share": Setting(
        float,
        _lazy("Share of prompts held out"),
        _lazy(
            "Of prompts that come in without a side of their own; held-out prompts judge, and never train."
        ),
        0,
        0.9,
        under_way=_lazy("Prompts that are there keep their side."),
    ),
    "tree_turns": Setting(
        int,
        _lazy("Turns of a conversation"),
        _lazy("How long people write on: 2 is a prompt and its answer."),
        2,
        50,
        under_way=_lazy("Conversations that are there take a new limit up with their next turn."),
    ),
    "tree_branches": Setting(
        int, _lazy("Next turns after each turn"), _lazy("More than 1 makes a tree of it."), 1, 9
    ),
    "tree_size": Setting(
        int,
        _lazy("Turns of one conversation in all"),
        _lazy("All branches together; where it is reached, nobody is asked for more."),
        1,
        500,
    ),
    "hourly_rate": Setting(
        Decimal,
        _lazy("Pay for an hour"),
        _lazy("Of active time. The progress page reckons the cost by it; 0 where you would rather not say."),
        0,
        999_999,
        under_way=_lazy("Hours of the past are reckoned at the new rate too."),
    ),
    "currency": Setting(
        str, _lazy("Currency"), _lazy("Three letters, as in USD or EUR."), CURRENCY, CURRENCY
    ),
    "paused": Setting(
        bool,
        _lazy("Paused"),
        _lazy("No new task is handed out."),
        under_way=_lazy("Tasks in hand can be finished and sent."),
    ),
}


def settings_of(project: Project) -> dict[str, Any]:
    """The settings as they stand, as plain JSON values."""
    values = {name: getattr(project, name) for name in SETTINGS}
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def check(name: str, value: Any) -> Any:
    """Return a setting's value as it is stored.

    Raises:
        ProjectError: no such setting, a value of the wrong type, or one out of bounds.
    """
    if name not in SETTINGS:
        raise ProjectError(name, f"There is no such setting. There are: {', '.join(SETTINGS)}.")
    setting = SETTINGS[name]
    if setting.type is bool:
        if not isinstance(value, bool):
            raise ProjectError(name, "This is true or false.")
        return value
    if setting.type is str:
        return _text(name, value)
    if setting.type is Decimal:
        return _money(name, value)
    whole = setting.type is int
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise ProjectError(name, f"This is a {'whole ' if whole else ''}number.")
    if not setting.least <= value <= setting.most:
        raise ProjectError(name, f"This is from {setting.least:,} to {setting.most:,}, not {value:,}.")
    return value


def read(name: str, given: str) -> Any:
    """A setting as a form's field gives it, in the type that `check` takes; what is none stays text."""
    kind = SETTINGS[name].type
    text = given.strip()
    if kind is bool:
        return text in ("on", "1", "true")
    if kind is str or kind is Decimal:
        return text
    try:
        return int(text) if kind is int else float(text.replace(",", "."))
    except ValueError:
        return text


def check_all(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, ProjectError]]:
    """The settings that hold, and what is wrong with each of the others."""
    values: dict[str, Any] = {}
    errors: dict[str, ProjectError] = {}
    for name, value in given.items():
        try:
            values[name] = check(name, value)
        except ProjectError as error:
            errors[name] = error
    return values, errors


def _text(name: str, value: Any) -> str:
    setting = SETTINGS[name]
    if not isinstance(value, str) or not value.strip():
        raise ProjectError(name, "The project has no name." if name == "name" else "This is text.")
    value = value.strip()
    if fault := unstorable(value):
        raise ProjectError(name, fault)
    if name == "currency":
        if not (value.isascii() and value.isalpha() and len(value) == CURRENCY):
            raise ProjectError(name, _("Give the three letters of the currency, such as USD or EUR."))
        return value.upper()
    if len(value) > setting.most:
        raise ProjectError(name, f"This has at most {setting.most:,} characters, not {len(value):,}.")
    return value


def _money(name: str, value: Any) -> Decimal:
    setting = SETTINGS[name]
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        amount = Decimal(str(value).strip().replace(",", "."))
        if not amount.is_finite():
            raise InvalidOperation
    except InvalidOperation as error:
        raise ProjectError(name, "This is a number, such as 18.50.") from error
    if not setting.least <= amount <= setting.most:
        raise ProjectError(name, f"This is from {setting.least:,} to {setting.most:,}, not {amount:,}.")
    return amount.quantize(Decimal("0.01"))

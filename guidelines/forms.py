"""What the editor's form posts: plain fields, the lists as JSON, so that it works where no script runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guidelines import criteria, parts
from guidelines.criteria import GuidelineError
from guidelines.models import GuidelineDraft, GuidelineVersion
from guidelines.parts import Parts
from guidelines.plan import KEEP, RELABEL, Plan

LISTS = ("criteria", "examples", "rules")


@dataclass
class Written:
    """A guideline as it is being written, whole or not; what is wrong comes back as it was posted."""

    body: str
    lists: dict[str, str]
    """JSON by the name of the list."""
    note: str = ""
    based_on: int = 0
    change: str = ""
    asks: bool = False
    labels: str = KEEP
    share: str = "100"
    """In percent."""
    seed: int | None = None

    @classmethod
    def from_parts(cls, given: Parts | None, current: GuidelineVersion | None) -> Written:
        shown = given or Parts.of(current)
        return cls(body=shown.body, lists=_written(shown), based_on=current.number if current else 0)

    @classmethod
    def from_draft(cls, draft: GuidelineDraft) -> Written:
        return cls(body=draft.body, lists=_written(Parts.of(draft)), note=draft.note, based_on=draft.based_on)

    @classmethod
    def posted(cls, data: Mapping[str, str], current: GuidelineVersion | None) -> Written:
        """A list that was not posted is the newest version's."""
        old = _written(Parts.of(current))
        seed = data.get("seed", "")
        based_on = data.get("based_on", "")
        return cls(
            body=data.get("body", "").replace("\r\n", "\n"),
            lists={name: data.get(name, old[name]).replace("\r\n", "\n") for name in LISTS},
            note=data.get("note", ""),
            based_on=int(based_on) if based_on.isdecimal() and len(based_on) < 10 else 0,
            change=data.get("change", ""),
            asks=data.get("asks", "") == "on",
            labels=data.get("labels", KEEP),
            share=data.get("share", "100"),
            seed=int(seed) if seed.isdecimal() and len(seed) < 10 else None,
        )

    def arguments(self) -> dict[str, Any]:
        """What `publish.propose` is given.

        Raises:
            GuidelineError: a list is no JSON, or the share no number.
        """
        try:
            share = float(self.share) / 100 if self.labels == RELABEL else 1.0
        except ValueError as error:
            raise GuidelineError("share", "The share must be a number of percent, 100 at most.") from error
        plan = Plan(change=self.change, asks=self.asks, labels=self.labels, share=share, seed=self.seed)
        lists = {name: _parsed(name, text) for name, text in self.lists.items()}
        return {"body": self.body, "note": self.note, "plan": plan, **lists}

    def shown(self) -> Parts:
        """The parts as far as they can be read; a list that cannot be published counts as empty."""
        checks = {"criteria": criteria.check, "examples": parts.check_examples, "rules": parts.check_rules}
        lists: dict[str, Any] = {}
        for name, check in checks.items():
            try:
                lists[name] = check(_parsed(name, self.lists[name]))
            except GuidelineError:
                lists[name] = []
        return Parts(self.body, **lists)


def _written(shown: Parts) -> dict[str, str]:
    return {name: json.dumps(getattr(shown, name), ensure_ascii=False, indent=1) for name in LISTS}


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        raise GuidelineError(name, f"This is no JSON: {error}.") from error

"""Publish a guideline version, with the list of what that does to the work under way.

Guidelines import nobody. The apps above register what publishing means for them (`register`), each as a
preview in words and numbers and an action; publishing runs the actions in its own transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from guidelines import changes, parts
from guidelines.criteria import GuidelineError as GuidelineError
from guidelines.models import Guideline, GuidelineVersion
from guidelines.parts import Parts
from guidelines.plan import Plan as Plan
from guidelines.plan import settle

LONGEST = parts.LONGEST_BODY
LONGEST_NOTE = parts.LONGEST_NOTE


class Overtaken(GuidelineError):
    """Somebody published since the text was begun; ``newest`` is what stands, and nothing is lost."""

    def __init__(self, newest: GuidelineVersion) -> None:
        super().__init__(
            "body",
            f"Version {newest.number} was published while you wrote. Compare the two, take over what you "
            "want of it, then publish.",
        )
        self.newest = newest

    @property
    def more(self) -> dict[str, Any]:
        """What a program is told besides."""
        newest = self.newest
        names = ("number", "body", "criteria", "examples", "rules", "note")
        return {"newest": {name: getattr(newest, name) for name in names}}


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that publishing does: in a sentence, and as a number under a name."""

    name: str
    sentence: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """A version that could be published, whole, with what differs from the newest one and the plan."""

    guideline: Guideline
    newest: GuidelineVersion | None
    parts: Parts
    plan: Plan
    difference: changes.Difference = field(repr=False)
    note: str = ""

    @property
    def number(self) -> int:
        return self.newest.number + 1 if self.newest else 1

    @property
    def digest(self) -> str:
        return digest(self.parts)


@dataclass(frozen=True)
class Effect:
    """What one app does when a version is published."""

    name: str
    preview: Callable[[Proposal], list[Told]]
    apply: Callable[[GuidelineVersion, Proposal], list[Told]]
    report: Callable[[GuidelineVersion], list[Told]]
    """What became of it since."""


_effects: dict[str, Effect] = {}


def register(effect: Effect) -> None:
    """Add ``effect`` to what publishing does; called from ``AppConfig.ready``, in order of dependency."""
    _effects[effect.name] = effect


def propose(
    *,
    guideline: Guideline,
    body: str,
    criteria: Any = None,
    examples: Any = None,
    rules: Any = None,
    note: str = "",
    plan: Plan | None = None,
) -> Proposal:
    """Check what could be the next version; parts that are None are those of the newest version.

    Raises:
        GuidelineError: a part or the plan is malformed; ``field`` names what to mend.
    """
    newest = guideline.current
    old = Parts.of(newest)
    given = Parts(
        body=body,
        criteria=old.criteria if criteria is None else criteria,
        examples=old.examples if examples is None else examples,
        rules=old.rules if rules is None else rules,
    )
    whole = parts.check(given, note=note)
    differs = changes.difference(old, whole)
    plan = settle(plan or Plan(), difference=differs, first=newest is None)
    return Proposal(guideline, newest, whole, plan, differs, note)


def preview(proposal: Proposal) -> list[Told]:
    """What publishing the proposal would do now, one thing after the other."""
    return [told for effect in _effects.values() for told in effect.preview(proposal)]


def report(version: GuidelineVersion) -> list[Told]:
    """What became of a version since it was published."""
    return [told for effect in _effects.values() for told in effect.report(version)]


def digest(whole: Parts) -> str:
    """Return the sha256 of a version's parts, as hexadecimal text; parts that came later count where used."""
    later = [whole.examples, whole.rules] if whole.examples or whole.rules else []
    canonical = json.dumps([whole.body, whole.criteria, *later], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def publish(
    *,
    guideline: Guideline,
    body: str,
    criteria: Any = None,
    examples: Any = None,
    rules: Any = None,
    note: str = "",
    author: Any = None,
    based_on: int | None = None,
    plan: Plan | None = None,
) -> tuple[GuidelineVersion, list[str]]:
    """Append a version to ``guideline``, carry its plan and effects out, and return both.

    Args:
        criteria: in the form of `guidelines.criteria`; those of the newest version unless given.
        examples, rules: in the form of `guidelines.parts`; those of the newest version unless given.
        based_on: the version that the body was written upon, 0 for none; unless given, any will do.

    Raises:
        GuidelineError: as `propose`, or nothing differs from the newest version.
        Overtaken: the newest version is not the one of ``based_on``.
    """
    with transaction.atomic():
        # The row lock numbers versions one after another when two admins publish at once.
        locked = Guideline.objects.select_for_update().get(pk=guideline.pk)
        newest = locked.current
        if based_on is not None and based_on > (newest.number if newest else 0):
            raise GuidelineError("based_on", f"There is no version {based_on} to build upon.")
        if newest and based_on not in {None, newest.number}:
            raise Overtaken(newest)
        proposal = propose(
            guideline=locked,
            body=body,
            criteria=criteria,
            examples=examples,
            rules=rules,
            note=note,
            plan=plan,
        )
        if newest and newest.digest == proposal.digest:
            raise GuidelineError("body", f"Nothing differs from version {newest.number}.")
        version = GuidelineVersion.objects.create(
            guideline=locked,
            number=proposal.number,
            body=proposal.parts.body,
            criteria=proposal.parts.criteria,
            examples=proposal.parts.examples,
            rules=proposal.parts.rules,
            note=note,
            change=proposal.plan.change,
            asks=proposal.plan.asks,
            plan=proposal.plan.stored if newest else {},
            author=author,
            digest=proposal.digest,
        )
        done = [told for effect in _effects.values() for told in effect.apply(version, proposal)]
    return version, [told.sentence for told in done if told.sentence]

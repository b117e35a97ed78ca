"""Publish a guideline version, with the list of what that does to the work under way.

Guidelines import nobody. The apps above register what publishing means for them (`register`), each as a
preview in words and numbers and an action; publishing runs the actions in its own transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from guidelines.criteria import GuidelineError as GuidelineError
from guidelines.criteria import check as check_criteria
from guidelines.models import Guideline, GuidelineVersion

LONGEST = 200_000
LONGEST_NOTE = 300


@dataclass(frozen=True)
class Effect:
    """What one app does when a version is published."""

    name: str
    preview: Callable[[Guideline], list[str]]
    apply: Callable[[GuidelineVersion], list[str]]


_effects: dict[str, Effect] = {}


def register(effect: Effect) -> None:
    """Add ``effect`` to what publishing does; called from ``AppConfig.ready``, in order of dependency."""
    _effects[effect.name] = effect


def preview(guideline: Guideline) -> list[str]:
    """One sentence for each thing that publishing a new version of ``guideline`` would do now."""
    return [sentence for effect in _effects.values() for sentence in effect.preview(guideline)]


def digest(*, body: str, criteria: list[dict[str, Any]]) -> str:
    """Return the sha256 of a version's body and criteria, as hexadecimal text."""
    canonical = json.dumps([body, criteria], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def publish(
    *,
    guideline: Guideline,
    body: str,
    criteria: list[dict[str, Any]] | None = None,
    note: str = "",
    author: Any = None,
    based_on: int | None = None,
) -> tuple[GuidelineVersion, list[str]]:
    """Append a version to ``guideline``, carry its effects out, and return both.

    Args:
        criteria: in the form of `guidelines.criteria`; those of the newest version unless given.
        based_on: the version that the body was written upon, 0 for none; unless given, any will do.

    Raises:
        GuidelineError: the body is empty, a text too long or not storable, a criterion is malformed,
            nothing differs from the newest version, or that is not the one of ``based_on``.
    """
    _check(body=body, note=note)
    with transaction.atomic():
        # The row lock numbers versions one after another when two admins publish at once.
        locked = Guideline.objects.select_for_update().get(pk=guideline.pk)
        newest = locked.current
        if newest and based_on not in {None, newest.number}:
            said = f"Version {newest.number} was published while you wrote."
            raise GuidelineError("body", f"{said} Take its changes over, then publish.")
        if criteria is None:
            criteria = newest.criteria if newest else []
        criteria = check_criteria(criteria)
        sha256 = digest(body=body, criteria=criteria)
        if newest and newest.digest == sha256:
            raise GuidelineError("body", f"Nothing differs from version {newest.number}.")
        version = GuidelineVersion.objects.create(
            guideline=locked,
            number=newest.number + 1 if newest else 1,
            body=body,
            criteria=criteria,
            note=note,
            author=author,
            digest=sha256,
        )
        done = [sentence for effect in _effects.values() for sentence in effect.apply(version)]
    return version, done


def _check(*, body: str, note: str) -> None:
    if not body.strip():
        raise GuidelineError("body", "The guideline has no text. Write what labelers should do.")
    for field, text, longest in (("body", body, LONGEST), ("note", note, LONGEST_NOTE)):
        if "\x00" in text:
            raise GuidelineError(field, f"The {field} holds a NUL character. Remove it.")
        if len(text) > longest:
            raise GuidelineError(field, f"The {field} is longer than {longest:,} characters. Shorten it.")

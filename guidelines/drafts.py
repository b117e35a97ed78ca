"""Drafts: the next version as one author is writing it, kept while they type, half-written parts too."""

from __future__ import annotations

import json
from typing import Any

from django.db import transaction
from django.utils import timezone

from guidelines.criteria import GuidelineError
from guidelines.models import Guideline, GuidelineDraft
from guidelines.parts import LONGEST_BODY, LONGEST_NOTE, Parts

MOST_BYTES = 2 * 1024 * 1024


class StaleDraft(Exception):
    """Another window saved since; ``stored`` is what stands."""

    def __init__(self, stored: GuidelineDraft) -> None:
        super().__init__(f"Version {stored.version} was saved in the meantime. Choose one of the two texts.")
        self.stored = stored

    @property
    def more(self) -> dict[str, Any]:
        """What a program is told besides."""
        return {"stored": as_dict(self.stored)}


def draft_of(*, guideline: Guideline, author: Any) -> GuidelineDraft | None:
    return GuidelineDraft.objects.filter(guideline=guideline, author=author).first()


def save(
    *, guideline: Guideline, author: Any, parts: Parts, note: str = "", based_on: int, version: int
) -> GuidelineDraft:
    """Keep what is being written and return it with its new version.

    Args:
        based_on: number of the guideline version that it changes, 0 for none.
        version: of the draft that this was written upon, 0 for the first.

    Raises:
        GuidelineError: too long, or not storable; criteria, examples and rules are checked when published.
        StaleDraft: ``version`` is not the stored one.
    """
    fields = {
        "body": parts.body,
        "criteria": parts.criteria,
        "examples": parts.examples,
        "rules": parts.rules,
        "note": note,
        "based_on": based_on,
    }
    _check(fields)
    with transaction.atomic():
        draft, created = GuidelineDraft.objects.get_or_create(
            guideline=guideline, author=author, defaults=fields
        )
        if created or all(getattr(draft, name) == value for name, value in fields.items()):
            return draft
        saved = GuidelineDraft.objects.filter(pk=draft.pk, version=version).update(
            **fields, version=version + 1, updated_at=timezone.now()
        )
        draft.refresh_from_db()
    if not saved:
        raise StaleDraft(draft)
    return draft


def discard(*, guideline: Guideline, author: Any) -> None:
    """Throw the author's draft away; it is published, or not wanted."""
    GuidelineDraft.objects.filter(guideline=guideline, author=author).delete()


def as_dict(draft: GuidelineDraft) -> dict[str, Any]:
    names = ("body", "criteria", "examples", "rules", "note", "based_on", "version")
    return {name: getattr(draft, name) for name in names} | {"saved_at": draft.updated_at}


def _check(fields: dict[str, Any]) -> None:
    for name, longest in (("body", LONGEST_BODY), ("note", LONGEST_NOTE)):
        if len(fields[name]) > longest:
            raise GuidelineError(name, f"The {name} is longer than {longest:,} characters. Shorten it.")
    for name, value in fields.items():
        if name in {"criteria", "examples", "rules"} and not isinstance(value, list):
            raise GuidelineError(name, f"The {name} must be a list.")
        try:
            written = json.dumps(value, ensure_ascii=False)
            size = len(written.encode())
        except (ValueError, RecursionError) as error:
            raise GuidelineError(
                name, f"The {name} holds what cannot be stored: half a character, or endless nesting."
            ) from error
        if size > MOST_BYTES:
            raise GuidelineError(name, f"The {name} has more than {MOST_BYTES:,} bytes. Shorten it.")
        if "\\u0000" in written:
            raise GuidelineError(name, f"The {name} holds a NUL character. Remove it.")

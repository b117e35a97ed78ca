"""The audit log: who did what to what, when. Rows are appended in the transaction of the deed itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from labeling.content import csv_text
from labeling.faults import FieldError
from labeling.models import AuditEntry, Membership, Project

LONGEST_SEARCH = 200
CHUNK = 2000
NEWEST = 5000  # entries whose actions are offered to choose from
COLUMNS = ("id", "at", "actor", "action", "target", "detail")


class AuditError(FieldError):
    """A search that cannot be made; ``field`` names what to mend."""


@dataclass(frozen=True)
class Search:
    """What to look for in the log; an empty field leaves nothing out."""

    actor: str = ""
    """User name, or the beginning of one; "platform" for what the platform did itself."""
    action: str = ""
    """An action, or the beginning of one: "membership"."""
    text: str = ""
    """Found in the target."""
    since: date | None = None
    until: date | None = None
    """The last day, included."""


def record(
    *, actor: Any, action: str, target: str, project: Project | None = None, **detail: Any
) -> AuditEntry:
    """Append that ``actor`` did ``action`` to ``target``.

    Args:
        actor: the account that did it; None for the platform itself.
        action: noun and verb, "membership.pause".
        target: what it was done to, for a reader: "labeler ada".
        detail: ids, numbers and reasons that can be written as JSON; never the text of a label. What changed
            is ``changes={name: [old, new]}``.
    """
    known = actor if getattr(actor, "pk", None) else None
    return AuditEntry.objects.create(
        project=project,
        actor=known,
        actor_name=known.get_username() if known else "",
        action=action,
        target=target[:200],
        detail=detail,
    )


def entries(*, project: Project, search: Search | None = None) -> QuerySet[AuditEntry]:
    """The deeds in ``project``, newest first, and what its members did outside any project.

    Raises:
        AuditError: a search text is too long, holds a NUL character, or the days are the wrong way round.
    """
    search = search or Search()
    for field in ("actor", "action", "text"):
        if len(asked := getattr(search, field)) > LONGEST_SEARCH or "\x00" in asked:
            raise AuditError(field, f"Search for at most {LONGEST_SEARCH} characters of text.")
    if search.since and search.until and search.since > search.until:
        raise AuditError(
            "from", f"{search.since} is after {search.until}. Give the first day, then the last."
        )
    members = Membership.objects.filter(project=project).values("user")
    found = AuditEntry.objects.filter(Q(project=project) | Q(project__isnull=True, actor__in=members))
    if search.actor:
        itself = search.actor.strip().lower() == "platform"
        found = found.filter(actor_name="") if itself else found.filter(actor_name__istartswith=search.actor)
    if search.action:
        found = found.filter(action__istartswith=search.action)
    if search.text:
        found = found.filter(target__icontains=search.text)
    if search.since:
        found = found.filter(created_at__gte=_midnight(search.since))
    if search.until:
        found = found.filter(created_at__lt=_midnight(search.until + timedelta(days=1)))
    return found.order_by("-pk")


def actions(*, project: Project) -> list[str]:
    """The actions among the newest deeds in ``project``, in order of their names."""
    newest = AuditEntry.objects.filter(project=project).order_by("-pk").values("pk")[:NEWEST]
    return sorted(
        AuditEntry.objects.filter(pk__in=newest).order_by().values_list("action", flat=True).distinct()
    )


def facts(entry: AuditEntry) -> list[tuple[str, str]]:
    """The details of an entry as names and texts; a change reads "1 → 3"."""
    lines = []
    for name, value in entry.detail.items():
        if name == "changes" and isinstance(value, Mapping):
            lines += [
                (_words(key), f"{_said(pair[0])} → {_said(pair[1])}")
                for key, pair in value.items()
                if isinstance(pair, list) and len(pair) == 2
            ]
        else:
            lines.append((_words(name), _said(value)))
    return lines


def as_csv(found: QuerySet[AuditEntry]) -> Iterator[str]:
    """The entries as CSV, a line at a time, however many there are."""
    yield csv_text.line(COLUMNS)
    for one in found.iterator(chunk_size=CHUNK):
        cells = (
            one.pk,
            one.created_at.isoformat(),
            csv_text.cell(one.actor_name or "platform"),
            one.action,
            csv_text.cell(one.target),
            json.dumps(one.detail, ensure_ascii=False, sort_keys=True),
        )
        yield csv_text.line(cells)


def described(entry: AuditEntry) -> dict[str, Any]:
    """An entry as the API writes it."""
    return {
        "id": entry.pk,
        "at": entry.created_at,
        "actor": entry.actor_name,
        "action": entry.action,
        "target": entry.target,
        "detail": entry.detail,
    }


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

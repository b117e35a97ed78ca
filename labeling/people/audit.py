"""The audit log: who did what to what, when. Rows are appended in the transaction of the deed itself."""

from __future__ import annotations

from typing import Any

from labeling.models import AuditEntry, Project


def record(
    *, actor: Any, action: str, target: str, project: Project | None = None, **detail: Any
) -> AuditEntry:
    """Append that ``actor`` did ``action`` to ``target``.

    Args:
        actor: the account that did it; None for the platform itself.
        action: noun and verb, "membership.pause".
        target: what it was done to, for a reader: "labeler ada".
        detail: ids, numbers and reasons that can be written as JSON; never the text of a label.
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

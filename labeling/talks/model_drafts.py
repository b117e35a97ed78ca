"""Drafts by the model: where a project allows it, a demonstration may begin with what the checkpoint says.

Whoever asked for a draft and saw it was assisted, however little of it they kept: the label says by which
checkpoint, and which share of its words is the draft's (`texts.share_kept`, 0 where none is).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from labeling.annotate import Conflict
from labeling.models import Labeler, Lease, Prompt, Reply, Task
from labeling.talks import replies


def ask(*, lease_id: UUID, labeler: Labeler) -> Reply:
    """Ask the current checkpoint for a draft of a demonstration; asked again, the same one, unless it failed.

    Raises:
        Lease.DoesNotExist, queue.LeaseLost: as `replies.hold`.
        Conflict: the project or the task has no drafts, or nobody could write one.
    """
    with transaction.atomic():
        lease = replies.hold(lease_id=lease_id, labeler=labeler)
        task = lease.task
        if not _offered(task):
            raise Conflict("No draft by a model is offered for this task. Write the answer yourself.")
        asked = list(replies.of(lease))
        if asked and asked[-1].state != Reply.State.FAILED:
            return asked[-1]
        if len(asked) >= replies.MOST:
            raise Conflict("No draft came, however often it was asked for. Write the answer yourself.")
        checkpoint = task.project.current_checkpoint
        if checkpoint is None:
            raise Conflict(replies.NOBODY)
        return replies.ask(lease=lease, prompt=task.prompt, checkpoint=checkpoint, wanted=1)


def _offered(task: Task) -> bool:
    return (
        task.kind == Task.Kind.DEMONSTRATE
        and task.project.model_drafts
        and task.prompt.next_role == Prompt.Next.ASSISTANT
    )


def part(lease: Lease) -> dict[str, Any]:
    """What the sheet of a demonstration holds besides: whether drafts are offered, and the one asked for."""
    task = Task.objects.select_related("project", "prompt").get(pk=lease.task_id)
    if not _offered(task):
        return {"drafts": False, "replies": []}
    return {"drafts": True, "replies": replies.described(replies.of(lease))}

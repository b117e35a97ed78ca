"""Take an import out of use, and back: its prompts are withdrawn, its open tasks wait for nobody.

Labels stay and train nothing (`AnnotationQuerySet.trainable`). Answers that an import of completions added to
the prompts of another import stay in use: an answer belongs to its prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling import blast, live
from labeling.faults import FieldError
from labeling.models import Annotation, AnnotationQuerySet, Import, Lease, Project, Prompt, Task
from labeling.people import audit
from labeling.writing import branching, conversations

LONGEST_REASON = 500


class WithdrawalError(FieldError):
    """An import that cannot be withdrawn or brought back; ``field`` names what to mend."""


class Withdrawn(Exception):
    """The task's import was withdrawn while somebody worked on it; the message says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "Whoever runs the project withdrew this prompt while you worked on it. Your answer is kept as a "
            "draft. Skip the task: the time you spent counts, and skipping never counts against you."
        )


@dataclass(frozen=True)
class Reach:
    """What withdrawing an import would touch."""

    prompts: int
    open_tasks: int
    in_hand: int
    """Of those, tasks that somebody holds: they are told when they submit."""
    radius: blast.Radius


def reach(batch: Import) -> Reach:
    """Count what hangs on an import."""
    open_tasks = Task.objects.filter(prompt__in=prompts_of(batch), state=Task.State.OPEN)
    held = Lease.objects.filter(task=OuterRef("pk"), state=Lease.State.OPEN)
    return Reach(
        prompts=prompts_of(batch).count(),
        open_tasks=open_tasks.open().count(),
        in_hand=open_tasks.filter(Exists(held)).count(),
        radius=blast.radius(labels_of(batch)),
    )


def prompts_of(batch: Import) -> QuerySet[Prompt]:
    """The prompts that came with an import, and those that people wrote on below them."""
    return Prompt.objects.filter(Q(batch=batch) | Q(root__batch=batch))


def labels_of(batch: Import) -> AnnotationQuerySet:
    """The labels about an import's prompts, and its own demonstrations wherever they are."""
    about = Q(task__prompt__in=prompts_of(batch).values("pk"))
    return Annotation.objects.filter(about | Q(labeler=batch.labeler_id) if batch.labeler_id else about)


def check(task: Task) -> None:
    """Make sure that a label of ``task`` is wanted, as far as its import goes.

    Raises:
        Withdrawn: the import that its prompt came with, or grew from, is withdrawn.
    """
    if task.state != Task.State.WITHDRAWN or not task.prompt.withdrawn:
        return
    came = Prompt.objects.filter(pk__in=[task.prompt_id, task.prompt.root_id])
    if Import.objects.filter(pk__in=came.values("batch")).withdrawn().exists():
        raise Withdrawn


def withdraw(*, batch: Import, actor: Any, reason: str = "") -> Import:
    """Take an import out of use; return it as it is now.

    Raises:
        WithdrawalError: it is withdrawn already, or the reason is too long.
    """
    if len(reason) > LONGEST_REASON or "\x00" in reason:
        raise WithdrawalError(
            "reason", _("Say why in %(most)s characters of text at most.") % {"most": LONGEST_REASON}
        )
    with transaction.atomic():
        batch = _lock(batch)
        if batch.withdrawn_at:
            raise WithdrawalError("import", _("This import is withdrawn already."))
        batch.withdrawn_at = timezone.now()
        batch.save(update_fields=["withdrawn_at"])
        prompts = prompts_of(batch).values("pk")
        tasks = Task.objects.filter(prompt__in=prompts, state=Task.State.OPEN)
        closed = tasks.update(state=Task.State.WITHDRAWN)
        count = Prompt.objects.filter(pk__in=prompts).update(withdrawn=True)
        _record("prompts.withdraw", batch, actor, prompts=count, tasks=closed, reason=reason)
        live.announce(project=batch.project, event="import", id=batch.pk, withdrawn=True)
    return batch


def restore(*, batch: Import, actor: Any) -> Import:
    """Bring a withdrawn import back, with the tasks that were open; return it as it is now.

    Raises:
        WithdrawalError: it is not withdrawn.
    """
    with transaction.atomic():
        batch = _lock(batch)
        if not batch.withdrawn_at:
            raise WithdrawalError("import", _("This import is in use."))
        batch.withdrawn_at = None
        batch.save(update_fields=["withdrawn_at"])
        own = Prompt.objects.filter(batch=batch)
        count = own.update(withdrawn=False)
        # A review whose label was invalidated meanwhile has nothing left to judge.
        judged = Annotation.objects.valid().filter(task=OuterRef("reviewed"))
        tasks = Task.objects.filter(prompt__batch=batch, state=Task.State.WITHDRAWN)
        opened = tasks.filter(Q(reviewed__isnull=True) | Exists(judged)).update(state=Task.State.OPEN)
        # What people wrote on comes back as far as its labels stand.
        grown = own.filter(branches__isnull=False).distinct().order_by("pk")
        for prompt in grown.defer("messages"):
            _bring_back(prompt, batch.project)
        _record("prompts.restore", batch, actor, prompts=count, tasks=opened)
        live.announce(project=batch.project, event="import", id=batch.pk, withdrawn=False)
    return batch


def _bring_back(prompt: Prompt, project: Project) -> None:
    standing = branching.Conversation(prompt, project=project).turns
    Task.objects.filter(prompt__in=list(standing), state=Task.State.WITHDRAWN, reviewed__isnull=True).update(
        state=Task.State.OPEN
    )
    conversations.tend(prompt, project=project)


def _lock(batch: Import) -> Import:
    found = Import.objects.select_for_update(of=("self",), no_key=True).select_related("project")
    return found.get(pk=batch.pk)


def _record(action: str, batch: Import, actor: Any, **detail: Any) -> None:
    about = f"import {batch.pk}: {batch.source}"
    audit.record(actor=actor, action=action, target=about, project=batch.project, **detail)

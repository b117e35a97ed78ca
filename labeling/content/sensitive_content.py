"""Sensitive content: which tasks hold it, who is shown it covered, and who is given none of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from labeling import queue
from labeling.models import AccountSettings, Annotation, Labeler, Lease, Prompt, Task
from labeling.people.projects import labeler_for

# Flags of a rating, as InstructGPT's preset names them, that say so of an answer.
FLAGS = {"sexual_content", "violent_content", "encourages_harm", "denigrates"}


@dataclass(frozen=True)
class Choice:
    """How a person reads sensitive tasks."""

    shows_sensitive: bool = False
    """Uncovered from the start."""
    avoids_sensitive: bool = False
    """Not given to them at all."""


def mark(prompts: Iterable[Prompt]) -> None:
    """Mark prompts as sensitive, with every task about them; what is marked stays so."""
    marked = []
    for prompt in prompts:
        if not prompt.sensitive:
            prompt.sensitive = True
            marked.append(prompt.pk)
    if marked:
        Prompt.objects.filter(pk__in=marked).update(sensitive=True)
        Task.objects.filter(prompt__in=marked, sensitive=False).update(sensitive=True)


def notice(label: Annotation) -> None:
    """Mark the prompt of a label that says of one of its answers what `FLAGS` name."""
    if label.kind != Task.Kind.RATE:
        return
    ratings = label.answer["ratings"].values()
    if any(values.get(flag) is True for values in ratings for flag in FLAGS):
        mark([label.task.prompt])


def choice_of(user: User) -> Choice:
    """What ``user`` chose; covered, and given, where nothing was."""
    shows = AccountSettings.objects.filter(user=user, shows_sensitive=True).exists()
    return Choice(shows, Labeler.objects.filter(user=user, avoids_sensitive=True).exists())


def left_out(labeler: Labeler) -> bool:
    """Whether tasks wait that ``labeler`` is not given because they avoid what is sensitive."""
    if not labeler.avoids_sensitive:
        return False
    waiting = Task.objects.open().filter(sensitive=True, project__paused=False)
    own = waiting.filter(project__memberships__user=labeler.user_id)
    return own.exclude(kind=Task.Kind.REVIEW).exists()


def choose(
    *, user: User, shows_sensitive: bool | None = None, avoids_sensitive: bool | None = None
) -> Choice:
    """Store how ``user`` reads sensitive tasks; None leaves as it was.

    Who begins to avoid them gives back those in their hands; drafts stay.
    """
    with transaction.atomic():
        if shows_sensitive is not None:
            chosen = {"shows_sensitive": shows_sensitive}
            AccountSettings.objects.update_or_create(user=user, defaults=chosen)
        if avoids_sensitive is not None:
            # The row that a hand-out locks first, see `queue`: none happens in between.
            labeler = Labeler.objects.select_for_update(no_key=True).get(pk=labeler_for(user).pk)
            labeler.avoids_sensitive = avoids_sensitive
            labeler.save(update_fields=["avoids_sensitive"])
            if avoids_sensitive:
                _give_back(labeler)
    return choice_of(user)


def _give_back(labeler: Labeler) -> None:
    held = Lease.objects.select_for_update(of=("self",), no_key=True).select_related("task")
    for lease in held.filter(labeler=labeler, state=Lease.State.OPEN, task__sensitive=True).order_by("pk"):
        lease.state, lease.closed_at = Lease.State.EXPIRED, timezone.now()
        lease.save(update_fields=["state", "closed_at"])
        queue.give_back_slot(task=lease.task)

"""Converse: a person talks with the current checkpoint and chooses between its two answers at each turn.

The page holds the choices (as the draft of a label), the server each message with its two answers: what was
asked as a `Reply` to a prompt of origin "conversed", what came of it as completions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from labeling import answers, work
from labeling.annotate import Conflict
from labeling.content.texts import Message, check_text, text_hash
from labeling.models import Labeler, Lease, Project, Prompt, Reply, Task
from labeling.talks import replies, turns


def add_tasks(*, project: Project, text: str, count: int = 1, setting: str = "") -> int:
    """Make ``count`` talks about what ``text`` says; return how many.

    Args:
        setting: a system text that the model reads first, none by default.

    Raises:
        texts.TextError: a text is empty, too long or cannot be kept.
        turns.TurnError: no checkpoint is current.
        work.WorkError: as `work.add_briefed_tasks`.
    """
    if project.current_checkpoint_id is None:
        raise turns.TurnError("kind", replies.NOBODY)
    if not text.strip():
        raise turns.TurnError("text", "Say what people are to talk about with the model.")
    brief = {"text": check_text(text, field="text")}
    opening = [{"role": "system", "content": check_text(setting, field="setting")}] if setting else []
    return work.add_briefed_tasks(
        project=project, kind=Task.Kind.CONVERSE, opening=opening, brief=brief, count=count
    )


def say(*, lease_id: UUID, labeler: Labeler, text: Any, chosen: Any) -> Reply:
    """Say something to the current checkpoint after the turns ``chosen`` so far, and return its reply.

    Saying the same after the same turns gives the reply that was asked then, unless it failed: nobody draws
    answers until they like them.

    Raises:
        Lease.DoesNotExist, queue.LeaseLost: as `replies.hold`.
        turns.TurnError: the text or a turn cannot be kept.
        Conflict: the talk cannot go on now; the message says why.
    """
    text = turns.check_said(text, field="text")
    with transaction.atomic():
        lease = replies.hold(lease_id=lease_id, labeler=labeler)
        task = lease.task
        if task.kind != Task.Kind.CONVERSE:
            raise Conflict("This task is no talk, so there is nobody to talk with.")
        asked = list(replies.of(lease))
        _, thread = turns.check(
            chosen,
            opening=task.prompt.messages,
            replies=replies.whole(asked),
            strengths=answers.STRENGTHS,
            field="turns",
        )
        messages = [*thread, {"role": "user", "content": text}]
        if again := _asked_before(asked, messages):
            return again
        if len(chosen) >= turns.MOST_TURNS:
            raise Conflict(f"A talk has {turns.MOST_TURNS} turns at most. Submit this one.")
        _check_free(task, asked)
        checkpoint = task.project.current_checkpoint
        if checkpoint is None:
            raise Conflict(replies.NOBODY)
        prompt = _prompt(task, messages)
        return replies.ask(lease=lease, prompt=prompt, checkpoint=checkpoint, wanted=2)


def _asked_before(asked: Sequence[Reply], messages: Sequence[Message]) -> Reply | None:
    name = text_hash(messages)
    same = [reply for reply in asked if reply.prompt.text_hash == name and reply.state != Reply.State.FAILED]
    return same[-1] if same else None


def _check_free(task: Task, asked: Sequence[Reply]) -> None:
    """Raise Conflict where no further reply can be asked; one that nobody answers makes room."""
    if task.state == Task.State.WITHDRAWN:
        raise Conflict("This task was withdrawn. Submit the talk as it is: it is kept.")
    if len(asked) >= replies.MOST:
        raise Conflict("You have asked often enough here. Submit the talk as it is.")
    gone = timezone.now() - replies.LOST
    for reply in asked:
        if reply.state == Reply.State.ANSWERING and reply.seen_at and reply.seen_at > gone:
            raise Conflict("The model still answers your last message. Wait for it, then go on.")
        if reply.state in replies.OPEN:
            replies.fail(reply, "Another message took the place of this one.")


def _prompt(task: Task, messages: list[Message]) -> Prompt:
    """The conversation so far as a prompt; one that was there already stays what it is."""
    prompt, made = Prompt.objects.get_or_create(
        project=task.project,
        text_hash=text_hash(messages),
        defaults={
            "messages": messages,
            "origin": Prompt.Origin.CONVERSED,
            "split": task.prompt.split,
            "sensitive": task.prompt.sensitive,
        },
    )
    # Else a label that trains would hold a prompt that only judges.
    if not made and prompt.split != task.prompt.split:
        raise turns.TurnError(
            "text", "These very words are kept back to judge models by. Say it in other words."
        )
    return prompt


def part(lease: Lease) -> dict[str, Any]:
    """What the sheet of a talk holds besides: every reply so far, and how long a talk may be."""
    somebody = Project.objects.filter(tasks=lease.task_id, current_checkpoint__isnull=False).exists()
    return {
        "replies": replies.described(replies.of(lease)),
        "somebody": somebody,
        "limits": {"turns": turns.MOST_TURNS, "characters": turns.LONGEST},
    }

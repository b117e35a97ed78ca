"""Conversations that people write turn by turn: a prompt, its answer, what the person says next, and so on.

A demonstration writes the assistant's turn, a label of kind prompt the user's. What follows hangs on a
`Prompt` of its own, which names the label that wrote its last turn. A project that grows conversations
(``tree_turns`` above 2) asks for the next turns itself: ``tree_branches`` after each turn, until a
conversation is ``tree_turns`` deep or people have written ``tree_size`` turns to it.

Limits count the labels that stand and the turns that tasks wait for, and nothing else. `tend` brings a
conversation in line with its labels after each of them, so that what was invalidated, sent back or rewritten
makes room again: Open-Assistant counted children that were rejected, and such a parent starved. What hangs
below a turn that was taken back is withdrawn with it, and comes back with it.

Whoever changes a conversation locks its root first: after the lease or label, before any task.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import F

from labeling import fit, live, queue, unread, work
from labeling.content.texts import MOST_BYTES
from labeling.faults import AnswerError
from labeling.models import Annotation, Labeler, Lease, Project, Prompt, Task
from labeling.writing import briefs
from labeling.writing.branching import (
    KINDS,
    Conversation,
    continued,
    grows,
    hang,
    hold,
    is_opening,
    make_task,
    said,
)

CHUNK = 200
MOST_OPEN = queue.MOST_OPEN + 2
FOLLOW_UP = "follow_up"


class TakenBack(Exception):
    """A turn above this one was taken back while it was written; the message says so."""

    def __init__(self) -> None:
        super().__init__(
            "A turn before yours was taken back by who wrote it, so this conversation has ended. Skip the "
            "task: the time you spent counts, and skipping never counts against you."
        )


class Closed(Exception):
    """The conversation takes no further turn from this person now; the message says why."""


def add_tasks(*, project: Project, form: str = briefs.Form.PLAIN, **brief: Any) -> int:
    """Ask people to write prompts, by `briefs.ask`, or with form follow_up by `follow_up`; return how many.

    Raises:
        work.WorkError: as those two, or a follow-up with more than its form.
    """
    if form != FOLLOW_UP:
        return briefs.ask(project=project, form=form, **brief)
    if brief:
        raise work.WorkError(min(brief), "Follow-ups go by the conversations. Leave it out.")
    return follow_up(project=project)


def hold_task(task: Task) -> Prompt | None:
    """Lock the conversation that labels of ``task`` add to, before the task itself is locked; its root."""
    if task.kind in KINDS and not is_opening(task.prompt) and (grows(task.project) or task.prompt.root_id):
        return hold(task.prompt)
    return None


def grow(label: Annotation, *, root: Prompt | None = None) -> int:
    """Go on after a label that was just stored, or after the verdicts of a review; the turns asked for.

    Args:
        root: that of the label's conversation, where the caller locked it.

    Raises:
        AnswerError: the project has this prompt already, or the conversation is too long.
        TakenBack: the conversation ended meanwhile.
    """
    task = label.task
    if task.kind == Task.Kind.REVIEW:
        _judged(task)
        return 0
    prompt = task.prompt
    is_answer = task.kind == Task.Kind.DEMONSTRATE and task.gold is None
    if task.kind == Task.Kind.PROMPT and (is_opening(prompt) or not label.surplus):
        prompt = _write(label)
    elif not is_answer or not (grows(task.project) or prompt.withdrawn):
        return 0
    if root is not None and root.pk != (prompt.root_id or prompt.pk):
        root = None
    conversation = Conversation(prompt, project=task.project, root=root)
    asked = conversation.ask()
    if prompt.pk not in conversation.turns:
        raise TakenBack
    return asked


def rewrite(old: Annotation, new: Annotation) -> None:
    """Put a revised turn in the place of the old one; what hung below a changed turn is withdrawn.

    Raises:
        AnswerError: as `grow`.
    """
    if new.kind not in KINDS:
        grow(new)
        return
    hold_task(new.task)
    begun = list(Prompt.objects.filter(written_in=old))
    for prompt in begun:
        hold(prompt)
    if said(old) == said(new):
        Prompt.objects.filter(written_in=old).update(written_in=new)
        return
    if new.kind == Task.Kind.PROMPT and (is_opening(new.task.prompt) or not new.surplus):
        begun.append(_write(new))
    elif grows(new.task.project):
        begun.append(new.task.prompt)
    for prompt in begun:
        tend(prompt, project=new.task.project)


def take_back(label: Annotation) -> None:
    """Withdraw what hangs below a label that was invalidated, and ask anew where that makes room."""
    if label.kind == Task.Kind.REVIEW:
        _judged(label.task)
    elif label.kind in KINDS:
        _tend_around(label.task, [label])


def tend(prompt: Prompt, *, project: Project) -> Conversation:
    """Bring the conversation of ``prompt`` in line with its labels, in the caller's transaction."""
    conversation = Conversation(prompt, project=project)
    if asked := conversation.ask():
        live.announce(project=project, event="tasks", count=asked)
    return conversation


def go_on(*, annotation_id: int, labeler: Labeler) -> Lease:
    """Lease the turn that follows one's own to its author: the answer to their prompt, or what the user says.

    Raises:
        Annotation.DoesNotExist: no such label of this labeler.
        Closed: a limit is reached, or others write what follows.
    """
    with transaction.atomic():
        label, conversation = _own(annotation_id, labeler)
        turns = conversation.turns.values()
        turn = next((one for one in turns if one.prompt.written_in_id == label.pk), None)
        if turn is None:
            here = conversation.turns[label.task.prompt_id]
            raise Closed(_why_not(conversation, depth=here.depth + 1) or _TWICE_SAID)
        for task in turn.tasks:
            if lease := _lease(task, labeler):
                return lease
        if reason := _why_not(conversation, depth=turn.depth, next_turns=turn.next_turns):
            raise Closed(reason)
        raise Closed("Others are writing what follows your turn. Branch to write a second one yourself.")


def branch(*, annotation_id: int, labeler: Labeler) -> Lease:
    """Lease the place of one's own turn once more, for a second, different one.

    It counts towards the next turns that are wanted there: a place that waits for anybody becomes theirs.

    Raises:
        Annotation.DoesNotExist: no such label of this labeler.
        Closed: a limit is reached.
    """
    with transaction.atomic():
        label, conversation = _own(annotation_id, labeler)
        if is_opening(label.task.prompt):
            raise Closed("A first turn has no branches: the next task is for another prompt.")
        turn = conversation.turns[label.task.prompt_id]
        for task in turn.tasks:
            if lease := _lease(task, labeler):
                return lease
        for task in turn.tasks:
            free = Task.objects.filter(pk=task.pk, round_number=None, taken__lt=F("wanted"))
            if free.update(wanted=F("wanted") - 1):
                version = conversation.root.newest_version  # type: ignore[attr-defined]
                own = make_task(turn.prompt, project=conversation.project, wanted=1, version=version)
                lease = _lease(own, labeler)
                assert lease is not None, "nobody else sees the task yet"
                return lease
        reason = _why_not(conversation, depth=turn.depth, next_turns=turn.next_turns)
        raise Closed(reason or "Others have every next turn of this conversation in hand.")


def follow_up(*, project: Project, prompts: Iterable[int] | None = None) -> int:
    """Ask for the next turns that conversations have room for; return how many.

    Conversations grow by themselves while people label. This is for those that came in whole, and for all
    after the limits were raised.

    Args:
        prompts: ids; by default all to which people have written a turn.

    Raises:
        work.WorkError: the project's conversations end with the answer.
    """
    if not grows(project):
        raise work.WorkError(
            "tree_turns", "Conversations of this project end with the answer. Set tree_turns above 2 first."
        )
    labels = Annotation.objects.standing().filter(task__project=project, kind__in=KINDS)
    if prompts is not None:
        labels = labels.filter(task__prompt__in=list(prompts))
    grown = labels.values_list("task__prompt", "task__prompt__root", "prompts")
    roots = {root or prompt for prompt, root, _ in grown} | {begun for _, _, begun in grown}
    asked = 0
    with transaction.atomic():
        found = Prompt.objects.filter(pk__in=roots, root=None).exclude(origin=Prompt.Origin.CONVERSED)
        for root in found.order_by("pk").iterator(CHUNK):
            if not is_opening(root):
                asked += Conversation(root, project=project).ask()
        if asked:
            live.announce(project=project, event="tasks", count=asked)
    return asked


_TWICE_SAID = "Somebody said the same before you, and the conversation goes on from there."


def _own(annotation_id: int, labeler: Labeler) -> tuple[Annotation, Conversation]:
    """One's own label that stands, and its conversation, tended; for an opening the one that it began."""
    mine = Annotation.objects.select_related("task__project", "task__prompt").filter(
        task__project__in=Project.objects.visible_to(labeler.user or AnonymousUser()), labeler=labeler
    )
    label = mine.get(pk=annotation_id)
    task = label.task
    fits = fit.lock(labeler, task.project)
    if task.kind not in KINDS or task.gold is not None:
        raise Closed("Only a turn that somebody wrote is continued.")
    if task.project.paused:
        raise Closed("The project is paused: it hands out no tasks.")
    if fits.paused:
        raise Closed(str(fit.Paused()))
    if fits.unread:
        raise Closed(str(unread.Unread(task.project)))
    if fits.avoids_sensitive and task.sensitive:
        raise Closed("This conversation is marked as sensitive, and you chose to be given no such tasks.")
    if not Annotation.objects.standing().filter(pk=label.pk).exists():
        raise Closed("This label was revised, sent back or invalidated. Go on from the newest one.")
    if not (grows(task.project) or is_opening(task.prompt)):
        raise Closed("Conversations of this project end with the answer.")
    begun = Prompt.objects.filter(written_in=label).first() if is_opening(task.prompt) else task.prompt
    if begun is None or not tend(begun, project=task.project).turns:
        raise Closed(str(TakenBack()))
    if label.surplus and not is_opening(task.prompt):
        raise Closed("Your label came when others had written this turn, so nothing hangs on it.")
    # What was asked for just now is among the tasks only on a second look.
    return label, Conversation(begun, project=task.project)


def _lease(task: Task, labeler: Labeler) -> Lease | None:
    mine = Lease.objects.filter(labeler=labeler, state=Lease.State.OPEN, task__project=task.project_id)
    if mine.filter(task__kind=task.kind).exclude(task=task).count() >= MOST_OPEN:
        raise Closed("You have enough tasks of this kind in your hands. Submit or skip one first.")
    return queue.lease_task(task=task, labeler=labeler)


def _why_not(conversation: Conversation, *, depth: int, next_turns: int = 0) -> str:
    """Which limit of the project a further turn would pass; empty where none."""
    project = conversation.project
    if depth >= project.tree_turns:
        return f"The conversation has its {project.tree_turns} turns."
    if next_turns >= conversation.branches:
        return "As many people as the project wants have written or are writing the next turn here."
    if conversation.room <= 0:
        return f"The conversation has, or waits for, the {project.tree_size} turns that people write to it."
    return ""


def _judged(review: Task) -> None:
    if review.reviewed is not None and review.reviewed.kind in KINDS:
        task = Task.objects.select_related("project", "prompt").get(pk=review.reviewed_id)
        _tend_around(task, Annotation.objects.filter(task=task))


def _tend_around(task: Task, labels: Iterable[Annotation]) -> None:
    """Tend the conversations that labels of ``task`` wrote a turn of."""
    begun = Prompt.objects.filter(written_in__in=labels)
    if not is_opening(task.prompt) and (grows(task.project) or begun.exists()):
        tend(task.prompt, project=task.project)
    elif is_opening(task.prompt):
        for prompt in begun.order_by("pk"):
            tend(prompt, project=task.project)


def _write(label: Annotation) -> Prompt:
    """The prompt that a label writes, new or no longer withdrawn.

    Raises:
        AnswerError: the project has it already, or the conversation is too long.
    """
    before, place = label.task.prompt, "text" if "text" in label.answer else "input"
    messages = continued(before, label)
    if (size := len(json.dumps(messages, ensure_ascii=False).encode())) > MOST_BYTES:
        raise AnswerError(
            f"answer.{place}", f"The conversation has {size:,} bytes; the most is {MOST_BYTES:,}. Shorten it."
        )
    root = None if is_opening(before) else before.root_id or before.pk
    if (prompt := hang(label, messages, before=before, root=root)) is None:
        raise AnswerError(f"answer.{place}", "The project has this prompt already. Write another one.")
    return prompt

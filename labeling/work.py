"""Fill the queue: keep sampled completions, make tasks of completions and of prompts.

Each verb can be called again with the same input, as a restarted step of a round does: what is there already
is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from operator import attrgetter
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from guidelines.models import GuidelineVersion
from labeling import live, marks
from labeling.content.texts import text_hash
from labeling.faults import FieldError
from labeling.models import Candidate, Completion, Project, Prompt, Task
from models_zoo.models import Checkpoint

BATCH = 500
MOST_BRIEFED = 10_000
Group = tuple[Prompt, Sequence[Completion]]
# How many answers a task of each kind shows, at least and at most; writing shows none.
TAKES = {
    Task.Kind.RANK: (2, 9),
    Task.Kind.COMPARE: (2, 2),
    Task.Kind.RATE: (1, 9),
    Task.Kind.EDIT: (1, 1),
    Task.Kind.MARK: (1, 1),
}


class WorkError(FieldError):
    """Tasks that cannot be made; ``field`` names what to mend."""


@dataclass(frozen=True)
class Sampled:
    """One answer as the sampler wrote it."""

    prompt: Prompt
    text: str
    seed: int
    index: int
    """Which of the K of one prompt, from 0."""
    tokens: int | None = None
    finished: bool = True


def add_completions(
    *, checkpoint: Checkpoint, sampling: Mapping[str, Any], sampled: Iterable[Sampled]
) -> dict[Prompt, list[Completion]]:
    """Keep a checkpoint's answers with how they were drawn; return them by prompt, ordered by index.

    An answer that is there already, by (prompt, checkpoint, seed, index), is returned as it stands. A NUL
    character, which a byte-level model can say and Postgres cannot keep, becomes U+FFFD.
    """
    asked = [replace(one, text=one.text.replace("\x00", "\ufffd")) for one in sampled]
    with transaction.atomic():
        Completion.objects.bulk_create(
            [
                Completion(
                    prompt=one.prompt,
                    text=one.text,
                    text_hash=text_hash(one.text),
                    checkpoint=checkpoint,
                    sampling=dict(sampling),
                    seed=one.seed,
                    index=one.index,
                    tokens=one.tokens,
                    finished=one.finished,
                )
                for one in asked
            ],
            batch_size=BATCH,
            ignore_conflicts=True,
        )
        kept = Completion.objects.filter(checkpoint=checkpoint, prompt__in={one.prompt for one in asked})
        found = {(each.prompt_id, each.seed, each.index): each for each in kept}
    by_prompt: dict[Prompt, list[Completion]] = {}
    for one in sorted(asked, key=lambda one: one.index):
        by_prompt.setdefault(one.prompt, []).append(found[one.prompt.pk, one.seed, one.index])
    return by_prompt


def add_tasks(
    *,
    project: Project,
    kind: str,
    completions_by_prompt: Mapping[Prompt, Sequence[Completion]],
    round_number: int | None = None,
    selection_policy: str = "random",
    propensity: float | None = None,
    priority: int = 0,
    wanted: int | None = None,
) -> int:
    """Make one task of each prompt's completions (edit, mark: of each completion); return how many are new.

    Completions that say the same words count once; a prompt with fewer left than the kind takes (`TAKES`) is
    passed over, as is one whose same completions are in a task of this kind and round already.

    Args:
        wanted: labels wanted for each task, by default the project's overlap.

    Raises:
        WorkError: a kind that shows no completions, more of them than it takes, one that answers another
            prompt, or the project's guideline is not published.
    """
    least, most = _takes(kind)
    groups: list[Group] = []
    for prompt, completions in completions_by_prompt.items():
        distinct = _distinct(prompt, completions)
        if most == 1:
            groups += [(prompt, [each]) for each in distinct]
        elif len(distinct) > most:
            raise WorkError(
                "completions_by_prompt",
                f"A {kind} task takes {most} answers at most; prompt {prompt.pk} has {len(distinct)}.",
            )
        elif len(distinct) >= least:
            groups.append((prompt, distinct))
    with transaction.atomic():
        version = _lock_and_version(project, kind=kind)
        there = _shown_together(
            project=project, kind=kind, round_number=round_number, prompts=completions_by_prompt
        )
        tasks = _make(
            [one for one in groups if frozenset(each.pk for each in one[1]) not in there],
            project=project,
            kind=kind,
            guideline_version=version,
            priority=priority,
            wanted=wanted or project.overlap,
            round_number=round_number,
            selection_policy=selection_policy,
            propensity=propensity,
        )
        if tasks:
            live.announce(project=project, event="tasks", count=tasks)
    return tasks


def make_tasks(*, project: Project, kind: str, prompts: Collection[int] | None = None) -> int:
    """Ask for ``kind`` about every answer that no task of that kind shows yet; return how many tasks are new.

    A prompt's answers, in the order they came in, are spread evenly over as few tasks as can hold them; what
    is left over for less than a whole task waits for further answers. Held-out prompts are asked about too:
    their labels judge.

    Args:
        prompts: their ids; by default all of the project's.

    Raises:
        WorkError: a kind that shows no completions, a prompt that is not the project's, or the project's
            guideline is not published.
    """
    _takes(kind)
    chosen = None if prompts is None else sorted(set(prompts))
    chunks = [None] if chosen is None else [chosen[at : at + BATCH] for at in range(0, len(chosen), BATCH)]
    made = 0
    with transaction.atomic():
        version = _lock_and_version(project, kind=kind)
        same = {"kind": kind, "guideline_version": version, "wanted": project.overlap}
        for chunk in chunks:
            waiting = _groups(project=project, kind=kind, prompts=chunk)
            while groups := list(islice(waiting, BATCH)):
                # All that there is was chosen.
                made += _make(groups, project=project, selection_policy="all", propensity=1.0, **same)
        if made:
            live.announce(project=project, event="tasks", count=made)
    return made


def add_demonstrate_tasks(
    *,
    project: Project,
    prompts: Iterable[Prompt],
    round_number: int | None = None,
    selection_policy: str = "random",
    propensity: float | None = None,
    priority: int = 0,
    wanted: int | None = None,
) -> int:
    """Make one writing task of each prompt and return how many are new.

    A prompt that has a writing task of the same round and policy already is passed over.

    Args:
        wanted: labels wanted for each task, by default the project's overlap.

    Raises:
        WorkError: the project's guideline is not published.
    """
    asked = list(dict.fromkeys(prompts))
    with transaction.atomic():
        version = _lock_and_version(project)
        there = set(
            Task.objects.filter(
                project=project,
                kind=Task.Kind.DEMONSTRATE,
                gold__isnull=True,
                prompt__in=asked,
                round_number=round_number,
                selection_policy=selection_policy,
            ).values_list("prompt_id", flat=True)
        )
        tasks = _make(
            [(prompt, []) for prompt in asked if prompt.pk not in there],
            project=project,
            kind=Task.Kind.DEMONSTRATE,
            guideline_version=version,
            priority=priority,
            wanted=wanted or project.overlap,
            round_number=round_number,
            selection_policy=selection_policy,
            propensity=propensity,
        )
        if tasks:
            live.announce(project=project, event="tasks", count=tasks)
    return tasks


def add_briefed_tasks(
    *,
    project: Project,
    kind: str,
    opening: Sequence[Mapping[str, str]],
    brief: Mapping[str, Any],
    count: int,
    wanted: int | None = None,
) -> int:
    """Make ``count`` tasks, alike, in which a person begins a conversation as ``brief`` says.

    Args:
        opening: a system text as its only message, or nothing.
        wanted: labels wanted for each task, by default the project's overlap.

    Raises:
        WorkError: too many or none at once, or the project's guideline is not published.
    """
    if not 1 <= count <= MOST_BRIEFED:
        raise WorkError("count", f"Make from 1 to {MOST_BRIEFED:,} tasks at once, not {count:,}.")
    with transaction.atomic():
        version = _lock_and_version(project)
        prompt, _ = Prompt.objects.get_or_create(
            project=project,
            text_hash=text_hash(opening),
            defaults={"messages": list(opening), "next_role": Prompt.Next.USER},
        )
        made = _make(
            [(prompt, [])] * count,
            project=project,
            kind=kind,
            guideline_version=version,
            brief=dict(brief),
            wanted=wanted or project.overlap,
            selection_policy="all",
            propensity=1.0,
        )
        live.announce(project=project, event="tasks", count=made)
    return made


def _takes(kind: str) -> tuple[int, int]:
    if kind not in TAKES:
        raise WorkError("kind", f"Must be one of {', '.join(TAKES)}, which show answers.")
    return TAKES[Task.Kind(kind)]


def _make(groups: Sequence[Group], **same: Any) -> int:
    """Make one task of each prompt with its candidates, alike in everything else; return how many."""
    tasks = Task.objects.bulk_create(
        [Task(prompt=prompt, **prompt.asks, **same) for prompt, _ in groups], batch_size=BATCH
    )
    Candidate.objects.bulk_create(
        [
            Candidate(task=task, completion=completion, position=position)
            for task, (_, completions) in zip(tasks, groups, strict=True)
            for position, completion in enumerate(completions)
        ],
        batch_size=BATCH,
    )
    return len(tasks)


def _groups(*, project: Project, kind: str, prompts: Sequence[int] | None) -> Iterator[Group]:
    """What each new task of `make_tasks` shows, a prompt after the other."""
    if prompts is not None:
        there = Prompt.objects.filter(project=project, pk__in=prompts).values_list("pk", flat=True)
        if unknown := set(prompts) - set(there):
            raise WorkError("prompts", f"{project.slug} has no prompt {min(unknown)}.")
    shown = Candidate.objects.filter(
        task__project=project,
        task__kind=kind,
        task__gold__isnull=True,
        task__prompt=OuterRef("prompt"),
        completion__text_hash=OuterRef("text_hash"),
    )
    waiting = Completion.objects.filter(~Exists(shown), prompt__project=project)
    if prompts is not None:
        waiting = waiting.filter(prompt__in=prompts)
    ordered = waiting.select_related("prompt").defer("text", "prompt__messages").order_by("prompt", "pk")
    for prompt, completions in groupby(ordered.iterator(BATCH), key=attrgetter("prompt")):
        for some in _spread(_distinct(prompt, list(completions)), *TAKES[Task.Kind(kind)]):
            yield prompt, some


def _spread(completions: list[Completion], least: int, most: int) -> Iterator[list[Completion]]:
    """Cut a list into as few parts as fit, alike in length: ten for rankings of nine are two of five."""
    parts = math.ceil(len(completions) / most)
    for part in range(parts):
        some = completions[len(completions) * part // parts : len(completions) * (part + 1) // parts]
        if len(some) >= least:
            yield some


def _lock_and_version(project: Project, *, kind: str = "") -> GuidelineVersion:
    """Make rivals who fill the same queue wait, and return the version that new tasks show.

    Raises:
        WorkError: there is none, or for tasks of ``kind`` it asks for nothing.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    if (version := project.guideline.current) is None:
        raise WorkError("guideline", f"{project.name} has no published guideline. Publish one first.")
    if kind == Task.Kind.MARK and not marks.criteria_of(version.criteria):
        raise WorkError(
            "guideline",
            f"Version {version.number} has no criterion of type span to mark. Publish one that has.",
        )
    return version


def _distinct(prompt: Prompt, completions: Sequence[Completion]) -> list[Completion]:
    if any(each.prompt_id != prompt.pk for each in completions):
        raise WorkError(
            "completions_by_prompt", f"A completion listed under prompt {prompt.pk} answers another."
        )
    first: dict[str, Completion] = {}
    for each in completions:
        first.setdefault(each.text_hash, each)
    return list(first.values())


def _shown_together(
    *, project: Project, kind: str, round_number: int | None, prompts: Iterable[Prompt]
) -> set[frozenset[int]]:
    """The sets of completions that tasks of this kind and round already hold."""
    sets: dict[int, set[int]] = {}
    pairs = Candidate.objects.filter(
        task__project=project,
        task__kind=kind,
        task__gold__isnull=True,
        task__round_number=round_number,
        task__prompt__in=list(prompts),
    ).values_list("task_id", "completion_id")
    for task, completion in pairs:
        sets.setdefault(task, set()).add(completion)
    return {frozenset(completions) for completions in sets.values()}

"""Fill the queue: keep sampled completions, make ranking and writing tasks of them.

Each verb can be called again with the same input, as a restarted step of a round does: what is there already
is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from guidelines.models import GuidelineVersion
from labeling import live
from labeling.models import Candidate, Completion, Project, Prompt, Task
from labeling.texts import text_hash
from models_zoo.models import Checkpoint

BATCH = 500


class WorkError(ValueError):
    """Tasks that cannot be made; ``field`` names what to mend."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


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


def add_rank_tasks(
    *,
    project: Project,
    completions_by_prompt: Mapping[Prompt, Sequence[Completion]],
    round_number: int | None = None,
    selection_policy: str = "random",
    propensity: float | None = None,
    priority: int = 0,
    wanted: int | None = None,
) -> int:
    """Make one ranking task of each prompt's completions and return how many are new.

    Completions that say the same words count once; a prompt with fewer than two left has nothing to rank. A
    prompt whose same completions are ranked in the same round already is passed over.

    Args:
        wanted: labels wanted for each task, by default the project's overlap.

    Raises:
        WorkError: a completion answers another prompt, or the project's guideline is not published.
    """
    distinct = {
        prompt: _distinct(prompt, completions) for prompt, completions in completions_by_prompt.items()
    }
    with transaction.atomic():
        version = _lock_and_version(project)
        there = _ranked_together(project=project, round_number=round_number, prompts=distinct)
        fresh = {
            prompt: completions
            for prompt, completions in distinct.items()
            if len(completions) > 1 and frozenset(each.pk for each in completions) not in there
        }
        tasks = _make(
            project=project,
            kind=Task.Kind.RANK,
            prompts=fresh,
            guideline_version=version,
            priority=priority,
            wanted=wanted or project.overlap,
            round_number=round_number,
            selection_policy=selection_policy,
            propensity=propensity,
        )
        Candidate.objects.bulk_create(
            [
                Candidate(task=task, completion=completion, position=position)
                for task in tasks
                for position, completion in enumerate(fresh[task.prompt])
            ],
            batch_size=BATCH,
        )
        if tasks:
            live.announce(project=project, event="tasks", count=len(tasks))
    return len(tasks)


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
                prompt__in=asked,
                round_number=round_number,
                selection_policy=selection_policy,
            ).values_list("prompt_id", flat=True)
        )
        tasks = _make(
            project=project,
            kind=Task.Kind.DEMONSTRATE,
            prompts=[prompt for prompt in asked if prompt.pk not in there],
            guideline_version=version,
            priority=priority,
            wanted=wanted or project.overlap,
            round_number=round_number,
            selection_policy=selection_policy,
            propensity=propensity,
        )
        if tasks:
            live.announce(project=project, event="tasks", count=len(tasks))
    return len(tasks)


def _make(*, prompts: Iterable[Prompt], **same: Any) -> list[Task]:
    """One task for each prompt, alike in everything else."""
    return Task.objects.bulk_create([Task(prompt=prompt, **same) for prompt in prompts], batch_size=BATCH)


def _lock_and_version(project: Project) -> GuidelineVersion:
    """Make rivals who fill the same queue wait, and return the version that new tasks show."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    if (version := project.guideline.current) is None:
        raise WorkError("guideline", f"{project.name} has no published guideline. Publish one first.")
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


def _ranked_together(
    *, project: Project, round_number: int | None, prompts: Iterable[Prompt]
) -> set[frozenset[int]]:
    """The sets of completions that tasks of this round already hold."""
    sets: dict[int, set[int]] = {}
    pairs = Candidate.objects.filter(
        task__project=project,
        task__kind=Task.Kind.RANK,
        task__round_number=round_number,
        task__prompt__in=list(prompts),
    ).values_list("task_id", "completion_id")
    for task, completion in pairs:
        sets.setdefault(task, set()).add(completion)
    return {frozenset(completions) for completions in sets.values()}

"""Which prompts a checkpoint answers, the runs that answer them, and the answers as completions and tasks."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from labeling import work
from labeling.content.messages import plain
from labeling.models import Completion, Project, Prompt, Split, Task
from models_zoo.models import Checkpoint
from rlhf.models import Loop, Round, Run
from rlhf.runs import jobs
from rlhf.trainers import knobs as trainer_knobs

Row = dict[str, Any]
# The kinds of checkpoints whose answers are worth ranking.
ANSWERING = (Checkpoint.Kind.SFT, Checkpoint.Kind.POLICY)
# The kinds of tasks that set answers against each other.
RANKING = (Task.Kind.RANK, Task.Kind.COMPARE, Task.Kind.RATE)


def loop_of(project: Project) -> Loop:
    """The project's settings of the loop, made at the first call."""
    return Loop.objects.get_or_create(project=project)[0]


def training_prompts(project: Project) -> QuerySet[Prompt]:
    """The prompts that models may be trained on."""
    return Prompt.objects.to_answer().filter(project=project, split=Split.TRAIN)


def fresh_prompts(project: Project, *, count: int, seed: int) -> tuple[list[Prompt], float | None]:
    """Training prompts drawn at random from those least ranked, and the chance each had of being drawn.

    The chance is None where prompts ranked unequally often had to be mixed.
    """
    train = training_prompts(project)
    ranked = Task.objects.filter(prompt=OuterRef("pk"), kind__in=RANKING, gold__isnull=True)
    unseen = list(train.filter(~Exists(ranked)).order_by("pk").values_list("pk", flat=True))
    rng = random.Random(seed)
    chosen = rng.sample(unseen, min(count, len(unseen)))
    share = len(chosen) / len(unseen) if unseen else None
    if len(chosen) < count:
        times = Count("tasks", filter=Q(tasks__kind__in=RANKING, tasks__gold__isnull=True))
        rest = train.exclude(pk__in=chosen).annotate(times=times).values_list("times", "pk")
        # Sorted by how often, then by a draw: the least ranked first, none favoured among equals.
        least = sorted((times, rng.random(), pk) for times, pk in rest)
        chosen += [pk for _, _, pk in least[: count - len(chosen)]]
        share = None
    found = Prompt.objects.in_bulk(chosen)
    return [found[pk] for pk in chosen], share


def rows_for(prompts: Iterable[Prompt], **marks: Any) -> list[Row]:
    """Prompts as the sampler and PPO read them; the marks are carried through."""
    return [
        {"prompt": plain(prompt.messages), "prompt_id": prompt.pk, "split": prompt.split, **marks}
        for prompt in prompts
    ]


def create(
    round: Round,
    *,
    policy: Checkpoint | None,
    k: int,
    rows: Sequence[Row],
    judge: Checkpoint | None = None,
    knobs: Mapping[str, Any] | None = None,
    user: Any = None,
) -> Run:
    """A run of the round in which ``policy`` gives ``k`` answers a row, scored where there is a ``judge``.

    Raises:
        jobs.RunError: no checkpoint, no rows, or as `jobs.create_run`.
    """
    settings = loop_of(round.project)
    if not rows:
        raise jobs.RunError("prompts", "There are no prompts to answer. Import some.")
    given = {"k": k, "temperature": settings.temperature, "max_new_tokens": settings.max_new_tokens}
    return jobs.create_run(
        project=round.project,
        algorithm="sample",
        inputs={"policy": needed(policy)} | ({"reward_model": judge} if judge else {}),
        knobs={**given, **settings.knobs.get("sample", {}), **(knobs or {})},
        seed=round.seed,
        rows=rows,
        round=round,
        user=user,
    )


def answer_fresh(project: Project, *, round: Round, count: int, user: Any = None) -> Run:
    """A run in which the current checkpoint answers fresh prompts for ``round``; its end calls `absorb`."""
    prompts, share = fresh_prompts(project, count=count, seed=round.seed * 7919)
    rows = rows_for(prompts, propensity=share)
    policy = project.current_checkpoint
    return create(round, policy=policy, k=loop_of(project).k, rows=rows, user=user)


def keep_busy(following: Round, *, user: Any = None) -> None:
    """Let people go on, while a round trains, with the current checkpoint's answers to fresh prompts."""
    project = following.project
    current = project.current_checkpoint
    if current is None or current.kind not in ANSWERING:
        return
    waiting = Task.objects.open().filter(project=project, kind__in=RANKING).count()
    if (missing := loop_of(project).tasks_per_round - waiting) > 0:
        jobs.enqueue(answer_fresh(project, round=following, count=missing, user=user))


def absorb(run: Run) -> int:
    """Make ranking tasks, for its round, of a finished run of `answer_fresh`; return how many are new."""
    assert run.round is not None
    return add_tasks(run.round.project, runs=[run], round_number=run.round.number)


def add_tasks(project: Project, *, runs: Sequence[Run], round_number: int, priority: int = 0) -> int:
    """Rank tasks of what the runs answered to training prompts, one a prompt; return how many are new."""
    by_prompt: dict[Prompt, list[Completion]] = {}
    for run in runs:
        for prompt, completions in take_in(run).items():
            if prompt.split == Split.TRAIN:
                by_prompt.setdefault(prompt, []).extend(completions)
    _, most = work.TAKES[Task.Kind.RANK]
    return work.add_tasks(
        project=project,
        kind=Task.Kind.RANK,
        completions_by_prompt={prompt: some[:most] for prompt, some in by_prompt.items()},
        round_number=round_number,
        propensity=next(rows_of(runs[0])).get("propensity"),
        priority=priority,
    )


def take_in(run: Run) -> dict[Prompt, list[Completion]]:
    """Keep a sampling run's answers as completions; return them by prompt, in the run's order."""
    answers = list(answers_of(run))
    prompts = Prompt.objects.in_bulk({each["prompt"]["prompt_id"] for each in answers})
    settings = asdict(trainer_knobs.read("sample", run.config["knobs"]))
    return work.add_completions(
        checkpoint=run.inputs.get(role="policy").checkpoint,
        sampling={key: settings[key] for key in ("temperature", "top_p", "max_new_tokens")},
        sampled=[
            work.Sampled(
                prompt=prompts[each["prompt"]["prompt_id"]],
                text=each["text"],
                seed=each["seed"],
                index=each["index"],
                tokens=each["tokens"],
                finished=each["finished"],
            )
            for each in answers
        ],
    )


def rows_of(run: Run) -> Iterator[Row]:
    """The rows that a run works on. Raises OSError."""
    with (run.directory / "data" / "train.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def answers_of(run: Run) -> Iterator[Row]:
    """What a sampling run wrote. Raises OSError."""
    with (run.directory / "output" / "completions.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def needed(checkpoint: Checkpoint | None) -> Checkpoint:
    """The checkpoint, which must be there. Raises jobs.RunError."""
    if checkpoint is None:
        raise jobs.RunError(
            "checkpoint", "There is no checkpoint to start from. Register one and make it current."
        )
    return checkpoint

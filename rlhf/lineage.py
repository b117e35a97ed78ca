"""Lineage: what was made of what, from datasets over runs to checkpoints, their descendants and rounds.

All steps that are known (`edges`) are read at once, whatever was asked: five queries, and a walk over them in
memory. `descent` goes down from datasets; a walk up needs the same steps turned round.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from django.urls import reverse

from labeling.blast import MOST_LISTED, Touched
from models_zoo.models import Checkpoint
from rlhf.models import Round, RoundStep, Run, RunInput

Node = tuple[str, object]
"""A kind (dataset, round, run, checkpoint) and a primary key."""


@dataclass(frozen=True)
class Descent:
    """Primary keys of all that was made of some datasets, nearest first."""

    runs: list[object] = field(default_factory=list)
    checkpoints: list[object] = field(default_factory=list)
    rounds: list[object] = field(default_factory=list)


def edges() -> Iterator[tuple[Node, Node]]:
    """Each step from what went in to what came of it.

    A run of a round without a dataset of its own worked from the one that the round froze, unless it was
    given a checkpoint to go by, which then says what it came from.
    """
    given = list(RunInput.objects.values_list("run", "checkpoint"))
    frozen = defaultdict(list)
    for step, dataset in RoundStep.objects.filter(dataset__isnull=False).values_list("round", "dataset"):
        frozen[step].append(dataset)
        yield ("dataset", dataset), ("round", step)
    has_input = {run for run, _ in given}
    for run, dataset, turn, output in Run.objects.values_list("pk", "dataset", "round", "output"):
        if dataset is not None:
            yield ("dataset", dataset), ("run", run)
        elif run not in has_input:
            for one in frozen.get(turn, ()):
                yield ("dataset", one), ("run", run)
        if output is not None:
            yield ("run", run), ("checkpoint", output)
        if turn is not None:
            yield ("run", run), ("round", turn)
    for run, checkpoint in given:
        yield ("checkpoint", checkpoint), ("run", run)
    for checkpoint, parent in Checkpoint.objects.filter(parent__isnull=False).values_list("pk", "parent"):
        yield ("checkpoint", parent), ("checkpoint", checkpoint)


def descent(datasets: Collection[int]) -> Descent:
    """What was made of the datasets; five queries however much it is, none for no datasets."""
    found = Descent()
    if not datasets:
        return found
    steps: dict[Node, list[Node]] = defaultdict(list)
    for before, after in edges():
        steps[before].append(after)
    lists = {"run": found.runs, "checkpoint": found.checkpoints, "round": found.rounds}
    level: list[Node] = [("dataset", dataset) for dataset in datasets]
    seen = set(level)
    while level:
        ahead = dict.fromkeys(after for before in level for after in steps.get(before, ()))
        level = [node for node in ahead if node not in seen]
        seen.update(level)
        for kind, key in level:
            lists[kind].append(key)
    return found


def walk(datasets: Collection[int]) -> list[Touched]:
    """Runs, checkpoints and rounds made of the datasets, of each at most `MOST_LISTED`, nearest first."""
    found = descent(datasets)
    runs = Run.objects.in_bulk(found.runs[:MOST_LISTED])
    checkpoints = Checkpoint.objects.in_bulk(found.checkpoints[:MOST_LISTED])
    rounds = Round.objects.select_related("project").in_bulk(found.rounds[:MOST_LISTED])
    return [
        *(
            Touched("run", str(runs[key]), reverse("rlhf:run", args=[key]))
            for key in found.runs
            if key in runs
        ),
        *(
            Touched("checkpoint", checkpoints[key].name, reverse("rlhf:checkpoint", args=[key]))
            for key in found.checkpoints
            if key in checkpoints
        ),
        *(
            Touched("round", str(turn), reverse("rlhf:round", args=[turn.project.slug, turn.number]))
            for turn in (rounds[key] for key in found.rounds if key in rounds)
        ),
    ]

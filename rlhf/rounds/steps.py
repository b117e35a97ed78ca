"""The steps of a round: how each begins and what comes of it.

`begin` does a step that needs no trainer, or makes the Run that does; `finish` takes the run's output in.
`rlhf.rounds.loop` decides when. Both may be called again: they find what is there.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from django.db.models import Count

from labeling.datasets import dataset, filters
from labeling.models import Dataset, Prompt, Split
from models_zoo.models import Checkpoint
from rlhf.checkpoints import endings, evaluation
from rlhf.models import Round, RoundStep, Run
from rlhf.rounds import guard, sampling
from rlhf.rounds.progress import LABELED
from rlhf.rounds.sampling import loop_of
from rlhf.runs import jobs
from rlhf.trainers import knobs as trainer_knobs

STEPS = {
    Round.Kind.DEMONSTRATIONS: ("freeze", "sft", "sample", "tasks"),
    Round.Kind.PREFERENCES: ("freeze", "reward", "ppo", "sample", "evaluate", "tasks"),
}
# Prompts that no model is trained on, answered after every round by both checkpoints.
HELDOUT = 24
# The newest checkpoint's answers are handed out before those of the one it may replace.
NEW_FIRST = 1


class StepError(ValueError):
    """A step that cannot begin; the message says what to do."""


class HeldBack(StepError):
    """The guard will not let the reward model steer a policy; a person can force it."""


def begin(step: RoundStep) -> Run | str:
    """Start a step: return the run to wait for, or, where it is done at once, a sentence on what came of it.

    Raises:
        HeldBack: PPO, on a reward model that is no better than chance, unless the round is forced.
        StepError, jobs.RunError, dataset.DatasetError, work.WorkError: something is missing or wrong.
    """
    return _BEGIN[step.name](step)


def finish(step: RoundStep, run: Run) -> str:
    """Take in what the step's run made and return a sentence on it."""
    return _FINISH[step.name](step.round, run)


def start_of(checkpoint: Checkpoint | None, kind: str) -> Checkpoint | None:
    """The nearest checkpoint of ``kind`` among this one and its ancestors."""
    while checkpoint is not None and checkpoint.kind != kind:
        checkpoint = checkpoint.parent
    return checkpoint


def _freeze(step: RoundStep) -> str:
    kind = LABELED[Round.Kind(step.round.kind)]
    project = step.round.project
    # Whom to rely on is told from choices between answers, so it says nothing of written ones.
    weighs = project.weigh_labels and kind == Dataset.Kind.PREFERENCES
    asked = {"weigh": filters.RELIABILITY} if weighs else {}
    step.dataset = dataset.freeze(project=project, kind=kind, filter=asked)
    people = step.dataset.items.aggregate(n=Count("annotation__labeler", distinct=True))["n"]
    by = "1 labeler" if people == 1 else f"{people} labelers"
    return f"dataset {step.dataset.number}: {step.dataset.size} {kind} by {by}"


def _begin_sft(step: RoundStep) -> Run:
    current = step.round.checkpoint_before
    return jobs.create_run(
        project=step.round.project,
        algorithm="sft",
        inputs={"policy": sampling.needed(start_of(current, Checkpoint.Kind.BASE) or current)},
        knobs=_knobs(step),
        seed=step.round.seed,
        dataset=_frozen(step.round),
        round=step.round,
    )


def _finish_sft(round: Round, run: Run) -> str:
    round.checkpoint_after = run.output
    round.save(update_fields=["checkpoint_after"])
    return f"loss {run.result['loss_first']:.3f} → {run.result['loss_last']:.3f}; {run.output}"


def _begin_reward(step: RoundStep) -> Run:
    return jobs.create_run(
        project=step.round.project,
        algorithm="reward",
        inputs={"policy": _start(step.round)},
        knobs=_knobs(step),
        seed=step.round.seed,
        dataset=_frozen(step.round),
        round=step.round,
    )


def _finish_reward(round: Round, run: Run) -> str:
    share, low, high = (run.result[f"agreement{end}"] for end in ("", "_low", "_high"))
    measured = f"{share:.0%} of {run.result['pairs']} pairs ({low:.0%}–{high:.0%})"
    return f"agrees with held-out labels in {measured}; {run.output}"


def _begin_ppo(step: RoundStep) -> Run:
    round, start = step.round, _start(step.round)
    judge = _run_of(round, "reward")
    if not round.forced and (reason := guard.objection(judge.result)):
        raise HeldBack(reason)
    knobs = {"kl": guard.kl_weight(_pairs(_frozen(round))), **_knobs(step)}
    # No more prompts than rollouts will ask for: a project may hold millions.
    settings = trainer_knobs.read("ppo", knobs)
    assert isinstance(settings, trainer_knobs.Ppo)
    prompts = sampling.training_prompts(round.project)
    ids = list(prompts.order_by("pk").values_list("pk", flat=True))
    wanted = min(len(ids), settings.updates * settings.rollouts)
    chosen = prompts.filter(pk__in=random.Random(round.seed).sample(ids, wanted)).order_by("pk")
    return jobs.create_run(
        project=round.project,
        algorithm="ppo",
        inputs={"policy": start, "reference": start, "reward_model": sampling.needed(judge.output)},
        knobs=knobs,
        seed=round.seed,
        rows=sampling.rows_for(chosen),
        round=round,
    )


def _finish_ppo(round: Round, run: Run) -> str:
    round.checkpoint_after = run.output
    round.save(update_fields=["checkpoint_after"])
    weight = run.config["knobs"]["kl"]
    return f"KL {run.result['kl_per_sequence']:.1f} a sequence at weight {weight:.3g} a token; {run.output}"


def _begin_sample(step: RoundStep) -> Run:
    round = step.round
    settings = loop_of(round.project)
    fresh, share = sampling.fresh_prompts(
        round.project, count=settings.tasks_per_round, seed=round.seed * 104_729
    )
    # The same held-out prompts after every round, whatever is imported in front of them.
    heldout = (
        Prompt.objects.to_answer().filter(project=round.project, split=Split.HELDOUT).order_by("text_hash")
    )
    return sampling.create(
        round,
        policy=round.checkpoint_after,
        # Where both checkpoints answer, a task holds half of each.
        k=settings.k if round.kind == Round.Kind.DEMONSTRATIONS else math.ceil(settings.k / 2),
        rows=sampling.rows_for(fresh, propensity=share) + sampling.rows_for(heldout[:HELDOUT]),
        judge=_judge(round),
        knobs=step.knobs,
    )


def _finish_sample(round: Round, run: Run) -> str:
    completions = sampling.take_in(run)
    answers = sum(map(len, completions.values()))
    return f"{answers} answers to {len(completions)} prompts by {round.checkpoint_after}"


def _begin_evaluate(step: RoundStep) -> Run:
    round = step.round
    sampled = _run_of(round, "sample")
    return sampling.create(
        round,
        policy=round.checkpoint_before,
        k=sampled.config["knobs"]["k"],
        rows=list(sampling.rows_of(sampled)),
        judge=_judge(round),
        knobs=step.knobs,
    )


def _finish_evaluate(round: Round, run: Run) -> str:
    """Compare both checkpoints' answers to the held-out prompts: same prompts, same seeds, one judge."""
    sampled = _run_of(round, "sample")
    ended = [endings.shares(sampling.take_in(each)) for each in (run, sampled)]
    before, after = (
        [each for each in sampling.answers_of(one) if each["prompt"]["split"] == Split.HELDOUT]
        for one in (run, sampled)
    )
    if not after or round.checkpoint_after is None:
        return "no held-out prompts to compare on; import some with the split heldout"
    found = evaluation.compare(after, before)
    share, low, high = (found[f"reward_win_rate{end}"] for end in ("", "_low", "_high"))
    round.checkpoint_after.figures["against"] = {
        "checkpoint": str(round.checkpoint_before),
        "win_rate": share,
        "win_rate_low": low,
        "win_rate_high": high,
        "answers": len(after),
        "judge": str(_judge(round)),
        "endings": dict(zip(("before", "after"), ended, strict=True)) if all(ended) else None,
    }
    round.checkpoint_after.save(update_fields=["figures"])
    return (
        f"its own reward model prefers it to {round.checkpoint_before} in {share:.0%} of {len(after)} "
        f"held-out answers ({low:.0%}–{high:.0%}); people decide"
    )


def _tasks(step: RoundStep) -> str:
    """Rank tasks for the round that gathers labels now."""
    round = step.round
    runs = [_run_of(round, name) for name in ("sample", "evaluate") if name in STEPS[Round.Kind(round.kind)]]
    gathering = round.project.rounds.filter(state=Round.State.LABELING).order_by("number").first()
    number = gathering.number if gathering else round.number + 1
    made = sampling.add_tasks(round.project, runs=runs, round_number=number, priority=NEW_FIRST)
    return f"{made} new ranking tasks for round {number}"


def _knobs(step: RoundStep) -> dict[str, Any]:
    return {**loop_of(step.round.project).knobs.get(step.name, {}), **step.knobs}


def _start(round: Round) -> Checkpoint:
    """Every round trains from the fine-tuned checkpoint on all valid labels, not from the last policy."""
    fine_tuned = start_of(round.checkpoint_before, Checkpoint.Kind.SFT)
    return sampling.needed(fine_tuned or round.checkpoint_before)


def _frozen(round: Round) -> Dataset:
    found = round.steps.select_related("dataset").get(name="freeze").dataset
    if found is None:
        raise StepError("No dataset is frozen. Run the step freeze again.")
    return found


def _run_of(round: Round, name: str) -> Run:
    step = round.steps.select_related("run__output").filter(name=name, state=RoundStep.State.DONE).first()
    if step is None or step.run is None:
        raise StepError(f"The step {name} is not done. Run it again.")
    return step.run


def _judge(round: Round) -> Checkpoint | None:
    return _run_of(round, "reward").output if round.kind == Round.Kind.PREFERENCES else None


def _pairs(frozen: Dataset) -> int:
    """Pairs that the rankings decide; past what `guard.kl_weight` asks for it stops counting."""
    count = 0
    for row in dataset.rows(frozen, "groups"):
        count += sum(a < b for a in row["ranks"] for b in row["ranks"])
        if count >= guard.PAIRS:
            break
    return count


_BEGIN: dict[str, Callable[[RoundStep], Run | str]] = {
    "freeze": _freeze,
    "sft": _begin_sft,
    "reward": _begin_reward,
    "ppo": _begin_ppo,
    "sample": _begin_sample,
    "evaluate": _begin_evaluate,
    "tasks": _tasks,
}
_FINISH: dict[str, Callable[[Round, Run], str]] = {
    "sft": _finish_sft,
    "reward": _finish_reward,
    "ppo": _finish_ppo,
    "sample": _finish_sample,
    "evaluate": _finish_evaluate,
}

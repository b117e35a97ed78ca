"""The loop: rounds that gather labels, train, and put the new checkpoint's answers back into the queue.

A round gathers labels until somebody (or `Loop.auto_start`) starts it; at that moment the next one opens, so
labels made during training belong to that. Its steps follow each other by jobs: `advance` takes every step
that can be taken, a run that ends calls it again. A step is done again by `restart`. The database allows one
training round a project. Locks are taken in one order: round, project.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Max
from django.utils import timezone

from labeling import live
from labeling.datasets.dataset import DatasetError
from labeling.faults import FieldError
from labeling.models import Project, Task
from labeling.work import WorkError
from models_zoo.models import Checkpoint
from rlhf import deeds
from rlhf.models import Loop, Round, RoundStep, Run
from rlhf.rounds import sampling, steps
from rlhf.rounds.progress import LABELED, progress
from rlhf.runs import directory, jobs

logger = logging.getLogger(__name__)


class LoopError(FieldError):
    """What was asked of a round cannot be done now; ``field`` names why, the message what to do."""


class NotNow(LoopError):
    """The round's state, or another round that trains, does not allow it."""


def current_round(project: Project) -> Round:
    """The round that gathers labels now; opened where there is none."""
    return _gathering(project) or open_round(project=project)


def training_round(project: Project) -> Round | None:
    """The round that trains now."""
    return project.rounds.filter(state=Round.State.TRAINING).first()


def open_round(*, project: Project, kind: str | None = None, label_target: int | None = None) -> Round:
    """Open the next round; where one gathers labels already, change its kind and target to what is given.

    Without a kind: demonstrations until the project has a fine-tuned checkpoint, then preferences.

    Raises:
        LoopError: an unknown kind, or a target below 1.
    """
    if kind is not None and kind not in LABELED:
        raise LoopError("kind", f"Must be one of {', '.join(Round.Kind.values)}.")
    if label_target is not None and label_target < 1:
        raise LoopError("label_target", "A round needs at least one label.")
    with transaction.atomic():
        round = _open(project, kind=kind, label_target=label_target)
        _announce(round)
    return round


def start(round: Round, *, user: Any = None, force: bool = False) -> Round:
    """Begin training on the labels there are, and open the next round for those to come.

    With ``force`` the policy is trained even on a reward model that is no better than chance; a round that
    was stopped for that goes on from there.

    Raises:
        NotNow: another round of the project trains, or this one does not gather labels.
        LoopError: labels or a checkpoint to start from are missing.
    """
    if force and round.state == Round.State.STOPPED:
        return restart(round, force=True)
    with _one_at_a_time(round), transaction.atomic():
        round = _lock(round.pk)
        if round.state != Round.State.LABELING:
            raise NotNow(
                "state",
                f"Round {round.number} is {round.state}; only one that gathers labels starts.",
            )
        project = round.project
        if training := training_round(project):
            raise NotNow("project", _busy(training))
        _check_start(round)
        round.state, round.forced = Round.State.TRAINING, force
        round.guideline_version = project.guideline.current
        round.checkpoint_before = project.current_checkpoint
        round.started_at = timezone.now()
        round.save()
        names = enumerate(steps.STEPS[Round.Kind(round.kind)], 1)
        RoundStep.objects.bulk_create(RoundStep(round=round, ordinal=n, name=name) for n, name in names)
        # Whoever demonstrated goes on to rank what comes of it.
        first = round.kind == Round.Kind.DEMONSTRATIONS
        following = _open(project, kind=Round.Kind.PREFERENCES if first else None)
        Task.objects.open().filter(project=project, round_number=round.number).update(
            round_number=following.number
        )
        # Announcements come last: until the end they make every submit of the project wait.
        sampling.keep_busy(following, user=user)
        _go_on(round)
        deeds.note_round(round, "start", user=user, forced=force)
        _announce(round)
        _announce(following)
    return round


def advance(round_id: int) -> None:
    """Take every step of a training round that can be taken now, each in a transaction of its own."""
    while True:
        try:
            with transaction.atomic():
                if not _advance_one(_lock(round_id)):
                    return
        except steps.HeldBack as reason:
            _stop(round_id, reason=str(reason))
        except (steps.StepError, jobs.RunError, DatasetError, WorkError) as error:
            _stop(round_id, reason=str(error), failed=True)
        except OSError as error:
            _stop(round_id, reason=directory.complaint(error), failed=True)
        except (OperationalError, InterfaceError):
            # The database is away; the job comes again.
            raise
        except Exception as error:
            # A round must never hang in training because of a fault of ours.
            logger.exception("round %s", round_id)
            _stop(round_id, reason=f"unexpected: {type(error).__name__}: {error}", failed=True)


def restart(
    round: Round,
    step: str | None = None,
    *,
    knobs: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Round:
    """Do a step and all after it again, by default the first that is not done; ``knobs`` hold for that step.

    Raises:
        NotNow: the round is labeling, training or decided, or another one trains.
        LoopError: it has no such step.
    """
    with _one_at_a_time(round), transaction.atomic():
        round = _lock(round.pk)
        if round.state not in (Round.State.STOPPED, Round.State.DONE):
            mend = "Stop its run first." if round.state == Round.State.TRAINING else "Start it."
            raise NotNow("state", f"Round {round.number} is {round.state}. {mend}")
        if round.decision:
            raise NotNow("state", f"Round {round.number} was {round.decision}. Start a new round.")
        names = list(round.steps.values_list("name", flat=True))
        undone = round.steps.exclude(state=RoundStep.State.DONE).first()
        step = step or (undone.name if undone else names[0])
        if step not in names:
            raise LoopError(
                "step", f"Round {round.number} has no step {step!r}; choose one of {', '.join(names)}."
            )
        again = round.steps.filter(ordinal__gte=round.steps.get(name=step).ordinal)
        again.update(
            state=RoundStep.State.WAITING, run=None, detail="", knobs={}, started_at=None, finished_at=None
        )
        again.filter(name="freeze").update(dataset=None)
        again.filter(name=step).update(knobs=dict(knobs or {}))
        if not {"sft", "ppo"}.isdisjoint(again.values_list("name", flat=True)):
            round.checkpoint_after = None
        round.state, round.reason, round.finished_at = Round.State.TRAINING, "", None
        round.forced = round.forced or force
        round.save()
        _go_on(round)
        _announce(round)
    return round


def run_ended(run: Run) -> None:
    """Let the round of a settled run go on. Called after every run of a round, perhaps twice."""
    step = RoundStep.objects.select_related("round").filter(run=run).first()
    if step is None:
        if run.algorithm == "sample" and run.state == Run.State.DONE:
            sampling.absorb(run)
        return
    if run.state == Run.State.DONE and step.state == RoundStep.State.FAILED:
        # The run was resumed by hand after its round had given it up.
        with _one_at_a_time(step.round), transaction.atomic():
            round = _lock(step.round_id)
            round.steps.filter(pk=step.pk).update(state=RoundStep.State.RUNNING, detail="")
            round.state, round.reason = Round.State.TRAINING, ""
            round.save(update_fields=["state", "reason"])
    advance(step.round_id)


def start_due() -> None:
    """Start the rounds that reached their target in projects with `Loop.auto_start`."""
    waiting = Round.objects.filter(state=Round.State.LABELING, project__loop__auto_start=True)
    for round in waiting.select_related("project"):
        if progress(round).due and not training_round(round.project):
            try:
                start(round)
            except (LoopError, jobs.RunError) as error:
                logger.warning("%s cannot start: %s", round, error)


def set_auto_start(project: Project, *, on: bool) -> None:
    """Whether the project's due rounds start without a press."""
    with transaction.atomic():
        sampling.loop_of(project)
        Loop.objects.filter(project=project).update(auto_start=on)


def promote(round: Round, user: Any = None, reason: str = "") -> Round:
    """Make the round's checkpoint the project's current one, by hand; shown as ungated.

    Raises:
        NotNow: the round has no checkpoint yet, or was decided otherwise.
    """
    return _decide(round, Round.Decision.PROMOTED, user=user, reason=reason)


def refuse(round: Round, user: Any = None, reason: str = "") -> Round:
    """Keep the current checkpoint. Raises NotNow as `promote` does."""
    return _decide(round, Round.Decision.REFUSED, user=user, reason=reason)


def _advance_one(round: Round) -> bool:
    """Take one step further; return whether there may be more to do at once."""
    if round.state != Round.State.TRAINING:
        return False
    step = round.steps.select_related("run__output").exclude(state=RoundStep.State.DONE).first()
    if step is None:
        _finish(round)
        return False
    step.round = round
    if step.state == RoundStep.State.RUNNING and step.run:
        if step.run.state in jobs.OPEN:
            return False
        if step.run.state != Run.State.DONE:
            raise steps.StepError(step.run.error or "stopped by hand; restart the step, or resume its run")
        _end(step, steps.finish(step, step.run))
        return True
    step.started_at = timezone.now()
    outcome = steps.begin(step)
    if isinstance(outcome, str):
        _end(step, outcome)
        return True
    step.state, step.run = RoundStep.State.RUNNING, outcome
    step.save()
    jobs.enqueue(outcome)
    _announce(round, step)
    return False


def _end(step: RoundStep, detail: str) -> None:
    step.state, step.detail, step.finished_at = RoundStep.State.DONE, detail, timezone.now()
    step.save()
    _announce(step.round, step)


def _finish(round: Round) -> None:
    round.state, round.finished_at = Round.State.DONE, timezone.now()
    round.save(update_fields=["state", "finished_at"])
    before = round.checkpoint_before
    if round.kind == Round.Kind.DEMONSTRATIONS and (before is None or before.kind == Checkpoint.Kind.BASE):
        _decide(round, Round.Decision.PROMOTED, reason="the project's first fine-tuned checkpoint")
    _announce(round)


def _stop(round_id: int, *, reason: str, failed: bool = False) -> None:
    """End the training of a round with a reason; its step is failed, or waits for somebody to force it."""
    with transaction.atomic():
        round = _lock(round_id)
        step = round.steps.exclude(state=RoundStep.State.DONE).first()
        if step and failed:
            step.state, step.detail, step.finished_at = RoundStep.State.FAILED, reason, timezone.now()
            step.save(update_fields=["state", "detail", "finished_at"])
        round.state, round.reason = Round.State.STOPPED, reason
        round.save(update_fields=["state", "reason"])
        deeds.note_round(round, "fail" if failed else "stop", reason=reason)
        if step and failed:
            _announce(round, step)
        _announce(round)


def _decide(round: Round, decision: Round.Decision, *, user: Any = None, reason: str = "") -> Round:
    with transaction.atomic():
        round = _lock(round.pk)
        if round.decision == decision:
            return round
        if round.state != Round.State.DONE or round.checkpoint_after is None:
            raise NotNow(
                "state",
                f"Round {round.number} is {round.state}: it has no checkpoint to decide on.",
            )
        if round.decision:
            raise NotNow("state", f"Round {round.number} was {round.decision} already.")
        round.decision, round.decided_by, round.reason = decision, user, reason
        round.save(update_fields=["decision", "decided_by", "reason"])
        if decision == Round.Decision.PROMOTED:
            Project.objects.filter(pk=round.project_id).update(current_checkpoint=round.checkpoint_after)
        deeds.note_decision(round, user=user, reason=reason)
        if decision == Round.Decision.PROMOTED:
            live.announce(project=round.project, event="checkpoint", checkpoint=round.checkpoint_after.pk)
        _announce(round)
    return round


def _check_start(round: Round) -> None:
    """Say what is missing while a person is still looking, rather than in a step."""
    if not progress(round).labels:
        raise LoopError(
            "labels", f"Round {round.number} has no {round.kind} to train on yet. Label some first."
        )
    current = round.project.current_checkpoint
    if current is None:
        raise LoopError(
            "checkpoint", "The project has no current checkpoint. Register a base model and make it current."
        )
    if round.kind == Round.Kind.PREFERENCES and current.kind not in sampling.ANSWERING:
        raise LoopError(
            "checkpoint", f"{current} is a {current.kind} model. Run a demonstrations round first."
        )


def _go_on(round: Round) -> None:
    jobs.defer("rlhf.advance_round", queue="loop", lock=f"round:{round.pk}", round_id=round.pk)


def _open(project: Project, *, kind: str | None = None, label_target: int | None = None) -> Round:
    """The round that gathers labels, new or changed as asked. Call inside a transaction; tells nobody."""
    # The row lock numbers rounds one after another when two are opened at once.
    project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    if found := _gathering(project):
        found.kind, found.label_target = kind or found.kind, label_target or found.label_target
        found.save(update_fields=["kind", "label_target"])
        return found
    number = (project.rounds.aggregate(newest=Max("number"))["newest"] or 0) + 1
    fine_tuned = steps.start_of(project.current_checkpoint, Checkpoint.Kind.SFT)
    return Round.objects.create(
        project=project,
        number=number,
        seed=number,
        kind=kind or (Round.Kind.PREFERENCES if fine_tuned else Round.Kind.DEMONSTRATIONS),
        label_target=label_target or sampling.loop_of(project).label_target,
    )


def _gathering(project: Project) -> Round | None:
    return project.rounds.filter(state=Round.State.LABELING).order_by("number").first()


def _lock(round_id: int) -> Round:
    related = ("project__current_checkpoint", "checkpoint_before", "checkpoint_after")
    return Round.objects.select_for_update(of=("self",)).select_related(*related).get(pk=round_id)


def _busy(training: Round) -> str:
    return f"Round {training.number} is training. Wait until it is done, or stop its run."


@contextmanager
def _one_at_a_time(round: Round) -> Iterator[None]:
    """Turn the database's refusal of a second training round into a sentence."""
    try:
        yield
    except IntegrityError as error:
        if "one_training_round_a_project" not in str(error):
            raise
        training = training_round(round.project)
        raise NotNow("project", _busy(training) if training else "Another round just started.") from error


def _announce(round: Round, step: RoundStep | None = None) -> None:
    if step:
        live.announce(
            project=round.project, event="round", round=round.number, step=step.name, state=step.state
        )
    else:
        live.announce(project=round.project, event="round", round=round.number, step="", state=round.state)

"""Runs as jobs: create, enqueue, execute, stop, resume.

A job starts a trainer as a child process, follows its metrics and registers its output. The worker never
imports torch. A worker that dies orphans its child, which ends itself within a second; the periodic task in
`rlhf.tasks` hands the job to the next worker, whose child resumes. The child's lock on the run directory
lets only one process train, whatever happens above it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone
from procrastinate import tasks
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.manager import JobManager

from labeling import live
from labeling.datasets import dataset as datasets
from labeling.faults import FieldError
from labeling.models import Dataset, Project
from models_zoo import registry, store
from models_zoo.models import Checkpoint
from rlhf import deeds
from rlhf.models import Round, Run, RunInput
from rlhf.runs import directory
from rlhf.runs.child import Child
from rlhf.runs.follow import Follower
from rlhf.trainers import knobs as trainer_knobs
from rlhf.trainers import run_directory

logger = logging.getLogger(__name__)

MAKES = {
    "pretrain": Checkpoint.Kind.BASE,
    "sft": Checkpoint.Kind.SFT,
    "reward": Checkpoint.Kind.REWARD,
    "ppo": Checkpoint.Kind.POLICY,
}
# The roles of an algorithm's inputs, and the one it can do without.
ROLES = {"ppo": ("policy", "reward_model", "reference"), "sample": ("policy", "reward_model")}
SPARED = {"ppo": "reference", "sample": "reward_model"}
FORMS = {"sft": "sft", "reward": "groups", "ppo": "prompts", "sample": "prompts"}
OPEN = (Run.State.QUEUED, Run.State.RUNNING)
# A run that takes its worker down with it (out of memory) must not do so for ever.
MOST_ATTEMPTS = 8
GLANCE = 0.25
# Within a worker the app's connector has its own connections; jobs are deferred in Django's transaction.
_jobs = JobManager(DjangoConnector())


class RunError(FieldError):
    """A run that cannot be made or changed so; ``field`` names what to mend."""


class NotNow(RunError):
    """The run's state does not allow it."""


class RunBusy(Exception):
    """Another living process trains in this run's directory; ask again later."""


class Interrupted(Exception):
    """The worker is stopping; the run waits for the next one and resumes there."""


def create_run(
    *,
    project: Project | None,
    algorithm: str,
    inputs: Mapping[str, Checkpoint | Path],
    knobs: Mapping[str, Any] | None = None,
    seed: int = 1,
    dataset: Dataset | None = None,
    rows: Iterable[Mapping[str, Any]] | None = None,
    heldout: Iterable[Mapping[str, Any]] | None = None,
    round: Round | None = None,
    name: str = "",
    user: Any = None,
) -> Run:
    """Write a run directory and return its queued Run; nothing starts yet.

    Args:
        rows: what to train on, where it is not a frozen ``dataset``.
        heldout: rows that the trainer only measures on.
        name: of the checkpoint it will make, where the usual one does not serve.

    Raises:
        RunError: an unknown algorithm or knob, a value out of range, an input that is missing or of another
            kind, a name that is taken, no data, or no room to write.
    """
    _check(algorithm=algorithm, inputs=inputs, knobs=knobs, seed=seed, name=name)
    if dataset is not None and algorithm not in FORMS:
        raise RunError("dataset", f"{algorithm} reads rows of text, not a dataset")
    if (dataset is None) == (rows is None):
        raise RunError("dataset", f"{algorithm} trains on a dataset or on rows: give one of the two")
    if dataset is not None and dataset.size == 0:
        raise RunError("dataset", f"dataset {dataset.number} is empty; freeze one with labels")
    data = {"train": datasets.rows(dataset, FORMS[algorithm]) if dataset else rows or []}
    run = Run(
        id=uuid4(),
        project=project,
        round=round,
        algorithm=algorithm,
        dataset=dataset,
        user=user,
        code_version=directory.code_version(),
    )
    try:
        run.config = directory.write(
            folder=run.directory,
            algorithm=algorithm,
            seed=seed,
            knobs=knobs or {},
            inputs=inputs,
            data=data if heldout is None else {**data, "heldout": heldout},
            manifest=directory.manifest(dataset),
            version=run.code_version,
            name=name,
        )
    except OSError as error:
        raise RunError("directory", directory.complaint(error)) from error
    with transaction.atomic():
        run.save(force_insert=True)
        RunInput.objects.bulk_create(
            RunInput(run=run, role=role, checkpoint=given)
            for role, given in inputs.items()
            if isinstance(given, Checkpoint)
        )
        deeds.note_run(run, "make", user=user)
        _announce(run)
    return run


def enqueue(run: Run) -> None:
    """Hand the run to the workers when the caller's transaction commits. A run waits in the queue once."""
    name = f"run:{run.pk}"
    defer("rlhf.execute_run", queue="runs", lock=name, run_id=str(run.pk))


def defer(task: str, *, queue: str, lock: str, **arguments: Any) -> None:
    """Queue a job in Django's transaction; one with the same lock that still waits is enough."""
    job = tasks.configure_task(name=task, job_manager=_jobs, queue=queue, lock=lock, queueing_lock=lock)
    try:
        with transaction.atomic():
            job.defer(**arguments)
    except AlreadyEnqueued:
        pass


def execute(run_id: UUID | str, *, interrupted: Callable[[], bool] = lambda: False) -> Run:
    """Train until the run is settled, and return it; a settled run is returned as it is.

    Raises:
        RunBusy: another process trains in the directory.
        Interrupted: ``interrupted()`` became true; the run is queued again.
    """
    run = Run.objects.select_related("project").get(pk=run_id)
    if run.state in OPEN and directory.locked(run.directory):
        raise RunBusy(f"{run} is being trained by another process")
    if not _claim(run):
        return run
    follower = Follower(run)
    try:
        child = Child(algorithm=run.algorithm, folder=run.directory)
    except OSError as error:
        return _settle(run, Run.State.FAILED, error=directory.complaint(error))
    try:
        Run.objects.filter(pk=run.pk).update(pid=child.pid)
        while child.poll() is None:
            if interrupted():
                child.end()
                _add_cpu(run, child)
                _settle(run, Run.State.QUEUED)
                raise Interrupted(f"{run} waits for the next worker")
            follower.follow()
            time.sleep(GLANCE)
    finally:
        child.end()
    while follower.follow():
        pass
    return _conclude(run, child)


def give_up(run_id: UUID | str, error: Exception) -> Run:
    """Fail a run for a fault of ours, so that it does not seem to run for ever. Call while handling it."""
    logger.exception("run %s", run_id)
    run = Run.objects.select_related("project").get(pk=run_id)
    return _settle(run, Run.State.FAILED, error=f"unexpected: {type(error).__name__}: {error}")


def stop(run: Run, *, user: Any = None) -> Run:
    """Ask a run to stop; a running one writes a checkpoint first and can be resumed.

    Raises:
        NotNow: it is settled already.
        RunError: its directory cannot be written.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).select_related("project").get(pk=run.pk)
        if run.state not in OPEN:
            raise NotNow("state", f"The run is {run.state} already.")
        deeds.note_run(run, "stop", user=user)
        if run.state == Run.State.QUEUED:
            return _settle(run, Run.State.STOPPED)
    try:
        directory.control(run.directory, stop=True)
    except OSError as error:
        raise RunError("directory", directory.complaint(error)) from error
    return run


def resume(run: Run, *, user: Any = None) -> Run:
    """Queue a stopped or failed run again; it goes on from its newest checkpoint.

    Raises:
        NotNow: it is neither.
        RunError: its directory cannot be written.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).select_related("project").get(pk=run.pk)
        if run.state not in (Run.State.STOPPED, Run.State.FAILED):
            raise NotNow("state", f"The run is {run.state}; only a stopped or failed one resumes.")
        try:
            directory.control(run.directory, stop=None, pause=None)
        except OSError as error:
            raise RunError("directory", directory.complaint(error)) from error
        run.attempts, run.error = 0, ""
        run.save(update_fields=["attempts", "error"])
        deeds.note_run(run, "resume", user=user)
        _settle(run, Run.State.QUEUED)
        enqueue(run)
    return run


def _check(
    *,
    algorithm: str,
    inputs: Mapping[str, Checkpoint | Path],
    knobs: Mapping[str, Any] | None,
    seed: int,
    name: str,
) -> None:
    """Refuse what would fail in the trainer, or only when its work is done. Raises RunError."""
    try:
        trainer_knobs.read(algorithm, dict(knobs or {}))
    except ValueError as error:
        # The message begins with the field: "knobs.epochs must be above 0", "algorithm: 'dpo' is unknown; …".
        field, _, message = str(error).partition(" ")
        raise RunError(field.rstrip(":"), message) from error
    roles = ROLES.get(algorithm, ("policy",))
    for role in roles:
        if role not in inputs and role != SPARED.get(algorithm):
            raise RunError(f"inputs.{role}", f"{algorithm} needs a checkpoint as {role}")
    for role, given in inputs.items():
        if role not in roles:
            raise RunError(f"inputs.{role}", f"{algorithm} has no such input; it has {', '.join(roles)}")
        judges = role == "reward_model"
        if isinstance(given, Checkpoint) and judges != (given.kind == Checkpoint.Kind.REWARD):
            raise RunError(f"inputs.{role}", f"{given} is {'no' if judges else 'a'} reward model")
    if not 0 <= seed < 2**32:
        raise RunError("seed", f"must lie between 0 and {2**32 - 1:,}, not {seed}")
    if len(name) > 120 or "\0" in name:
        raise RunError("name", "is longer than 120 characters or holds a NUL; choose another")
    if name and Checkpoint.objects.filter(name=name).exists():
        raise RunError("name", f"there is a checkpoint {name!r} already; choose another")


def _claim(run: Run) -> bool:
    """Count an attempt on a run that is still to be trained; return whether it is."""
    with transaction.atomic():
        run.refresh_from_db(
            from_queryset=Run.objects.select_for_update(of=("self",)).select_related("project")
        )
        if run.state not in OPEN:
            return False
        if run.state == Run.State.RUNNING and run.attempts >= MOST_ATTEMPTS:
            error = f"its worker died {run.attempts} times; is there memory enough? Resume to try again"
            _settle(run, Run.State.FAILED, error=error)
            return False
        run.attempts += 1
        run.started_at = run.started_at or timezone.now()
        run.save(update_fields=["attempts", "started_at"])
        _settle(run, Run.State.RUNNING)
    return True


def _conclude(run: Run, child: Child) -> Run:
    """Turn the child's exit status into the run's state."""
    status = child.poll()
    if status == run_directory.LOCKED:
        Run.objects.filter(pk=run.pk).update(attempts=run.attempts - 1)
        raise RunBusy(child.last_line)
    _add_cpu(run, child)
    if status == run_directory.DONE:
        try:
            return _complete(run)
        except (store.BrokenCheckpoint, ValueError) as error:
            return _settle(run, Run.State.FAILED, error=f"output: {error}")
        except OSError as error:
            return _settle(run, Run.State.FAILED, error=directory.complaint(error))
    if status == run_directory.STOPPED:
        return _settle(run, Run.State.STOPPED)
    return _settle(run, Run.State.FAILED, error=_reason(run.directory, status, child))


def _complete(run: Run) -> Run:
    """Register the output and close the run. Raises BrokenCheckpoint and OSError."""
    run.result = directory.read(run.directory, "result.json")
    with transaction.atomic():
        if run.algorithm in MAKES:
            used = {each.role: each.checkpoint for each in run.inputs.select_related("checkpoint")}
            parent = used.get("policy")
            run.output = registry.register(
                folder=run.directory / "output",
                name=_name(run),
                kind=MAKES[run.algorithm],
                parent=parent,
                licence=parent.licence if parent else "",
                figures=run.result,
            )
        run.save(update_fields=["result", "output"])
        _settle(run, Run.State.DONE)
        if run.project and run.output:
            live.announce(project=run.project, event="checkpoint", checkpoint=run.output.pk)
    return run


def _name(run: Run) -> str:
    """As asked for; else `<project>-r<round>-<kind>` in a round, numbered where a step was run again."""
    if asked := run.config.get("name"):
        return asked
    owner = run.project.slug if run.project else "tutelage"
    if run.round is None:
        return f"{owner}-{run.algorithm}-{str(run.pk)[:8]}"
    name = f"{owner}-r{run.round.number}-{MAKES[run.algorithm].value}"
    before = run.round.runs.filter(algorithm=run.algorithm, output__isnull=False).exclude(pk=run.pk).count()
    return f"{name}-{before + 1}" if before else name


def _settle(run: Run, state: Run.State, *, error: str = "") -> Run:
    """Move the run to ``state`` and say so."""
    run.state, run.error = state, error
    run.finished_at = None if state in OPEN else timezone.now()
    if state != Run.State.RUNNING:
        run.pid = None
    with transaction.atomic():
        run.save(update_fields=["state", "error", "finished_at", "pid"])
        _announce(run)
    return run


def _announce(run: Run) -> None:
    if run.project:
        live.announce(project=run.project, event="run", run=str(run.pk), state=run.state)


def _add_cpu(run: Run, child: Child) -> None:
    run.cpu_seconds = (run.cpu_seconds or 0.0) + child.cpu_seconds
    run.save(update_fields=["cpu_seconds"])


def _reason(folder: Path, status: int | None, child: Child) -> str:
    """Why the child failed, in one line; a crash's whole traceback goes to log.txt."""
    if status == run_directory.BAD_RUN:
        return child.last_line
    try:
        with (folder / "log.txt").open("a", encoding="utf-8") as log:
            log.write(child.last_words)
    except OSError as error:
        logger.warning("%s", directory.complaint(error))
    if status is not None and status < 0:
        hint = "; most often memory ran out" if status == -9 else ""
        return f"the trainer was ended by signal {-status}{hint}"
    crashed = "Traceback (most recent call last)" in child.last_words
    return (
        f"the trainer crashed: {child.last_line}" if crashed else child.last_line or f"exit status {status}"
    )

"""Runs in a terminal: the options that commands share, and a run watched under a progress bar."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import CommandError, CommandParser

from labeling import command_line
from labeling.incoming import rowfiles
from labeling.models import Project
from models_zoo import registry
from models_zoo.models import Checkpoint
from rlhf.checkpoints import lineage
from rlhf.models import Run
from rlhf.runs import directory, jobs


def add_run_options(parser: CommandParser) -> None:
    """The options of every command that makes runs."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KNOB=VALUE",
        help="a knob of the run, such as updates=20; can be given again",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N")


def knobs_of(given: Sequence[str]) -> dict[str, Any]:
    """``["updates=20"]`` as ``{"updates": 20}``. Raises CommandError."""
    knobs = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise CommandError(f"--set: {each!r} is not of the form KNOB=VALUE.")
        try:
            knobs[name] = json.loads(value)
        except ValueError as error:
            raise CommandError(f"--set: {value!r} is no number; {name} wants one.") from error
    return knobs


def checkpoint_named(name: str | None) -> Checkpoint | None:
    """The checkpoint called ``name``; None for no name. Raises CommandError."""
    try:
        return registry.find(name) if name else None
    except registry.RegistryError as error:
        raise CommandError(command_line.one_line(error)) from error


def newest(project: Project, kind: str) -> Checkpoint:
    """The project's newest checkpoint of ``kind``. Raises CommandError."""
    if found := lineage.checkpoints(project).filter(kind=kind).first():
        return found
    raise CommandError(f"{project.slug} has no {kind} checkpoint. Train or register one, or name one.")


def rows_in(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL or CSV file.

    Raises:
        rowfiles.IntakeError: the file is of no such kind, or a row cannot be read.
        OSError: it is not there.
    """
    with file.open("rb") as opened:
        for row in rowfiles.read_rows(opened, file.name):
            if row.fault:
                raise rowfiles.IntakeError(f"{file.name} row {row.number}", row.fault)
            yield row.content


def watch(run: Run) -> Run:
    """Execute a run in this process, under a bar where there is a terminal; Ctrl-C stops it.

    Raises:
        CommandError: it failed or was stopped; the message is its one line.
    """
    from tqdm import tqdm

    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        with tqdm(desc=run.algorithm, unit="step", disable=None, leave=False) as bar:

            def glance() -> bool:
                progress = directory.read(run.directory, "progress.json")
                if progress:
                    bar.total, bar.n = progress["of"], progress["step"]
                    bar.refresh()
                return asked.is_set()

            run = jobs.execute(run.pk, interrupted=glance)
    except jobs.Interrupted:
        run = jobs.stop(run)
    except jobs.RunBusy as error:
        raise CommandError(str(error)) from error
    finally:
        signal.signal(signal.SIGINT, before)
    if run.state != Run.State.DONE:
        raise CommandError(f"run {run.pk}: {run.error or 'stopped; its page resumes it'}")
    return run


def described(run: Run) -> dict[str, Any]:
    """What a command answers of a run."""
    return {
        "run": str(run.pk),
        "state": run.state,
        "directory": str(run.directory),
        "checkpoint": run.output and run.output.name,
        "path": run.output and str(run.output.path),
        "cpu_seconds": run.cpu_seconds,
        **run.result,
    }

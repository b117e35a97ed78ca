"""A run directory: all that a trainer reads and writes. No Django, no torch, no database.

`config.json` and `data/` go in; `metrics.jsonl`, `rollouts.jsonl`, `log.txt`, `progress.json`,
`checkpoints/` and `output/` come out; `control.json` is read at every update; `lock` is held by the one
process that trains. Folders are written aside and renamed, so whatever a kill leaves behind, a restarted
trainer goes on from the newest whole checkpoint.
"""

import contextlib
import fcntl
import importlib.metadata
import json
import math
import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models_zoo import store
from rlhf.trainers import knobs as knobs_module
from rlhf.trainers.knobs import Knobs

DONE, BAD_RUN, STOPPED, LOCKED, CRASHED = 0, 2, 3, 4, 1
_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers")


class BadRun(Exception):
    """The configuration, data or inputs cannot be trained on; the message names the field and the mend."""


class Stopped(Exception):
    """control.json asked the trainer to stop; a checkpoint to resume from has been written."""


class LockHeld(Exception):
    """Another living process trains in this directory."""


@dataclass(frozen=True, slots=True)
class Control:
    """What control.json asks for at this update."""

    stop: bool = False
    pause: bool = False
    knobs: dict[str, Any] = field(default_factory=dict)


class RunDirectory:
    """One run's folder, opened for training. Call `lock` before writing anything."""

    def __init__(self, path: Path) -> None:
        """Read and check config.json. Raises BadRun."""
        self.path = path.resolve()
        if not self.path.is_dir():
            raise BadRun(f"{path} is not a folder: give the path of a run directory")
        config = _read_object(self.path / "config.json")
        self.algorithm: str = config.get("algorithm", "")
        self.seed = config.get("seed", 0)
        self.inputs: dict[str, dict[str, str]] = config.get("inputs") or {}
        self.data: dict[str, str] = config.get("data") or {}
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise BadRun(f"config.json: seed must be a whole number from 0 to 2³² − 1, not {self.seed!r}")
        for name, table in (
            ("inputs", self.inputs),
            ("data", self.data),
            ("knobs", config.get("knobs") or {}),
        ):
            if not isinstance(table, dict):
                raise BadRun(f"config.json: {name} must be an object, not {table!r}")
        try:
            self.knobs: Knobs = knobs_module.read(self.algorithm, config.get("knobs") or {})
        except ValueError as error:
            raise BadRun(f"config.json: {error}") from error
        self._started = time.monotonic()
        self._told = 0.0
        self._first_step = 0
        self._next_line = 0

    @property
    def output(self) -> Path:
        """Where the finished checkpoint, or the sampled completions, stand."""
        return self.path / "output"

    @property
    def finished(self) -> bool:
        """Whether a former process brought this run to its end."""
        return self.output.is_dir() and (self.path / "result.json").is_file()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for this process; the kernel lets go when the process ends. Raises LockHeld."""
        with (self.path / "lock").open("a+") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                held.seek(0)
                raise LockHeld(f"{self.path} is being trained by process {held.read().strip()}") from error
            held.truncate(0)
            held.write(str(os.getpid()))
            held.flush()
            for name in ("metrics.jsonl", "rollouts.jsonl"):
                _drop_torn_line(self.path / name)
            self._next_line = sum(1 for _ in _lines(self.path / "metrics.jsonl"))
            yield

    def input(self, role: str) -> Path:
        """The checkpoint that config.json names under `inputs`. Raises BadRun if missing or changed."""
        found = self.optional_input(role)
        if found is None:
            raise BadRun(f'config.json: inputs.{role} is missing; add {{"path": …, "digest": …}}')
        return found

    def optional_input(self, role: str) -> Path | None:
        """As `input`, or None where config.json names none."""
        entry = self.inputs.get(role)
        if entry is None:
            return None
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            raise BadRun(f"config.json: inputs.{role}.path must be a path relative to the run directory")
        folder = self.path / entry["path"]
        try:
            store.verify(folder, entry.get("digest"))
        except store.BrokenCheckpoint as error:
            raise BadRun(f"inputs.{role}: {error}") from error
        return folder

    def rows(self, name: str = "train") -> list[dict[str, Any]]:
        """The rows of a data file named in config.json. Raises BadRun if missing, empty or broken."""
        if not isinstance(self.data.get(name), str):
            raise BadRun(
                f"config.json: data.{name} is missing; name a JSONL file relative to the run directory"
            )
        file = self.path / self.data[name]
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadRun(f"data.{name}: {self.data[name]} cannot be read ({error})") from error
        rows = []
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise BadRun(f"data.{name}: line {number} is not JSON ({error})") from error
            if not isinstance(row, dict):
                raise BadRun(f"data.{name}: line {number} is not an object")
            rows.append(row)
        if not rows:
            raise BadRun(f"data.{name}: {self.data[name]} holds no rows")
        return rows

    def record(self, step: int, **values: float) -> None:
        """Append one line to metrics.jsonl, numbered on from the last; not-a-number becomes null."""
        self._append("metrics.jsonl", {"n": self._next_line, "step": step, "time": time.time(), **values})
        self._next_line += 1

    def record_rollouts(self, rows: list[dict[str, Any]]) -> None:
        """Append the answers of one update to rollouts.jsonl."""
        self._append("rollouts.jsonl", *rows)

    def log(self, line: str) -> None:
        """Write a line to log.txt and to standard output."""
        stamp = time.strftime("%H:%M:%S")
        with (self.path / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"{stamp} {line}\n")
        print(line, flush=True)

    def progress(self, step: int, of: int) -> None:
        """Rewrite progress.json, at most four times a second; the time left is by this process's steps."""
        now = time.monotonic()
        if step < of and now - self._told < 0.25:
            return
        self._told = now
        done = step - self._first_step
        left = (now - self._started) / done * (of - step) if done > 0 else None
        _write_json(self.path / "progress.json", {"step": step, "of": of, "eta_s": left})

    def control(self) -> Control:
        """What control.json asks for now; nothing where it is absent or half written."""
        try:
            asked = json.loads((self.path / "control.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return Control()
        if not isinstance(asked, dict):
            return Control()
        changed = asked.get("knobs")
        return Control(
            stop=asked.get("stop") is True,
            pause=asked.get("pause") is True,
            knobs=changed if isinstance(changed, dict) else {},
        )

    def wait_while_paused(self) -> Control:
        """The next control that does not pause; a stop ends the pause."""
        while (asked := self.control()).pause and not asked.stop:
            time.sleep(0.2)
        return asked

    def changed(self, current: Knobs, asked: Control, allowed: tuple[str, ...]) -> Knobs:
        """The knobs with what control.json changes; a change that is not allowed or valid is only logged."""
        wanted = {name: value for name, value in asked.knobs.items() if getattr(current, name, None) != value}
        for name in [name for name in wanted if name not in allowed]:
            self._complain(f"control.json: knobs.{name} cannot change while the run goes on")
            del wanted[name]
        if not wanted:
            return current
        try:
            new = knobs_module.read(self.algorithm, {**asdict(current), **wanted})
        except ValueError as error:
            self._complain(f"control.json: {error}")
            return current
        self.log(f"control.json: {', '.join(f'{name} = {value}' for name, value in wanted.items())}")
        return new

    def resume(self) -> tuple[Path | None, int]:
        """The newest whole checkpoint and its step, or (None, 0); what was written past it is superseded."""
        shutil.rmtree(self.path / "output.tmp", ignore_errors=True)
        folder = self.path / "checkpoints"
        for torn in folder.glob("aside*"):
            shutil.rmtree(torn, ignore_errors=True)
        whole = sorted(folder.glob("step-*"))
        step = int(whole[-1].name.removeprefix("step-")) if whole else 0
        self._first_step = step
        self._supersede(step if whole else -1)
        if whole:
            self.log(f"resumed at step {step}")
        return (whole[-1] if whole else None), step

    @contextlib.contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        """A folder to write a checkpoint into, renamed into place when the block ends well; older ones go."""
        aside = self.path / "checkpoints" / "aside"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        self.keep_checkpoint(aside, step)

    def keep_checkpoint(self, folder: Path, step: int) -> None:
        """Rename a written folder to be the checkpoint of this step, and remove the older ones."""
        place = self.path / "checkpoints" / f"step-{step:08d}"
        shutil.rmtree(place, ignore_errors=True)
        folder.rename(place)
        for older in self.path.joinpath("checkpoints").glob("step-*"):
            if older.name < place.name:
                shutil.rmtree(older, ignore_errors=True)

    @contextlib.contextmanager
    def writing_output(self) -> Iterator[Path]:
        """A folder to write the output into, renamed to `output/` when the block ends well."""
        aside = self.path / "output.tmp"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        yield aside
        shutil.rmtree(self.output, ignore_errors=True)
        aside.rename(self.output)

    def describe(self, folder: Path, title: str, figures: dict[str, Any]) -> None:
        """Write the model card and lineage.json into a checkpoint folder; neither is part of its digest."""
        manifest = self.path / "data" / "manifest.json"
        lineage = {
            "algorithm": self.algorithm,
            "seed": self.seed,
            "knobs": asdict(self.knobs),
            "inputs": {role: entry.get("digest") for role, entry in self.inputs.items()},
            "data": _read_object(manifest) if manifest.is_file() else {},
            "versions": versions(),
            "figures": figures,
        }
        _write_json(folder / "lineage.json", lineage)
        shown = "\n".join(f"| {name} | {value} |" for name, value in figures.items())
        knobs = "\n".join(f"| {name} | {value} |" for name, value in asdict(self.knobs).items())
        card = (
            f"---\nlibrary_name: transformers\ntags: [tutelage, {self.algorithm}]\n---\n\n# {title}\n\n"
            f"Trained by Tutelage: `{self.algorithm}`, seed {self.seed}. `lineage.json` says from what.\n\n"
            f"| figure | value |\n|---|---|\n{shown}\n\n| knob | value |\n|---|---|\n{knobs}\n"
        )
        (folder / "README.md").write_text(card, encoding="utf-8")

    def finish(self, result: dict[str, Any]) -> None:
        """Write result.json, the mark of a finished run, and drop what was kept for resuming."""
        _write_json(self.path / "result.json", _finite(result))
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)

    def _append(self, name: str, *rows: dict[str, Any]) -> None:
        text = "".join(json.dumps(_finite(row), ensure_ascii=False) + "\n" for row in rows)
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def _supersede(self, step: int) -> None:
        current: dict[int, int] = {}
        for row in map(json.loads, _lines(self.path / "metrics.jsonl")):
            if "superseded_from" in row:
                current = {n: at for n, at in current.items() if n < row["superseded_from"]}
            else:
                current[row["n"]] = row["step"]
        stale = [n for n, at in current.items() if at > step]
        if stale:
            marker = {"n": self._next_line, "superseded_from": min(stale), "superseded_to": max(stale)}
            self._append("metrics.jsonl", marker)
            self._next_line += 1
        rollouts = self.path / "rollouts.jsonl"
        kept = [line for line in _lines(rollouts) if json.loads(line)["step"] <= step]
        if rollouts.is_file():
            aside = rollouts.with_suffix(".tmp")
            aside.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            aside.replace(rollouts)

    def _complain(self, line: str) -> None:
        # control.json is read at every update; saying the same thing each time would drown the log.
        if line != getattr(self, "_last_complaint", None):
            self.log(line)
        self._last_complaint = line


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that training depends on."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _read_object(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadRun(f"{file.name} is missing in {file.parent}") from error
    except (OSError, ValueError) as error:
        raise BadRun(f"{file.name} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise BadRun(f"{file.name} must hold one object, not {type(found).__name__}")
    return found


def _write_json(file: Path, content: dict[str, Any]) -> None:
    aside = file.with_name(f"{file.name}.tmp")
    aside.write_text(json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    aside.replace(file)


def _finite(value: Any) -> Any:
    # JSON has no NaN or infinity, and browsers refuse what Python writes for them.
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value


def _lines(file: Path) -> Iterator[str]:
    if file.is_file():
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                yield line.removesuffix("\n")


def _drop_torn_line(file: Path) -> None:
    # A kill in mid-write leaves a last line without its newline.
    if not file.is_file():
        return
    content = file.read_bytes()
    if content and not content.endswith(b"\n"):
        with file.open("r+b") as torn:
            torn.truncate(content.rfind(b"\n") + 1)

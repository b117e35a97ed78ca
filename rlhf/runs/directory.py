"""Write a run directory: configuration, inputs linked relatively, data with its manifest.

What goes in is checked here; `rlhf.trainers.run_directory` reads it on the other side, without Django.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from labeling.models import Dataset
from models_zoo.models import Checkpoint
from rlhf.trainers import run_directory


def write(
    *,
    folder: Path,
    algorithm: str,
    seed: int,
    knobs: Mapping[str, Any],
    inputs: Mapping[str, Checkpoint | Path],
    data: Mapping[str, Iterable[Mapping[str, Any]]],
    manifest: Mapping[str, Any],
    version: str,
    name: str = "",
) -> dict[str, Any]:
    """Write ``folder`` whole or not at all, and return what stands in its config.json.

    Args:
        inputs: a checkpoint for each role; linked, so that a copy with links followed runs elsewhere. A
            folder that is no checkpoint (configuration and tokenizer to start from nothing) is copied in.
        data: rows for each name, ``train`` and perhaps ``heldout``; streamed.
        manifest: what the rows were made from; the files' row counts and digests are added.

    Raises:
        OSError: the folder cannot be written (full disk, no permission, an input's files are gone).
    """
    aside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        (aside / "inputs").mkdir(parents=True)
        (aside / "data").mkdir()
        files = {name: _write_rows(aside / "data" / f"{name}.jsonl", rows) for name, rows in data.items()}
        config = {
            "algorithm": algorithm,
            "seed": seed,
            **({"name": name} if name else {}),
            "knobs": dict(knobs),
            "inputs": {role: _input(aside, role, given) for role, given in inputs.items()},
            "data": {name: f"data/{name}.jsonl" for name in files},
            "versions": {"tutelage": version, **run_directory.versions()},
        }
        _write_json(aside / "data" / "manifest.json", {**manifest, "files": files})
        _write_json(aside / "config.json", config)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return config


def manifest(dataset: Dataset | None) -> dict[str, Any]:
    """What a dataset's rows were made from: labels, weights and guideline versions; empty for no dataset."""
    if dataset is None:
        return {}
    items = dataset.items.order_by("ordinal")
    labels = items.filter(annotation__isnull=False)
    versions = labels.order_by("annotation__guideline_version").values_list(
        "annotation__guideline_version__guideline__slug", "annotation__guideline_version__number"
    )
    return {
        "dataset": dataset.number,
        "kind": dataset.kind,
        "digest": dataset.digest,
        "labels": list(labels.values_list("annotation_id", flat=True)),
        "weights": sorted(set(items.values_list("weight", flat=True))),
        "guideline_versions": [f"{slug} {number}" for slug, number in dict.fromkeys(versions)],
    }


@cache
def code_version() -> str:
    """The version, with the commit where the code is a git checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return settings.VERSION
    commit = done.stdout.strip()
    return f"{settings.VERSION}+{commit}" if done.returncode == 0 and commit else settings.VERSION


def locked(folder: Path) -> bool:
    """Whether a living process trains in ``folder`` now."""
    try:
        with (folder / "lock").open() as held:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def control(folder: Path, **asked: Any) -> None:
    """Change what control.json asks of the trainer; None takes a request back. Raises OSError."""
    file = folder / "control.json"
    try:
        standing = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        standing = {}
    _write_json(file, {key: value for key, value in {**standing, **asked}.items() if value is not None})


def read(folder: Path, name: str) -> dict[str, Any]:
    """An object of the directory (``progress.json``, ``result.json``), empty where absent or half written."""
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def complaint(error: OSError) -> str:
    """A failed write in one line, with the mend."""
    reason = error.strerror or str(error)
    mend = "free some space and try again" if error.errno == errno.ENOSPC else "mend that and try again"
    return f"{error.filename or 'the run directory'}: {reason}; {mend}"


def _input(aside: Path, role: str, given: Checkpoint | Path) -> dict[str, str]:
    place = aside / "inputs" / role
    if isinstance(given, Path):
        shutil.copytree(given, place)
        return {"path": f"inputs/{role}"}
    if not given.path.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, f"the files of checkpoint {given.name} are gone", str(given.path)
        )
    place.symlink_to(os.path.relpath(given.path, place.parent))
    return {"path": f"inputs/{role}", "digest": given.digest}


def _write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    whole, count = hashlib.sha256(), 0
    with file.open("wb") as stream:
        for row in rows:
            line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
            stream.write(line)
            whole.update(line)
            count += 1
    return {"rows": count, "digest": f"sha256:{whole.hexdigest()}"}


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    aside = file.with_name(f"{file.name}.tmp")
    aside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    aside.replace(file)

"""What a run wrote for people: its newest rollouts and the end of its log, read from the files' ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

BLOCK = 64 * 1024
MOST_BYTES = 8 * 1024 * 1024


def log(folder: Path, *, lines: int = 200) -> str:
    """The last lines of log.txt; empty where there is none."""
    newest = []
    for line in _backwards(folder / "log.txt"):
        newest.append(line)
        if len(newest) == lines:
            break
    return "\n".join(reversed(newest)).strip("\n")


def rollouts(folder: Path, *, step: int | None = None, most: int = 12) -> list[dict[str, Any]]:
    """Rollouts of one step, in the order written; of the newest step where none is named.

    Each is ``{"step", "prompt", "completion", "reward", "kl", "value", "length", "finished"}``. Looks back
    8 MB at most. Lines half written are passed over.
    """
    found: list[dict[str, Any]] = []
    for line in _backwards(folder / "rollouts.jsonl"):
        try:
            row = json.loads(line)
            at = int(row["step"])
        except (ValueError, TypeError, KeyError):
            continue
        step = at if step is None else step
        if at < step:
            break
        if at == step:
            found.append(row)
    return found[::-1][:most]


def answers(folder: Path, *, most: int = 12) -> list[dict[str, Any]]:
    """The first answers of a sampling run, in the form of `rollouts`; empty before it is done."""
    found: list[dict[str, Any]] = []
    try:
        with (folder / "output" / "completions.jsonl").open(encoding="utf-8") as lines:
            for row in map(json.loads, islice(lines, most)):
                asked = {"prompt": row["prompt"]["prompt"], "completion": row["text"]}
                found.append({**row, **asked, "length": row["tokens"]})
    except (OSError, ValueError, TypeError, KeyError):
        return found
    return found


def _backwards(file: Path) -> Iterator[str]:
    """Lines of a file, last first."""
    try:
        with file.open("rb") as stream:
            end = stream.seek(0, 2)
            limit, rest = max(0, end - MOST_BYTES), b""
            while end > limit:
                start = max(limit, end - BLOCK)
                stream.seek(start)
                lines = (stream.read(end - start) + rest).split(b"\n")
                end, rest = start, lines[0]
                for line in reversed(lines[1:]):
                    if line:
                        yield line.decode(errors="replace")
            if rest and limit == 0:
                yield rest.decode(errors="replace")
    except OSError:
        return

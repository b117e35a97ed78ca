"""What changed between two texts, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

CONTEXT = 2


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was added, removed or kept; ``…`` stands for kept lines that are left out."""

    kind: Literal["added", "removed", "kept"]
    text: str


def lines(before: str, after: str) -> list[Line]:
    """The changed lines with two kept ones around each change; empty where nothing differs."""
    old, new = before.splitlines(), after.splitlines()
    # Matching takes long where many lines are alike, as blank ones are: only what an edit spans is matched.
    head = max(0, _alike(old, new) - CONTEXT)
    old, new = old[head:], new[head:]
    tail = max(0, _alike(old[::-1], new[::-1]) - CONTEXT)
    old, new = old[: len(old) - tail], new[: len(new) - tail]
    found: list[Line] = []
    for group in SequenceMatcher(a=old, b=new, autojunk=False).get_grouped_opcodes(CONTEXT):
        if found or head or group[0][1] > 0:
            found.append(Line("kept", "…"))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                found += [Line("kept", text) for text in old[i1:i2]]
            else:
                found += [Line("removed", text) for text in old[i1:i2]]
                found += [Line("added", text) for text in new[j1:j2]]
    return found


def _alike(old: list[str], new: list[str]) -> int:
    """How many lines from the first on are the same."""
    return next(
        (at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )

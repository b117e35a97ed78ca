"""What differs between two versions: word by word in texts, field by field in criteria and examples.

Texts are compared by the shortest edit, after Myers, "An O(ND) difference algorithm and its variations"
(1986), line by line first and then by words within the lines that changed. The search grows with the square
of what changed, so it has a budget; beyond it a passage counts as rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from guidelines.parts import Parts

CONTEXT = 2
LEAST_KEPT = 0.3  # of the letters of a passage; with less in common it reads as one that was rewritten
BUDGET = 200_000  # steps of the search, at most half a second

# Words, single signs of scripts that write no spaces, marks and spaces; joined they are the text again.
_PIECES = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|[\w'’]+|\s+|[^\w\s'’]")

Kind = Literal["kept", "added", "removed", "gap"]


@dataclass(frozen=True, slots=True)
class Run:
    """A passage that was kept, added or removed; a ``gap`` stands for kept text that is left out."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a criterion or example, before and after; None where it was not there."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Item:
    """A criterion or example that was added, removed, changed or moved."""

    kind: Literal["added", "removed", "changed", "moved"]
    item: dict[str, Any]
    """As it is after the change; before it where it was removed."""
    fields: list[Field] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs between two versions; each part is empty where nothing does."""

    body: list[Run]
    criteria: list[Item]
    examples: list[Item]
    rules: list[Run]

    def __bool__(self) -> bool:
        return bool(self.body or self.criteria or self.examples or self.rules)

    @property
    def shortened(self) -> list[Run]:
        """The changes of the text with a little of what stands around them."""
        return folded(self.body)


def difference(before: Parts, after: Parts) -> Difference:
    """What leads from ``before`` to ``after``."""
    same_rules = before.rules == after.rules
    return Difference(
        body=[] if before.body == after.body else words(before.body, after.body),
        criteria=criteria(before.criteria, after.criteria),
        examples=examples(before.examples, after.examples),
        rules=[] if same_rules else [Run(kind, rule) for kind, rule in _edits(before.rules, after.rules)],
    )


def words(before: str, after: str, *, budget: int = BUDGET) -> list[Run]:
    """Runs from ``before`` to ``after``: kept and removed ones join to it, kept and added to the other."""
    purse = _Purse(budget)
    found: list[tuple[Kind, str]] = []
    for out, into, same in _blocks(
        _edits(before.splitlines(keepends=True), after.splitlines(keepends=True), purse)
    ):
        pieces = _edits(_PIECES.findall(out), _PIECES.findall(into), purse) if out and into else []
        if _kept_letters(pieces) > LEAST_KEPT * min(_letters(out), _letters(into)):
            found += pieces
        else:
            found += [("removed", out), ("added", into)]
        found.append(("kept", same))
    return _joined(found)


def folded(runs: Sequence[Run]) -> list[Run]:
    """The runs with no more than `CONTEXT` whole lines of what is kept around each change."""
    shown: list[Run] = []
    for at, run in enumerate(runs):
        lines = run.text.splitlines(keepends=True)
        head = CONTEXT + 1 if at else 0
        tail = CONTEXT + 1 if at < len(runs) - 1 else 0
        if run.kind != "kept" or len(lines) <= head + tail + 1:
            shown.append(run)
            continue
        if head:
            shown.append(Run("kept", "".join(lines[:head])))
        shown.append(Run("gap", ""))
        if tail:
            shown.append(Run("kept", "".join(lines[-tail:])))
    return shown


def criteria(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[Item]:
    """Criteria by their keys: those removed first, the others in their new order."""
    old, new = ({one["key"]: one for one in some} for some in (before, after))
    found = [Item("removed", one) for key, one in old.items() if key not in new]
    both = [key for key in old if key in new]
    moved = {key for key, other in zip(both, [key for key in new if key in old], strict=True) if key != other}
    for key, one in new.items():
        if key not in old:
            found.append(Item("added", one))
        elif fields := _fields(old[key], one):
            found.append(Item("changed", one, fields))
        elif key in moved:
            found.append(Item("moved", one))
    return found


def examples(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[Item]:
    """Examples by their prompt and answer; one whose verdict or reason is another is changed."""
    left = list(before)
    found = []
    for one in after:
        if one in left:
            left.remove(one)
            continue
        same = next((old for old in left if old not in after and _about(old) == _about(one)), None)
        if same is None:
            found.append(Item("added", one))
        else:
            left.remove(same)
            found.append(Item("changed", one, _fields(same, one)))
    return [Item("removed", one) for one in left] + found


def _about(example: dict[str, Any]) -> tuple[str, str]:
    return example.get("prompt", ""), example["answer"]


def _fields(before: dict[str, Any], after: dict[str, Any]) -> list[Field]:
    names = dict.fromkeys([*after, *before])
    return [
        Field(name, before.get(name), after.get(name))
        for name in names
        if (before.get(name), type(before.get(name))) != (after.get(name), type(after.get(name)))
    ]


@dataclass(slots=True)
class _Purse:
    left: int


def _edits(
    before: Sequence[str], after: Sequence[str], purse: _Purse | None = None
) -> list[tuple[Kind, str]]:
    """The edits piece by piece, of whatever pieces: what is alike at both ends costs nothing."""
    head = _alike(before, after)
    tail = min(_alike(before[::-1], after[::-1]), min(len(before), len(after)) - head)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    rewritten: list[tuple[Kind, str]] = [("removed", piece) for piece in old]
    rewritten += [("added", piece) for piece in new]
    edits: list[tuple[Kind, str]] = [("kept", piece) for piece in before[:head]]
    edits += _shortest(old, new, purse or _Purse(BUDGET)) or rewritten
    edits += [("kept", piece) for piece in before[len(before) - tail :]]
    return edits


def _letters(text: str) -> int:
    return sum(one.isalnum() for one in text)


def _kept_letters(edits: Iterable[tuple[Kind, str]]) -> int:
    return sum(_letters(piece) for kind, piece in edits if kind == "kept")


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many pieces from the first on are the same."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))


def _shortest(a: Sequence[str], b: Sequence[str], purse: _Purse) -> list[tuple[Kind, str]] | None:
    """Myers' greedy search; ``reach[k]`` is how far along ``a`` diagonal k = x - y was followed so far.

    None where it would cost more than the purse holds.
    """
    reach = {1: 0}
    trail: list[dict[int, int]] = []
    for d in range(len(a) + len(b) + 1):
        trail.append({k: reach[k] for k in range(-d - 1, d + 2) if k in reach})
        for k in range(-d, d + 1, 2):
            x = reach[k + 1] if _comes_down(reach, k, d) else reach[k - 1] + 1
            begun = x
            while x < len(a) and x - k < len(b) and a[x] == b[x - k]:
                x += 1
            reach[k] = x
            purse.left -= 1 + (x - begun) // 8
            if x >= len(a) and x - k >= len(b):
                return list(_walked_back(a, b, trail))[::-1]
        if purse.left <= 0:
            return None
    return []


def _comes_down(reach: dict[int, int], k: int, d: int) -> bool:
    return k == -d or (k != d and reach[k - 1] < reach[k + 1])


def _walked_back(
    a: Sequence[str], b: Sequence[str], trail: Sequence[dict[int, int]]
) -> Iterator[tuple[Kind, str]]:
    x, y = len(a), len(b)
    for d in range(len(trail) - 1, -1, -1):
        reach, k = trail[d], x - y
        before = k + 1 if _comes_down(reach, k, d) else k - 1
        from_x = reach[before] if d else 0
        from_y = from_x - before if d else 0
        while x > from_x and y > from_y:
            x, y = x - 1, y - 1
            yield "kept", a[x]
        if d and x > from_x:
            x -= 1
            yield "removed", a[x]
        elif d:
            y -= 1
            yield "added", b[y]


def _blocks(edits: Iterable[tuple[Kind, str]]) -> Iterator[tuple[str, str, str]]:
    """What was taken out, what was put in its place, and what was kept after it."""
    out: list[str] = []
    into: list[str] = []
    same: list[str] = []
    for kind, piece in edits:
        if kind != "kept" and same:
            yield "".join(out), "".join(into), "".join(same)
            out, into, same = [], [], []
        {"removed": out, "added": into}.get(kind, same).append(piece)
    yield "".join(out), "".join(into), "".join(same)


def _joined(edits: Iterable[tuple[Kind, str]]) -> list[Run]:
    """Runs as a reader wants them: removed before added, no lone space kept between two changes."""
    blocks: list[list[str]] = []
    for out, into, same in _blocks((kind, text) for kind, text in edits if text):
        last = blocks[-1] if blocks else None
        lone = last and (last[0] or last[1]) and last[2].strip(" \t") == "" and (out or into)
        if last and lone:
            last[:] = [last[0] + last[2] + out, last[1] + last[2] + into, same]
        else:
            blocks.append([out, into, same])
    kinds: tuple[Kind, Kind, Kind] = ("removed", "added", "kept")
    return [Run(kind, text) for block in blocks for kind, text in zip(kinds, block, strict=True) if text]

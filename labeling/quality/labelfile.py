"""A CSV of labels from anywhere, one row a label, read into arrays; what cannot be read is named by row."""

from __future__ import annotations

import codecs
import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from labeling.faults import FieldError
from labeling.quality.labels import Floats, Ints, Labels

NEEDED = ("item", "labeler", "label")
YES, NO = {"1", "true", "yes", "y"}, {"0", "false", "no", "n"}
MOST_LINE_BYTES = 1024 * 1024


class LabelFileError(FieldError):
    """A file of labels that cannot be read; ``field`` names the row and column."""


@dataclass(frozen=True, eq=False)
class LabelFile:
    """n labels, and whichever further columns there were; each of shape (n,), NaN where a cell is empty."""

    labels: Labels
    rows: Ints
    """Where in the file each label stands."""
    extra: dict[str, Floats] = field(default_factory=dict)

    @property
    def numeric(self) -> bool:
        """Whether all labels are numbers."""
        return not isinstance(self.labels.values[0], str)

    def row_of(self, value: Any) -> int:
        """The first row with a label."""
        return int(self.rows[np.argmax(self.labels.label == list(self.labels.values).index(value))])


def read(file: BinaryIO, *, extra: Sequence[str] = ()) -> LabelFile:
    """Read the columns item, labeler and label, and those of `COLUMNS` in ``extra`` that are there.

    Labels that are all numbers become numbers, 2 and 2.0 the same.

    Raises:
        LabelFileError: no UTF-8, no CSV, a column missing, an empty cell, somebody labeling an item twice.
    """
    reader = csv.reader(_lines(file), strict=True)
    header = [cell.strip() for cell in next(_records(reader), (1, []))[1]]
    if not header:
        raise LabelFileError("file", "The file is empty. Its first line must name item, labeler, label.")
    for name in NEEDED:
        if name not in header:
            raise LabelFileError(
                f"column {name}",
                f"There is no such column; there are: {', '.join(header)[:200]}. Rename one.",
            )
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise LabelFileError(f"column {twice[:80]}", "The header names it twice. Rename one.")
    places = [header.index(name) for name in NEEDED]
    wanted = [(name, header.index(name), COLUMNS[name]) for name in extra if name in header]
    names: list[dict[str, int]] = [{}, {}, {}]
    codes: list[list[int]] = [[], [], []]
    rows, further = list[int](), {name: list[float]() for name, _, _ in wanted}
    for row, record in _records(reader):
        if len(record) != len(header):
            raise LabelFileError(
                f"row {row}", f"{len(record)} cells where the header names {len(header)}. Mend or delete it."
            )
        for at, place in enumerate(places):
            cell = record[place].strip()
            if not cell:
                raise LabelFileError(
                    f"row {row}, column {NEEDED[at]}", "The cell is empty. Fill it or delete the row."
                )
            codes[at].append(names[at].setdefault(cell, len(names[at])))
        for name, place, reading in wanted:
            further[name].append(_read_cell(record[place].strip(), name, reading, row))
        rows.append(row)
    if not rows:
        raise LabelFileError("file", "There are no labels in it, only the header. Add a row for each label.")
    (item, items), (labeler, labelers), (label, values) = (
        _in_order(numbers, list(known)) for numbers, known in zip(codes, names, strict=True)
    )
    label, classes = _as_numbers(label, values)
    labels = Labels(item, labeler, label, items, labelers, classes)
    _check_once(labels, rows)
    return LabelFile(labels, np.array(rows), {name: np.array(cells) for name, cells in further.items()})


def as_flags(column: Floats | None) -> Ints | None:
    """1 yes, 0 no, −1 unknown, of a column read as yes and no."""
    return None if column is None else np.nan_to_num(column, nan=-1).astype(np.int64)


def as_scores(column: Floats | None, labels: Labels) -> Floats | None:
    """(items, classes) mean log-probabilities, of the probabilities that each row's label is right."""
    if column is None:
        return None
    items, classes = len(labels.items), len(labels.values)
    told = ~np.isnan(column)
    p = np.clip(column[told], 1e-3, 1 - 1e-3)
    item, label = labels.item[told], labels.label[told]
    other = np.log((1 - p) / max(1, classes - 1))
    sums = np.repeat(np.bincount(item, other, minlength=items)[:, None], classes, 1)
    np.add.at(sums, (item, label), np.log(p) - other)
    count = np.bincount(item, minlength=items)[:, None]
    return np.where(count > 0, sums / np.maximum(1, count), np.nan)


def _lines(file: BinaryIO) -> Iterator[str]:
    for number, line in enumerate(iter(lambda: file.readline(MOST_LINE_BYTES + 1), b""), start=1):
        if number == 1:
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise LabelFileError("file", "It is UTF-16. Save it as UTF-8.")
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > MOST_LINE_BYTES:
            raise LabelFileError(f"row {number}", "The line is over a megabyte. Is this a CSV of labels?")
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise LabelFileError(
                f"row {number}", f"Not UTF-8 at byte {error.start + 1}. Save the file as UTF-8."
            ) from error


def _records(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Records that are not blank, each with its last line in the file."""
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise LabelFileError(f"row {reader.line_num}", f"Not CSV: {error}. Mend the quotes.") from error
        if any(cell.strip() for cell in record):
            yield reader.line_num, record


def _in_order(codes: list[int], names: list[str]) -> tuple[Ints, list[str]]:
    """Numbers from 0 in the order of the names, as numbers where all are numbers."""
    numbers = [number(name) for name in names]
    keys: list[Any] = [*zip(numbers, names, strict=True)] if None not in numbers else names
    order = sorted(range(len(names)), key=lambda at: keys[at])
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    return place[np.array(codes, np.int64)], [names[at] for at in order]


def _as_numbers(label: Ints, values: list[str]) -> tuple[Ints, Sequence[Any]]:
    numbers = [number(value) for value in values]
    if None in numbers:
        return label, values
    distinct, place = np.unique(np.array(numbers, float), return_inverse=True)
    return place[label].astype(np.int64), [
        int(value) if value.is_integer() and abs(value) < 1e15 else value for value in distinct.tolist()
    ]


def _check_once(labels: Labels, rows: list[int]) -> None:
    keys = labels.item * len(labels.labelers) + labels.labeler
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    if len(again):
        first, second = min((rows[order[at]], rows[order[at + 1]]) for at in again[:1000])
        at = rows.index(first)
        who, what = labels.labelers[labels.labeler[at]], labels.items[labels.item[at]]
        raise LabelFileError(
            f"row {second}", f"{who:.40} labeled item {what:.40} in row {first} already. Keep one of the two."
        )


def number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _read_cell(cell: str, name: str, reading: Callable[[str], float | None], row: int) -> float:
    if not cell:
        return math.nan
    value = reading(cell)
    if value is None:
        raise LabelFileError(f"row {row}, column {name}", f"{cell!r:.40} is not {MEANINGS[name]}.")
    return value


def _flag(cell: str) -> float | None:
    lower = cell.lower()
    return 1.0 if lower in YES else 0.0 if lower in NO else None


def _seconds(cell: str) -> float | None:
    value = number(cell)
    return value if value is not None and value >= 0 else None


def _probability(cell: str) -> float | None:
    value = number(cell)
    return value if value is not None and 0 <= value <= 1 else None


COLUMNS: dict[str, Callable[[str], float | None]] = {
    "first_shown": _flag,
    "longest": _flag,
    "seconds": _seconds,
    "rm": _probability,
}
MEANINGS = {
    "first_shown": "1 (the label names the answer shown first) or 0. Leave it empty where unknown",
    "longest": "1 (the label names the longest answer) or 0. Leave it empty where unknown",
    "seconds": "a number of seconds, 0 or more. Leave it empty where unknown",
    "rm": "a probability from 0 to 1 (that the row's label is right). Leave it empty where unknown",
}

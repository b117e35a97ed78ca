"""Files of rows: JSONL, JSON, CSV, or plain text of one prompt a line.

A row that cannot be read is one with a fault. All but a JSON list are read as they stream by.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

from labeling.faults import FieldError

MOST_LINE_BYTES = 16 * 1024 * 1024
MOST_JSON_BYTES = 256 * 1024 * 1024
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".txt": "text"}


class IntakeError(FieldError):
    """Rows that cannot be taken in at all; ``field`` names what to mend."""


@dataclass(frozen=True)
class Row:
    """One row and where it stands: its line in a file (the first of them), or its place in a list, from 1."""

    number: int
    content: Any = None
    fault: str = ""
    """Why it could not be read; empty where it could."""
    field: str = ""


def numbered(rows: Iterable[Any]) -> Iterator[Row]:
    """Yield a `Row` as it is, and anything else with its place."""
    for number, row in enumerate(rows, start=1):
        yield row if isinstance(row, Row) else Row(number, row)


def read_rows(file: BinaryIO, name: str, *, columns: Mapping[str, str] | None = None) -> Iterator[Row]:
    """Yield the rows of an open file; its ``name`` tells the format.

    Args:
        columns: names in the file and ours for them, such as ``{"question": "prompt"}``.

    Raises:
        IntakeError: none of `SUFFIXES`, not UTF-8 from its first bytes on, a JSON list that cannot be read,
            or a CSV without the columns.
    """
    format = next((SUFFIXES[suffix] for suffix in SUFFIXES if name.lower().endswith(suffix)), None)
    if format is None:
        raise IntakeError("file", f"{name} must end in .jsonl, .json, .csv or .txt.")
    first = file.readline(MOST_LINE_BYTES + 1)
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise IntakeError("file", f"{name} is UTF-16. Save it as UTF-8.")
    if first.startswith((b"PK\x03\x04", b"\x1f\x8b", b"PAR1")):
        raise IntakeError("file", f"{name} is a packed file, not text. Unpack or convert it first.")
    lines = _lines(first.removeprefix(codecs.BOM_UTF8), file)
    match format:
        case "csv":
            read = _read_csv(lines, name, columns or {})
        case "text":
            read = _read_text(lines)
        case "json":
            read = _read_json(lines, name)
        case _:
            read = _read_jsonl(lines)
    return (_renamed(row, columns) for row in read) if columns else read


def sniffed(text: bytes) -> str:
    """The suffix that names the format of ``text``, by how it begins."""
    first, _, rest = text.removeprefix(codecs.BOM_UTF8).lstrip().partition(b"\n")
    if first.startswith(b"["):
        return ".json"
    if first.startswith(b"{"):
        return ".jsonl" if first.rstrip().endswith(b"}") else ".json"
    cells = {cell.strip().strip('"').lower() for cell in first.decode(errors="replace").split(",")}
    return ".csv" if cells & {"prompt", "messages"} and rest.strip() else ".txt"


def _read_json(lines: Iterator[bytes], name: str) -> Iterator[Row]:
    """The objects of a list, or one that is written over many lines; lines of objects are read as such."""
    first = next((line for line in lines if line.strip()), b"")
    if first.strip() != b"{" and not first.lstrip().startswith(b"["):
        return _read_jsonl(chain([first], lines))
    text = bytearray(first)
    for line in lines:
        text += line
        if len(text) > MOST_JSON_BYTES:
            raise IntakeError(
                "file", f"{name} has more than {MOST_JSON_BYTES:,} bytes. Write it as .jsonl, a row a line."
            )
    try:
        whole = json.loads(text.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise IntakeError(
            "file", f"{name} is not UTF-8 at byte {error.start + 1}. Save it as UTF-8."
        ) from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, character {error.colno}"
        raise IntakeError("file", f"{name} is not JSON: {error.msg} at {where}.") from error
    except (ValueError, RecursionError) as error:
        raise IntakeError("file", f"{name} is not JSON: {error}.") from error
    return numbered(whole if isinstance(whole, list) else [whole])


def _read_text(lines: Iterator[bytes]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield Row(number, {"prompt": line.decode().strip()})
        except UnicodeDecodeError as error:
            fault = f"Not UTF-8 at byte {error.start + 1} of the line. Save the file as UTF-8."
            yield Row(number, fault=fault)


def _read_jsonl(lines: Iterator[bytes]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if len(line) > MOST_LINE_BYTES:
            yield Row(number, fault=f"The line is longer than {MOST_LINE_BYTES:,} bytes.")
            continue
        try:
            yield Row(number, json.loads(line.decode(), parse_constant=_no_constant))
        except UnicodeDecodeError as error:
            yield Row(
                number, fault=f"Not UTF-8 at byte {error.start + 1} of the line. Save the file as UTF-8."
            )
        except json.JSONDecodeError as error:
            yield Row(number, fault=f"Not JSON: {error.msg} at character {error.pos + 1}.")
        except (ValueError, RecursionError) as error:
            yield Row(number, fault=f"Not JSON: {error}.")


def _read_csv(lines: Iterator[bytes], name: str, columns: Mapping[str, str]) -> Iterator[Row]:
    # Bytes that are no UTF-8 come as lone surrogates, so that one bad record does not hide the rest.
    texts = (line.decode(errors="surrogateescape") for line in lines)
    csv.field_size_limit(MOST_LINE_BYTES)
    reader = csv.reader(texts, strict=True)
    header = [cell.strip() for cell in _next_record(reader)[0] or []]
    ours = {columns.get(cell, cell) for cell in header}
    if missing := sorted(set(columns) - set(header)):
        raise IntakeError(
            "file", f"{name} has no column {missing[0]!r}; it has: {', '.join(header) or 'none'}."
        )
    if not ours & {"prompt", "messages"}:
        raise IntakeError(
            "file", f"{name} has no column prompt or messages; it has: {', '.join(header) or 'none'}."
        )
    if len(ours) < len(header):
        raise IntakeError("file", f"{name} names a column twice.")
    return _csv_rows(reader, header)


def _csv_rows(reader: Any, header: list[str]) -> Iterator[Row]:
    while True:
        number = reader.line_num + 1
        record, fault = _next_record(reader)
        if fault:
            yield Row(number, fault=fault)
        elif record is None:
            return
        elif not record:
            continue
        elif len(record) > len(header):
            yield Row(number, fault=f"{len(record)} cells where the header names {len(header)} columns.")
        elif any("\udc80" <= character <= "\udcff" for cell in record for character in cell):
            yield Row(number, fault="Not UTF-8. Save the file as UTF-8.")
        else:
            yield _csv_row(number, {key: cell for key, cell in zip(header, record, strict=False) if cell})


def _csv_row(number: int, cells: dict[str, Any]) -> Row:
    for key in ("messages", "completions", "models", "metadata"):
        if key in cells:
            try:
                cells[key] = json.loads(cells[key], parse_constant=_no_constant)
            except (ValueError, RecursionError):
                return Row(number, fault="The cell must hold JSON.", field=key)
    return Row(number, cells)


def _next_record(reader: Any) -> tuple[list[str] | None, str]:
    """The next record and why it could not be read; (None, "") at the end."""
    try:
        return next(reader), ""
    except StopIteration:
        return None, ""
    except csv.Error as error:
        return None, f"Not CSV: {error}."


def _lines(line: bytes, file: BinaryIO) -> Iterator[bytes]:
    """``line`` and the lines after it; an overlong one is cut just above the limit."""
    while line:
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(MOST_LINE_BYTES + 1)
        line = file.readline(MOST_LINE_BYTES + 1)


def _renamed(row: Row, columns: Mapping[str, str]) -> Row:
    if not isinstance(row.content, dict):
        return row
    content = {columns.get(key, key): value for key, value in row.content.items()}
    return Row(row.number, content, row.fault, row.field)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")

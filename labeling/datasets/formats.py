"""Rows to files: JSONL and Parquet, in the schemas that TRL reads, a bounded number of rows at a time.

- ``sft``: ``{"messages": [{"role", "content"}, …], *label, *assistance}``
- ``pairs``: ``{"prompt": [messages], "chosen": [message], "rejected": [message], "margin", …}``
- ``groups``: ``{"prompt": [messages], "completions": [[message], …], "ranks", "finished", "margin", …}``
- ``ratings``: ``{"prompt": [messages], "completion": [message], "ratings", "flags", "prompt_ratings",
  "prompt_flags", *label}``, one row an answer; ratings are JSON as text, flags the keys of those that are set
- ``marks``: ``{"prompt": [messages], "completion": [message], "start", "end", "quote", "criterion",
  "comment", *label}``, one row a mark; ends count code points of the completion's content, and an answer in
  which nothing was marked is one row of nulls
- ``prompts``: ``{"prompt": [messages], "prompt_id", "split", "use_case", "language", "metadata"}``

A label's columns are ``weight``, ``label`` and ``labeler`` (ids) and ``guideline_version``; its assistance is
``assisted_by`` (a checkpoint's name, or null) and ``assisted_share`` (the share of its words that are a
model's, from 0 to 1, or null). A dataset keeps the columns it was frozen with: `SCHEMA` counts them.
``metadata`` is JSON as text too: its keys are the importer's own, and columnar readers want one type a
column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from labeling.faults import FieldError

if TYPE_CHECKING:
    import pyarrow

SCHEMA = 2
# What rows of schema 1 have no columns for.
SINCE_2 = {
    "sft": {"assisted_by", "assisted_share"},
    "pairs": {"assisted_by", "assisted_share"},
    "groups": {"margin", "assisted_by", "assisted_share"},
}
FORMS = ("sft", "pairs", "groups", "ratings", "marks", "prompts")
FORMATS = {"jsonl": "application/jsonl", "parquet": "application/vnd.apache.parquet"}
ROW_GROUP = 1000
# A server pays for every piece it sends: lines leave together.
PIECE_BYTES = 64 * 1024


class FormatError(FieldError):
    """A form or format that there is not; ``field`` names which of the two."""


def encode(rows: Iterable[Mapping[str, Any]], *, form: str, format: str) -> Iterator[bytes]:
    """Yield a file of ``rows`` in pieces; one row group, or one piece, is in memory at a time.

    Raises:
        FormatError: ``format`` is neither jsonl nor parquet, or ``form`` has no schema.
    """
    if format not in FORMATS:
        raise FormatError("format", f"Must be one of {', '.join(FORMATS)}.")
    return _jsonl(rows) if format == "jsonl" else _parquet(rows, schema(form))


def line(row: Mapping[str, Any]) -> bytes:
    """Return one row of a JSONL file; a dataset's digest is the sha256 over exactly these bytes."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def in_schema(row: Mapping[str, Any], *, form: str, schema: int) -> Mapping[str, Any]:
    """Return a row with the columns that rows of ``form`` had in that schema, in the same order."""
    if schema >= SCHEMA:
        return row
    return {name: value for name, value in row.items() if name not in SINCE_2.get(form, ())}


def schema(form: str) -> pyarrow.Schema:
    """Return the Parquet schema of a form.

    Raises:
        FormatError: there is no such form.
    """
    # A web process that exports no Parquet goes without pyarrow's memory.
    import pyarrow as pa

    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    label = [
        ("weight", pa.float64()),
        ("label", pa.string()),
        ("labeler", pa.string()),
        ("guideline_version", pa.int64()),
    ]
    assisted = [*label, ("assisted_by", pa.string()), ("assisted_share", pa.float64())]
    fields: dict[str, list[tuple[str, Any]]] = {
        "sft": [("messages", messages), *assisted],
        "pairs": [
            ("prompt", messages),
            ("chosen", messages),
            ("rejected", messages),
            ("margin", pa.float64()),
            *assisted,
        ],
        "groups": [
            ("prompt", messages),
            ("completions", pa.list_(messages)),
            ("ranks", pa.list_(pa.int64())),
            ("finished", pa.list_(pa.bool_())),
            ("margin", pa.float64()),
            *assisted,
        ],
        "ratings": [
            ("prompt", messages),
            ("completion", messages),
            ("ratings", pa.string()),
            ("flags", pa.list_(pa.string())),
            ("prompt_ratings", pa.string()),
            ("prompt_flags", pa.list_(pa.string())),
            *label,
        ],
        "marks": [
            ("prompt", messages),
            ("completion", messages),
            ("start", pa.int64()),
            ("end", pa.int64()),
            *[(name, pa.string()) for name in ("quote", "criterion", "comment")],
            *label,
        ],
        "prompts": [
            ("prompt", messages),
            ("prompt_id", pa.int64()),
            *[(name, pa.string()) for name in ("split", "use_case", "language", "metadata")],
        ],
    }
    if form not in fields:
        raise FormatError("form", f"Must be one of {', '.join(fields)}.")
    return pa.schema(fields[form])


class _Sink:
    """What Parquet is written into; the pieces are taken out as they come."""

    closed = False

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, piece: Any) -> int:
        self.pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def taken(self) -> bytes:
        pieces, self.pieces = self.pieces, []
        return b"".join(pieces)


def _jsonl(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    piece = bytearray()
    for row in rows:
        piece += line(row)
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _parquet(rows: Iterable[Mapping[str, Any]], schema: pyarrow.Schema) -> Iterator[bytes]:
    import pyarrow as pa
    from pyarrow import parquet

    sink, source = _Sink(), iter(rows)
    with parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), schema) as writer:
        while group := list(islice(source, ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist([dict(row) for row in group], schema=schema))
            if piece := sink.taken():
                yield piece
    yield sink.taken()

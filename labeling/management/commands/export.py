"""Write a frozen dataset to a file, or to standard output."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser

from labeling import command_line
from labeling.datasets import dataset, formats
from labeling.models import Dataset, Project


class Command(command_line.Command):
    help = "Write a frozen dataset as JSONL or Parquet, in the schemas that TRL reads."
    mistakes = (dataset.DatasetError, formats.FormatError)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--dataset", type=int, metavar="N", help="its number; the newest unless given")
        parser.add_argument("--form", choices=formats.FORMS, help="the kind's own unless given")
        parser.add_argument("--format", choices=list(formats.FORMATS), help="by the file's name unless given")
        parser.add_argument("--output", default="-", metavar="FILE", help="standard output unless given")

    def perform(self, **options: Any) -> dict[str, Any]:
        project = command_line.find_project(options["project"])
        frozen = _find(project, options["dataset"])
        form = options["form"] or dataset.FORMS[Dataset.Kind(frozen.kind)][0]
        to_screen = options["output"] == "-"
        if to_screen and options["json"]:
            raise CommandError("--json needs --output: standard output can hold one of the two.")
        format = options["format"] or _format_of(options["output"])
        counted = _Counted(self.progress(dataset.rows(frozen, form), total=_total(frozen, form)))
        pieces = formats.encode(counted, form=form, format=format)
        result = {"project": project.slug, "dataset": frozen.number, "form": form, "format": format}
        if to_screen:
            _print(pieces)
            return {}
        digest = _write(pieces, Path(options["output"]))
        return {**result, "file": options["output"], "rows": counted.number, "sha256": digest}

    def describe(self, result: dict[str, Any]) -> str:
        return "{file}: {rows:,} rows ({form}, {format}), sha256 {sha256}.".format(**result) if result else ""


class _Counted:
    """Rows, and how many went by."""

    def __init__(self, rows: Iterator[dict[str, Any]]) -> None:
        self.rows, self.number = rows, 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            self.number += 1
            yield row


def _find(project: Project, number: int | None) -> Dataset:
    there = project.datasets.order_by("-number")
    if found := (there.filter(number=number) if number is not None else there).first():
        return found
    known = ", ".join(str(n) for n in there.values_list("number", flat=True)[:20])
    raise CommandError(
        f"{project.slug} has no dataset{'' if number is None else f' {number}'}. "
        + (f"There are: {known}." if known else "Freeze one first.")
    )


def _total(frozen: Dataset, form: str) -> int | None:
    return frozen.size if form in {"sft", "groups"} else None


def _format_of(output: str) -> str:
    suffix = Path(output).suffix.removeprefix(".")
    if output != "-" and suffix not in formats.FORMATS:
        raise CommandError(f"--format: {output} does not end in .{' or .'.join(formats.FORMATS)}; say which.")
    return "jsonl" if output == "-" else suffix


def _print(pieces: Iterator[bytes]) -> None:
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; Python must not complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(pieces: Iterator[bytes], path: Path) -> str:
    """Write aside and rename, so that a file under this name is whole; return its sha256."""
    aside, digest = path.with_name(f".{path.name}.part"), hashlib.sha256()
    try:
        with aside.open("wb") as file:
            _copy(pieces, file, digest)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return digest.hexdigest()


def _copy(pieces: Iterator[bytes], file: BinaryIO, digest: Any) -> None:
    for piece in pieces:
        digest.update(piece)
        file.write(piece)

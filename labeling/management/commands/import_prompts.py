"""Take prompts, demonstrations or completions in from a JSONL or CSV file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from labeling import command_line, work
from labeling.incoming import intake
from labeling.models import Import, Task

LISTED = 20


class Command(command_line.Command):
    help = (
        "Take prompts, demonstrations or models' answers (completions) in from a file: JSONL, CSV, or "
        "Open-Assistant's trees. Refused rows are listed with the reason."
    )
    mistakes = (intake.IntakeError, work.WorkError)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--file", required=True, type=Path)
        parser.add_argument("--kind", choices=list(intake.VERBS), default="prompts")
        parser.add_argument(
            "--split",
            metavar="train|heldout|SHARE",
            help="for rows that name none: one of the two, or the share to hold out (0.1); by default the "
            "project's share",
        )
        parser.add_argument(
            "--split-by",
            default="",
            metavar="FIELD",
            help="with a share: rows with equal values of this field stay on one side",
        )
        for name, about in (("use-case", "use case"), ("language", "language"), ("skill", "skill")):
            parser.add_argument(f"--{name}", default="", help=f"the {about} of rows that name none")
        parser.add_argument(
            "--columns",
            nargs="+",
            type=_renaming,
            default=[],
            metavar="THEIRS=OURS",
            help="fields by other names, such as question=prompt answer=completion",
        )
        parser.add_argument("--model", default="", help="who gave the completions of rows that name nobody")
        parser.add_argument("--synthetic", action="store_true", help="the rows were made by a program")
        parser.add_argument(
            "--tasks",
            nargs="?",
            const=Task.Kind.DEMONSTRATE.value,
            choices=Task.Kind.values,
            help="ask labelers too: to write an answer to each prompt (the bare option), or to rank, "
            "compare, rate or edit the completions, or mark their passages",
        )
        parser.add_argument(
            "--sensitive", action="store_true", help="every row is, whatever it says: covered until asked for"
        )
        parser.add_argument("--dry-run", action="store_true", help="judge every row, store nothing")

    def perform(self, **options: Any) -> dict[str, Any]:
        project, path = command_line.find_project(options["project"]), Path(options["file"])
        more = {"model": options["model"]} if options["kind"] == Import.Kind.COMPLETIONS else {}
        with path.open("rb") as file:
            rows = intake.read_rows(file, path.name, columns=dict(options["columns"]))
            batch = intake.VERBS[options["kind"]](
                project=project,
                rows=self.progress(rows),
                source=path.name,
                synthetic=options["synthetic"],
                **{name: options[name] for name in ("split", "split_by", "use_case", "language", "skill")},
                tasks=options["tasks"],
                sensitive=options["sensitive"],
                dry_run=options["dry_run"],
                **more,
            )
        if not batch.accepted:
            first = batch.refused[0]
            raise CommandError(f"{path}: every row was refused; row {first['row']}: {_reason(first)}")
        return {
            "project": project.slug,
            "import": batch.pk,
            "kind": batch.kind,
            "accepted": batch.accepted,
            "tasks": batch.tasks_made,
            "refused": batch.refused,
        }

    def describe(self, result: dict[str, Any]) -> str:
        refused = result["refused"]
        taken = "stored" if result["import"] else "could be stored (dry run)"
        lines = [f"{result['accepted']:,} {result['kind']} {taken}, {len(refused):,} rows refused."]
        lines += [f"  row {row['row']}: {_reason(row)}" for row in refused[:LISTED]]
        if len(refused) > LISTED:
            lines.append(f"  … and {len(refused) - LISTED:,} more; --json lists them.")
        if result["tasks"] and result["import"]:
            lines.append(f"{result['tasks']:,} new tasks wait for labelers.")
        return "\n".join(lines)


def _reason(refusal: dict[str, Any]) -> str:
    return f"{refusal['field']}: {refusal['reason']}" if refusal["field"] else refusal["reason"]


def _renaming(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form THEIRS=OURS")
    return theirs, ours

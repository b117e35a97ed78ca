"""Pretrain a base model on text in this terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from labeling import command_line
from labeling.incoming import rowfiles
from rlhf.runs import foreground, jobs


class Command(command_line.Command):
    help = "Pretrain a base model on rows of text, from a checkpoint or from a configuration alone."
    mistakes = (jobs.RunError, rowfiles.IntakeError)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help='JSONL or CSV, each row {"text": …}')
        parser.add_argument(
            "--from",
            dest="start",
            required=True,
            metavar="CHECKPOINT|FOLDER",
            help="what to go on from, or a folder with config.json and tokenizer to begin from nothing",
        )
        parser.add_argument("--heldout", type=Path, metavar="FILE", help="rows to measure the loss on")
        parser.add_argument("--name", required=True, help="of the new checkpoint")
        foreground.add_run_options(parser)

    def perform(self, **options: Any) -> dict[str, Any]:
        folder = Path(options["start"])
        start = folder if folder.is_dir() else foreground.checkpoint_named(options["start"])
        assert start is not None
        run = jobs.create_run(
            project=None,
            algorithm="pretrain",
            inputs={"policy": start},
            knobs=foreground.knobs_of(options["set"]),
            seed=options["seed"],
            rows=foreground.rows_in(options["file"]),
            heldout=foreground.rows_in(options["heldout"]) if options["heldout"] else None,
            name=options["name"],
        )
        return foreground.described(foreground.watch(run))

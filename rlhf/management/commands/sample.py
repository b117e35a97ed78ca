"""Answer prompts with a checkpoint: into a file, or into the labelers' queue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from labeling import command_line
from labeling.incoming import rowfiles
from labeling.work import WorkError
from rlhf.checkpoints import evaluation
from rlhf.rounds import loop, sampling
from rlhf.runs import foreground, jobs


class Command(command_line.Command):
    help = "Answer a project's prompts with a checkpoint, each answer seeded."
    mistakes = (jobs.RunError, rowfiles.IntakeError, WorkError)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--checkpoint", metavar="NAME", help="by default the project's current one")
        parser.add_argument("--prompts", type=int, default=15, metavar="N", help="fresh ones (default: 15)")
        parser.add_argument("--heldout", action="store_true", help="answer held-out prompts instead")
        parser.add_argument("-k", type=int, default=4, metavar="K", help="answers a prompt (default: 4)")
        parser.add_argument("--reward-model", metavar="NAME", help="score every answer")
        goes = parser.add_mutually_exclusive_group(required=True)
        goes.add_argument("--output", type=Path, metavar="FILE", help="write JSONL, one answer a line")
        goes.add_argument("--tasks", action="store_true", help="make ranking tasks of the answers")
        foreground.add_run_options(parser)

    def perform(self, **options: Any) -> dict[str, Any]:
        if options["tasks"] and options["heldout"]:
            raise CommandError("--tasks: held-out prompts only judge; leave --heldout out.")
        if options["prompts"] < 1:
            raise CommandError("--prompts must be 1 or more.")
        project = command_line.find_project(options["project"])
        count, seed = options["prompts"], options["seed"]
        if options["heldout"]:
            prompts = evaluation.heldout_prompts(project, count=count)
        else:
            prompts, _ = sampling.fresh_prompts(project, count=count, seed=seed)
        run = foreground.watch(
            evaluation.sampling_run(
                project=project,
                checkpoint=sampling.needed(
                    foreground.checkpoint_named(options["checkpoint"]) or project.current_checkpoint
                ),
                prompts=prompts,
                k=options["k"],
                seed=seed,
                judge=foreground.checkpoint_named(options["reward_model"]),
                knobs=foreground.knobs_of(options["set"]),
            )
        )
        found = foreground.described(run)
        if options["tasks"]:
            number = loop.current_round(project).number
            return found | {"tasks": sampling.add_tasks(project, runs=[run], round_number=number)}
        with options["output"].open("w", encoding="utf-8") as file:
            for each in sampling.answers_of(run):
                file.write(json.dumps(each, ensure_ascii=False) + "\n")
        return found | {"output": str(options["output"])}

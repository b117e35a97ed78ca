"""Measure a checkpoint against another on held-out prompts."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from labeling import command_line
from labeling.simulated import taste
from rlhf.checkpoints import evaluation
from rlhf.rounds import sampling
from rlhf.runs import foreground, jobs


class Command(command_line.Command):
    help = "Measure a checkpoint's win rate against another on held-out prompts, same seeds for both."
    mistakes = (jobs.RunError,)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--checkpoint", required=True, metavar="NAME")
        parser.add_argument("--against", required=True, metavar="NAME")
        parser.add_argument("--reward-model", metavar="NAME", help="judge by this reward model")
        parser.add_argument(
            "--taste", choices=taste.TASTES, help="judge by a simulated labeler's hidden rule"
        )
        parser.add_argument("--prompts", type=int, default=92, metavar="N", help="(default: 92)")
        parser.add_argument("-k", type=int, default=2, metavar="K", help="answers a prompt (default: 2)")
        foreground.add_run_options(parser)

    def perform(self, **options: Any) -> dict[str, Any]:
        if not options["reward_model"] and not options["taste"]:
            raise CommandError("Name a judge: --reward-model NAME, --taste TASTE, or both.")
        if options["prompts"] < 1:
            raise CommandError("--prompts must be 1 or more.")
        project = command_line.find_project(options["project"])
        prompts = evaluation.heldout_prompts(project, count=options["prompts"])
        judge = foreground.checkpoint_named(options["reward_model"])
        both = []
        for name in (options["checkpoint"], options["against"]):
            checkpoint = sampling.needed(foreground.checkpoint_named(name))
            run = evaluation.sampling_run(
                project=project,
                checkpoint=checkpoint,
                prompts=prompts,
                k=options["k"],
                seed=options["seed"],
                judge=judge,
                knobs=foreground.knobs_of(options["set"]),
            )
            both.append(list(sampling.answers_of(foreground.watch(run))))
        named = {key: options[key] for key in ("checkpoint", "against", "reward_model", "taste")}
        return named | {"prompts": len(prompts)} | evaluation.compare(*both, taste=options["taste"])

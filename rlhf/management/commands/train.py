"""Train a checkpoint of a project in this terminal: on demonstrations, on rankings, or by PPO."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from labeling import command_line
from labeling.datasets.dataset import DatasetError
from labeling.models import Dataset
from rlhf.rounds import guard, sampling, steps
from rlhf.runs import foreground, jobs

KINDS = {"sft": Dataset.Kind.DEMONSTRATIONS, "reward": Dataset.Kind.PREFERENCES}


class Command(command_line.Command):
    help = "Train a checkpoint of a project here and now; register it when done."
    mistakes = (jobs.RunError, DatasetError)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("algorithm", choices=["sft", "reward", "ppo"])
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument(
            "--dataset", type=int, metavar="N", help="its number; by default the newest that fits"
        )
        parser.add_argument(
            "--from",
            dest="start",
            metavar="CHECKPOINT",
            help="by default the project's base (sft) or SFT one",
        )
        parser.add_argument("--reward-model", metavar="CHECKPOINT", help="for ppo; by default the newest")
        parser.add_argument(
            "--force", action="store_true", help="ppo even on a reward model no better than chance"
        )
        parser.add_argument("--name", default="", help="of the new checkpoint")
        foreground.add_run_options(parser)

    def perform(self, **options: Any) -> dict[str, Any]:
        project = command_line.find_project(options["project"])
        algorithm = options["algorithm"]
        start = foreground.checkpoint_named(options["start"]) or steps.start_of(
            project.current_checkpoint, "base" if algorithm == "sft" else "sft"
        )
        given: dict[str, Any] = {"inputs": {"policy": sampling.needed(start)}}
        knobs = foreground.knobs_of(options["set"])
        if algorithm == "ppo":
            judge = foreground.checkpoint_named(options["reward_model"]) or foreground.newest(
                project, "reward"
            )
            if not options["force"] and (reason := guard.objection(judge.figures)):
                raise CommandError(f"{reason} --force trains all the same.")
            given["inputs"] |= {"reference": sampling.needed(start), "reward_model": judge}
            given["rows"] = sampling.rows_for(
                sampling.training_prompts(project).order_by("pk").iterator(2_000)
            )
        else:
            given["dataset"] = _dataset(project, KINDS[algorithm], options["dataset"])
        run = jobs.create_run(
            project=project,
            algorithm=algorithm,
            knobs=knobs,
            seed=options["seed"],
            name=options["name"],
            **given,
        )
        return foreground.described(foreground.watch(run))


def _dataset(project: Any, kind: str, number: int | None) -> Dataset:
    found = project.datasets.filter(kind=kind)
    chosen = (found.filter(number=number) if number else found).first()
    if chosen is None:
        which = f"no dataset {number} of {kind}" if number else f"no dataset of {kind}"
        raise CommandError(
            f"{project.slug} has {which}. "
            f"Freeze one: manage.py freeze --project {project.slug} --kind {kind}."
        )
    return chosen

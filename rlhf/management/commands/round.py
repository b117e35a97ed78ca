"""Look at a project's round and move it: start, do a step again, promote or refuse what came of it."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser

from labeling import command_line
from labeling.models import Project
from rlhf.models import Round
from rlhf.rounds import loop
from rlhf.runs import foreground, jobs

GLANCE = 1.0


class Command(command_line.Command):
    help = "Look at a project's round, start it, do a step again, promote or refuse its checkpoint."
    mistakes = (loop.LoopError, jobs.RunError)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", choices=["status", "start", "restart", "promote", "refuse"])
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--number", type=int, metavar="N", help="of the round; by default the one meant")
        parser.add_argument(
            "--force", action="store_true", help="train the policy on a weak reward model too"
        )
        parser.add_argument("--step", metavar="NAME", help="restart from here; by default the first not done")
        parser.add_argument("--set", action="append", default=[], metavar="KNOB=VALUE", help="for that step")
        parser.add_argument("--reason", default="", help="why it is promoted or refused")
        parser.add_argument("--wait", action="store_true", help="until the training ends (a worker does it)")

    def perform(self, **options: Any) -> dict[str, Any]:
        project, verb = command_line.find_project(options["project"]), options["verb"]
        round = _round(project, verb, options["number"])
        if verb == "start":
            loop.start(round, force=options["force"])
        elif verb == "restart":
            knobs = foreground.knobs_of(options["set"])
            loop.restart(round, options["step"], knobs=knobs, force=options["force"])
        elif verb in ("promote", "refuse"):
            {"promote": loop.promote, "refuse": loop.refuse}[verb](round, reason=options["reason"])
        if options["wait"]:
            _wait(round)
        return _described(Round.objects.get(pk=round.pk))

    def describe(self, result: dict[str, Any]) -> str:
        lines = [
            "round {number} of {project} ({kind}): {state}, {labels} of {label_target} labels".format(
                **result
            )
        ]
        lines += [f"  {step['name']:<9} {step['state']:<8} {step['detail']}" for step in result["steps"]]
        lines += [f"  {result['reason']}"] if result["reason"] else []
        if result["checkpoint"]:
            lines.append(f"  checkpoint {result['checkpoint']} {result['decision'] or 'undecided'}, ungated")
        return "\n".join(lines)


def _round(project: Project, verb: str, number: int | None) -> Round:
    """The round of that number; else the one a person would mean by the verb."""
    rounds = project.rounds.order_by("-number")
    if number is not None:
        if found := rounds.filter(number=number).first():
            return found
        numbers = ", ".join(str(each.number) for each in rounds) or "none"
        raise CommandError(f"{project.slug} has no round {number}; there are: {numbers}.")
    if verb == "status":
        return loop.training_round(project) or loop.current_round(project)
    if verb == "start":
        return loop.current_round(project)
    if found := rounds.exclude(state=Round.State.LABELING).first():
        return found
    raise CommandError(f"No round of {project.slug} has been trained yet. Start one.")


def _wait(round: Round) -> None:
    from tqdm import tqdm

    steps = round.steps.count()
    with tqdm(total=steps, unit="step", disable=None, leave=False) as bar:
        while Round.objects.get(pk=round.pk).state == Round.State.TRAINING:
            done = list(round.steps.filter(state="done").values_list("name", flat=True))
            bar.n = len(done)
            bar.refresh()
            time.sleep(GLANCE)


def _described(round: Round) -> dict[str, Any]:
    progress = loop.progress(round)
    return {
        "project": round.project.slug,
        "number": round.number,
        "kind": round.kind,
        "state": round.state,
        "labels": progress.labels,
        "label_target": progress.target,
        "due": progress.due,
        "checkpoint": round.checkpoint_after and round.checkpoint_after.name,
        "decision": round.decision,
        "gated": round.gated,
        "reason": round.reason,
        "steps": list(round.steps.values("name", "state", "detail")),
    }

"""Ask labelers about the answers that are there already."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from labeling import command_line, work


class Command(command_line.Command):
    help = (
        "Ask labelers about the project's answers: every one that no task of this kind shows yet, those of a "
        "prompt together as far as a task holds them (rank and rate 9, compare 2, edit and mark 1)."
    )
    mistakes = (work.WorkError,)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--kind", required=True, choices=[kind.value for kind in work.TAKES])
        parser.add_argument("--prompts", nargs="+", type=int, metavar="ID", help="these prompts only")

    def perform(self, **options: Any) -> dict[str, Any]:
        project = command_line.find_project(options["project"])
        made = work.make_tasks(project=project, kind=options["kind"], prompts=options["prompts"])
        return {"project": project.slug, "kind": options["kind"], "made": made}

    def describe(self, result: dict[str, Any]) -> str:
        return f"{result['made']:,} new {result['kind']} tasks wait for labelers."

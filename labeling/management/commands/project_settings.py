"""Show a project's settings, or change some."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from labeling import command_line
from labeling.people import projects


class Command(command_line.Command):
    help = (
        "Show a project's settings, or change some: --set tree_turns=6 tree_branches=2. Conversations that "
        "are there take up new limits with their next turn; make_tasks --kind prompt --form follow_up asks "
        "at once for all that they have room for."
    )
    mistakes = (projects.ProjectError,)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument(
            "--set",
            nargs="+",
            default=[],
            metavar="NAME=VALUE",
            help=f"any of {', '.join(projects.SETTINGS)}",
        )

    def perform(self, **options: Any) -> dict[str, Any]:
        project = command_line.find_project(options["project"])
        changes = dict(_read(one) for one in options["set"])
        return projects.settings_of(projects.change_settings(project=project, **changes))


def _read(change: str) -> tuple[str, Any]:
    name, equals, value = change.partition("=")
    if not equals:
        raise projects.ProjectError("set", f"{change!r} is not of the form NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value

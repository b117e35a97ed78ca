"""Publish the next version of a project's guideline from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from guidelines import criteria, publish
from labeling import command_line

MOST_BYTES = 4 * publish.LONGEST  # as many characters never take more


class Command(command_line.Command):
    help = (
        "Publish the next version of a project's guideline from a Markdown file. Its criteria are those "
        "given, else those of the newest version."
    )
    mistakes = (publish.GuidelineError,)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--file", required=True, type=Path, help="the text, in Markdown")
        by = parser.add_mutually_exclusive_group()
        by.add_argument("--criteria", type=Path, metavar="FILE", help="JSON: scales, flags and spans")
        by.add_argument("--preset", choices=list(criteria.PRESETS), help="criteria of a known project")
        parser.add_argument("--note", default="", help="what changed, in one sentence")

    def perform(self, **options: Any) -> dict[str, Any]:
        asked = criteria.preset(options["preset"]) if options["preset"] else None
        if options["criteria"]:
            asked = _parsed(options["criteria"])
        project = command_line.find_project(options["project"])
        version, done = publish.publish(
            guideline=project.guideline, body=_text(options["file"]), criteria=asked, note=options["note"]
        )
        return {
            "project": project.slug,
            "guideline": project.guideline.slug,
            "version": version.number,
            "criteria": len(version.criteria),
            "effects": done,
        }

    def describe(self, result: dict[str, Any]) -> str:
        n = result["criteria"]
        published = f"Version {result['version']} of {result['guideline']} is published"
        counted = f"with {n} criteri{'on' if n == 1 else 'a'}."
        return "\n".join([f"{published}, {counted}", *result["effects"]])


def _parsed(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path}: no JSON: {command_line.one_line(error)}") from error


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise CommandError(f"{path}: has more than {MOST_BYTES:,} bytes. Shorten it.")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: byte {error.start:,} is not UTF-8. Save it as UTF-8.") from error

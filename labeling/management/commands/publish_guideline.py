"""Publish the next version of a project's guideline from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from guidelines import criteria, presets, publish
from guidelines.models import GuidelineVersion
from guidelines.plan import TREATMENTS
from labeling import command_line

MOST_BYTES = 4 * publish.LONGEST  # as many characters never take more


class Command(command_line.Command):
    help = (
        "Publish the next version of a project's guideline from a Markdown file. Its criteria are those "
        "given, else those of the newest version; a preset without a file brings its own text, examples and "
        "rules. What becomes of older labels is said by --labels."
    )
    mistakes = (publish.GuidelineError,)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--file", type=Path, help="the text, in Markdown; needed without --preset")
        by = parser.add_mutually_exclusive_group()
        by.add_argument("--criteria", type=Path, metavar="FILE", help="JSON: scales, flags and spans")
        by.add_argument("--preset", choices=list(criteria.PRESETS), help="criteria of a known project")
        parser.add_argument("--examples", type=Path, metavar="FILE", help="JSON: good and bad answers")
        parser.add_argument("--rules", type=Path, metavar="FILE", help="JSON: texts, the first rule first")
        parser.add_argument("--note", default="", help="what changed, in one sentence")
        parser.add_argument(
            "--change",
            default="",
            choices=GuidelineVersion.Change.values,
            help="its kind; guessed from what differs unless given",
        )
        parser.add_argument(
            "--asks", action="store_true", help="whoever works reads what changed before their next task"
        )
        parser.add_argument(
            "--labels",
            default="keep",
            choices=TREATMENTS,
            help="what becomes of the labels that it makes stale (keep)",
        )
        parser.add_argument("--share", type=float, default=1.0, help="of them to relabel, above 0 (1)")
        parser.add_argument("--seed", type=int, help="draws that share; drawn itself unless given")

    def perform(self, **options: Any) -> dict[str, Any]:
        given: dict[str, Any] = {
            name: _parsed(options[name]) if options[name] else None
            for name in ("criteria", "examples", "rules")
        }
        if options["file"] is None and not options["preset"]:
            raise CommandError("file: Give the text with --file, or a whole guideline with --preset.")
        if options["preset"]:
            preset = presets.preset(options["preset"]).parts
            given["criteria"] = preset.criteria
            if options["file"] is None:
                given["examples"] = given["examples"] or preset.examples
                given["rules"] = given["rules"] or preset.rules
        body = _text(options["file"]) if options["file"] else preset.body
        project = command_line.find_project(options["project"])
        plan = publish.Plan(**{name: options[name] for name in ("change", "asks", "labels", "share", "seed")})
        version, done = publish.publish(
            guideline=project.guideline, body=body, note=options["note"], plan=plan, **given
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

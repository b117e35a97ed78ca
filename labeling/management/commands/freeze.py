"""Freeze a project's labels, or its prompts, into a numbered dataset."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from labeling import command_line
from labeling.datasets import dataset, filters
from labeling.models import Dataset


class Command(command_line.Command):
    help = "Freeze a project's trainable labels, or its prompts, into a numbered dataset."
    mistakes = (dataset.DatasetError,)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--kind", required=True, choices=Dataset.Kind.values)
        parser.add_argument(
            "--guideline-version", nargs="+", metavar="N", help="labels made under these versions only"
        )
        parser.add_argument("--round", nargs="+", metavar="N", help="labels of these rounds only")
        parser.add_argument("--labeler", nargs="+", metavar="ID", help="labels by these labelers only")
        parser.add_argument("--since", metavar="TIME", help="labels submitted since then (ISO 8601)")
        parser.add_argument(
            "--weigh",
            choices=filters.WEIGHINGS,
            help="how labels count: all alike, or by how far each labeler can be relied on",
        )
        parser.add_argument("--split", help="for prompts: train (unless given) or heldout")

    def perform(self, **options: Any) -> dict[str, Any]:
        keys = ("guideline_version", "round", "labeler", "since", "weigh", "split")
        asked = {key: options[key] for key in keys if options[key] is not None}
        project = command_line.find_project(options["project"])
        frozen = dataset.freeze(project=project, kind=options["kind"], filter=asked)
        return {
            "project": project.slug,
            "dataset": frozen.number,
            "kind": frozen.kind,
            "size": frozen.size,
            "filter": frozen.filter,
            "digest": frozen.digest,
        }

    def describe(self, result: dict[str, Any]) -> str:
        return (
            f"Dataset {result['dataset']} of {result['project']}: {result['size']:,} {result['kind']}, "
            f"sha256 {result['digest']}."
        )

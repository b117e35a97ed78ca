"""Register a checkpoint: a folder in Hugging Face layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from labeling import command_line
from labeling.models import Project
from models_zoo import registry, store
from models_zoo.models import Checkpoint
from rlhf.runs import foreground


class Command(command_line.Command):
    help = "Copy a checkpoint (a folder in Hugging Face layout) into the store and give it a name."
    mistakes = (registry.RegistryError, store.BrokenCheckpoint)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--name", required=True)
        parser.add_argument("--kind", required=True, choices=Checkpoint.Kind.values)
        parser.add_argument("--parent", metavar="NAME", help="the checkpoint it was trained from")
        parser.add_argument("--licence", default="")
        parser.add_argument("--current-of", metavar="SLUG", help="make it this project's current checkpoint")

    def perform(self, **options: Any) -> dict[str, Any]:
        if options["current_of"] and options["kind"] == Checkpoint.Kind.REWARD:
            raise CommandError("--current-of: a reward model answers nothing; name another kind.")
        project = command_line.find_project(options["current_of"]) if options["current_of"] else None
        found = registry.register(
            folder=options["folder"],
            name=options["name"],
            kind=options["kind"],
            parent=foreground.checkpoint_named(options["parent"]),
            licence=options["licence"],
        )
        if project:
            Project.objects.filter(pk=project.pk).update(current_checkpoint=found)
        return {
            "checkpoint": found.name,
            "id": found.pk,
            "kind": found.kind,
            "digest": found.digest,
            "path": str(found.path),
            "current_of": project and project.slug,
        }

"""Let simulated labelers label, through the HTTP API of a running server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, CommandParser

from labeling import command_line
from labeling.models import Membership
from labeling.simulated import taste as tastes


class Command(command_line.Command):
    help = "Let simulated labelers of a taste label pocket stories, through the HTTP API of a running server."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--taste", required=True, choices=tastes.TASTES)
        parser.add_argument("--noise", choices=list(tastes.NOISE), default="clear")
        parser.add_argument("--labelers", type=int, default=3, metavar="N", help="accounts (3)")
        parser.add_argument("--labels", type=int, default=15, metavar="N", help="labels in total (15)")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--labels-mode",
            choices=["honest", "random", "inverted"],
            default="honest",
            help="random and inverted labels are controls",
        )
        parser.add_argument(
            "--kinds",
            nargs="+",
            choices=["rank", "compare", "demonstrate"],
            default=["rank"],
            help="of task (rank)",
        )
        parser.add_argument("--url", help="of the server; http://127.0.0.1:$PORT unless given")
        parser.add_argument(
            "--token", help="of an owner or admin; made for the time of the command unless given"
        )

    def perform(self, **options: Any) -> dict[str, Any]:
        # httpx takes a moment to load.
        from labeling.simulated import simulate

        try:
            with _lent_token(options["project"], options["token"]) as token:
                return simulate.simulate(
                    url=options["url"] or simulate.default_url(),
                    token=token,
                    project=options["project"],
                    taste=options["taste"],
                    noise=options["noise"],
                    labelers=options["labelers"],
                    labels=options["labels"],
                    seed=options["seed"],
                    mode=options["labels_mode"],
                    kinds=options["kinds"],
                    progress=lambda labels: self.progress(labels, total=options["labels"], unit="label"),
                )
        except simulate.SimulationError as error:
            raise CommandError(command_line.one_line(error)) from error

    def describe(self, result: dict[str, Any]) -> str:
        share = result["agreement_with_gold"]
        text = (
            f"{result['labels']:,} labels of {result['asked']:,} asked for, by {result['labelers']} labelers"
        )
        if result["labels"] < result["asked"]:
            text += "; no task is left for them"
        if share is not None:
            text += f"; {share:.1%} of {result['pairs']:,} pairs agree with gold ({result['taste']})"
        return text + "."


@contextmanager
def _lent_token(slug: str, given: str | None) -> Iterator[str]:
    """The token given, else one of an owner or admin of the project that ends with the command."""
    if given:
        yield given
        return
    from labeling.people import tokens

    project = command_line.find_project(slug)
    manages = [Membership.Role.OWNER, Membership.Role.ADMIN]
    manager = project.memberships.filter(role__in=manages, user__is_active=True).order_by("pk").first()
    if manager is None:
        raise CommandError(f"{slug} has no owner or admin who could add labelers. Add one, or give --token.")
    token = tokens.issue(user=manager.user, name="manage.py simulate")
    try:
        yield token
    finally:
        tokens.revoke(token=token)

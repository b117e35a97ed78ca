"""The whole circle without a person, beside a running `make run`, and its table at the end."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser

from labeling import command_line
from labeling.simulated import simulate, taste
from rlhf.runs import jobs

# The demo's rounds and measures draw thousands of seeds from each.
MOST_SEED = 1_000_000


class Command(command_line.Command):
    mistakes = (simulate.SimulationError, jobs.RunError)
    help = "Turn the whole circle with simulated labelers on a platform of its own, and print the figures."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--taste", choices=taste.TASTES, default="kind")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--labels",
            choices=["honest", "random", "inverted"],
            default="honest",
            help="random and inverted are controls",
        )
        parser.add_argument("--noise", choices=list(taste.NOISE), default="clear")
        parser.add_argument("--rankings", type=int, default=50, metavar="N", help="of four answers (50)")
        parser.add_argument("--labelers", type=int, default=5, metavar="N", help="simulated accounts (5)")
        parser.add_argument(
            "--force", action="store_true", help="train the policy on a weak reward model too"
        )
        parser.add_argument("--short", action="store_true", help="far too little of everything, for tests")
        parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)

    def perform(self, **options: Any) -> dict[str, Any]:
        for name in ("rankings", "labelers"):
            if options[name] < 1:
                raise CommandError(f"--{name} must be 1 or more, not {options[name]}.")
        if not 0 <= options["seed"] <= MOST_SEED:
            raise CommandError(f"--seed must lie between 0 and {MOST_SEED:,}, not {options['seed']}.")
        from rlhf.demo import house as demo_house

        if not options["inside"]:
            # Whatever there is to say, of success or failure, is said in there.
            status = demo_house.inside([*sys.argv[1:], "--inside"])
            sys.exit(status if status >= 0 else 1)
        from rlhf.demo import circle as demo

        signal.signal(signal.SIGTERM, demo_house.end_once)
        began = time.monotonic()

        def say(line: str) -> None:
            self.stderr.write(f"{time.monotonic() - began:6.1f} s  {line}", style_func=str)

        call_command("migrate", verbosity=0)
        keys = ("taste", "seed", "labels", "noise", "rankings", "labelers", "force", "short")
        report = demo.Demo(demo.Wishes(**{key: options[key] for key in keys}), say).run()
        report["report"] = str(demo.write(report))
        return report

    def describe(self, result: dict[str, Any]) -> str:
        from rlhf.demo import circle as demo

        return f"\n{demo.table(result)}\n\n  {result['report']}"

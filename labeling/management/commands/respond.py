"""Say what the current checkpoint says, to labelers who talk with it or ask it for a draft."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection


class Command(BaseCommand):
    help = "Answer for the model: talks and drafts that labelers wait for. Many may run. Ctrl-C ends it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--idle",
            type=float,
            default=1800.0,
            metavar="SECONDS",
            help="without a question after which the models' memory is given back (default: 1800)",
        )

    def handle(self, *args: Any, idle: float, **options: Any) -> None:
        if idle <= 0:
            raise CommandError(f"--idle must be above 0, not {idle:g}.")
        from labeling.talks.responder import Responder

        try:
            connection.ensure_connection()
        except OperationalError as error:
            reason = str(error).strip().split("\n")[0]
            raise CommandError(f"the database does not answer: {reason}") from error
        responder = Responder(idle=idle)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: responder.stop())
        if not responder.run():
            # What torch took is given back only with the process.
            os.execv(sys.executable, sys.orig_argv)

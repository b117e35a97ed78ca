"""Say what the current checkpoint says, to labelers who talk with it or ask it for a draft."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection


class Command(BaseCommand):
    help = "Answer for the model: talks and drafts that labelers wait for. Many may run. Ctrl-C ends it."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        from labeling.responder import Responder

        try:
            connection.ensure_connection()
        except OperationalError as error:
            reason = str(error).strip().split("\n")[0]
            raise CommandError(f"the database does not answer: {reason}") from error
        responder = Responder()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: responder.stop())
        if not responder.run():
            # What torch took is given back only with the process.
            os.execv(sys.executable, sys.orig_argv[:1] + sys.orig_argv[1:])

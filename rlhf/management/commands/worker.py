"""Execute jobs until asked to stop: runs in one set of slots, the quick jobs of the loop in another."""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

# Time for quick jobs to end; a trainer is ended at once, since it resumes.
GRACE = 1.0


class Command(BaseCommand):
    help = "Take jobs: train, sample, advance rounds, sweep leases. Ctrl-C ends it; its runs resume later."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--runs", type=int, default=2, metavar="N", help="runs at a time (default: 2)")
        parser.add_argument(
            "--heartbeat",
            type=float,
            default=10.0,
            metavar="SECONDS",
            help="between signs of life; silent for three, its jobs go to others (default: 10)",
        )

    def handle(self, *args: Any, runs: int, heartbeat: float, **options: Any) -> None:
        for name, value in (("--runs", runs), ("--heartbeat", heartbeat)):
            if value <= 0:
                raise CommandError(f"{name} must be above 0, not {value:g}.")
        import psycopg
        from procrastinate.contrib.django import app
        from procrastinate.exceptions import ConnectorException
        from procrastinate.psycopg_connector import PsycopgConnector

        # Procrastinate keeps connections of its own; Django's pool settings are not its to read.
        parameters = connection.get_connection_params()
        for key in ("cursor_factory", "context", "pool"):
            parameters.pop(key, None)
        try:
            # Asked once and plainly: the pool would repeat itself for half a minute.
            psycopg.connect(**{**parameters, "connect_timeout": 5}).close()
            with app.replace_connector(PsycopgConnector(kwargs=parameters)):
                asyncio.run(_work(app, runs=runs, heartbeat=heartbeat))
        except (psycopg.Error, ConnectorException) as error:
            reason = str(error).strip().split("\n")[0]
            raise CommandError(f"the database does not answer: {reason}") from error


async def _work(app: Any, *, runs: int, heartbeat: float) -> None:
    """Both workers until a signal; raises CommandError when one ends by itself (the database is gone)."""
    silence = 3 * heartbeat
    common = {
        "install_signal_handlers": False,
        "shutdown_graceful_timeout": GRACE,
        "fetch_job_polling_interval": min(5.0, silence),
        "update_heartbeat_interval": heartbeat,
        "stalled_worker_timeout": silence,
        "additional_context": {"silence": silence},
        "delete_jobs": "successful",
    }
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with app.open_async():
        workers = [
            asyncio.create_task(app.run_worker_async(name=name, queues=[name], concurrency=slots, **common))
            for name, slots in (("runs", runs), ("loop", 2))
        ]
        asked = asyncio.create_task(stopping.wait())
        await asyncio.wait([*workers, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        for worker in workers:
            worker.cancel()
        ended = await asyncio.gather(*workers, return_exceptions=True)
    if not stopping.is_set():
        failures = [str(error).strip() for error in ended if isinstance(error, Exception)]
        reason = next(filter(None, failures), "the database is gone").splitlines()[0]
        raise CommandError(f"The worker ended: {reason}")

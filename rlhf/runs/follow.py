"""Follow a run's metrics.jsonl into the database, where pages ask for what came since N."""

from __future__ import annotations

import json
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction

from labeling import live
from rlhf.models import Metric, Run

# Taken at a glance, so that memory stays bounded whatever a trainer writes.
MOST_BYTES = 4 * 1024 * 1024


class Follower:
    """Copies new lines of metrics.jsonl into numbered rows, and announces the newest."""

    def __init__(self, run: Run) -> None:
        newest = run.metrics.order_by("-n").values_list("n", flat=True).first()
        self.run, self.known, self.offset = run, -1 if newest is None else newest, 0

    def follow(self) -> bool:
        """Take what was written since, and return whether anything was.

        Where the database is away, the next call catches up.
        """
        lines, offset = self._read()
        fresh = [line for line in lines if line["n"] > self.known]
        try:
            if fresh:
                self._store(fresh)
                self.known = fresh[-1]["n"]
            moved, self.offset = offset > self.offset, offset
        except (OperationalError, InterfaceError):
            connection.close()
            return False
        return moved

    def _read(self) -> tuple[list[dict[str, Any]], int]:
        try:
            with (self.run.directory / "metrics.jsonl").open("rb") as file:
                file.seek(self.offset)
                written = file.read(MOST_BYTES)
        except OSError:
            return [], self.offset
        whole = written[: written.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines()], self.offset + len(whole)

    def _store(self, lines: list[dict[str, Any]]) -> None:
        with transaction.atomic():
            # Two workers may follow one run for a moment; a number is stored once.
            Metric.objects.bulk_create(map(self._metric, lines), ignore_conflicts=True)
            for line in lines:
                if "superseded_from" in line:
                    span = (line["superseded_from"], line["superseded_to"])
                    Metric.objects.filter(run=self.run, n__range=span).update(superseded=True)
            if self.run.project:
                live.announce(
                    project=self.run.project, event="metric", run=str(self.run.pk), n=lines[-1]["n"]
                )

    def _metric(self, line: dict[str, Any]) -> Metric:
        values = {key: value for key, value in line.items() if key not in ("n", "step")}
        marker = "superseded_from" in line
        return Metric(run=self.run, n=line["n"], step=line.get("step", 0), values=values, superseded=marker)

"""What workers do for labeling: take back the leases that ran out."""

from __future__ import annotations

from procrastinate.contrib.django import app

from labeling import queue


@app.periodic(cron="* * * * * */10")
@app.task(name="labeling.sweep_leases", queue="loop", queueing_lock="sweep_leases")
def sweep_leases(timestamp: int) -> None:
    """Give the tasks of expired leases to others, batch by batch."""
    while queue.sweep():
        pass

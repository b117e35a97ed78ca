"""What workers do for labeling: take back leases that ran out, warn of those about to, drop old events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from procrastinate.contrib.django import app

from labeling import live, queue


@app.periodic(cron="* * * * * */10")
@app.task(name="labeling.sweep_leases", queue="loop", queueing_lock="sweep_leases")
def sweep_leases(timestamp: int) -> None:
    """Give the tasks of expired leases to others, batch by batch; warn the pages of those that end next."""
    while queue.sweep():
        pass
    queue.warn(now=datetime.fromtimestamp(timestamp, UTC), every=timedelta(seconds=10))


@app.periodic(cron="17 * * * *")
@app.task(name="labeling.prune_events", queue="loop", queueing_lock="prune_events")
def prune_events(timestamp: int) -> None:
    """Drop the events that no page will ask for."""
    live.prune()

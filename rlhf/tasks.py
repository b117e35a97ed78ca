"""What workers do for training: execute runs, advance rounds, start due ones, take over from the dead."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError
from procrastinate import BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.contrib.django import app
from procrastinate.exceptions import JobAborted, UniqueViolation
from procrastinate.jobs import Job, Status

from rlhf.rounds import loop
from rlhf.runs import jobs

# Seconds without a heartbeat after which a worker counts as dead, where its command says nothing else.
SILENCE = 30.0


class Again(BaseRetryStrategy):
    """Back into the queue: at once where the worker stops, soon where another process still trains or the
    database was away.
    """

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, JobAborted):
            return RetryDecision(retry_in={"seconds": 0})
        soon = isinstance(exception, jobs.RunBusy | OperationalError | InterfaceError)
        return RetryDecision(retry_in={"seconds": 2}) if soon else None


@app.task(name="rlhf.execute_run", queue="runs", pass_context=True, retry=Again())
def execute_run(context: JobContext, *, run_id: str) -> None:
    """Train, then let the run's round go on. A repeat after a death does only what is left of both."""
    try:
        run = jobs.execute(run_id, interrupted=context.should_abort)
    except jobs.Interrupted as error:
        raise JobAborted(str(error)) from error
    except (jobs.RunBusy, OperationalError, InterfaceError):
        raise
    except Exception as error:
        run = jobs.give_up(run_id, error)
    if run.round_id:
        loop.run_ended(run)


@app.task(name="rlhf.advance_round", queue="loop", retry=Again())
def advance_round(*, round_id: int) -> None:
    """Take the round through every step that can be taken now."""
    loop.advance(round_id)


@app.periodic(cron="* * * * * */10")
@app.task(name="rlhf.start_due_rounds", queue="loop", queueing_lock="start_due_rounds")
def start_due_rounds(timestamp: int) -> None:
    """Start rounds that reached their target in projects that ask for no press."""
    loop.start_due()


@app.periodic(cron="* * * * * */5")
@app.task(name="rlhf.take_over", queue="loop", queueing_lock="take_over", pass_context=True)
async def take_over(context: JobContext, timestamp: int) -> None:
    """Queue the jobs of dead workers again; procrastinate leaves this to its users."""
    silence = context.additional_context.get("silence", SILENCE)
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=silence):
        try:
            await manager.retry_job(job)
        except UniqueViolation:
            # The same job was queued anew meanwhile: one is enough.
            await manager.finish_job(job, status=Status.FAILED, delete_job=True)

"""Postgres goes away under a working platform and comes back: what trains goes on, once."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import ROOT, background, end, until

from deploy import postgres

pytestmark = pytest.mark.slow
STEPS = 100
RUN = """
from runs import demonstrations
from models_zoo.models import Checkpoint
from labeling.models import Project
from rlhf.runs import jobs
run = jobs.create_run(
    project=Project.objects.get(),
    algorithm="sft",
    inputs={"policy": Checkpoint.objects.get(kind="base")},
    rows=demonstrations(400),
    knobs={"epochs": 2.0, "batch": 8, "checkpoint_every": 20},
)
jobs.enqueue(run)
print(run.pk)
"""


class Platform:
    """An embedded Postgres and a worker of its own; `revive` starts the worker again, as `make run` does."""

    def __init__(self, home: Path) -> None:
        self.home = home
        plain = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
        self.environment = {**plain, "TUTELAGE_HOME": str(home), "PYTHONPATH": str(ROOT / "tests")}
        self.worker: subprocess.Popen[bytes] | None = None

    def manage(self, *arguments: str) -> str:
        argv = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            argv, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def revive(self) -> None:
        if self.worker is None or self.worker.poll() is not None:
            arguments = ("manage.py", "worker", "--heartbeat", "1")
            log = self.home / "worker.log"
            self.worker = background(*arguments, environment=self.environment, log=log)

    def ask(self, query: str, *values: Any) -> list[Any]:
        """Rows of an answer; none while nobody answers."""
        where = postgres.connection(home=self.home)
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(host=where["HOST"], user=where["USER"], dbname=where["NAME"]) as session,
        ):
            return session.execute(query, values).fetchall()
        return []

    def close(self) -> None:
        if self.worker:
            end(self.worker)
        postgres.stop(home=self.home)


@pytest.fixture
def platform() -> Iterator[Platform]:
    # Not tmp_path: the socket's name must be short.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    folder.chmod(0o755)
    opened = Platform(folder / "home")
    try:
        opened.manage("migrate", "--verbosity", "0")
        opened.manage("demo_project")
        yield opened
    finally:
        opened.close()
        shutil.rmtree(folder)


def test_a_run_outlives_postgres(platform):
    """It is stopped and started once in mid-run, and killed once."""
    run = platform.manage("shell", "--no-imports", "--command", RUN)
    query = "select n, step, superseded from rlhf_metric where run_id = %s order by n"
    for number in (signal.SIGINT, signal.SIGKILL):
        known = len(platform.ask(query, run))
        until(lambda known=known: platform.revive() or len(platform.ask(query, run)) >= known + 3, seconds=90)
        pid_file = platform.home / "postgres" / "data" / "postmaster.pid"
        os.kill(int(pid_file.read_text().split()[0]), number)
        until(lambda: not platform.ask("select 1"))
        postgres.ensure_running(home=platform.home)

    def settled() -> list[Any]:
        platform.revive()
        settled = "select state, error from rlhf_run where id = %s and state not in ('queued', 'running')"
        return platform.ask(settled, run)

    assert until(settled, seconds=150) == [("done", "")]
    lines = platform.ask(query, run)
    assert [n for n, _, _ in lines] == list(range(len(lines)))
    steps = [step for _, step, superseded in lines if not superseded]
    assert steps == list(range(1, STEPS + 1))
    assert platform.ask("select count(*) from models_zoo_checkpoint") == [(3,)]
    made = "select kind from rlhf_run join models_zoo_checkpoint made on made.id = output_id"
    assert platform.ask(made) == [("sft",)]
    jobs = "select count(*) from procrastinate_jobs where task_name = 'rlhf.execute_run'"
    until(lambda: platform.ask(jobs) == [(0,)])

"""Real workers on the test database, for tests that let jobs run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from conftest import background, end
from django.db import connection


@pytest.fixture
def new_worker(home, transactional_db) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts workers on the test database; kills what is left of them at the end."""
    own = connection.settings_dict
    login = quote(own["USER"]) + (f":{quote(own['PASSWORD'])}" if own["PASSWORD"] else "")
    port = f"&port={own['PORT']}" if own["PORT"] else ""
    address = f"postgresql://{login}@/{own['NAME']}?host={quote(own['HOST'], safe='')}{port}"
    environment = {**os.environ, "TUTELAGE_HOME": str(home), "DATABASE_URL": address}
    started = []

    def begin() -> subprocess.Popen[bytes]:
        process = background(
            "manage.py", "worker", "--heartbeat", "1", environment=environment, log=home / "worker.log"
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            end(process)
    with connection.cursor() as cursor:
        cursor.execute("truncate procrastinate_jobs, procrastinate_workers cascade")

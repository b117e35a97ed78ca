"""What the tests stand on: an embedded Postgres; for whole-system tests a server, a worker and a browser.

`server` and `worker` live for the session (under xdist: for one of its processes), `browser` for a module,
`responder` for a test; each is bounded in time and stopped by its own process. Synchronous Playwright keeps
the ORM out of its thread while a browser is open: such tests set their data up over HTTP, or with
`server.manage`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from playwright.sync_api import Browser, Page, sync_playwright

from deploy import postgres

ROOT = Path(__file__).resolve().parent.parent
LIFETIME = 1200
CHROMIUM_FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_configure(config: pytest.Config) -> None:
    os.environ["TUTELAGE_HOME"] = str(settings.HOME)
    if postgres.is_embedded():
        postgres.ensure_running(home=settings.HOME)


def pytest_unconfigure(config: pytest.Config) -> None:
    if postgres.is_embedded():
        postgres.stop(home=settings.HOME, unless_used=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, *, seconds: float = 30, every: float = 0.05):
    """The first true value of `condition()`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain for {getattr(condition, '__name__', condition)}")
        time.sleep(every)
    return value


@dataclass
class Server:
    """A real uvicorn on a free port, in front of a database of its own."""

    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        arguments = ["uvicorn", "deploy.asgi:application", "--port", str(self.port), "--log-level", "warning"]
        self.process = background("-m", *arguments, environment=self.environment, log=self.log)
        until(self._answers)

    def stop(self) -> None:
        if self.process:
            end(self.process)

    def manage(self, *arguments: str) -> str:
        """Output of a management command against this server's database; fails the test where it fails."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shell(self, code: str) -> str:
        return self.manage("shell", "--no-imports", "--command", code)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


def background(*arguments: str, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Python in the background, for `LIFETIME` seconds at most."""
    with log.open("ab") as output:
        return subprocess.Popen(
            ["timeout", "--kill-after=5", str(LIFETIME), sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask, wait, and only then kill; with the group, since `timeout` stands before the program itself."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, django_db_setup, django_db_blocker) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    # Copied from the tests' own database where a test needed one: migrating another would cost seconds.
    name = connection.settings_dict["NAME"]
    template = f" template {name}" if name.startswith(TEST_DATABASE_PREFIX) else ""
    with django_db_blocker.unblock():
        connection.close()
    database = f"server_{os.getpid()}"
    own = settings.DATABASES["default"]
    parameters = {
        "host": own["HOST"],
        "user": own["USER"],
        "password": own.get("PASSWORD"),
        "port": own.get("PORT"),
    }
    parameters = {key: value for key, value in parameters.items() if value}
    login = quote(own["USER"]) + (f":{quote(own['PASSWORD'])}" if own.get("PASSWORD") else "")
    with psycopg.connect(**parameters, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"create database {database}{template}")
        address = f"postgresql://{login}@/{database}?host={quote(own['HOST'], safe='')}"
        if own.get("PORT"):
            address += f"&port={own['PORT']}"
        environment = {
            **os.environ,
            "TUTELAGE_HOME": str(folder),
            "DATABASE_URL": address,
            "DEMO_ACCOUNTS": "1",
        }
        running = Server(environment=environment, log=folder / "server.log")
        try:
            if not template:
                running.manage("migrate", "--verbosity", "0")
            running.start()
            yield running
        finally:
            running.stop()
            admin.execute(f"drop database {database} with (force)")


@pytest.fixture(scope="session")
def worker(server: Server) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that takes the server's jobs."""
    log = server.log.with_name("worker.log")
    process = background("manage.py", "worker", environment=server.environment, log=log)
    until(lambda: httpx.get(f"{server.url}/healthz").json()["worker"] == "alive")
    yield process
    end(process)


@pytest.fixture
def responder(server: Server) -> Iterator[subprocess.Popen[bytes]]:
    """A responder that answers for the server's models."""
    started = respond(server)
    yield started
    if started.poll() is None:
        end(started)


def respond(server: Server) -> subprocess.Popen[bytes]:
    log = server.log.with_name("responder.log")
    return background("manage.py", "respond", environment=server.environment, log=log)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.fail("Chromium is missing: sudo apt-get install chromium fonts-dejavu-core")
    flags = CHROMIUM_FLAGS + (["--no-sandbox"] if os.geteuid() == 0 else [])
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A fresh browser profile at the server; a script error or a breach of its policy fails the test."""
    context = browser.new_context(base_url=server.url)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda line: faults.append(line.text) if "Security Policy" in line.text else None)
    yield opened
    context.close()
    assert not faults

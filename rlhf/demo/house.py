"""A platform for the length of a demo: a database of its own, a web server and a worker on a free port."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

import psycopg
from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

PATIENCE = 60.0
GRACE = 15.0


def inside(arguments: list[str]) -> int:
    """Run `manage.py <arguments>` on a fresh database and state folder, and return its exit status.

    The state folder is `$TUTELAGE_HOME/demo`, emptied first; the database is gone afterwards.

    Raises:
        CommandError: another demo runs in this state folder, or no database can be made.
    """
    home = settings.HOME / "demo"
    with _alone(settings.HOME / "demo.lock"), _database() as address:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        environment = {
            **os.environ,
            "TUTELAGE_HOME": str(home),
            "DATABASE_URL": address,
            "DEMO_ACCOUNTS": "0",
        }
        argv = [*_tether(), sys.executable, "manage.py", *arguments]
        child = subprocess.Popen(argv, cwd=settings.BASE_DIR, env=environment, start_new_session=True)
        with _passing_signals_to(child):
            return child.wait()


class House:
    """Web server and worker of this process's database; `close` ends both."""

    def __init__(self, log: Path) -> None:
        """Start both and wait until the server answers and the worker lives. Raises CommandError."""
        self.log = log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.cpu_seconds: dict[str, float] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        serve = ["-m", "uvicorn", "deploy.asgi:application", "--port", str(self.port), "--lifespan", "off"]
        try:
            self._start("web", [*serve, "--log-level", "warning", "--timeout-graceful-shutdown", "2"])
            self._start("worker", ["manage.py", "worker"])
            self._wait()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End both, worker first, and note their CPU time (the worker's with its trainers')."""
        for name in reversed(list(self._processes)):
            process = self._processes.pop(name)
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            deadline = time.monotonic() + GRACE
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            while not pid:
                if time.monotonic() > deadline:
                    os.killpg(process.pid, signal.SIGKILL)
                time.sleep(0.05)
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu_seconds[name] = usage.ru_utime + usage.ru_stime

    def alive(self) -> None:
        """Raise CommandError where one of the two has ended by itself."""
        for name, process in self._processes.items():
            if Path(f"/proc/{process.pid}").exists() and _state(process.pid) not in "ZX":
                continue
            raise CommandError(f"the {name} ended by itself; {self.log} says why")

    def _start(self, name: str, argv: list[str]) -> None:
        with self.log.open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [*_tether(), sys.executable, *argv],
                cwd=settings.BASE_DIR,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _wait(self) -> None:
        import httpx

        deadline = time.monotonic() + PATIENCE
        with httpx.Client(base_url=self.url, timeout=2, trust_env=False) as client:
            while time.monotonic() < deadline:
                self.alive()
                with contextlib.suppress(httpx.TransportError, ValueError):
                    if client.get("/healthz").json().get("worker") == "alive":
                        return
                time.sleep(0.1)
        raise CommandError(f"the platform did not come up in {PATIENCE:.0f} s; {self.log} says why")


@contextlib.contextmanager
def _database() -> Iterator[str]:
    """A new database beside the configured one; yields its address and drops it at the end."""
    # Named for the state folder, of which the caller holds the lock: what a killed demo left goes first.
    place = f"{socket.gethostname()} {settings.HOME}"
    name = f"demo_{hashlib.sha256(place.encode()).hexdigest()[:12]}"
    drop = f"drop database if exists {name} with (force)"
    own: dict[str, Any] = connection.settings_dict
    parameters = {"host": own["HOST"], "user": own["USER"], "password": own["PASSWORD"], "port": own["PORT"]}
    parameters = {key: value for key, value in parameters.items() if value}
    login = quote(own["USER"]) + (f":{quote(own['PASSWORD'])}" if own["PASSWORD"] else "")
    port = f"&port={own['PORT']}" if own["PORT"] else ""
    try:
        with psycopg.connect(**parameters, dbname="postgres", autocommit=True) as admin:
            admin.execute(drop)
            admin.execute(f"create database {name}")
    except psycopg.Error as error:
        raise CommandError(f"no database for the demo: {str(error).strip().splitlines()[0]}") from error
    try:
        yield f"postgresql://{login}@/{name}?host={quote(own['HOST'], safe='')}{port}"
    finally:
        # A server that went away in the middle has been told of already.
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(**parameters, dbname="postgres", autocommit=True) as admin,
        ):
            admin.execute(drop)


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"a demo runs in {lock.parent} already; TUTELAGE_HOME chooses another state folder"
            ) from None
        yield


@contextlib.contextmanager
def _passing_signals_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ctrl-C and its like ask the child to end, which tidies up first; asking again cuts nothing short."""
    asked = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = True
            child.terminate()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        yield
    finally:
        if not asked:
            for number, handler in before.items():
                signal.signal(number, handler)


def end_once(number: int, frame: FrameType | None) -> None:
    """A handler that ends this process as Ctrl-C does, and lets no second signal into its tidying up."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _tether() -> list[str]:
    """Where the system has it: a child ends when its parent is killed outright."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"

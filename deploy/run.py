"""`python -m deploy.run`: the whole platform on one machine, until Ctrl-C.

Starts the embedded Postgres (unless `DATABASE_URL` names another), brings the database up to date, makes the
demo project, then keeps a web server, a worker and a responder running. Whatever it started ends with it.
PORT, HOST and TUTELAGE_HOME choose the address and the state folder.
"""

import argparse
import contextlib
import fcntl
import ipaddress
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
GRACE = 10.0
LONGEST_WAIT = 30.0


class CannotStart(RuntimeError):
    """Why nothing was started, in one line."""


class StopRequest:
    """Whether a signal asked us to end; its handler only writes to a pipe, so that two at once are safe."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def within(self, seconds: float) -> bool:
        return bool(select.select([self._read], [], [], seconds)[0])

    def _note(self, number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"!")


@dataclass
class Child:
    """A process that is kept running; a new session, so that Ctrl-C reaches only its supervisor."""

    name: str
    argv: list[str]
    wait: float = 1.0
    started: float = field(default=0.0, init=False)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        # It dies with a supervisor that is killed outright.
        tether = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*tether, sys.executable, *self.argv], cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def ask_to_end(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def see_it_end(self, deadline: float) -> None:
        if not self.process:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, deadline - time.monotonic()))
        # Whatever is left of its group goes too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make run", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.parse_args()
    host = os.environ.get("HOST") or "127.0.0.1"
    stop = StopRequest()
    try:
        port = _port()
        # The demo's passwords are public, so they exist only where no other machine can reach them.
        os.environ["DEMO_ACCOUNTS"] = "1" if _is_loopback(host) else "0"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
        home = _home()
        with _alone(home):
            _check_free(host, port)
            with _database(home):
                accounts = _prepare()
                return _supervise(host, port, home, accounts, stop)
    except CannotStart as reason:
        print(f"tutelage: {reason}", file=sys.stderr)
        return 1


def _port() -> int:
    value = os.environ.get("PORT", "8000")
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise CannotStart(f"PORT must be a number from 1 to 65535, not {value!r}")
    return int(value)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _home() -> Path:
    """The state folder, which the settings make."""
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    try:
        home: Path = settings.HOME
    except ImproperlyConfigured as error:
        raise CannotStart(str(error)) from error
    # Children must find the same folder from wherever they stand.
    os.environ["TUTELAGE_HOME"] = str(home)
    return home


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One platform a state folder; the kernel drops the lock however we end."""
    try:
        lock = (home / "run.lock").open("a+")
    except OSError as error:
        raise CannotStart(f"cannot use the state folder {home}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            running = f"already running in {home} (process {lock.read().strip()})"
            raise CannotStart(f"{running}; TUTELAGE_HOME chooses another folder") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextlib.contextmanager
def _database(home: Path) -> Iterator[None]:
    """The embedded Postgres, stopped at the end unless another command still counts on it."""
    from deploy import postgres

    if not postgres.is_embedded():
        yield
        return
    try:
        postgres.ensure_running(home=home)
        try:
            yield
        finally:
            postgres.stop(home=home, unless_used=True)
    except postgres.PostgresError as error:
        raise CannotStart(f"embedded Postgres: {error}") from error


def _check_free(host: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise CannotStart(
            f"cannot listen on {host} port {port}: {error.strerror}; PORT chooses another"
        ) from error


def _prepare() -> str:
    """Bring the database up to date and make the demo project; what that command says of its accounts."""
    import io

    import django
    from django.core.management import CommandError, call_command
    from django.db import DatabaseError, connections

    said = io.StringIO()
    try:
        django.setup()
        call_command("migrate", verbosity=0)
        call_command("demo_project", stdout=said)
    except (DatabaseError, CommandError) as error:
        raise CannotStart(str(error).strip().split("\n")[0]) from error
    finally:
        connections.close_all()
    return said.getvalue()


def _supervise(host: str, port: int, home: Path, accounts: str, stop: StopRequest) -> int:
    """Keep the processes and Postgres alive until asked to stop; 1 where the web server cannot live."""
    serve = ["-m", "uvicorn", "deploy.asgi:application", "--host", host, "--port", str(port)]
    quiet = ["--lifespan", "off", "--log-level", "warning", "--timeout-graceful-shutdown", "3"]
    # Events are of a hundred bytes: packing them costs more than it saves.
    quiet += ["--ws-per-message-deflate", "false"]
    web, worker = Child("web server", [*serve, *quiet]), Child("worker", ["manage.py", "worker"])
    responder = Child("responder", ["manage.py", "respond"])
    try:
        web.start()
        worker.start()
        # All addresses at once are no address to open.
        name = "localhost" if host in {"0.0.0.0", "::"} else f"[{host}]" if ":" in host else host
        address = f"http://{name}:{port}"
        greeted = False
        while not stop.within(0.1 if not greeted else 1.0):
            if web.ended():
                print("tutelage: the web server ended; its last lines above say why", file=sys.stderr)
                return 1
            if not greeted and _answers(address):
                greeted = True
                print(f"\n  Tutelage is at {address}\n\n{accounts}\n  Ctrl-C ends it.\n", flush=True)
                # Nobody talks with the model before the first page is there, and its start takes a second.
                responder.start()
            _revive(worker)
            _revive(responder)
            _revive_database(home)
        return 0
    finally:
        deadline = time.monotonic() + GRACE
        for child in (worker, responder, web):
            child.ask_to_end()
        for child in (worker, responder, web):
            child.see_it_end(deadline)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _revive(child: Child) -> None:
    """Start a child that died again, later each time it dies young."""
    lived = time.monotonic() - child.started
    if child.process and child.ended() and lived > child.wait:
        print(
            f"tutelage: the {child.name} ended (status {child.process.returncode}); starting it again",
            file=sys.stderr,
        )
        child.wait = 1.0 if lived > LONGEST_WAIT else min(LONGEST_WAIT, child.wait * 2)
        child.start()


def _revive_database(home: Path) -> None:
    from deploy import postgres

    if not postgres.is_embedded():
        return
    try:
        postgres.ensure_running(home=home)
    except postgres.PostgresError as error:
        print(f"tutelage: embedded Postgres: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

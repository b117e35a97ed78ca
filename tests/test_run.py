"""`make run` as a person meets it: it comes up, says one line when it cannot, and leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from conftest import ROOT, free_port, until

from deploy import postgres

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-m", "deploy.run"]


def environment(home: Path, port: int, **more: str) -> dict[str, str]:
    plain = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    return {**plain, "TUTELAGE_HOME": str(home), "PORT": str(port), **more}


def refused(home: Path, port: int | str, **more: str) -> str:
    """The one line with which a start is refused."""
    values = environment(home, port, **more)
    done = subprocess.run(COMMAND, cwd=ROOT, env=values, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def processes_of(home: Path) -> list[str]:
    """Command lines of the live processes that stand in this state folder, or were told of it."""
    mark = f"TUTELAGE_HOME={home}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            mine = mark in (entry / "environ").read_bytes().split(b"\0")
            if mine or (entry / "cwd").readlink().is_relative_to(home):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [line for line in found if line.strip()]


class Platform:
    def __init__(self, home: Path, **more: str):
        self.home, self.port, self.output = home, free_port(), home.with_suffix(".out")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                ["timeout", "--foreground", "300", *COMMAND],
                cwd=ROOT,
                env=environment(home, self.port, **more),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until(self.greeted, seconds=90)

    def greeted(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        return "Ctrl-C" in self.output.read_text()

    def health(self) -> dict[str, str]:
        return httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=10).json()

    def end(self, number: int = signal.SIGINT) -> int:
        """As a terminal does it: the signal goes to the whole group."""
        os.killpg(self.process.pid, number)
        return self.process.wait(40)


@pytest.fixture
def platform(tmp_path):
    running = Platform(tmp_path / "state")
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGTERM)


def test_first_start_and_end(platform):
    assert platform.health()["database"] == "ok"
    until(lambda: platform.health()["worker"] == "alive")
    said = platform.output.read_text()
    assert f"http://127.0.0.1:{platform.port}" in said
    assert "Traceback" not in said
    page = httpx.get(f"http://127.0.0.1:{platform.port}/", follow_redirects=True)
    assert page.status_code == 200
    assert platform.end() == 0
    assert processes_of(platform.home) == []


def test_term_ends_all(platform):
    platform.end(signal.SIGTERM)
    assert processes_of(platform.home) == []


def test_all_addresses(tmp_path):
    """Where other machines reach it, it has no accounts whose password everybody knows."""
    running = Platform(tmp_path / "state", HOST="0.0.0.0", ALLOWED_HOSTS="label.example")
    said = running.output.read_text()
    running.end(signal.SIGTERM)
    assert f"http://localhost:{running.port}" in said
    assert "No demo accounts" in said
    assert "Traceback" not in said


def test_second_start_is_refused(platform):
    assert "already running in" in refused(platform.home, free_port())
    assert platform.health()["database"] == "ok"


def test_kill_leaves_no_children(platform):
    """A kill of the supervisor takes its children along; only Postgres stays, for the next start."""
    supervisor = int((platform.home / "run.lock").read_text())
    os.kill(supervisor, signal.SIGKILL)
    platform.process.wait(20)
    until(lambda: all("postgres" in line for line in processes_of(platform.home)))
    again = Platform(platform.home)
    assert again.end() == 0
    assert processes_of(platform.home) == []


def test_worker_and_database_come_back(platform):
    worker = re.compile(r"manage\.py worker")
    until(lambda: platform.health()["worker"] == "alive")

    def pid():
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if (
                    worker.search(line)
                    and f"TUTELAGE_HOME={platform.home}".encode() in (entry / "environ").read_bytes()
                ):
                    return int(entry.name)
            except OSError:
                continue
        return None

    first = pid()
    os.kill(first, signal.SIGKILL)
    until(lambda: pid() not in {None, first})
    os.kill(int((platform.home / "postgres/data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    until(lambda: platform.health()["database"] == "ok", seconds=60)
    assert platform.end() == 0
    assert processes_of(platform.home) == []


def test_busy_port(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        line = refused(tmp_path, other.getsockname()[1])
    assert "Address already in use" in line
    assert "PORT" in line
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize("port", ["0", "65536", "eight", "²", ""])
def test_bad_port(tmp_path, port):
    assert "PORT must be a number" in refused(tmp_path, port)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THREADS", "many"),
        ("THREADS", "0"),
        ("DATABASE_POOL", "-1"),
        ("LOG_LEVEL", "loud"),
        ("TRUSTED_ORIGINS", "label.example"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "mysql://u:secret@127.0.0.1/n"),
        ("DATABASE_URL", "postgresql://u:secret@127.0.0.1:port/n"),
    ],
)
def test_bad_setting(tmp_path, name, value):
    line = refused(tmp_path, free_port(), **{name: value})
    assert line.startswith(f"tutelage: {name} ")
    assert "secret" not in line


def test_first_starts_agree_on_the_key(tmp_path):
    """Also where an earlier one was cut short between making the file and writing it."""
    (tmp_path / "secret_key").touch()
    code = "from deploy.settings import SECRET_KEY; print(SECRET_KEY)"
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment(tmp_path, 1),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    (key,) = {start.communicate(timeout=60)[0].strip() for start in starts}
    assert len(key) > 40


def test_empty_database_address_means_none(tmp_path):
    """As a compose file or an env file leaves it."""
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--plan"],
        cwd=ROOT,
        env=environment(tmp_path, 1, DATABASE_URL=""),
        capture_output=True,
        text=True,
        timeout=60,
    )
    postgres.stop(home=tmp_path)
    assert "guidelines" in done.stdout, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_full_disk(tmp_path):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", tmp_path]).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        (tmp_path / "ballast").write_bytes(bytes(8192))
        assert f"the state folder {tmp_path}: No space left" in refused(tmp_path, free_port())
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_state_is_for_its_owner(tmp_path):
    """It holds labels, prompts and keys, and machines are shared."""
    refused(tmp_path / "state", free_port(), DATABASE_URL=f"postgresql://u@/n?host={tmp_path}")
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_state_is_a_file(tmp_path):
    (tmp_path / "state").write_text("")
    assert "state folder" in refused(tmp_path / "state", free_port())


def test_database_out_of_reach(tmp_path):
    line = refused(tmp_path, free_port(), DATABASE_URL=f"postgresql://u@/n?host={tmp_path}")
    assert "No such file or directory" in line

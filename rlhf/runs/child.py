"""A trainer as a child process: started, watched, ended; its last words and its CPU time are kept."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from django.conf import settings

LAST_WORDS = 16_384
# People go first: on a machine that does both, training takes what labeling leaves.
NICE = 10


class Child:
    """`python -m rlhf.trainers.<algorithm> RUN_DIR`. It ends itself when this process is gone."""

    def __init__(self, *, algorithm: str, folder: Path) -> None:
        """Start it. Raises OSError."""
        environment = {
            **os.environ,
            "TUTELAGE_PARENT": str(os.getpid()),
            "PYTHONPATH": str(settings.BASE_DIR),
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "1",
        }
        # A session of its own: Ctrl-C in a terminal is for the worker, which then ends its children.
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"rlhf.trainers.{algorithm}", str(folder)],
            cwd=settings.BASE_DIR,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
        assert self._process.stderr is not None
        self._errors = self._process.stderr.fileno()
        os.set_blocking(self._errors, False)
        self._words = b""
        self.pid = self._process.pid
        self.status: int | None = None
        self.cpu_seconds = 0.0

    def poll(self, *, wait: bool = False) -> int | None:
        """The exit status once it has ended (negative: by that signal), else None."""
        # Once it has ended its pipe may be closed, and the number of that be another run's.
        if self.status is None:
            self._listen()
            pid, status, usage = os.wait4(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                self.status = self._process.returncode = os.waitstatus_to_exitcode(status)
                self.cpu_seconds = usage.ru_utime + usage.ru_stime
                self._listen()
        return self.status

    def end(self) -> None:
        """Kill it where it still runs: whatever a trainer leaves on disk is whole at any moment."""
        if self.poll() is None:
            # Its own helpers (data loaders, ranks) are in its session.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.poll(wait=True)
        if self._process.stderr:
            self._process.stderr.close()

    @property
    def last_words(self) -> str:
        """What it wrote to standard error, the end of it."""
        return self._words.decode(errors="replace")

    @property
    def last_line(self) -> str:
        """The last line that says something."""
        lines = [line.strip() for line in self.last_words.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError, ValueError, OSError):
            while said := os.read(self._errors, 65_536):
                self._words = (self._words + said)[-LAST_WORDS:]


def cpu_of_imports(algorithm: str) -> float:
    """CPU seconds that a trainer spends on importing its libraries, measured now."""
    before = os.times()
    subprocess.run(
        [sys.executable, "-c", f"import rlhf.trainers.{algorithm}"], cwd=settings.BASE_DIR, check=True
    )
    after = os.times()
    used = after.children_user + after.children_system
    return used - before.children_user - before.children_system

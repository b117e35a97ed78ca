"""The command line of every trainer, `python -m rlhf.trainers.<name> RUN_DIR`, and its exit status."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from models_zoo import store
from rlhf.trainers.run_directory import (
    BAD_RUN,
    CRASHED,
    DONE,
    LOCKED,
    STOPPED,
    BadRun,
    LockHeld,
    RunDirectory,
    Stopped,
)

# What safetensors and torch say where a write fails, in errors that are no OSError.
FAILED_WRITES = ("No space left on device", "PytorchStreamWriter failed", "unexpected pos")


def execute(
    train: Callable[[RunDirectory], None], *, algorithm: str, arguments: list[str] | None = None
) -> int:
    """Run a trainer on the directory named on the command line and return the exit status.

    0 done (also when it was done before), 1 crashed, 2 bad configuration, data or input, 3 stopped by
    control.json, 4 the lock is held by another process. For 2 and 4 one line goes to standard error.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1 or given[0] in ("-h", "--help"):
        print(f"usage: python -m rlhf.trainers.{algorithm} RUN_DIR", file=sys.stderr)
        return DONE if given in (["-h"], ["--help"]) else BAD_RUN
    try:
        run = RunDirectory(Path(given[0]))
        if run.algorithm != algorithm:
            raise BadRun(f"config.json: algorithm is {run.algorithm!r}, this trainer is {algorithm!r}")
        with run.lock():
            if not run.finished:
                _die_with_parent()
                train(run)
    except (BadRun, store.BrokenCheckpoint) as error:
        print(error, file=sys.stderr)
        return BAD_RUN
    except Stopped:
        run.log("stopped by control.json")
        return STOPPED
    except LockHeld as error:
        print(error, file=sys.stderr)
        return LOCKED
    except Exception as error:
        if not isinstance(error, OSError) and not any(words in str(error) for words in FAILED_WRITES):
            raise
        reason = " ".join(str(error).split())
        print(f"the run directory cannot be written: {reason}; mend that and resume", file=sys.stderr)
        return CRASHED
    return DONE


def _die_with_parent() -> None:
    named = os.environ.get("TUTELAGE_PARENT", "")
    if not named.isdigit():
        return
    born_to = os.getppid()

    def watch() -> None:
        while os.getppid() == born_to and _alive(int(named)):
            time.sleep(0.5)
        # Nobody is left to take the result: everything on disk is whole at any moment, so no clean-up is due.
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

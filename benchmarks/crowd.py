"""Two hundred labelers at human pace, while a round trains, an export streams and the web server restarts.

    python -m benchmarks.crowd [--seed N] [--labelers N] [--seconds N] [--json]

Each labeler is a browser as the server sees one: signed in by cookie, on a WebSocket that reconnects and
catches up, one task on screen and one fetched ahead. They rank four answers every 20 to 60 seconds, save four
drafts on the way, beat once a minute, ask what is left after each label, and keep a label that the server
does not answer in an outbox until it does. Beside them a worker trains rounds of the demo project one after
another, an export of 100,000 labels is read to its end and held against its digest, and half-way the web
server is stopped and started again. Afterwards every acknowledged label and every live event is looked for.

Latency is that of single requests: `p50_ms` and `p99_ms` of those that did not overlap the restart, which
lasts until the server answers again. An error is an answer that a browser would show as a failure, or a lost
connection outside the restart.

What is not covered: a network, a disk of its own, and clients on another machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.crowd_browser import Browser
from benchmarks.queue import ROOT, postgres, spread, web

TASKS, WANTED, K = 4_000, 3, 4
EXPORTED = 100_000
SETTLING = 1.0  # after the server answers again, for the sockets


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--labelers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--json", action="store_true", help="one object as the last line")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with postgres() as home:
        result = measure(home, seed=options.seed, labelers=options.labelers, seconds=options.seconds)
    result |= {"seed": options.seed, "cores": os.cpu_count()}
    print(table(result))
    if options.json:
        print(json.dumps(result))


def measure(home: Path, *, seed: int, labelers: int, seconds: float) -> dict[str, Any]:
    """Make the world, run the crowd through it, and look for what went wrong."""
    from benchmarks import crowd_world

    rng = random.Random(seed)
    world = crowd_world.make(labelers=labelers, tasks=TASKS, wanted=WANTED, k=K, exported=EXPORTED)
    restarts = Restarts(home)
    with restarts.running(), _training(home, restarts.port) as rounds:
        crowd = Crowd(restarts=restarts, world=world, seconds=seconds, rng=rng)
        asyncio.run(crowd.run())
        trained = rounds()
    return {
        "labelers": labelers,
        "seconds": seconds,
        **crowd.figures(),
        "missed_events": crowd_world.missed(crowd.heard, slug=world.slug),
        **crowd_world.faults(crowd.acknowledged),
        "rounds": trained,
    }


class Restarts:
    """The web server, which can be stopped and started again on its port."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.windows: list[tuple[float, float]] = []
        self.port = 0
        self._stack = contextlib.ExitStack()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self.port, _ = self._stack.enter_context(web(self.home))
        try:
            yield
        finally:
            self._stack.close()

    def restart(self) -> None:
        began = time.monotonic()
        # Open until it is over: a request that fails meanwhile must find it.
        self.windows.append((began, float("inf")))
        self._stack.close()
        self._stack.enter_context(web(self.home, port=self.port))
        self.windows[-1] = (began, time.monotonic() + SETTLING)

    def overlaps(self, began: float, ended: float) -> bool:
        return any(began <= until and ended >= since for since, until in self.windows)


@contextlib.contextmanager
def _training(home: Path, port: int) -> Iterator[Any]:
    """A worker, and rounds of the demo project one after another: yields what they came to so far."""
    from benchmarks.crowd_world import DEMO

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PORT": str(port)}
    stop, trained = threading.Event(), list[float]()

    def manage(*arguments: str) -> bool:
        argv = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            argv, cwd=ROOT, env=environment, timeout=300, stdout=subprocess.DEVNULL, stderr=log
        )
        return not done.returncode

    def train() -> None:
        simulated = ["simulate", "--project", DEMO, "--taste", "kind", "--labels", "15"]
        while not stop.is_set():
            if manage(*simulated) and manage("round", "start", "--project", DEMO, "--force", "--wait"):
                trained.append(time.monotonic())
            else:
                stop.wait(2)

    with open(home / "worker.log", "wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "worker"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        thread = threading.Thread(target=train, daemon=True)
        thread.start()
        try:
            yield lambda: len(trained)
        finally:
            stop.set()
            worker.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


@dataclass
class Crowd:
    """All the labelers, what they sent and what they heard."""

    restarts: Restarts
    world: Any
    seconds: float
    rng: random.Random
    took: list[tuple[str, float, float]] = field(default_factory=list)
    """What was asked for, when, and until when."""
    acknowledged: set[str] = field(default_factory=set)
    heard: list[set[int]] = field(default_factory=list)
    """The numbers of the live events that each labeler got."""
    wrong: Counter[str] = field(default_factory=Counter)
    dry: int = 0
    connected: int = 0
    export: dict[str, Any] = field(default_factory=dict)

    async def run(self) -> None:
        until = time.monotonic() + self.seconds
        people = [Browser(self, cookies, random.Random(self.rng.random())) for cookies in self.world.people]
        self.heard = [person.heard for person in people]
        restart = asyncio.create_task(self._restart(self.seconds / 2))
        export = asyncio.create_task(asyncio.to_thread(self._export, self.seconds / 10))
        sockets = [asyncio.create_task(person.listen()) for person in people]
        await asyncio.gather(*(person.work(until) for person in people))
        await asyncio.gather(restart, export)
        # The last events are on their way.
        await asyncio.sleep(3)
        for socket in sockets:
            socket.cancel()
        await asyncio.gather(*sockets, return_exceptions=True)

    def figures(self) -> dict[str, Any]:
        outside: dict[str, list[float]] = {}
        for name, since, until in self.took:
            if not self.restarts.overlaps(since, until):
                outside.setdefault(name, []).append(until - since)
        times = spread([one for each in outside.values() for one in each])
        return {
            "p50_ms": times["p50_ms"],
            "p99_ms": times["p99_ms"],
            "requests": len(self.took),
            "labels": len(self.acknowledged),
            "errors": sum(self.wrong.values()),
            "what_went_wrong": dict(self.wrong),
            "dry": self.dry,
            "reconnected": self.connected - len(self.heard),
            "away_s": [round(until - since, 1) for since, until in self.restarts.windows],
            "by_request": {name: spread(each) for name, each in sorted(outside.items())},
            "export": self.export,
        }

    async def _restart(self, after: float) -> None:
        await asyncio.sleep(after)
        await asyncio.to_thread(self.restarts.restart)

    def _export(self, after: float) -> None:
        """Read the large export once; where the restart cuts it, once more."""
        import hashlib

        import httpx

        time.sleep(after)
        address = f"http://127.0.0.1:{self.restarts.port}/api/datasets/{self.world.dataset}/export/"
        headers = {"Authorization": f"Token {self.world.token}"}
        while True:
            began, digest, rows = time.monotonic(), hashlib.sha256(), 0
            try:
                with httpx.stream("GET", address, headers=headers, timeout=60, trust_env=False) as answer:
                    answer.raise_for_status()
                    for piece in answer.iter_bytes():
                        digest.update(piece)
                        rows += piece.count(b"\n")
            except httpx.HTTPError as error:
                if not self.restarts.overlaps(began, time.monotonic()):
                    self.wrong[f"export: {type(error).__name__}"] += 1
                    return
                time.sleep(2)
                continue
            if digest.hexdigest() != self.world.digest:
                self.wrong["export: another digest"] += 1
            self.export = {"rows": rows, "seconds": round(time.monotonic() - began, 1)}
            return


def table(result: dict[str, Any]) -> str:
    lines = [f"{'request':<10} {'p50 ms':>7} {'p95 ms':>7} {'p99 ms':>7}"]
    for name, times in result["by_request"].items():
        lines.append(f"{name:<10} {times['p50_ms']:>7} {times['p95_ms']:>7} {times['p99_ms']:>7}")
    lines.append(f"{'all':<10} {result['p50_ms']:>7} {'':>7} {result['p99_ms']:>7}")
    export = result["export"]
    wrong = {key: result[key] for key in ("lost", "doubled", "over_assigned", "missed_events", "dry")}
    return "\n".join(
        [
            *lines,
            f"{result['labelers']} labelers, {result['seconds']:.0f} s: {result['labels']:,} labels in "
            f"{result['requests']:,} requests; web server away {result['away_s']} s, sockets came back "
            f"{result['reconnected']} times; {result['rounds']} rounds trained; export of "
            f"{export.get('rows', 0):,} rows in {export.get('seconds', 0)} s.",
            f"{result['errors']} errors {result['what_went_wrong'] or ''}, "
            + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in wrong.items()),
        ]
    )


if __name__ == "__main__":
    main()

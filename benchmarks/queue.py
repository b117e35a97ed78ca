"""How fast the queue hands out tasks and takes labels, through the API and in plain SQL.

    python -m benchmarks.queue [--seed N] [--short] [--json]

A loop is one `next` and one `submit` of a four-way ranking. 1, 8 and 32 labelers go round as fast as they are
answered, over 10,000 and then 100,000 tasks that want three labels each, against four web processes and a
Postgres of their own in a temporary folder. One submit in twenty is sent twice. Afterwards every label that
was acknowledged is looked for. The floor is the same statements from 8 threads without a web server. Latency
is that of a whole loop; CPU is that of the web processes and of Postgres, of the client's none.

What is not covered: a network, a disk of its own, and clients on another machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LABELERS = (1, 8, 32)
WEB_PROCESSES = 4
FLOOR_THREADS = 8
WANTED = 3
K = 4
REPEATED = 0.05
WARM_UP, WARM_UP_SECONDS = 1_000, 3.0
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="2,000 tasks and two seconds each")
    parser.add_argument("--json", action="store_true", help="one object as the last line")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes, seconds = ((2_000,), 2.0) if options.short else ((10_000, 100_000), 10.0)
    with postgres() as home, web(home) as (port, parent):
        result = measure(
            port=port, parent=parent, sizes=sizes, seconds=seconds, rng=random.Random(options.seed)
        )
    result |= {"seed": options.seed, "short": options.short, "cores": os.cpu_count()}
    print(table(result))
    if options.json:
        print(json.dumps(result))


def measure(
    *, port: int, parent: int, sizes: tuple[int, ...], seconds: float, rng: random.Random
) -> dict[str, Any]:
    """Every size with every number of labelers, then the floor on the largest size, then what went wrong."""
    from benchmarks import queue_floor, queue_world

    people = queue_world.add_people(max(LABELERS))
    by_tasks: dict[str, Any] = {}
    acknowledged: set[str] = set()
    # Every process loads its views with its first requests; nobody waits for that twice.
    slug = queue_world.add_project(WARM_UP, k=K, wanted=WANTED, people=people)
    asyncio.run(Load(port, slug, [token for _, token in people], rng).run(WARM_UP_SECONDS))
    postmaster = queue_world.postmaster()
    for size in sizes:
        slug = queue_world.add_project(size, k=K, wanted=WANTED, people=people)
        by_tasks[str(size)] = {}
        for n in LABELERS:
            load = Load(port, slug, [token for _, token in people[:n]], rng)
            began, web_before, database_before = time.monotonic(), cpu(parent), cpu(postmaster)
            asyncio.run(load.run(seconds))
            by_tasks[str(size)][str(n)] = load.figures(
                seconds=time.monotonic() - began,
                web_cpu=cpu(parent) - web_before,
                database_cpu=cpu(postmaster) - database_before,
            )
            acknowledged |= load.acknowledged
    began = time.monotonic()
    with ThreadPoolExecutor(FLOOR_THREADS) as threads:
        runs = [
            threads.submit(queue_floor.run, slug=slug, labeler=labeler, until=began + seconds)
            for labeler, _ in people[:FLOOR_THREADS]
        ]
        floor = [took for run in runs for took in run.result()]
    seconds = time.monotonic() - began
    return {
        "api": by_tasks[str(sizes[-1])],
        "floor": {"labelers": FLOOR_THREADS, "loops_per_s": round(len(floor) / seconds, 1), **spread(floor)},
        "wrong": queue_world.faults(acknowledged),
        "labels": len(acknowledged),
        "tasks": sizes[-1],
        "by_tasks": by_tasks,
    }


@dataclass
class Load:
    """Labelers that go round as fast as they are answered, each on a connection of its own."""

    port: int
    slug: str
    tokens: list[str]
    rng: random.Random
    loops: list[float] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)

    async def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(self._label(token, until) for token in self.tokens))

    def figures(self, *, seconds: float, web_cpu: float, database_cpu: float) -> dict[str, float]:
        a_loop = 1000 / max(1, len(self.loops))
        return {
            "loops_per_s": round(len(self.loops) / seconds, 1),
            **spread(self.loops),
            "cpu_ms_per_loop": round((web_cpu + database_cpu) * a_loop, 2),
            "web_ms_per_loop": round(web_cpu * a_loop, 2),
            "postgres_ms_per_loop": round(database_cpu * a_loop, 2),
        }

    async def _label(self, token: str, until: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            while time.monotonic() < until:
                began = time.monotonic()
                status, task = await self._post(
                    reader, writer, token, f"/api/projects/{self.slug}/next/", b"{}"
                )
                if status != 200:
                    raise RuntimeError(f"next: {status} {task}")
                await self._submit(reader, writer, token, task)
                self.loops.append(time.monotonic() - began)
        finally:
            writer.close()

    async def _submit(self, reader: Any, writer: Any, token: str, task: dict[str, Any]) -> None:
        ids = [one["id"] for one in task["candidates"]]
        self.rng.shuffle(ids)
        key = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        body = json.dumps({"submission_id": key, "answer": {"tiers": [[pk] for pk in ids]}}).encode()
        for expected in (201, 200) if self.rng.random() < REPEATED else (201,):
            status, stored = await self._post(
                reader, writer, token, f"/api/leases/{task['lease']}/submit/", body
            )
            if status != expected or stored["submission_id"] != key:
                raise RuntimeError(f"submit: {status} {stored}")
        self.acknowledged.add(key)

    async def _post(
        self, reader: Any, writer: Any, token: str, path: str, body: bytes
    ) -> tuple[int, dict[str, Any]]:
        """One request over a kept connection: a client library would cost more CPU than the server."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Token {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next((int(line[15:]) for line in answer if line.startswith(b"content-length:")), 0)
        content = await reader.readexactly(length)
        return int(answer[0].split()[1]), json.loads(content) if content else {}


@contextlib.contextmanager
def postgres() -> Iterator[Path]:
    """A Postgres of our own, migrated, in a folder that goes with it."""
    home = Path(tempfile.mkdtemp(prefix="tutelage-bench-"))
    os.environ |= {"TUTELAGE_HOME": str(home), "LOG_LEVEL": "ERROR"}
    os.environ.pop("DATABASE_URL", None)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
    from deploy import postgres as embedded

    try:
        embedded.ensure_running(home=home)
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield home
    finally:
        embedded.stop(home=home)
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def web(home: Path, *, port: int | None = None) -> Iterator[tuple[int, int]]:
    """Four web processes on ``port`` of loopback, or a free one: the port, and the pid of their parent."""
    from benchmarks.queue_world import free_port

    port = port or free_port()
    argv = [sys.executable, "-m", "uvicorn", "deploy.asgi:application", "--port", str(port)]
    argv += ["--workers", str(WEB_PROCESSES), "--log-level", "error", "--no-access-log"]
    argv += ["--ws-per-message-deflate", "false"]
    with open(home / "web.log", "ab") as log:
        process = subprocess.Popen(
            argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_for(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        # Its own session: whatever is left of these processes, and nothing else.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz"):
            return
        time.sleep(0.2)
    raise SystemExit("benchmarks.queue: the web server did not start")


def cpu(parent: int) -> float:
    """CPU seconds of a process, its living children and those it has buried."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _, _, rest = stat.read_text().rpartition(")")
            fields = rest.split()
            if int(stat.parent.name) == parent:
                total += sum(map(int, fields[11:15]))
            elif int(fields[1]) == parent:
                total += sum(map(int, fields[11:13]))
    return total / TICK


def spread(times: list[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    ordered = sorted(times) or [0.0]
    places = {f"p{p}_ms": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 95, 99)}
    return {name: round(1000 * value, 1) for name, value in places.items()}


def table(result: dict[str, Any]) -> str:
    lines = [
        f"{'tasks':>8} {'labelers':>9} {'loops/s':>8} {'p50 ms':>7} {'p95 ms':>7} {'p99 ms':>7} "
        f"{'CPU ms a loop':>14} {'web':>6} {'Postgres':>9}"
    ]
    for size, by_labelers in result["by_tasks"].items():
        for n, row in by_labelers.items():
            lines.append(
                f"{int(size):>8,} {n:>9} {row['loops_per_s']:>8} {row['p50_ms']:>7} {row['p95_ms']:>7} "
                f"{row['p99_ms']:>7} {row['cpu_ms_per_loop']:>14} {row['web_ms_per_loop']:>6} "
                f"{row['postgres_ms_per_loop']:>9}"
            )
    floor = result["floor"]
    lines.append(
        f"{result['tasks']:>8,} {'SQL × ' + str(floor['labelers']):>9} {floor['loops_per_s']:>8} "
        f"{floor['p50_ms']:>7} {floor['p95_ms']:>7} {floor['p99_ms']:>7}"
    )
    wrong = ", ".join(f"{count} {fault.replace('_', '-')}" for fault, count in result["wrong"].items())
    return "\n".join([*lines, f"{result['labels']:,} labels acknowledged: {wrong}."])


if __name__ == "__main__":
    main()

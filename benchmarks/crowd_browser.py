"""One labeler of `benchmarks.crowd`: what a browser sends for them, and what its socket hears."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.crowd import Crowd

DRAFTS = 4
HEARTBEAT = 60.0


class Browser:
    """One labeler's page: its requests go one after another, its socket beside them."""

    def __init__(self, crowd: Crowd, cookies: str, rng: random.Random) -> None:
        self.crowd = crowd
        self.cookies = cookies
        self.rng = rng
        self.heard: set[int] = set()
        self.last: int | None = None
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def work(self, until: float) -> None:
        # A crowd does not sit down in the same second.
        await asyncio.sleep(self.rng.uniform(0, 20))
        task = await self._next(prefetch=False)
        while time.monotonic() < until:
            if task is None:
                self.crowd.dry += 1
                await asyncio.sleep(5)
                task = await self._next(prefetch=False)
                continue
            ahead = await self._next(prefetch=True)
            await self._think(task, ahead)
            await self._submit(task)
            await self._ask("left", "GET", f"/projects/{self.crowd.world.slug}/left/", b"")
            task = ahead if ahead and ahead["lease"] != task["lease"] else await self._next(prefetch=False)

    async def listen(self) -> None:
        """Hear the project's events, and come back with the last number wherever the socket breaks."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, WebSocketException

        address = f"ws://127.0.0.1:{self.crowd.restarts.port}/ws/projects/{self.crowd.world.slug}/"
        origin = f"http://127.0.0.1:{self.crowd.restarts.port}"
        failures = 0
        while True:
            began = time.monotonic()
            try:
                since = "" if self.last is None else f"?since={self.last}"
                async with connect(
                    address + since, additional_headers={"Cookie": self.cookies}, origin=origin, proxy=None
                ) as socket:
                    self.crowd.connected += 1
                    failures = 0
                    async for message in socket:
                        self._hear(json.loads(message))
            except (OSError, WebSocketException, InvalidHandshake):
                pass
            if not self.crowd.restarts.overlaps(began, time.monotonic()):
                self.crowd.wrong["socket"] += 1
            await asyncio.sleep(min(20, 0.5 * 2**failures) * (0.5 + self.rng.random() / 2))
            failures += 1

    def _hear(self, event: dict[str, Any]) -> None:
        if event["event"] == "ready":
            self.last = event["n"] if self.last is None else self.last
        elif event["event"] == "reload":
            self.crowd.wrong["too much missed"] += 1
        elif self.last is None or event["n"] > self.last:
            self.last = event["n"]
            self.heard.add(event["n"])

    async def _next(self, *, prefetch: bool) -> dict[str, Any] | None:
        body = json.dumps({"kinds": ["rank"], **({"prefetch": True} if prefetch else {})}).encode()
        status, task = await self._ask("next", "POST", f"/api/projects/{self.crowd.world.slug}/next/", body)
        return task if status == 200 else None

    async def _think(self, task: dict[str, Any], ahead: dict[str, Any] | None) -> None:
        """Twenty to sixty seconds before the task: drafts at their times, and the beat of the minute."""
        began, version = time.monotonic(), 0
        thinks = self.rng.uniform(20, 60)
        tiers: list[list[int]] = []
        ids = self._order(task)
        for at in sorted(self.rng.uniform(2, thinks) for _ in range(DRAFTS)):
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            tiers.append([ids[len(tiers)]])
            body = json.dumps({"answer": {"tiers": tiers}, "version": version}).encode()
            status, saved = await self._ask("draft", "PUT", f"/api/leases/{task['lease']}/draft/", body)
            version = saved["version"] if status == 200 else version
        if self.rng.random() < thinks / HEARTBEAT:
            for lease in filter(None, (task, ahead)):
                body = json.dumps({"active_seconds": round(time.monotonic() - began)}).encode()
                await self._ask("heartbeat", "POST", f"/api/leases/{lease['lease']}/heartbeat/", body)
        await asyncio.sleep(max(0.0, began + thinks - time.monotonic()))

    async def _submit(self, task: dict[str, Any]) -> None:
        key = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        answer = {"tiers": [[pk] for pk in self._order(task)]}
        body = json.dumps({"submission_id": key, "answer": answer, "active_seconds": 20}).encode()
        status, stored = await self._ask("submit", "POST", f"/api/leases/{task['lease']}/submit/", body)
        if status in (200, 201) and stored["submission_id"] == key:
            self.crowd.acknowledged.add(key)

    def _order(self, task: dict[str, Any]) -> list[int]:
        return sorted(one["id"] for one in task["candidates"])

    async def _ask(self, name: str, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """One request, again until the server answers, as the outbox and the retries of a page do."""
        while True:
            began = time.monotonic()
            try:
                status, content = await asyncio.wait_for(self._send(method, path, body), 30)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self._hang_up()
                if not self.crowd.restarts.overlaps(began, time.monotonic()):
                    self.crowd.wrong[f"{name}: {type(error).__name__}"] += 1
                await asyncio.sleep(self.rng.uniform(0.5, 2))
                continue
            ended = time.monotonic()
            self.crowd.took.append((name, began, ended))
            if status >= 500 and self.crowd.restarts.overlaps(began, ended):
                await asyncio.sleep(self.rng.uniform(0.5, 2))
                continue
            if status not in (200, 201, 204):
                self.crowd.wrong[f"{name}: {status}"] += 1
            return status, json.loads(content) if content[:1] == b"{" else {}

    async def _send(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """On the kept connection; on another where the server closed that one for being idle."""
        if self._connection and self._connection[0].at_eof():
            self._hang_up()
        if self._connection is not None:
            with contextlib.suppress(ConnectionResetError, asyncio.IncompleteReadError):
                return await self._exchange(method, path, body)
            self._hang_up()
        self._connection = await asyncio.open_connection("127.0.0.1", self.crowd.restarts.port)
        return await self._exchange(method, path, body)

    async def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        assert self._connection
        reader, writer = self._connection
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.crowd.restarts.port}\r\n"
            f"Cookie: {self.cookies}\r\nX-CSRFToken: {self.crowd.world.csrf}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next((int(line[15:]) for line in answer if line.startswith(b"content-length:")), 0)
        content = await reader.readexactly(length)
        if b"connection: close" in answer:
            self._hang_up()
        return int(answer[0].split()[1]), content

    def _hang_up(self) -> None:
        if self._connection:
            self._connection[1].close()
        self._connection = None

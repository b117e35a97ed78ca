"""Live events: a numbered row, a notice on commit, and browsers that ask for what they missed.

`announce` writes an `Event` and calls `pg_notify` in the caller's transaction: a notice leaves on commit,
never before its row, never for a rollback. Each web process listens on one connection of its own and wakes
its browsers; they get references and fetch the rest. NOTIFY is not durable, so a browser that reconnects says
the last number it saw, and its `LiveConsumer` sends what came since.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeGuard
from urllib.parse import parse_qs

import psycopg
from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Q
from django.urls import path
from django.utils import timezone

from labeling.models import Event, Project

logger = logging.getLogger(__name__)

NOTICES = "tutelage_live"
# First key of our advisory locks, one a project.
LOCKS = 0x7475
# Postgres refuses a notice of 8,000 bytes.
NOTICE_LIMIT = 7999
CATCH_UP = 500
NOT_A_NUMBER = {"event": "error", "detail": 'send {"since": N} with N a whole number'}
FOREVER = 10**9
KEEP = timedelta(days=7)

# Numbers must become visible in their order, or "since N" would miss one that commits late: a row gets its
# number only once its transaction's turn has come, and the turn ends with the transaction.
_RECORD = """
with turn as materialized (select pg_advisory_xact_lock(%(locks)s, %(project)s)),
made as (
    insert into labeling_event (project_id, kind, reference, created_at)
    select %(project)s, said.kind, said.reference::jsonb, statement_timestamp()
    from turn, unnest(%(kinds)s::text[], %(references)s::text[]) with ordinality as said(kind, reference, at)
    order by said.at
    returning id, kind, reference
)
select id {notice} from made order by id
"""
_NOTICE = """, pg_notify(%(notices)s, jsonb_build_array(%(group)s::text,
    reference || jsonb_build_object('type', 'live.event', 'event', kind, 'n', id))::text)"""

# The newest stays, so that a project's numbers never begin anew.
_PRUNE = """
delete from labeling_event old where created_at < %s
  and exists (select from labeling_event newer where newer.project_id = old.project_id and newer.id > old.id)
"""


def announce(*, project: Project, event: str, **reference: Any) -> int:
    """Record that something of `project` changed, and tell its browsers once this transaction commits.

    `reference` holds ids and small numbers, never texts; `ValueError` where it exceeds a notice's size. Call
    it last: until the transaction ends, whoever else announces in this project waits. Returns its number.
    """
    return announce_all(project=project, events=[(event, reference)])[0]


def announce_all(*, project: Project, events: Sequence[tuple[str, Mapping[str, Any]]]) -> list[int]:
    """As `announce`, for several events in their order, in one statement; returns their numbers."""
    group = _group(project.pk)
    for event, reference in events:
        _encode(group, _message(event, reference, 2**63))
    told_by_postgres = isinstance(layer := get_channel_layer(), NotifyChannelLayer)
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cursor.execute(
            _RECORD.format(notice=_NOTICE if told_by_postgres else ""),
            {
                "locks": LOCKS,
                "project": project.pk,
                "kinds": [event for event, _ in events],
                "references": [json.dumps(reference) for _, reference in events],
                "notices": NOTICES,
                "group": group,
            },
        )
        numbers = [row[0] for row in cursor.fetchall()]
        if layer is not None and not told_by_postgres:
            for (event, reference), number in zip(events, numbers, strict=True):
                notify(group=group, message=_message(event, reference, number))
    return numbers


def _message(event: str, reference: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {"type": "live.event", **reference, "event": event, "n": number}


def notify(*, group: str, message: dict[str, Any]) -> None:
    """Send to a group from synchronous code, when its transaction commits. `ValueError` above 7,999 bytes."""
    payload = _encode(group, message)
    layer = get_channel_layer()
    if isinstance(layer, NotifyChannelLayer):
        with connection.cursor() as cursor:
            cursor.execute("select pg_notify(%s, %s)", [NOTICES, payload])
    elif layer is not None:
        transaction.on_commit(lambda: async_to_sync(layer.group_send)(group, message))


def _encode(group: str, message: dict[str, Any]) -> str:
    payload = json.dumps([group, message], ensure_ascii=False)
    if len(payload.encode()) > NOTICE_LIMIT:
        raise ValueError(
            f"{message.get('event', group)}: a notice holds {NOTICE_LIMIT} bytes; send a reference"
        )
    return payload


def _group(project_id: int) -> str:
    return f"project.{project_id}"


class NotifyChannelLayer(InMemoryChannelLayer):
    """Groups live in each web process; `pg_notify` carries messages between processes.

    One LISTEN connection a process, made at the first `group_add` and again whenever it breaks. A message is
    at most 7,999 bytes of JSON (`ValueError` above).
    """

    def __init__(self, **options: Any) -> None:
        # The parent forgets a browser after a day, or when one message waited for a minute: ours stay.
        super().__init__(**{"capacity": 10_000, "expiry": FOREVER, "group_expiry": FOREVER, **options})
        self._listener: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()
        self._sender: psycopg.AsyncConnection | None = None
        self._sending = asyncio.Lock()

    async def group_add(self, group: str, channel: str) -> None:
        """Return only once this process listens, so that nothing said from here on is missed."""
        await super().group_add(group, channel)
        loop = asyncio.get_running_loop()
        if self._listener is None or self._listener.done() or self._listener.get_loop() is not loop:
            self._listening, self._sending, self._sender = asyncio.Event(), asyncio.Lock(), None
            self._listener = loop.create_task(self._listen(self._listening))
        await self._listening.wait()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        payload = _encode(group, message)
        async with self._sending:
            if self._sender is None or self._sender.closed:
                self._sender = await _connect()
            await self._sender.execute("select pg_notify(%s, %s)", (NOTICES, payload))

    async def close(self) -> None:
        if self._listener:
            self._listener.cancel()
        if self._sender:
            await self._sender.close()

    async def _listen(self, listening: asyncio.Event) -> None:
        while True:
            try:
                async with await _connect() as listener:
                    await listener.execute(f"listen {NOTICES}")
                    if listening.is_set():
                        await self._tell_all({"type": "live.resume"})
                    listening.set()
                    async for notice in listener.notifies():
                        group, message = json.loads(notice.payload)
                        await super().group_send(group, message)
            except (psycopg.Error, OSError, ValueError) as error:
                logger.warning(
                    "live events lost Postgres (%s); trying again", str(error).strip().split("\n")[0]
                )
                await asyncio.sleep(1)

    async def _tell_all(self, message: dict[str, Any]) -> None:
        """After a gap nobody knows what was missed: every browser here asks anew."""
        for group in list(self.groups):
            await super().group_send(group, message)


async def _connect() -> psycopg.AsyncConnection:
    """A connection outside the pool: LISTEN lives as long as its session."""
    parameters = connection.get_connection_params()
    for key in ("cursor_factory", "context", "pool"):
        parameters.pop(key, None)
    return await psycopg.AsyncConnection.connect(**parameters, autocommit=True)


_listeners: dict[int, tuple[int, asyncio.Task[set[int]]]] = {}


async def may_hear(project: int, number: int, user: int) -> bool:
    """Whether ``user`` may still have the project's event ``number``: one query an event for all browsers."""
    known, reading = _listeners.get(project, (0, None))
    if reading is None or known < number:
        reading = asyncio.ensure_future(database_sync_to_async(_may_see)(project))
        _listeners[project] = (number, reading)
    return user in await reading


def _may_see(project: int) -> set[int]:
    visible = Q(memberships__project=project) | Q(is_superuser=True)
    return set(User.objects.filter(visible, is_active=True).values_list("pk", flat=True))


def prune(*, keep: timedelta = KEEP) -> int:
    """Drop events older than ``keep`` but for the newest of each project; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_PRUNE, [timezone.now() - keep])
        return cursor.rowcount


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """`/ws/projects/<slug>/`: the events of one project, for those who may see it.

    To the browser: `{"event", "n", …reference}`; first of all `{"event": "ready", "n"}` with the newest
    number. From the browser: `{"since": N}`, answered with every event after N in order, or with
    `{"event": "reload", "n"}` where more than 500 were missed, or some are pruned. Numbers only grow; an
    event may come twice, live and caught up, so skip a number already seen. With `?since=N` in the address
    what was missed comes before anything new; asked for later, new events may overtake it. Closed with 4404
    where the user may not see the project, and at the next event once they no longer may.
    """

    group = ""
    last = 0

    async def connect(self) -> None:
        self.project = await database_sync_to_async(self._find)()
        if self.project is None:
            await self.accept()
            await self.close(code=4404)
            return
        self.group = _group(self.project.pk)
        await self.channel_layer.group_add(self.group, self.channel_name)
        asked = parse_qs(self.scope["query_string"].decode(errors="replace")).get("since", [""])[0]
        since = int(asked[:20]) if asked.isdecimal() else None
        # After a restart everybody comes back at once: one visit to the database each.
        self.last, missed = await database_sync_to_async(self._newest_and_since)(since)
        await self.accept()
        await self.send_json({"event": "ready", "n": self.last})
        if since is not None and not _is_number(since):
            await self.send_json(NOT_A_NUMBER)
        for event in missed:
            await self.send_json(event)

    async def disconnect(self, code: int) -> None:
        if self.group:
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any
    ) -> None:
        try:
            content = json.loads(text_data or bytes_data or "")
        except (ValueError, RecursionError):
            content = None
        await self.receive_json(content)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        since = content.get("since") if isinstance(content, dict) else None
        if _is_number(since):
            await self._catch_up(since)
        else:
            await self.send_json(NOT_A_NUMBER)

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Channels gives back database connections in a thread around each message; an event holds none.
        if message["type"] == "live.event":
            await self.live_event(message)
        else:
            await super().dispatch(message)

    async def live_event(self, message: dict[str, Any]) -> None:
        if not await may_hear(self.project.pk, message["n"], self.scope["user"].pk):
            await self.close(code=4404)
            return
        self.last = max(self.last, message["n"])
        await self.send_json({key: value for key, value in message.items() if key != "type"})

    async def live_resume(self, message: dict[str, Any]) -> None:
        await self._catch_up(self.last)

    async def _catch_up(self, since: int) -> None:
        newest, missed = await database_sync_to_async(self._newest_and_since)(since)
        self.last = max(self.last, newest)
        for event in missed:
            await self.send_json(event)

    def _find(self) -> Project | None:
        user = self.scope["user"]
        if not user.is_authenticated:
            return None
        slug = self.scope["url_route"]["kwargs"]["slug"]
        return Project.objects.visible_to(user).filter(slug=slug).first()

    def _newest_and_since(self, since: int | None) -> tuple[int, list[dict[str, Any]]]:
        """The newest event's number, and what came after ``since``, or that it is too much to list."""
        events = Event.objects.filter(project=self.project)
        newest = events.order_by("-id").values_list("id", flat=True).first() or 0
        if since is None or not _is_number(since):
            return newest, []
        # The oldest go first, so that one at or before it vouches for all that follow.
        is_old = self.project.created_at < timezone.now() - KEEP
        pruned = is_old and not events.filter(id__lte=since).exists()
        missed = [] if pruned else list(events.filter(id__gt=since).order_by("id")[: CATCH_UP + 1])
        if pruned or len(missed) > CATCH_UP:
            return newest, [{"event": "reload", "n": newest}]
        listed = [{**row.reference, "event": row.kind, "n": row.pk} for row in missed]
        return max([newest, *(row.pk for row in missed)]), listed


def _is_number(since: Any) -> TypeGuard[int]:
    return isinstance(since, int) and not isinstance(since, bool) and 0 <= since < 2**63


routes = [path("ws/projects/<slug:slug>/", LiveConsumer.as_asgi())]

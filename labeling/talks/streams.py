"""What a model says, as it is said, to the one labeler who waits for it."""

from __future__ import annotations

from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.urls import path

from labeling import queue
from labeling.models import Lease
from labeling.people.projects import labeler_for
from labeling.talks import replies


class LeaseConsumer(AsyncJsonWebsocketConsumer):
    """`/ws/leases/<id>/`: what is said to one lease, for its labeler alone; closed with 4404 for others.

    To the browser: `{"event": "ready"}` when it listens, at first and after a gap, so fetch what is asked;
    `{"event": "said", "number", "texts"}`, all that a reply says so far, as shown; and `{"event": "changed",
    "number"}`, so fetch that reply. From the browser: nothing.
    """

    group = ""

    async def connect(self) -> None:
        if not await database_sync_to_async(self._is_mine)():
            await self.accept()
            await self.close(code=4404)
            return
        self.group = replies.group(self.scope["url_route"]["kwargs"]["lease_id"])
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()
        await self.send_json({"event": "ready"})

    async def disconnect(self, code: int) -> None:
        if self.group:
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any
    ) -> None:
        """Nothing is expected, so nothing is read."""

    async def reply_news(self, message: dict[str, Any]) -> None:
        await self.send_json({key: value for key, value in message.items() if key != "type"})

    async def live_resume(self, message: dict[str, Any]) -> None:
        await self.send_json({"event": "ready"})

    def _is_mine(self) -> bool:
        user = self.scope["user"]
        if not user.is_authenticated:
            return False
        try:
            queue.found(lease_id=self.scope["url_route"]["kwargs"]["lease_id"], labeler=labeler_for(user))
        except Lease.DoesNotExist:
            return False
        return True


routes = [path("ws/leases/<uuid:lease_id>/", LeaseConsumer.as_asgi())]

"""What is said to a lease reaches its labeler's browser, and nobody else's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from conftest import Server

SETUP = """
from django.contrib.auth.models import User
from django.test import Client
from labeling import queue
from labeling.talks import talk
from labeling.people.projects import create_member, create_project, labeler_for
from models_zoo.models import Checkpoint
project = create_project(slug="streams", name="S", guideline_title="S", guideline_body="# Be kind")
project.current_checkpoint = Checkpoint.objects.create(name="streams", kind="sft", digest="x", folder="none")
project.save()
talk.add_tasks(project=project, text="Ask for a story.")
for name in ("mia", "leo"):
    create_member(project=project, username=name, role="labeler")
    client = Client()
    client.force_login(User.objects.get(username=name))
    print(client.session.session_key)
labeler = labeler_for(User.objects.get(username="mia"))
lease = queue.lease_next(labeler=labeler, project=project, kinds=["converse"])
talk.say(lease_id=lease.pk, labeler=labeler, text="Hello", chosen=[])
print(lease.pk)
"""
TELL = """
from labeling.talks import replies
from labeling.models import Reply
reply = replies.claim() or Reply.objects.select_related("lease").get(lease={lease!r})
replies.tell(reply, [{text!r}, "B"])
"""


@pytest.fixture(scope="module")
def talk(server: Server) -> dict[str, str]:
    mia, leo, lease = server.shell(SETUP).split()[-3:]
    return {"mia": mia, "leo": leo, "lease": lease}


@asynccontextmanager
async def joined(server: Server, talk: dict[str, str], name: str) -> AsyncIterator[Any]:
    address = f"{server.url.replace('http', 'ws')}/ws/leases/{talk['lease']}/"
    headers = {"Cookie": f"tutelage_session={talk.get(name, '')}"}
    async with websockets.connect(address, additional_headers=headers, origin=server.url) as socket:
        yield socket


async def read(socket: Any) -> dict[str, Any]:
    return json.loads(await asyncio.wait_for(socket.recv(), 15))


@pytest.mark.parametrize(("text", "event"), [("Once an owl", "said"), ("owl " * 2500, "changed")])
def test_pieces_come_and_long_ones_by_reference(
    server: Server, talk: dict[str, str], text: str, event: str
) -> None:
    async def scene() -> None:
        async with joined(server, talk, "mia") as socket:
            assert await read(socket) == {"event": "ready"}
            await socket.send("[" * 10_000)
            await asyncio.to_thread(server.shell, TELL.format(lease=talk["lease"], text=text))
            news = await read(socket)
            assert (news["event"], news["number"]) == (event, 0)
            assert set(news.get("texts", [])) == ({text, "B"} if event == "said" else set())

    asyncio.run(scene())


@pytest.mark.parametrize("name", ["leo", "nobody"])
def test_others_hear_nothing(server: Server, talk: dict[str, str], name: str) -> None:
    async def scene() -> int:
        async with joined(server, talk, name) as socket:
            with pytest.raises(websockets.ConnectionClosed):
                await read(socket)
            return socket.close_code

    assert asyncio.run(scene()) == 4404

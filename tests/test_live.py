"""Events over a real Postgres, a real uvicorn and real WebSockets."""

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
import websockets
from channels.layers import get_channel_layer
from conftest import ROOT, until
from django.db import connection, transaction
from django.utils import timezone

from guidelines.models import Guideline
from labeling.live import KEEP, NotifyChannelLayer, announce, prune
from labeling.models import Event, Project

# Announces on demand in the server's database, so that a test chooses the transaction's end.
SPEAKER = """
import json, sys
import django
django.setup()
from django.db import connection, transaction
from labeling.live import announce
from labeling.models import Project
project = Project.objects.get(slug="live")
for line in sys.stdin:
    order = json.loads(line)
    if "sql" in order:
        with connection.cursor() as cursor:
            cursor.execute(order["sql"])
            print(json.dumps(cursor.rowcount), flush=True)
        continue
    try:
        with transaction.atomic():
            steps = range(order["times"])
            rows = [announce(project=project, event=order["event"], step=step) for step in steps]
            if order["event"] == "undone":
                raise KeyError
    except KeyError:
        pass
    print(json.dumps(rows), flush=True)
"""
SETUP = """
from django.contrib.auth.models import User
from guidelines.models import Guideline
from labeling.models import Membership, Project
guideline = Guideline.objects.create(slug="live", title="Live")
project = Project.objects.create(slug="live", name="Live", guideline=guideline)
for name in ("ann", "outsider"):
    user = User.objects.create_user(name, password="a quiet word")
    if name == "ann":
        Membership.objects.create(project=project, user=user, role="labeler")
    from django.test import Client
    client = Client()
    client.force_login(user)
    print(client.session.session_key)
"""


@pytest.fixture(scope="module")
def sessions(server):
    return dict(zip(("ann", "outsider"), server.shell(SETUP).split()[-2:], strict=True))


@pytest.fixture(scope="module")
def speak(server, sessions):
    environment = {**server.environment, "DJANGO_SETTINGS_MODULE": "deploy.settings"}
    process = subprocess.Popen(
        [sys.executable, "-c", SPEAKER],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def order(**what):
        process.stdin.write(json.dumps(what) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield order
    process.communicate(timeout=20)


@pytest.fixture
def join(server, sessions):
    @asynccontextmanager
    async def connected(name="ann", slug="live", origin=None, query=""):
        headers = {"Cookie": f"tutelage_session={sessions.get(name, '')}"}
        address = f"{server.url.replace('http', 'ws')}/ws/projects/{slug}/{query}"
        async with websockets.connect(
            address, additional_headers=headers, origin=origin or server.url
        ) as socket:
            yield socket

    return connected


async def read(socket, *, seconds=10):
    return json.loads(await asyncio.wait_for(socket.recv(), seconds))


async def silent(socket, *, seconds=0.5):
    with pytest.raises(TimeoutError):
        await read(socket, seconds=seconds)
    return True


def test_commit_delivers(speak, join):
    async def scene():
        async with join() as socket:
            assert (await read(socket))["event"] == "ready"
            (number,) = speak(event="label", times=1)
            assert await read(socket) == {"event": "label", "n": number, "step": 0}

    asyncio.run(scene())


def test_rollback_is_silent(speak, join):
    async def scene():
        async with join() as socket:
            await read(socket)
            speak(event="undone", times=3)
            assert await silent(socket)

    asyncio.run(scene())


def test_fifty_get_one_each(speak, join):
    async def one(socket):
        await read(socket)
        event = await read(socket)
        return event["n"], await silent(socket, seconds=1)

    async def scene():
        async with asyncio.TaskGroup() as group:
            stack = [join() for _ in range(50)]
            sockets = await asyncio.gather(*(entry.__aenter__() for entry in stack))
            tasks = [group.create_task(one(socket)) for socket in sockets]
            await asyncio.sleep(0.3)
            (number,) = await asyncio.to_thread(speak, event="label", times=1)
            heard = await asyncio.gather(*tasks)
            await asyncio.gather(*(entry.__aexit__(None, None, None) for entry in stack))
        assert heard == [(number, True)] * 50

    asyncio.run(scene())


def test_since(speak, join):
    first, *missed = speak(event="round", times=4)

    async def scene():
        async with join() as socket:
            assert (await read(socket))["n"] == missed[-1]
            await socket.send(json.dumps({"since": first}))
            assert [(await read(socket))["n"] for _ in missed] == missed
            assert await silent(socket)

    asyncio.run(scene())


def test_since_at_connect(speak, join):
    first, second = speak(event="round", times=2)

    async def scene():
        async with join(query=f"?since={first}") as socket:
            assert await read(socket) == {"event": "ready", "n": second}
            assert (await read(socket))["n"] == second

    asyncio.run(scene())


def test_what_was_missed_comes_before_anything_new(speak, join):
    """Else a browser that keeps the last number alone would take the missed ones for seen."""
    first, *missed = speak(event="round", times=40)

    async def scene():
        spoken = asyncio.create_task(
            asyncio.to_thread(lambda: [speak(event="round", times=2) for _ in range(20)])
        )
        last, seen = first, []
        async with join(query=f"?since={first}") as socket:
            while len(seen) < len(missed) + 40:
                message = await read(socket)
                if message["event"] != "ready" and message["n"] > last:
                    last = message["n"]
                    seen.append(last)
        assert seen == [*missed, *(n for some in await spoken for n in some)]

    asyncio.run(scene())


def test_bad_since_at_connect(join, speak):
    async def scene():
        async with join(query="?since=" + "9" * 5000) as socket:
            assert [(await read(socket))["event"] for _ in range(2)] == ["ready", "error"]

    asyncio.run(scene())


def test_far_behind_reloads(speak, join):
    numbers = speak(event="metric", times=501)

    async def scene():
        async with join() as socket:
            await read(socket)
            await socket.send(json.dumps({"since": numbers[0] - 1}))
            assert await read(socket) == {"event": "reload", "n": numbers[-1]}

    asyncio.run(scene())


@pytest.mark.parametrize(
    "message",
    [
        '{"since": "x"}',
        '{"since": -1}',
        '{"since": 9223372036854775808}',
        '{"since": ' + "9" * 5000 + "}",
        "[]",
        "{}",
        "",
        "nonsense",
        b"nonsense",
        "[" * 20_000,
    ],
)
def test_bad_since(join, speak, message):
    async def scene():
        async with join() as socket:
            await read(socket)
            await socket.send(message)
            assert (await read(socket))["event"] == "error"

    asyncio.run(scene())


def test_listener_cut(speak, join):
    """A lost LISTEN connection comes back, and what was said meanwhile arrives."""
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "

    async def scene():
        async with join() as socket:
            await read(socket)
            assert await asyncio.to_thread(speak, sql=cut + "and query like 'listen %'") == 1
            (number,) = await asyncio.to_thread(speak, event="label", times=1)
            assert (await read(socket))["n"] == number
            (number,) = await asyncio.to_thread(speak, event="label", times=1)
            assert (await read(socket))["n"] == number

    asyncio.run(scene())


@pytest.mark.parametrize(("name", "slug"), [("outsider", "live"), ("nobody", "live"), ("ann", "elsewhere")])
def test_stranger_hears_nothing(join, name, slug):
    async def scene():
        async with join(name, slug) as socket:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await read(socket)
            assert closed.value.rcvd.code == 4404

    asyncio.run(scene())


def test_foreign_page_is_refused(join):
    async def scene():
        with pytest.raises(websockets.InvalidStatus):
            async with join(origin="http://elsewhere.example"):
                pass

    asyncio.run(scene())


@pytest.mark.django_db
def test_too_large():
    project = Project.objects.create(
        slug="p", name="P", guideline=Guideline.objects.create(slug="g", title="G")
    )
    with pytest.raises(ValueError, match="7999 bytes"), transaction.atomic():
        announce(project=project, event="label", text="ü" * 5000)
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_numbers_come_in_the_order_of_commits():
    """Who announces while another transaction has its turn gets a number after all of that one's."""
    guideline = Guideline.objects.create(slug="g", title="G")
    project = Project.objects.create(slug="p", name="P", guideline=guideline)

    def second():
        try:
            return announce(project=project, event="label")
        finally:
            connection.close()

    def waits():
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_locks where locktype = 'advisory' and not granted")
            return cursor.fetchone()[0] == 1

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            announce(project=project, event="label")
            other = pool.submit(second)
            until(waits)
            last = announce(project=project, event="label")
        assert other.result(30) > last


def test_group_send():
    """Consumers can speak to a group too; a message above the limit never reaches Postgres."""

    async def scene():
        layer = NotifyChannelLayer()
        channel = await layer.new_channel()
        await layer.group_add("room", channel)
        await layer.group_send("room", {"type": "hello"})
        assert await asyncio.wait_for(layer.receive(channel), 10) == {"type": "hello"}
        with pytest.raises(ValueError, match="7999 bytes"):
            await layer.group_send("room", {"type": "hello", "text": "x" * 8000})
        await layer.close()

    assert isinstance(get_channel_layer(), NotifyChannelLayer)
    asyncio.run(scene())


def test_a_lost_membership_ends_it(speak, join):
    """Who is no longer a member hears no further event."""
    gone = "delete from labeling_membership where user_id = (select id from auth_user where username = 'ann')"
    back = """insert into labeling_membership (project_id, user_id, role, "group", created_at)
              select project.id, ann.id, 'labeler', 'train', now()
              from labeling_project project, auth_user ann
              where project.slug = 'live' and ann.username = 'ann'"""

    async def scene():
        async with join() as socket:
            await read(socket)
            (number,) = speak(event="label", times=1)
            assert (await read(socket))["n"] == number
            assert speak(sql=gone) == 1
            try:
                speak(event="label", times=1)
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await read(socket)
                assert closed.value.rcvd.code == 4404
            finally:
                speak(sql=back)

    asyncio.run(scene())


def test_pruned_numbers_are_a_reload(server, speak, join):
    numbers = speak(event="label", times=4)
    old = "now() - interval '30 days'"
    speak(sql=f"update labeling_project set created_at = {old} where slug = 'live'")
    speak(sql=f"update labeling_event set created_at = {old} where id <= {numbers[1]}")
    server.shell("from labeling.live import prune; prune()")

    async def scene():
        for since in (0, numbers[0], numbers[1]):
            async with join(query=f"?since={since}") as socket:
                await read(socket)
                assert await read(socket) == {"event": "reload", "n": numbers[3]}
        async with join(query=f"?since={numbers[2]}") as socket:
            await read(socket)
            assert (await read(socket))["n"] == numbers[3]

    asyncio.run(scene())


@pytest.mark.django_db
def test_pruning_leaves_the_newest():
    guideline = Guideline.objects.create(slug="g", title="G")
    quiet, busy = (Project.objects.create(slug=slug, name="P", guideline=guideline) for slug in ("q", "b"))
    last = [[announce(project=project, event="label") for _ in range(3)][-1] for project in (quiet, busy)]
    Event.objects.update(created_at=timezone.now() - 2 * KEEP)
    fresh = announce(project=busy, event="label")
    assert prune() == 5
    assert list(Event.objects.values_list("id", flat=True).order_by("id")) == [last[0], fresh]
    assert prune() == 0

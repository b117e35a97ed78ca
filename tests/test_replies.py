"""What the model is asked to say: waiting, answered, taken over, failed; by the shipped model itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import ROOT, background, end, until
from django.conf import settings
from django.db import connection
from django.utils import timezone
from scenes import new_labeler, new_project

from guidelines.render import answer_html
from labeling import queue
from labeling.models import Completion, Lease, Project, Reply
from labeling.talks import replies, talk
from labeling.talks.responder import Responder
from models_zoo import registry

SHIPPED = ROOT / "models_zoo" / "pocket_stories" / "sft"
ASKS = "Tell me a story about a fox and a kite."


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings, "HOME", tmp_path)
    return tmp_path


@pytest.fixture
def project(home: Path, db: Any) -> Project:
    sft = registry.register(folder=SHIPPED, name="stories-sft", kind="sft")
    return new_project(current_checkpoint=sft)


def a_talk(project: Project) -> Lease:
    talk.add_tasks(project=project, text="Ask for a story.")
    lease = queue.lease_next(labeler=new_labeler(project), project=project, kinds=["converse"])
    assert lease
    return lease


def say(lease: Lease, text: str = ASKS, chosen: Any = ()) -> Reply:
    return talk.say(lease_id=lease.pk, labeler=lease.labeler, text=text, chosen=list(chosen))


def claimed() -> Reply:
    reply = replies.claim()
    assert reply
    return reply


def silent(reply: Reply) -> None:
    """As if its responder had died."""
    Reply.objects.filter(pk=reply.pk).update(seen_at=timezone.now() - 2 * replies.LOST)


def test_the_model_answers_twice(project: Project) -> None:
    reply = say(a_talk(project))
    Responder().answer(claimed())
    reply.refresh_from_db()
    kept = list(Completion.objects.filter(prompt=reply.prompt).order_by("index"))
    assert reply.state == "done"
    assert reply.texts == [one.text for one in kept]
    assert [one.seed for one in kept] == replies.seeds(reply)
    assert len(set(reply.texts)) == 2
    assert all(one.checkpoint == project.current_checkpoint for one in kept)
    assert kept[0].sampling["max_new_tokens"] > 100
    assert replies.claim() is None


def test_what_is_said_follows_from_the_seed(project: Project) -> None:
    """Whoever takes over a reply says the very same, so nothing doubles."""
    reply = say(a_talk(project))
    Responder().answer(claimed())
    first = Reply.objects.get(pk=reply.pk).texts
    Reply.objects.filter(pk=reply.pk).update(state="answering", texts=[])
    silent(reply)
    Responder().answer(claimed())
    assert Reply.objects.get(pk=reply.pk).texts == first
    assert Completion.objects.count() == 2


def test_a_silent_responder_is_replaced(project: Project) -> None:
    reply = say(a_talk(project))
    assert claimed() == reply
    assert replies.claim() is None
    silent(reply)
    assert claimed() == reply
    replies.sign(reply)
    assert replies.claim() is None


def test_a_reply_that_ends_its_responders_is_given_up(project: Project) -> None:
    reply = say(a_talk(project))
    claimed()
    silent(reply)
    Reply.objects.update(asked_at=timezone.now() - 2 * replies.LONGEST)
    assert replies.claim() is None
    reply.refresh_from_db()
    assert reply.state == "failed"
    assert "never came to an end" in reply.fault


def test_first_come_first_answered(project: Project) -> None:
    asked = [say(a_talk(project)) for _ in range(3)]
    assert [claimed().pk for _ in range(3)] == [reply.pk for reply in asked]


def test_what_is_no_longer_wanted_is_left(project: Project) -> None:
    reply = say(a_talk(project))
    taken = claimed()
    replies.fail(reply, "Another message took the place of this one.")
    assert not replies.tell(taken, ["Once", "A"])
    Responder().answer(taken)
    reply.refresh_from_db()
    assert (reply.state, reply.texts) == ("failed", [])


def test_a_broken_checkpoint_is_told_without_its_name(project: Project) -> None:
    assert project.current_checkpoint
    (project.current_checkpoint.path / "model.safetensors").unlink()
    lease = a_talk(project)
    reply = say(lease)
    Responder().answer(claimed())
    reply.refresh_from_db()
    assert reply.state == "failed"
    assert "could not answer" in reply.fault
    assert "stories-sft" not in reply.fault
    # Asked again it is a new reply: the first one stays as it failed.
    assert say(lease).number == reply.number + 1


def test_a_talk_longer_than_the_model_reads(project: Project) -> None:
    reply = say(a_talk(project), "fox " * 600)
    Responder().answer(claimed())
    reply.refresh_from_db()
    assert reply.state == "failed"
    assert "longer than the model can read" in reply.fault


def test_answers_are_as_long_as_the_setting_says(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REPLY_TOKENS", 4)
    say(a_talk(project))
    Responder().answer(claimed())
    assert {one.tokens for one in Completion.objects.all()} == {4}
    assert not any(one.finished for one in Completion.objects.all())


def test_a_stopped_responder_gives_its_reply_back(project: Project) -> None:
    reply = say(a_talk(project))
    responder = Responder()
    responder.stop()
    responder.answer(claimed())
    reply.refresh_from_db()
    assert reply.state == "waiting"
    assert responder.run()


def test_two_models_stay_loaded(project: Project) -> None:
    names = ["stories-sft", "second", "third"]
    responder = Responder()
    loaded = []
    for name in names:
        project.current_checkpoint = registry.register(folder=SHIPPED, name=name, kind="sft")
        project.save()
        say(a_talk(project))
        responder.answer(claimed())
        loaded.append(len(responder._models))
    assert loaded == [1, 2, 2]


def test_what_a_browser_gets_names_no_model(project: Project) -> None:
    lease = a_talk(project)
    reply = say(lease)
    (waiting,) = replies.described([Reply.objects.get(pk=reply.pk)])
    assert (waiting["state"], waiting["busy"], waiting["texts"][0]["html"]) == ("waiting", False, None)
    say(a_talk(project))
    claimed()
    waits = replies.described(Reply.objects.filter(state="waiting"))
    assert waits[0]["busy"]
    Responder().answer(Reply.objects.get(pk=reply.pk))
    (done,) = replies.described(replies.of(lease))
    assert done["said"]["html"] == answer_html(ASKS)
    assert {one["text"] for one in done["texts"]} == set(Reply.objects.get(pk=reply.pk).texts)
    assert not any(word in str(done) for word in ("stories-sft", "checkpoint", "seed", "sha256"))


def test_order_differs_by_person(project: Project) -> None:
    orders = {tuple(replies.shown_order(say(a_talk(project)))) for _ in range(20)}
    assert orders == {(0, 1), (1, 0)}


@pytest.fixture
def new_responder(home: Path, transactional_db: Any) -> Iterator[Callable[[], Any]]:
    """Starts responders on the test database; ends what is left of them."""
    own = connection.settings_dict
    login = quote(own["USER"]) + (f":{quote(own['PASSWORD'])}" if own["PASSWORD"] else "")
    port = f"&port={own['PORT']}" if own["PORT"] else ""
    address = f"postgresql://{login}@/{own['NAME']}?host={quote(own['HOST'], safe='')}{port}"
    environment = {**os.environ, "TUTELAGE_HOME": str(home), "DATABASE_URL": address}
    started = []

    def begin(*options: str) -> Any:
        log = home / "responder.log"
        process = background("manage.py", "respond", *options, environment=environment, log=log)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            end(process)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_processes_share_the_work_and_survive_each_other(new_responder: Any, home: Path) -> None:
    project = new_project(current_checkpoint=registry.register(folder=SHIPPED, name="sft", kind="sft"))
    first, second = new_responder(), new_responder()
    asked = [say(a_talk(project)).pk for _ in range(4)]
    until(lambda: Reply.objects.filter(pk__in=asked, state="done").count() == 4, seconds=120)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    # One that the dead one held: its sign grows old, and the other says it.
    late = say(a_talk(project))
    until(lambda: Reply.objects.get(pk=late.pk).state == "done")
    second.terminate()
    assert second.wait(20) in {0, 124, 143}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_idle_it_holds_no_torch(new_responder: Any, home: Path) -> None:
    """Neither before the first question nor long after the last one, when the same process begins anew."""
    project = new_project(current_checkpoint=registry.register(folder=SHIPPED, name="sft", kind="sft"))
    process = new_responder("--idle", "3")
    until(listens, seconds=60)
    (pid,) = children(process.pid)
    assert "libtorch" not in Path(f"/proc/{pid}/maps").read_text()
    reply = say(a_talk(project))
    until(lambda: Reply.objects.get(pk=reply.pk).state == "done", seconds=60)
    assert "libtorch" in Path(f"/proc/{pid}/maps").read_text()
    until(lambda: "libtorch" not in Path(f"/proc/{pid}/maps").read_text())
    again = say(a_talk(project))
    until(lambda: Reply.objects.get(pk=again.pk).state == "done", seconds=60)


def listens() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity where query = %s", [f"listen {replies.NOTICES}"]
        )
        return bool(cursor.fetchone()[0])


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_database_that_is_away_is_one_line(home: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": "postgresql://nobody@/none?host=/nowhere"}
    done = subprocess.run(
        [sys.executable, "manage.py", "respond"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "the database does not answer" in done.stderr


def test_lost_is_longer_than_a_sign() -> None:
    from labeling.talks import responder

    assert timedelta(seconds=3 * responder.SIGN) < replies.LOST

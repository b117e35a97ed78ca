"""What labelers ask the current checkpoint to say: asked here, answered by `responder`, read here.

A reply waits, is answered, and is done or failed. Whoever answers it signs `seen_at` every moment; a reply
whose responder fell silent is taken by another, who says the very same, since each answer follows from its
seed. The answers of a done reply are completions; until then `Reply.texts` holds what was said so far.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from guidelines.render import answer_html
from labeling import live, queue, work
from labeling.content.messages import plain
from labeling.models import Annotation, Completion, Labeler, Lease, Prompt, Reply
from labeling.talks.turns import Said
from models_zoo.models import Checkpoint
from models_zoo.seeds import seed_of

NOTICES = "tutelage_replies"
# A responder that gave no sign for so long is gone.
LOST = timedelta(seconds=10)
# A reply that outlived its responders for so long may be what ends them.
LONGEST = timedelta(minutes=15)
MOST = 100  # of one labeler about one task
NOBODY = "No checkpoint of this project is current, so nobody can answer. Its admins can make one current."
OPEN = (Reply.State.WAITING, Reply.State.ANSWERING)


def hold(*, lease_id: UUID, labeler: Labeler) -> Lease:
    """The labeler's unsettled lease, locked after the labeler, so that replies are numbered one by one.

    Raises:
        Lease.DoesNotExist: as `queue.own`.
        queue.LeaseLost: the labeler is done with the task.
    """
    Labeler.objects.select_for_update(no_key=True).get(pk=labeler.pk)
    lease = queue.own(lease_id=lease_id, labeler=labeler)
    if queue.is_settled(lease=lease):
        raise queue.LeaseLost("You are done with this task. Ask for the next one.")
    if lease.first_action_at is None:
        lease.first_action_at = timezone.now()
        lease.save(update_fields=["first_action_at"])
    return lease


def ask(*, lease: Lease, prompt: Prompt, checkpoint: Checkpoint, wanted: int) -> Reply:
    """Ask for ``wanted`` answers to ``prompt``. Call in the transaction of `hold`."""
    newest = of(lease).aggregate(newest=Max("number"))["newest"]
    reply = Reply.objects.create(
        lease=lease,
        number=0 if newest is None else newest + 1,
        prompt=prompt,
        checkpoint=checkpoint,
        wanted=wanted,
        seed=secrets.randbelow(2**31),
    )
    with connection.cursor() as cursor:
        cursor.execute("select pg_notify(%s, '')", [NOTICES])
    return reply


def of(work: Lease | Annotation) -> QuerySet[Reply]:
    """What its labeler asked about its task, through whichever lease; a number names one."""
    theirs = Reply.objects.filter(lease__task=work.task_id, lease__labeler=work.labeler_id)
    return theirs.select_related("lease", "prompt").order_by("number")


def find(*, lease_id: UUID, labeler: Labeler, number: int) -> Reply:
    """A reply of one's own.

    Raises:
        Lease.DoesNotExist: no such lease of this labeler, or its project is no longer theirs to see.
        Reply.DoesNotExist: nothing was asked under that number.
    """
    return of(queue.found(lease_id=lease_id, labeler=labeler)).get(number=number)


def claim() -> Reply | None:
    """Take what has waited longest, or was left by a responder that fell silent; None where nothing waits."""
    now = timezone.now()
    with transaction.atomic():
        free = Q(state=Reply.State.WAITING) | Q(state=Reply.State.ANSWERING, seen_at__lt=now - LOST)
        found = Reply.objects.select_for_update(of=("self",), skip_locked=True)
        for reply in found.select_related("lease", "prompt", "checkpoint").filter(free).order_by("pk")[:100]:
            if reply.state == Reply.State.ANSWERING and reply.asked_at < now - LONGEST:
                fail(reply, "The model began to answer again and again, and never came to an end.")
                continue
            reply.state, reply.seen_at = Reply.State.ANSWERING, now
            reply.save(update_fields=["state", "seen_at"])
            return reply
    return None


def sign(reply: Reply) -> None:
    """Say that somebody is still at it."""
    Reply.objects.filter(pk=reply.pk, state=Reply.State.ANSWERING).update(seen_at=timezone.now())


def tell(reply: Reply, texts: Sequence[str]) -> bool:
    """Keep what is said so far and show it to the labeler; False where nobody waits for it any more."""
    texts = [_storable(text) for text in texts]
    with transaction.atomic():
        going = Reply.objects.filter(pk=reply.pk, state=Reply.State.ANSWERING)
        if not going.update(texts=texts, seen_at=timezone.now()):
            return False
        reply.texts = texts
        shown = [texts[at] for at in shown_order(reply)]
        try:
            _notify(reply, event="said", texts=shown)
        except ValueError:
            # Too long for a notice: the browser fetches it.
            _notify(reply, event="changed")
    return True


def finish(reply: Reply, *, answers: Iterable[Any], sampling: dict[str, Any]) -> None:
    """Keep the whole answers (`models_zoo.generate.Completion`) as completions of the prompt."""
    with transaction.atomic():
        sampled = [
            work.Sampled(
                prompt=reply.prompt,
                text=each.text,
                seed=each.seed,
                index=index,
                tokens=each.tokens,
                finished=each.finished,
            )
            for index, each in enumerate(answers)
        ]
        kept = work.add_completions(checkpoint=reply.checkpoint, sampling=sampling, sampled=sampled)
        texts = [completion.text for completion in kept[reply.prompt]]
        _close(reply, state=Reply.State.DONE, texts=texts)


def fail(reply: Reply, why: str) -> None:
    """End a reply that cannot be answered, with a sentence that names no model."""
    _close(reply, state=Reply.State.FAILED, fault=why)


def give_back(reply: Reply) -> None:
    """Let another responder take a reply that this one leaves unanswered."""
    going = Reply.objects.filter(pk=reply.pk, state=Reply.State.ANSWERING)
    if going.update(state=Reply.State.WAITING):
        with connection.cursor() as cursor:
            cursor.execute("select pg_notify(%s, '')", [NOTICES])


def group(lease_id: Any) -> str:
    """The group of the browsers that have the lease on screen."""
    return f"lease.{lease_id}"


def seeds(reply: Reply) -> list[int]:
    """The seed of each answer."""
    return [seed_of(reply.seed, index) for index in range(reply.wanted)]


def shown_order(reply: Reply) -> list[int]:
    """Which answer stands first, second, … for its labeler: the same each time, drawn for each person."""
    order = list(range(reply.wanted))
    random.Random(f"{reply.pk}:{reply.lease.labeler_id}").shuffle(order)
    return order


def draft(work: Lease | Annotation) -> Reply | None:
    """The draft that this labeler was shown for a demonstration, if any."""
    return of(work).filter(state=Reply.State.DONE, wanted=1).last()


def whole(replies: Iterable[Reply]) -> dict[int, Said]:
    """The done ones by number, with their completions as shown."""
    done = [reply for reply in replies if reply.state == Reply.State.DONE]
    drawn = {(reply.prompt_id, reply.checkpoint_id, seed) for reply in done for seed in seeds(reply)}
    rows = Completion.objects.filter(
        prompt__in={prompt for prompt, _, _ in drawn},
        checkpoint__in={checkpoint for _, checkpoint, _ in drawn},
        seed__in={seed for _, _, seed in drawn},
    ).values_list("prompt", "checkpoint", "seed", "index", "pk", "text")
    found = {tuple(row[:4]): row[4:] for row in rows} if drawn else {}
    return {
        reply.number: Said(
            text_hash=reply.prompt.text_hash,
            completions=[
                found[reply.prompt_id, reply.checkpoint_id, seeds(reply)[at], at] for at in shown_order(reply)
            ],
        )
        for reply in done
    }


def described(replies: Iterable[Reply]) -> list[dict[str, Any]]:
    """Replies as their labeler gets them: nothing of the checkpoint."""
    replies, now = list(replies), timezone.now()
    waiting = any(reply.state == Reply.State.WAITING for reply in replies)
    busy = waiting and _somebody_answers(now)
    return [_described(reply, now=now, busy=busy) for reply in replies]


def _described(reply: Reply, *, now: datetime, busy: bool) -> dict[str, Any]:
    texts = [*reply.texts, *[""] * (reply.wanted - len(reply.texts))]
    done = reply.state == Reply.State.DONE
    said = plain(reply.prompt.messages)[-1]["content"]
    return {
        "number": reply.number,
        "state": reply.state,
        "said": {"text": said, "html": answer_html(said)},
        "texts": [
            {"text": texts[at], "html": answer_html(texts[at]) if done else None} for at in shown_order(reply)
        ],
        "fault": reply.fault,
        "quiet_seconds": round(max(0.0, (now - (reply.seen_at or reply.asked_at)).total_seconds()), 1),
        "busy": busy,
    }


def _somebody_answers(now: datetime) -> bool:
    return Reply.objects.filter(state=Reply.State.ANSWERING, seen_at__gt=now - LOST).exists()


def _close(reply: Reply, **fields: Any) -> None:
    with transaction.atomic():
        closed = Reply.objects.filter(pk=reply.pk, state__in=OPEN).update(seen_at=timezone.now(), **fields)
        if closed:
            for name, value in fields.items():
                setattr(reply, name, value)
            _notify(reply, event="changed")


def _notify(reply: Reply, **what: Any) -> None:
    message = {"type": "reply.news", "number": reply.number, **what}
    live.notify(group=group(reply.lease_id), message=message)


def _storable(text: str) -> str:
    """As `work.add_completions` keeps it."""
    return text.replace("\x00", "\ufffd")

"""The responder: a process that says what the current checkpoint says, to whoever waits for it.

Idle it is plain Python that listens; torch comes with the first reply, and the last two models stay loaded.
Many may run, on any machine that sees the database and the state folder. `manage.py respond` runs one.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection

from labeling.content.messages import plain
from labeling.models import Reply
from labeling.talks import replies
from models_zoo.models import Checkpoint

logger = logging.getLogger(__name__)

POLL = 5.0  # seconds between looks, should a notice be lost
SIGN = 2.0  # seconds between signs of life while a model loads or thinks
EVERY = 0.25  # seconds between two pieces of an answer
MODELS = 2
IDLE = 30 * 60.0  # seconds without a question after which the models' memory is given back


class Stopped(Exception):
    """Asked to end in the middle of an answer."""


class Responder:
    """Answers replies until `stop`, which a signal handler may call."""

    def __init__(self, *, idle: float = IDLE) -> None:
        self._idle = idle
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._stopping = False
        self._models: OrderedDict[int, tuple[Any, Any]] = OrderedDict()
        self._last = time.monotonic()

    def stop(self) -> None:
        self._stopping = True
        os.write(self._write, b"!")

    def run(self) -> bool:
        """Answer until stopped: True; False where it was idle so long that a fresh process should go on."""
        while not self._stopping:
            try:
                with _listening() as listener:
                    while not self._stopping:
                        while not self._stopping and (reply := replies.claim()):
                            self.answer(reply)
                        if self._models and time.monotonic() - self._last > self._idle:
                            return False
                        select.select([listener.fileno(), self._read], [], [], min(POLL, self._idle))
                        list(listener.notifies(timeout=0))
            except (psycopg.Error, DatabaseError) as error:
                logger.warning("the responder lost Postgres (%s); trying again", _first_line(error))
                connection.close()
                select.select([self._read], [], [], 1)
        return True

    def answer(self, reply: Reply) -> None:
        """Say the whole reply, or say why it cannot be said; a failure here ends no process."""
        try:
            with _signing(reply):
                self._answer(reply)
        except Stopped:
            replies.give_back(reply)
        except (psycopg.Error, DatabaseError):
            raise
        except Exception:
            # Its sentence is for the labeler, who must not learn the model's name.
            logger.exception("reply %s could not be given", reply.pk)
            self._models.pop(reply.checkpoint_id, None)
            replies.fail(reply, "The model could not answer; the log of the responder says why. Try again.")
        self._last = time.monotonic()

    def _answer(self, reply: Reply) -> None:
        from models_zoo import chat, generate

        model, tokenizer = self._loaded(reply.checkpoint)
        conversation = plain(reply.prompt.messages)
        most = getattr(model.config, "max_position_embeddings", None) or 2**31
        room = most - len(chat.prompt_ids(tokenizer, conversation))
        if room < 1:
            replies.fail(reply, "The conversation has grown longer than the model can read. End it here.")
            return
        sampling = generate.Sampling(max_new_tokens=min(room, settings.REPLY_TOKENS))
        answers: list[generate.Completion] = []
        for answers in generate.stream(
            model, tokenizer, conversation, seeds=replies.seeds(reply), sampling=sampling, every=EVERY
        ):
            if self._stopping:
                raise Stopped
            if not replies.tell(reply, [each.text for each in answers]):
                return
        replies.finish(reply, answers=answers, sampling=asdict(sampling))

    def _loaded(self, checkpoint: Checkpoint) -> tuple[Any, Any]:
        from models_zoo import load

        if checkpoint.pk not in self._models:
            while len(self._models) >= MODELS:
                self._models.popitem(last=False)
            model = load.causal_lm(checkpoint.path).to(load.device())  # type: ignore[arg-type]
            self._models[checkpoint.pk] = model, load.tokenizer(checkpoint.path)
        self._models.move_to_end(checkpoint.pk)
        return self._models[checkpoint.pk]


@contextmanager
def _listening() -> Iterator[psycopg.Connection]:
    """A connection of its own: LISTEN lives as long as its session."""
    parameters = connection.get_connection_params()
    for key in ("cursor_factory", "context", "pool"):
        parameters.pop(key, None)
    with psycopg.connect(**parameters, autocommit=True) as listener:
        listener.execute(f"listen {replies.NOTICES}")
        yield listener


@contextmanager
def _signing(reply: Reply) -> Iterator[None]:
    """Signs of life meanwhile: a large model takes longer to load than a dead responder is waited for."""
    done = threading.Event()

    def sign() -> None:
        try:
            while not done.wait(SIGN):
                replies.sign(reply)
        except DatabaseError as error:
            logger.warning("a sign of life was lost (%s)", _first_line(error))
        finally:
            connection.close()

    signer = threading.Thread(target=sign, daemon=True)
    signer.start()
    try:
        yield
    finally:
        done.set()
        signer.join()


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]

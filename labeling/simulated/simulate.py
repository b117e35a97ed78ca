"""Simulated labelers: accounts that label through the HTTP API alone, as people and programs do.

They know pocket stories only. Each ranks and compares by the gold score of the texts it is shown, with the
noise of `taste`; what a prompt asks for they read in the prompt. A label follows from the seed, the
labeler's number and the texts, not from ids or from who came first, so that a simulation can be repeated.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import httpx

from labeling.faults import FieldError
from labeling.simulated import taste as tastes
from models_zoo import stories

Mode = Literal["honest", "random", "inverted"]
MODES: tuple[Mode, ...] = ("honest", "random", "inverted")
KINDS = ("rank", "compare", "demonstrate")
WAITS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
DRAFTS = 4


class SimulationError(FieldError):
    """A simulation that cannot go on; ``field`` names what to mend."""


@dataclass(frozen=True)
class Label:
    """One label that was stored, and how many of its pairs that differ in gold it put as gold does."""

    kind: str
    surplus: bool
    pairs: int = 0
    agreeing: int = 0


def simulate(
    *,
    url: str,
    token: str,
    project: str,
    taste: tastes.Taste,
    noise: str = "clear",
    labelers: int = 3,
    labels: int = 15,
    seed: int = 1,
    mode: Mode = "honest",
    kinds: Sequence[str] = ("rank",),
    progress: Callable[[Iterator[Label]], Iterable[Label]] = iter,
) -> dict[str, Any]:
    """Let ``labelers`` accounts take turns until ``labels`` labels are stored or no task is left for them.

    Args:
        url: of the platform; the API lies below it.
        token: of an owner or admin of the project, who adds the accounts.
        project: its slug.
        mode: ``random`` labels know nothing, ``inverted`` ones put the worst first, both for controls.
        kinds: of task, some of `KINDS`.
        progress: passes the labels on as they come.

    Returns:
        ``labels``, ``asked``, ``surplus``, ``pairs`` (those that differ in gold), ``agreement_with_gold``
        (the share of them that the labels order as gold does; None without pairs), ``seconds`` and the
        arguments.

    Raises:
        SimulationError: a bad argument, no server, a refusal, or prompts that ask for no pocket story.
    """
    _check(token=token, taste=taste, noise=noise, mode=mode, labelers=labelers, labels=labels, kinds=kinds)
    began = time.monotonic()
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        # Whoever mistypes the address is told at once; a server that was there is waited for.
        admin = _Account(client, token, waits=())
        crowd = []
        for number in range(1, labelers + 1):
            name = "-".join([project, taste, *([] if mode == "honest" else [mode]), str(number)])
            crowd.append(_Labeler(_hire(admin, project, name), project, number, taste, noise, seed, mode))
        done = list(progress(_take_turns(crowd, labels, kinds)))
    pairs = sum(label.pairs for label in done)
    return {
        "project": project,
        "taste": taste,
        "noise": noise,
        "mode": mode,
        "seed": seed,
        "labelers": labelers,
        "asked": labels,
        "labels": len(done),
        "surplus": sum(label.surplus for label in done),
        "pairs": pairs,
        "agreement_with_gold": sum(label.agreeing for label in done) / pairs if pairs else None,
        "seconds": round(time.monotonic() - began, 2),
    }


def default_url() -> str:
    """Where `make run` serves."""
    return f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"


@dataclass(frozen=True)
class _Account:
    """One account's view of the API."""

    client: httpx.Client
    token: str
    waits: tuple[float, ...] = WAITS

    def post(self, path: str, body: dict[str, Any], *, reads: bool = False) -> Any:
        """The answer's body, None for 204; a server that is away is asked again, which is harmless here.

        With ``reads`` a guideline that asks to be read first is: what they judge by is not in its text.

        Raises:
            SimulationError: a refusal, or a server that stays away.
        """
        for wait in (*self.waits, None):
            try:
                answer = self.client.post(
                    f"/api/{path}", json=body, headers={"Authorization": f"Token {self.token}"}
                )
            except httpx.InvalidURL as error:
                raise SimulationError("url", f"{error}.") from error
            except httpx.TransportError as error:
                # Only what was there before can come back.
                if wait is None or isinstance(error, httpx.UnsupportedProtocol):
                    raise SimulationError(
                        "url", f"Nothing answers at {self.client.base_url} ({error}). Is the server up?"
                    ) from error
            else:
                if reads and (door := _door(answer)):
                    self.post(door, {})
                    return self.post(path, body)
                if answer.status_code != 503 or wait is None:
                    return self._body(answer)
            time.sleep(wait)
        return None

    def _body(self, answer: httpx.Response) -> Any:
        if answer.status_code == 204:
            return None
        try:
            body = answer.json()
        except ValueError as error:
            raise SimulationError("url", f"{answer.url} gives no JSON. Is this a Tutelage server?") from error
        if answer.is_success:
            return body
        field = {401: "token", 403: "token", 404: "project"}.get(answer.status_code, "url")
        raise SimulationError(field, body.get("detail") or f"{answer.status_code} from {answer.url}.")


@dataclass(frozen=True)
class _Labeler:
    account: _Account
    project: str
    number: int
    taste: tastes.Taste
    noise: str
    seed: int
    mode: Mode

    def label_next(self, kinds: Sequence[str]) -> Label | None:
        """Do the next task; None where there is none."""
        task = self.account.post(f"projects/{self.project}/next/", {"kinds": list(kinds)}, reads=True)
        if task is None:
            return None
        words = stories.asked_for(task["prompt"][-1]["content"])
        if words is None:
            self.account.post(f"leases/{task['lease']}/skip/", {"reason": "asks for no pocket story"})
            asked = task["prompt"][-1]["content"][:60]
            raise SimulationError("project", f"“{asked}” asks for no pocket story, all that they can judge.")
        if task["kind"] == "demonstrate":
            return self._submit(task, {"text": self._story(task, words)})
        texts = {one["id"]: one["text"] for one in task["candidates"]}
        scores = {pk: self._gold(text, words) for pk, text in texts.items()}
        # Ids and the order on screen differ from one database to the next, the texts do not.
        ids = sorted(texts, key=lambda pk: texts[pk])
        rng = self._rng(task, *(texts[pk] for pk in ids))
        if task["kind"] == "compare":
            answer, ranked = self._compare(ids, scores, rng)
        else:
            ranked = self._rank(ids, scores, rng)
            answer = {"tiers": ranked}
        return self._submit(task, answer, *_agreement(ranked, scores))

    def _rank(self, ids: list[int], scores: dict[int, float], rng: random.Random) -> list[list[int]]:
        if self.mode == "random":
            rng.shuffle(ids)
            return [[pk] for pk in ids]
        sign = -1 if self.mode == "inverted" else 1
        places = tastes.tiers([sign * scores[pk] for pk in ids], noise=tastes.NOISE[self.noise], rng=rng)
        return [[ids[place] for place in tier] for tier in places]

    def _compare(
        self, ids: list[int], scores: dict[int, float], rng: random.Random
    ) -> tuple[dict[str, Any], list[list[int]]]:
        """The answer, and the ranking that it says."""
        sign = {"honest": 1, "random": 0, "inverted": -1}[self.mode]
        first, second = (sign * scores[pk] for pk in ids)
        place, strength = tastes.comparison((first, second), noise=tastes.NOISE[self.noise], rng=rng)
        if place is None:
            return {"preferred": None, "strength": strength}, [ids]
        return {"preferred": ids[place], "strength": strength}, [[ids[place]], [ids[1 - place]]]

    def _story(self, task: dict[str, Any], words: tuple[str, str]) -> str:
        rng = self._rng(task)
        drafts = [stories.story(rng, *words) for _ in range(DRAFTS)]
        return max(drafts, key=lambda draft: self._gold(draft, words))

    def _gold(self, text: str, words: tuple[str, str]) -> float:
        # All that a reader sees of an answer that was cut off is that it ends in mid-sentence.
        finished = text.rstrip().endswith((".", "!", "?", '"'))
        return tastes.gold(text, taste=self.taste, words=words, finished=finished)

    def _rng(self, task: dict[str, Any], *texts: str) -> random.Random:
        # Of the prompt only what was said: how the server lays it out may change.
        prompt = [{key: turn[key] for key in ("role", "content")} for turn in task["prompt"]]
        return random.Random(repr((self.seed, self.number, task["kind"], prompt, texts)))

    def _submit(
        self, task: dict[str, Any], answer: dict[str, Any], pairs: int = 0, agreeing: int = 0
    ) -> Label:
        body = {"submission_id": str(uuid.uuid4()), "answer": answer}
        stored = self.account.post(f"leases/{task['lease']}/submit/", body)
        return Label(task["kind"], stored["surplus"], pairs, agreeing)


def _door(answer: httpx.Response) -> str | None:
    """Where to say that the guideline was read, below ``/api/``; None where nothing asks for it."""
    if answer.status_code != 409 or '"urn:tutelage:unread-guideline"' not in answer.text:
        return None
    door: str = answer.json()["guideline_version"]["acknowledge"]
    return door.removeprefix("/api/")


def _take_turns(crowd: Sequence[_Labeler], labels: int, kinds: Sequence[str]) -> Iterator[Label]:
    """Labels until there are enough; a labeler without a task leaves."""
    waiting, stored = list(crowd), 0
    while waiting and stored < labels:
        labeler = waiting.pop(0)
        if label := labeler.label_next(kinds):
            waiting.append(labeler)
            stored += 1
            yield label


def _hire(admin: _Account, project: str, name: str) -> _Account:
    member = {"username": name, "role": "labeler", "kind": "simulated"}
    token = admin.post(f"projects/{project}/members/", member)["token"]
    if token is None:
        raise SimulationError("project", f"The account {name} works elsewhere too. Remove it there.")
    return _Account(admin.client, token)


def _agreement(ranked: list[list[int]], scores: dict[int, float]) -> tuple[int, int]:
    """How many pairs differ in gold, and how many of those are ranked as gold has it."""
    place = {pk: at for at, tier in enumerate(ranked) for pk in tier}
    pairs = [(a, b) for a, b in combinations(scores, 2) if scores[a] != scores[b]]
    return len(pairs), sum((scores[a] - scores[b]) * (place[b] - place[a]) > 0 for a, b in pairs)


def _check(
    *, token: str, taste: str, noise: str, mode: str, labelers: int, labels: int, kinds: Sequence[str]
) -> None:
    if not (token.isascii() and token.isprintable()):
        raise SimulationError("token", "Holds a character that no token has. Copy it again.")
    for field, value, known in (
        ("taste", taste, tastes.TASTES),
        ("noise", noise, tuple(tastes.NOISE)),
        ("labels-mode", mode, MODES),
        *(("kinds", kind, KINDS) for kind in kinds),
    ):
        if value not in known:
            raise SimulationError(field, f"{value!r} is none of {', '.join(known)}.")
    for field, number in (("labelers", labelers), ("labels", labels)):
        if number < 1:
            raise SimulationError(field, f"Must be 1 or more, not {number}.")

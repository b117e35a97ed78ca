"""The turns of a talk with a checkpoint: what was said, which of two answers was better, what came of it.

Two answers are compared at each turn and the talk goes on with the chosen one, as people talked for HH-RLHF
(arXiv 2204.05862, section 2.2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeling.content.texts import Message, text_hash, unstorable
from labeling.faults import FieldError
from labeling.models import Completion

MOST_TURNS = 20
LONGEST = 8_000  # characters of what a person says at one turn
_FIELDS = {"said", "reply", "chosen", "strength", "both_bad", "completions"}


class TurnError(FieldError):
    """A turn that cannot be kept; ``field`` names it and its part."""


@dataclass(frozen=True)
class Said:
    """Two whole answers of a checkpoint, in the order that the labeler saw them in."""

    text_hash: str
    """Of the conversation that they answer."""
    completions: Sequence[tuple[int, str]]
    """Id and text of each."""


def check(
    turns: Any,
    *,
    opening: Sequence[Message],
    replies: Mapping[int, Said],
    strengths: Collection[str],
    field: str = "answer.turns",
) -> tuple[list[dict[str, Any]], list[Message]]:
    """Return the turns as a label keeps them, and the conversation that they lead to.

    Each names its two ``completions``, as shown, and the ``chosen`` one by id. What comes in may name it so
    too, or without ``completions`` as 0 or 1, whichever was shown first.

    Args:
        replies: by number, those of this task and labeler that are whole.

    Raises:
        TurnError: it is no list of turns, too long, or one does not follow from the replies.
    """
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise TurnError(field, 'The turns must be a list: [{"said", "reply", "chosen", "strength"}, …].')
    if len(turns) > MOST_TURNS:
        raise TurnError(field, f"A talk has {MOST_TURNS} turns at most. Leave out the last ones.")
    kept: list[dict[str, Any]] = []
    thread = list(opening)
    for at, turn in enumerate(turns):
        place = f"{field}[{at}]"
        reply = _reply(turn, replies, place)
        _check_judgement(turn, strengths, place)
        thread.append({"role": "user", "content": check_said(turn.get("said"), field=f"{place}.said")})
        if text_hash(thread) != reply.text_hash:
            raise TurnError(
                f"{place}.said", "The answers of this reply were given to other words than these."
            )
        chosen, text = _chosen(turn, reply, place)
        thread.append({"role": "assistant", "content": text})
        ids = [completion for completion, _ in reply.completions]
        kept.append({**turn, "completions": ids, "chosen": chosen})
    return kept, thread


def groups(
    talk: Mapping[str, Any], *, opening: Sequence[Message], said: Mapping[int, tuple[str, bool]]
) -> Iterator[tuple[dict[str, Any], str]]:
    """Each turn of a kept talk as a group of two answers to the talk until there, with its strength.

    Args:
        said: as `said_in`.
    """
    thread = list(opening)
    for turn in talk["turns"]:
        thread.append({"role": "user", "content": turn["said"]})
        answers = [[{"role": "assistant", "content": said[pk][0]}] for pk in turn["completions"]]
        worse = [turn["strength"] != "tie" and pk != turn["chosen"] for pk in turn["completions"]]
        group = {"prompt": list(thread), "completions": answers, "ranks": [int(one) for one in worse]}
        yield {**group, "finished": [said[pk][1] for pk in turn["completions"]]}, turn["strength"]
        thread.append({"role": "assistant", "content": said[turn["chosen"]][0]})


def said_in(labels: Iterable[Mapping[str, Any]]) -> dict[int, tuple[str, bool]]:
    """(text, finished) of every completion that the talks among some labels' answers name, by its id."""
    named = {pk for answer in labels for turn in answer.get("turns", ()) for pk in turn["completions"]}
    found = Completion.objects.filter(pk__in=named).values_list("pk", "text", "finished") if named else []
    return {pk: (text, finished) for pk, text, finished in found}


def check_said(text: Any, *, field: str) -> str:
    """Return what a person says at one turn.

    Raises:
        TurnError: it is no text, empty, too long, or cannot be stored.
    """
    if not isinstance(text, str) or not text.strip():
        raise TurnError(field, "Your message is empty. Write what you say to the model.")
    if len(text) > LONGEST:
        raise TurnError(
            field, f"Your message has {len(text):,} characters; the most is {LONGEST:,}. Shorten it."
        )
    if fault := unstorable(text):
        raise TurnError(field, fault)
    return text


def _reply(turn: Mapping[str, Any], replies: Mapping[int, Said], place: str) -> Said:
    if unknown := set(turn) - _FIELDS:
        raise TurnError(f"{place}.{min(unknown)[:40]}", "A turn has no such field. Leave it out.")
    number = turn.get("reply")
    if type(number) is not int or number not in replies:
        raise TurnError(f"{place}.reply", "Name a whole reply of this talk by its number.")
    return replies[number]


def _check_judgement(turn: Mapping[str, Any], strengths: Collection[str], place: str) -> None:
    if turn.get("strength") not in strengths:
        raise TurnError(f"{place}.strength", f"The strength must be one of {', '.join(strengths)}.")
    if not isinstance(turn.get("both_bad", False), bool):
        raise TurnError(f"{place}.both_bad", "both_bad is true or false. Leave it out where it is false.")


def _chosen(turn: Mapping[str, Any], reply: Said, place: str) -> tuple[int, str]:
    """Id and text of the answer that the talk went on with."""
    chosen, given = turn.get("chosen"), turn.get("completions")
    ids = [completion for completion, _ in reply.completions]
    if given is None:
        if type(chosen) is not int or not 0 <= chosen < len(ids):
            raise TurnError(f"{place}.chosen", "Choose the answer to go on with: 0 or 1, also after a tie.")
        return reply.completions[chosen]
    if given != ids:
        raise TurnError(f"{place}.completions", "These are not the answers of this reply. Leave them out.")
    if type(chosen) is not int or chosen not in ids:
        raise TurnError(f"{place}.chosen", "Choose one of the two completions, also after a tie.")
    return reply.completions[ids.index(chosen)]

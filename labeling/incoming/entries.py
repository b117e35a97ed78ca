"""What a row that comes in says: a prompt, with a demonstration or with completions, judged by itself.

A row is an object (a CSV record, a line of JSONL):

- a prompt: ``{"prompt": text or messages}`` or ``{"messages": […]}`` that end with the user's turn, or with a
  tool's result (`labeling.content.messages`);
- a demonstration: ``{"messages": […]}`` that end with the assistant's answer, or ``{"prompt", "completion"}``
  (text, or messages and one message);
- completions: a prompt with ``"completions": [text, …]`` or one ``"completion"``, and who gave them, where
  that is known, as ``"models": [name, …]`` or ``"model"``;
- any of them: ``split`` (train or heldout), ``use_case``, ``language``, ``skill`` (asked of who works on it),
  ``sensitive`` (true or false), ``metadata``; any other field joins the metadata.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from labeling.content.messages import check_messages
from labeling.content.pictures import Found
from labeling.content.texts import Message, TextError, check_text, strings, text_hash, unstorable
from labeling.incoming.rowfiles import Row
from labeling.models import Import, Split

MOST_METADATA_BYTES = 64 * 1024
MOST_COMPLETIONS = 100
MOST_NAME = 200
SHORT = {"use_case": 60, "language": 35, "skill": 60}


@dataclass(frozen=True)
class Defaults:
    """What holds for a row that says nothing else."""

    split: str | float = Split.TRAIN
    """A side, or the share to hold out."""
    split_by: str = ""
    """The field whose equal values stay on one side, by share."""
    sensitive: bool = False
    use_case: str = ""
    language: str = ""
    skill: str = ""
    model: str = ""
    """Who gave the completions of a row that names nobody."""


@dataclass(frozen=True)
class Entry:
    """A row that could be taken in, as far as the row itself tells."""

    row: int
    messages: list[Message]
    text_hash: str
    split: str
    split_is_named: bool
    use_case: str
    language: str
    skill: str
    metadata: dict[str, Any]
    sensitive: bool = False
    """Of the prompt or of its answers: one mark is for all that a task shows."""
    pictures: tuple[Found, ...] = ()
    text: str = ""
    """The demonstration, where it is one."""
    completions: tuple[tuple[str, str], ...] = ()
    """Texts, each once, with the name of the model that gave it, or an empty one."""


def check(row: Row, *, kind: str, defaults: Defaults) -> Entry:
    """Judge a row by itself.

    Raises:
        TextError: naming the field at fault.
    """
    content = row.content
    if not isinstance(content, dict):
        raise TextError("", "The row must be an object with named fields.")
    rest = dict(content)
    completions = _completions(rest, defaults.model) if kind == Import.Kind.COMPLETIONS else ()
    found: dict[str, Found] = {}
    messages, text = _conversation(rest, kind=kind, found=found)
    named = rest.pop("split", None) or None
    if named is not None and named not in Split.values:
        raise TextError("split", f"Must be {' or '.join(Split.values)}.")
    short = {name: _short(rest, name, most) for name, most in SHORT.items()}
    sensitive = _is_sensitive(rest) or defaults.sensitive
    metadata = _metadata(rest)
    source = {**metadata, **short}.get(defaults.split_by) if defaults.split_by else None
    return Entry(
        row=row.number,
        messages=messages,
        text_hash=text_hash(messages),
        split=named or _split_of(messages, defaults.split, source),
        split_is_named=named is not None,
        use_case=short["use_case"] or defaults.use_case,
        language=short["language"] or defaults.language,
        skill=short["skill"] or defaults.skill,
        sensitive=sensitive,
        metadata=metadata,
        pictures=tuple(found.values()),
        text=text,
        completions=completions,
    )


def _conversation(rest: dict[str, Any], *, kind: str, found: dict[str, Found]) -> tuple[list[Message], str]:
    """Take the prompt's messages and the demonstration (empty for another kind) out of a row's fields."""
    at = "messages" if rest.get("messages") not in (None, "") else "prompt"
    if at == "messages" and rest.get("prompt") not in (None, ""):
        raise TextError("prompt", "The row has both messages and a prompt. Leave one of them out.")
    given = rest.pop(at, None)
    rest.pop("prompt" if at == "messages" else "messages", None)
    if given in (None, "", []):
        raise TextError("prompt", "The row has no prompt and no messages, or they are empty.")
    messages = check_messages(given, field=at, found=found)
    last_is_answer = messages[-1]["role"] == "assistant"
    if kind != Import.Kind.DEMONSTRATIONS:
        if last_is_answer:
            raise TextError(at, "A prompt ends with the user's turn. Import it as a demonstration?")
        return messages, ""
    if "completion" not in rest and at == "messages":
        if not last_is_answer:
            raise TextError(at, "A demonstration ends with the assistant's answer.")
        return messages[:-1], messages[-1]["content"]
    if last_is_answer:
        raise TextError(at, "Beside a completion, the prompt ends with the user's turn.")
    return messages, _answer(rest.pop("completion", None), field="completion")


def _completions(rest: dict[str, Any], model: str) -> tuple[tuple[str, str], ...]:
    """Take the completions and their models out of a row's fields."""
    if rest.get("completions") is None:
        given, names = [rest.pop("completion", None)], [rest.pop("model", None)]
        fields = ["completion"]
        rest.pop("completions", None)
    else:
        given, names = rest.pop("completions"), rest.pop("models", None)
        if not isinstance(given, list) or not 1 <= len(given) <= MOST_COMPLETIONS:
            raise TextError("completions", f"Must be a list of 1 to {MOST_COMPLETIONS} texts.")
        fields = [f"completions[{at}]" for at in range(len(given))]
        names = [None] * len(given) if names is None else names
    if not isinstance(names, list) or len(names) != len(given):
        raise TextError("models", f"Must be a list of {len(given)} names, one for each completion.")
    if not all(name is None or _is_name(name) for name in names):
        raise TextError("models", f"Each name must be text of at most {MOST_NAME} characters, or null.")
    said: dict[str, str] = {}
    for each, name, field in zip(given, names, fields, strict=True):
        said.setdefault(_answer(each, field=field), name or model)
    return tuple(said.items())


def _answer(given: Any, *, field: str) -> str:
    """An answer, given as a text or as one message."""
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], dict):
        given = given[0].get("content")
    return check_text(given, field=field)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_NAME and not unstorable(value)


def _short(rest: dict[str, Any], name: str, most: int) -> str:
    value = rest.pop(name, None) or ""
    if not isinstance(value, str) or len(value) > most or unstorable(value):
        raise TextError(name, f"Must be text of at most {most} characters.")
    return value


def _is_sensitive(rest: dict[str, Any]) -> bool:
    """Take the mark out of a row's fields; a CSV says it in words."""
    value = rest.pop("sensitive", None)
    if isinstance(value, str):
        value = {"true": True, "false": False, "1": True, "0": False, "": False}.get(value.lower(), value)
    if value not in (None, True, False) or isinstance(value, float):
        raise TextError("sensitive", "Must be true or false.")
    return bool(value)


def _metadata(rest: dict[str, Any]) -> dict[str, Any]:
    own = rest.pop("metadata", None) or {}
    if not isinstance(own, dict):
        raise TextError("metadata", "Must be an object.")
    metadata = {**rest, **own}
    try:
        parts = list(strings(metadata))
        size = len(json.dumps(metadata, allow_nan=False))
    except (ValueError, TypeError) as error:
        raise TextError("metadata", "The further fields are not plain JSON values.") from error
    if size > MOST_METADATA_BYTES:
        raise TextError(
            "metadata", f"The further fields have {size:,} bytes; the most is {MOST_METADATA_BYTES:,}."
        )
    if fault := next(filter(None, map(unstorable, parts)), ""):
        raise TextError("metadata", fault)
    return metadata


def _split_of(messages: list[Message], split: str | float, source: Any = None) -> str:
    """The split itself or, by share, the side on which the source falls, else the conversation's first words.

    The threads of one conversation share those, and stay together.
    """
    if isinstance(split, str):
        return split
    if source in (None, "", [], {}):
        opening = next(at for at, message in enumerate(messages, 1) if message["role"] == "user")
        sha256 = text_hash(messages[:opening])
    else:
        sha256 = text_hash(json.dumps(["source", source], sort_keys=True))
    return Split.HELDOUT if int(sha256[:8], 16) < split * 2**32 else Split.TRAIN

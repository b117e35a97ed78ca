"""Conversations as they are kept: texts, pictures among them, and the steps of an agent's trace.

A message is ``{"role", "content"}``. Its content is a text or, where a person or a tool shows pictures, a
list of parts: ``{"type": "text", "text"}`` and ``{"type": "image", "sha256", "media_type", "width", "height",
"alt"?}``. An assistant's message may make calls, ``"tool_calls": [{"id", "type": "function", "function":
{"name", "arguments": JSON as text}}]`` (OpenAI's form), each answered by a message ``{"role": "tool",
"tool_call_id", "content"}`` before the assistant goes on.

Models here read texts alone: `plain` turns all of it into those.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from labeling.content import pictures
from labeling.content.pictures import Found
from labeling.content.texts import MOST_BYTES, Message, TextError, check_text, kind_of, strings, unstorable

ROLES = ("system", "user", "assistant", "tool")
MOST_MESSAGES = 1000
MOST_CALLS = 64  # of one message
MOST_PICTURES = 32  # of one conversation
LONGEST_NAME = 200
LONGEST_ALT = 2000

_FIELDS = {"assistant": {"tool_calls"}, "tool": {"tool_call_id", "name"}}
_SHOWN_BY = ("user", "tool")


def check_messages(
    messages: Any, *, field: str = "messages", found: dict[str, Found] | None = None
) -> list[Message]:
    """Return a conversation as it is kept: an optional system text, then user and assistant in turn.

    A bare text is the user's one turn; a list of text parts alone becomes one text. Whose turn comes last is
    for the caller to judge.

    Args:
        found: gains the pictures that came in, by their sha256; without it none may come.

    Raises:
        TextError: it is not of this form, a text is empty or not storable, or all of it is too long.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, list) or not messages:
        raise TextError(field, "Must be a text or a list of messages with at least one turn.")
    if len(messages) > MOST_MESSAGES:
        raise TextError(field, f"There are {len(messages):,} messages; the most is {MOST_MESSAGES:,}.")
    checked = [_check_message(message, f"{field}[{at}]", at, found) for at, message in enumerate(messages)]
    if "system" in [message["role"] for message in checked[1:]]:
        raise TextError(field, "A system message may only come first.")
    _check_turns(checked, field)
    if (shown := sum(part["type"] == "image" for one in checked for part in parts(one))) > MOST_PICTURES:
        raise TextError(field, f"The conversation has {shown} pictures; the most is {MOST_PICTURES}.")
    if (size := sum(len(turn["content"].encode()) for turn in plain(checked))) > MOST_BYTES:
        raise TextError(
            field, f"The conversation has {size:,} bytes; the most is {MOST_BYTES:,}. Shorten it."
        )
    return checked


def parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A message's content as parts, whichever way it is kept."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def text_of(message: Mapping[str, Any]) -> str:
    """A message's content as text, pictures by what they are said to show."""
    return "\n\n".join(_in_words(part) for part in parts(message))


def plain(messages: Sequence[Message]) -> list[Message]:
    """A conversation in texts alone, in turn by user and assistant, as models and exports take it.

    Calls stand in the assistant's text, results in the user's. A conversation of texts comes as it is.
    """
    names: dict[str, str] = {}
    turns: list[Message] = []
    for message in messages:
        role, text = message["role"], text_of(message)
        calls = message.get("tool_calls", [])
        if calls:
            names |= {call["id"]: call["function"]["name"] for call in calls}
            said = [f"[call {call['function']['name']}]\n{call['function']['arguments']}" for call in calls]
            text = "\n\n".join([text, *said] if text else said)
        if role == "tool":
            role, text = "user", f"[result of {names[message['tool_call_id']]}]\n{text}"
            if turns[-1]["role"] == "user":
                turns[-1] = {"role": "user", "content": f"{turns[-1]['content']}\n\n{text}"}
                continue
        turns.append({"role": role, "content": text})
    return turns


def _in_words(part: Mapping[str, Any]) -> str:
    if part["type"] == "text":
        return str(part["text"])
    return f"[image: {part['alt']}]" if part.get("alt") else "[image]"


def _check_turns(messages: Sequence[Message], field: str) -> None:
    """A person speaks first and then in turn with the assistant, who goes on once its calls are answered."""
    open_calls: list[str] = []
    named: Counter[str] = Counter()
    turn = "user"
    for at, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            _answer_call(message, open_calls, f"{field}[{at}]")
            continue
        if open_calls:
            raise TextError(f"{field}[{at}]", f"The call {open_calls[0]!r:.60} before it has no result yet.")
        if role == "system":
            continue
        if role != turn:
            raise TextError(field, "The turns must alternate between user and assistant, the user first.")
        open_calls = [call["id"] for call in message.get("tool_calls", [])]
        named.update(open_calls)
        if named and (most := named.most_common(1)[0])[1] > 1:
            raise TextError(
                f"{field}[{at}].tool_calls", f"Two calls have the id {most[0]!r:.60}. Number them."
            )
        turn = "assistant" if role == "user" or open_calls else "user"
    if open_calls:
        raise TextError(field, f"The call {open_calls[0]!r:.60} has no result. End before it, or add that.")
    if not any(message["role"] == "user" for message in messages):
        raise TextError(field, "The turns must alternate between user and assistant, the user first.")


def _answer_call(message: Message, open_calls: list[str], field: str) -> None:
    """Take the call that a result answers off the open ones; one that names none answers the first."""
    if not open_calls:
        raise TextError(field, "A tool's result follows the call that it answers.")
    name = message.setdefault("tool_call_id", open_calls[0])
    if name not in open_calls:
        raise TextError(f"{field}.tool_call_id", f"No call {name!r:.60} waits for a result here.")
    open_calls.remove(name)


def _check_message(message: Any, field: str, number: int, found: dict[str, Found] | None) -> Message:
    if not isinstance(message, dict):
        raise TextError(field, f'Must be an object {{"role", "content"}}, not {kind_of(message)}.')
    if message.get("role") not in ROLES:
        raise TextError(f"{field}.role", f"The role must be one of {', '.join(ROLES)}.")
    role = message["role"]
    # What a program left empty says nothing.
    given = {name: value for name, value in message.items() if value not in (None, [])}
    if unknown := sorted(set(given) - {"role", "content"} - _FIELDS.get(role, set()), key=str):
        raise TextError(
            f"{field}.{str(unknown[0])[:40]}", f"A message of role {role} has no such field. Leave it out."
        )
    calls = [
        _check_call(call, f"{field}.tool_calls[{at}]", name=f"call-{number}-{at}")
        for at, call in enumerate(_calls(given, field))
    ]
    may_be_empty = role == "tool" or bool(calls)
    content = _check_content(given, role, f"{field}.content", found, may_be_empty=may_be_empty)
    checked: Message = {"role": role, "content": content}
    if calls:
        checked["tool_calls"] = calls
    if "tool_call_id" in given:
        checked["tool_call_id"] = _name(given["tool_call_id"], f"{field}.tool_call_id")
    return checked


def _check_content(
    given: Mapping[str, Any], role: str, field: str, found: dict[str, Found] | None, *, may_be_empty: bool
) -> str | list[dict[str, Any]]:
    content = given.get("content")
    if may_be_empty and content in (None, ""):
        return ""
    if not isinstance(content, list):
        return check_text(content, field=field)
    checked = [_check_part(part, role, f"{field}[{at}]", found) for at, part in enumerate(content)]
    if all(part["type"] == "text" for part in checked):
        return "\n\n".join(part["text"] for part in checked)
    return checked


def _check_part(part: Any, role: str, field: str, found: dict[str, Found] | None) -> dict[str, Any]:
    if not isinstance(part, dict) or part.get("type") not in ("text", "image", "image_url"):
        raise TextError(
            field,
            'A part is {"type": "text", "text"} or {"type": "image_url", "image_url": {"url"}, "alt"?}.',
        )
    known = {"text": {"text"}, "image": {"image", "alt"}, "image_url": {"image_url", "alt"}}[part["type"]]
    if unknown := sorted(set(part) - {"type", *known}, key=str):
        raise TextError(f"{field}.{str(unknown[0])[:40]}", "A part has no such field. Leave it out.")
    if part["type"] == "text":
        return {"type": "text", "text": check_text(part.get("text"), field=f"{field}.text")}
    if role not in _SHOWN_BY:
        raise TextError(field, f"Pictures are shown by {' or '.join(_SHOWN_BY)}, not by the {role}.")
    address = part.get(part["type"])
    if isinstance(address, dict):
        address = address.get("url")
    if found is None:
        raise TextError(field, "Pictures come in with an import only.")
    try:
        picture = pictures.read(address, field=f"{field}.{part['type']}")
    except pictures.PictureError as error:
        raise TextError(error.field, str(error)) from error
    found[picture.sha256] = picture
    kept = {
        "type": "image",
        "sha256": picture.sha256,
        "media_type": picture.media_type,
        "width": picture.width,
        "height": picture.height,
    }
    if part.get("alt") in (None, ""):
        return kept
    alt = check_text(part["alt"], field=f"{field}.alt")
    if len(alt) > LONGEST_ALT:
        raise TextError(f"{field}.alt", f"The description is longer than {LONGEST_ALT:,} characters.")
    return {**kept, "alt": alt}


def _calls(given: Mapping[str, Any], field: str) -> Iterator[Any]:
    calls = given.get("tool_calls", [])
    if not isinstance(calls, list) or len(calls) > MOST_CALLS:
        raise TextError(f"{field}.tool_calls", f"Must be a list of {MOST_CALLS} calls at most.")
    yield from calls


def _check_call(call: Any, field: str, *, name: str) -> dict[str, Any]:
    """A call in full, ``name`` its id where it has none."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or call.get("type", "function") != "function":
        raise TextError(
            field, 'A call is {"id", "type": "function", "function": {"name", "arguments": JSON as text}}.'
        )
    if unknown := sorted((set(call) - {"id", "type", "function"}) | (set(function) - {"name", "arguments"})):
        raise TextError(f"{field}.{str(unknown[0])[:40]}", "A call has no such field. Leave it out.")
    arguments = function.get("arguments", "")
    if isinstance(arguments, dict):
        arguments = _written(arguments, f"{field}.function.arguments")
    if not isinstance(arguments, str) or unstorable(arguments):
        raise TextError(f"{field}.function.arguments", "The arguments must be JSON, as text or an object.")
    return {
        "id": _name(call["id"], f"{field}.id") if call.get("id") is not None else name,
        "type": "function",
        "function": {"name": _name(function.get("name"), f"{field}.function.name"), "arguments": arguments},
    }


def _written(arguments: dict[str, Any], field: str) -> str:
    try:
        list(strings(arguments))
        return json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise TextError(field, "The arguments are not plain JSON values.") from error


def _name(value: Any, field: str) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= LONGEST_NAME or unstorable(value):
        raise TextError(field, f"Must be text of 1 to {LONGEST_NAME} characters.")
    return value

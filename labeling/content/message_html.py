"""Messages as HTML that is safe to show: texts laid out, pictures, the steps of a trace folded.

A text that can be shown letter for letter too stands in an element with ``data-raw``, see
``static/labeling/reading.js``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from guidelines.render import answer_html, plain_html
from labeling.content.messages import parts, text_of
from labeling.content.texts import Message, strings

MOST_INDENTED = 16 * 1024  # characters of arguments; deep ones grow many times over
LONGEST_LINE = 120


def shown(messages: Sequence[Message], *, slug: str) -> list[dict[str, Any]]:
    """Messages of the project ``slug``, each with its ``html``.

    A tool's result is empty by itself: it stands in the step of the call that it answers.
    """
    results = {one["tool_call_id"]: one for one in messages if one["role"] == "tool"}
    return [{**message, "html": _html(message, results, slug)} for message in messages]


def addresses(messages: Sequence[Message], *, slug: str) -> list[str]:
    """Where the pictures of messages are served, each once."""
    found = [part["sha256"] for one in messages for part in parts(one) if part["type"] == "image"]
    return [_address(sha256, slug) for sha256 in dict.fromkeys(found)]


def _html(message: Message, results: Mapping[str, Message], slug: str) -> str:
    if message["role"] == "tool":
        return ""
    if isinstance(message["content"], str) and "tool_calls" not in message:
        return answer_html(message["content"])
    context = {
        "pieces": _pieces(message, slug),
        "steps": [_step(call, results.get(call["id"]), slug) for call in message.get("tool_calls", [])],
    }
    return SafeString(render_to_string("labeling/message.html", context).strip())


def _pieces(message: Message, slug: str) -> list[dict[str, Any]]:
    """The parts of a message that there is something to see of."""
    return [
        {**part, "html": answer_html(part["text"])}
        if part["type"] == "text"
        else {**part, "address": _address(part["sha256"], slug)}
        for part in parts(message)
        if part["type"] == "image" or part["text"]
    ]


def _step(call: Mapping[str, Any], result: Message | None, slug: str) -> dict[str, Any]:
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    back = text_of(result) if result else ""
    return {
        "name": plain_html(name),
        "line": plain_html(_line(arguments)),
        "back": plain_html(_line(back)),
        "arguments": arguments,
        "arguments_html": plain_html(_indented(arguments)),
        "pieces": _plain_pieces(result, slug) if result else [],
    }


def _plain_pieces(result: Message, slug: str) -> list[dict[str, Any]]:
    """A result comes from a program: its texts are shown as they are."""
    return [
        {**piece, "html": plain_html(piece["text"])} if piece["type"] == "text" else piece
        for piece in _pieces(result, slug)
    ]


def _indented(arguments: str) -> str:
    """JSON in lines, where it is JSON and does not grow beyond measure; else as it was given."""
    if len(arguments) > MOST_INDENTED:
        return arguments
    try:
        value = json.loads(arguments)
        list(strings(value))
    except (ValueError, RecursionError):
        return arguments
    return json.dumps(value, ensure_ascii=False, indent=2)


def _line(text: str) -> str:
    words = " ".join(text[: LONGEST_LINE * 4].split())
    return words if len(words) <= LONGEST_LINE else words[:LONGEST_LINE] + "…"


def _address(sha256: str, slug: str) -> str:
    return reverse("labeling:picture", kwargs={"slug": slug, "sha256": sha256})

"""Open-Assistant's conversation trees as rows of ours.

A tree is ``{"message_tree_id", "prompt": message}``, a message ``{"text", "role": "prompter"|"assistant",
"lang", "replies": [message, …], "synthetic", "model_name", "deleted", "review_result"}`` (arXiv 2304.07327,
and the files it was published as). Each thread from the root to a prompter's message is a prompt: with its
replies as completions, with each reply by a person as a demonstration, or by itself. What was deleted or
failed its review is left out, with all below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labeling.incoming.rowfiles import Row
from labeling.models import Import

ROLES = {"prompter": "user", "assistant": "assistant"}


def is_tree(content: Any) -> bool:
    """Whether a row is a tree, by its keys."""
    return (
        isinstance(content, dict) and "message_tree_id" in content and isinstance(content.get("prompt"), dict)
    )


def unfolded(row: Row, *, kind: str) -> Iterator[Row]:
    """Yield a tree's rows for an import of ``kind``, all numbered as its line; another row as it is."""
    if not is_tree(row.content):
        yield row
        return
    empty = True
    for prompt, replies in _threads(row.content):
        for content in _rows(prompt, replies, kind=kind):
            empty = False
            yield Row(row.number, content)
    if empty:
        yield Row(row.number, fault=f"The tree holds no {kind}.", field="prompt")


def _threads(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Every prompt of a tree, as a row, with the messages that answer it."""
    # A stack of our own: a thread may be longer than Python's is deep.
    waiting: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [(m, []) for m in _kept([tree["prompt"]])]
    while waiting:
        message, before = waiting.pop()
        role = message.get("role")
        thread = [*before, {"role": ROLES.get(str(role), role), "content": message.get("text")}]
        replies = _kept(message.get("replies"))
        waiting += [(reply, thread) for reply in reversed(replies)]
        if role == "prompter":
            prompt = {
                "messages": thread,
                "language": message.get("lang"),
                "message_tree_id": tree["message_tree_id"],
                "message_id": message.get("message_id"),
            }
            yield prompt, [reply for reply in replies if reply.get("role") == "assistant"]


def _rows(prompt: dict[str, Any], replies: list[dict[str, Any]], *, kind: str) -> Iterator[dict[str, Any]]:
    if kind == Import.Kind.PROMPTS:
        yield prompt
    elif kind == Import.Kind.DEMONSTRATIONS:
        for reply in replies:
            if not reply.get("synthetic"):
                answer = {"role": "assistant", "content": reply.get("text")}
                yield {**prompt, "messages": [*prompt["messages"], answer]}
    elif replies:
        yield {
            **prompt,
            "completions": [reply.get("text") for reply in replies],
            "models": [reply.get("model_name") for reply in replies],
        }


def _kept(messages: Any) -> list[dict[str, Any]]:
    """The messages that stand; what is no list of messages holds none."""
    return [
        each
        for each in (messages if isinstance(messages, list) else [])
        if isinstance(each, dict) and not each.get("deleted") and each.get("review_result") is not False
    ]

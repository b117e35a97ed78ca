"""Messages to token ids, the same way in labels, rollouts and samples.

A conversation is its prompt under the chat template with the generation mark, then the answer's own tokens,
then the end token where the answer finished. Taking the template's rendering of a whole conversation
instead would append whatever it prints after an answer (a newline, in ChatML), which no rollout ends with.
"""

from collections.abc import Sequence
from typing import Any

Message = dict[str, str]


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of a prompt, ready to be answered."""
    return list(tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, return_dict=False))


def answer_ids(tokenizer: Any, text: str, *, finished: bool = True) -> list[int]:
    """Token ids of an answer; the end token follows where it finished by itself."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return [*ids, tokenizer.eos_token_id] if finished else list(ids)


def conversation_ids(tokenizer: Any, messages: Sequence[Message], text: str, *, finished: bool) -> list[int]:
    """Token ids of a prompt and its answer."""
    return prompt_ids(tokenizer, messages) + answer_ids(tokenizer, text, finished=finished)

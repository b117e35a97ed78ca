"""Sample completions in batches, each reproducible by itself.

Every completion has a seed of its own: its uniform draws come from a CPU generator with that seed and pick
tokens by inverse transform, so what it says follows from (checkpoint, parameters, seed), not from its
neighbours in the batch or from the device's generator. (Other batches round otherwise in the last bits: a
draw must fall within 1e-6 of a boundary to change a token.)
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from models_zoo import chat, load


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn. Raises ValueError where a value is out of range."""

    temperature: float = 1.0
    """0 takes the likeliest token every time."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that hold this share of the probability; 1 draws from all."""
    max_new_tokens: int = 72
    """Completions longer than this are cut and marked unfinished."""

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError(f"temperature must be 0 or more, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be 1 or more, not {self.max_new_tokens}")


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled answer; `tokens` counts the end token where there is one."""

    text: str
    finished: bool
    tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """A batch on one device: prompts padded on the left, answers on the right.

    ids, mask: (B, P + R), of which the last R columns are the answer; answer, answer_mask: (B, R);
    finished: (B,).
    """

    ids: torch.Tensor
    mask: torch.Tensor
    answer: torch.Tensor
    answer_mask: torch.Tensor
    finished: torch.Tensor


def seed_of(*parts: int) -> int:
    """A seed of 31 bits from a path of numbers, such as (run seed, prompt index, completion index)."""
    named = ":".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(named).digest()[:4]) >> 1


def sample(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Sequence[chat.Message]],
    *,
    seeds: Sequence[int],
    sampling: Sampling,
    batch_size: int = 64,
) -> Iterator[Completion]:
    """One completion a conversation and seed, in the order given; pass a conversation K times for K."""
    prompts = [chat.prompt_ids(tokenizer, messages) for messages in conversations]
    for start in range(0, len(prompts), batch_size):
        chosen = slice(start, start + batch_size)
        rolled = rollout(model, tokenizer, prompts[chosen], seeds=seeds[chosen], sampling=sampling)
        for row, seed in enumerate(seeds[chosen]):
            length = int(rolled.answer_mask[row].sum())
            text = tokenizer.decode(rolled.answer[row, :length], skip_special_tokens=True)
            yield Completion(text=text, finished=bool(rolled.finished[row]), tokens=length, seed=seed)


@torch.no_grad()
def rollout(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    seeds: Sequence[int],
    sampling: Sampling,
) -> Rollout:
    """Answer a batch of tokenised prompts, one seed each; every answer is cut after its end token."""
    if len(prompts) != len(seeds):
        raise ValueError(f"{len(prompts)} prompts need as many seeds, not {len(seeds)}")
    device = next(model.parameters()).device
    ids, mask = load.pad_left(prompts, int(tokenizer.pad_token_id), device)
    ends = torch.tensor(load.end_ids(model, tokenizer), device=device)
    draws = _draws(seeds, sampling.max_new_tokens).to(device)
    was_training = model.training
    model.eval()
    finished = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    cache: Any = None
    step_ids, step_mask, positions = ids, mask, (mask.cumsum(-1) - 1).clamp(min=0)
    answer: list[torch.Tensor] = []
    answer_mask: list[torch.Tensor] = []
    for step in range(sampling.max_new_tokens):
        output = model(
            input_ids=step_ids,
            attention_mask=step_mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        picked = pick(output.logits[:, -1], draws[:, step], sampling)
        answer_mask.append(~finished)
        answer.append(picked.masked_fill(finished, int(tokenizer.pad_token_id)))
        finished = finished | torch.isin(picked, ends)
        if bool(finished.all()):
            break
        step_ids = answer[-1][:, None]
        step_mask = torch.cat([step_mask, step_mask.new_ones(len(prompts), 1)], 1)
        positions = positions[:, -1:] + 1
    model.train(was_training)
    said, said_mask = torch.stack(answer, 1), torch.stack(answer_mask, 1).long()
    return Rollout(
        ids=torch.cat([ids, said], 1),
        mask=torch.cat([mask, said_mask], 1),
        answer=said,
        answer_mask=said_mask,
        finished=finished,
    )


def pick(logits: torch.Tensor, draws: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The token of each row at its uniform draw. logits: (B, V), draws: (B,) in [0, 1) → (B,)."""
    if sampling.temperature == 0:
        return logits.argmax(-1)
    probabilities = (logits.float() / sampling.temperature).softmax(-1)
    if sampling.top_p < 1:
        ranked, order = probabilities.sort(-1, descending=True)
        # A token stays when the tokens before it hold less than top_p: the likeliest always does.
        kept = ranked * (ranked.cumsum(-1) - ranked < sampling.top_p)
        probabilities = torch.zeros_like(probabilities).scatter(-1, order, kept)
    cumulative = probabilities.double().cumsum(-1)
    aim = draws[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, aim, right=True)[:, 0].clamp(max=logits.size(-1) - 1)


def _draws(seeds: Sequence[int], steps: int) -> torch.Tensor:
    rows = [
        torch.rand(steps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for seed in seeds
    ]
    return torch.stack(rows)

"""Sample completions in batches, each reproducible by itself.

Every completion has a seed of its own: its uniform draws come from a CPU generator with that seed and pick
tokens by inverse transform, so what it says follows from (checkpoint, parameters, seed), not from its
neighbours in the batch or from the device's generator. (Other batches round otherwise in the last bits: a
draw must fall within 1e-6 of a boundary to change a token.)
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from models_zoo import chat, load
from models_zoo.seeds import seed_of

__all__ = ["Completion", "Rollout", "Sampling", "pick", "rollout", "sample", "seed_of", "stream"]


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
            answer = rolled.answer[row, : int(rolled.answer_mask[row].sum())]
            yield _said(tokenizer, answer, finished=bool(rolled.finished[row]), seed=seed)


def stream(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversation: Sequence[chat.Message],
    *,
    seeds: Sequence[int],
    sampling: Sampling,
    every: float = 0.0,
) -> Iterator[list[Completion]]:
    """Answer one conversation once a seed; yield all answers as far as they are said, at last the whole ones.

    The last yield is what `sample` returns. The others come at most once in ``every`` seconds (0: after each
    token); a character whose bytes are not all said yet is left out of them.
    """
    prompts = [chat.prompt_ids(tokenizer, conversation)] * len(seeds)
    answer: list[torch.Tensor] = []
    masks: list[torch.Tensor] = []
    finished = torch.zeros(len(seeds), dtype=torch.bool)

    def so_far() -> list[Completion]:
        said, lengths = torch.stack(answer, 1), torch.stack(masks, 1).sum(1).tolist()
        return [
            _said(tokenizer, said[row, : lengths[row]], finished=bool(finished[row]), seed=seed)
            for row, seed in enumerate(seeds)
        ]

    told = time.monotonic()
    for picked, mask, finished in _steps(model, tokenizer, prompts, seeds=seeds, sampling=sampling):
        answer.append(picked)
        masks.append(mask)
        whole = bool(finished.all()) or len(answer) == sampling.max_new_tokens
        if not whole and time.monotonic() - told >= every:
            told = time.monotonic()
            yield [
                each if each.finished else replace(each, text=each.text.rstrip("\ufffd")) for each in so_far()
            ]
    yield so_far()


def rollout(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    seeds: Sequence[int],
    sampling: Sampling,
) -> Rollout:
    """Answer a batch of tokenised prompts, one seed each; every answer is cut after its end token."""
    steps = list(_steps(model, tokenizer, prompts, seeds=seeds, sampling=sampling))
    ids, mask = load.pad_left(prompts, int(tokenizer.pad_token_id), next(model.parameters()).device)
    said = torch.stack([picked for picked, _, _ in steps], 1)
    said_mask = torch.stack([mask for _, mask, _ in steps], 1).long()
    return Rollout(
        ids=torch.cat([ids, said], 1),
        mask=torch.cat([mask, said_mask], 1),
        answer=said,
        answer_mask=said_mask,
        finished=steps[-1][2],
    )


@torch.no_grad()
def _steps(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    seeds: Sequence[int],
    sampling: Sampling,
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Each step's tokens, which of them belong to an answer, and which answers have ended: (B,) each."""
    if len(prompts) != len(seeds):
        raise ValueError(f"{len(prompts)} prompts need as many seeds, not {len(seeds)}")
    device = next(model.parameters()).device
    pad = int(tokenizer.pad_token_id)
    ids, mask = load.pad_left(prompts, pad, device)
    ends = torch.tensor(load.end_ids(model, tokenizer), device=device)
    draws = _draws(seeds, sampling.max_new_tokens).to(device)
    was_training = model.training
    model.eval()
    finished = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    cache: Any = None
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    try:
        for step in range(sampling.max_new_tokens):
            output = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = output.past_key_values
            picked = pick(output.logits[:, -1], draws[:, step], sampling)
            going, token = ~finished, picked.masked_fill(finished, pad)
            finished = finished | torch.isin(picked, ends)
            yield token, going, finished
            if bool(finished.all()):
                break
            ids, positions = token[:, None], positions[:, -1:] + 1
            mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], 1)
    finally:
        model.train(was_training)


def _said(
    tokenizer: PreTrainedTokenizerBase, answer: torch.Tensor, *, finished: bool, seed: int
) -> Completion:
    text = tokenizer.decode(answer, skip_special_tokens=True)
    return Completion(text=text, finished=finished, tokens=len(answer), seed=seed)


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

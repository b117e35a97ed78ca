"""Load what a checkpoint holds: tokenizer, language model, reward model; whole or as a LoRA adapter."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from models_zoo import store

SMALL = 20_000_000


def device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The folder's tokenizer, padding on the left, its pad token set.

    Raises BrokenCheckpoint where it cannot be read or has no chat template or end token.
    """
    try:
        found = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise store.BrokenCheckpoint(
            f"{folder}: the tokenizer cannot be read ({_first_line(error)})"
        ) from error
    if found.chat_template is None:
        raise store.BrokenCheckpoint(f"{folder}: the tokenizer has no chat template; add chat_template.jinja")
    if found.eos_token_id is None:
        raise store.BrokenCheckpoint(f"{folder}: the tokenizer names no end token; set eos_token")
    if found.pad_token_id is None:
        found.pad_token = found.eos_token
    found.padding_side = "left"
    return found


def causal_lm(folder: Path, *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The folder's language model, dropout off. A LoRA adapter is merged into its base.

    Raises BrokenCheckpoint where weights are missing, cut short or of another kind.
    """
    return _load(AutoModelForCausalLM, folder, dtype)


def reward_model(folder: Path, *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The folder's reward model: a backbone with a `score` head of one output, dropout off.

    From a language model's folder the backbone is taken and the head is fresh (it is the caller's to
    initialise).
    """
    return _load(AutoModelForSequenceClassification, folder, dtype, num_labels=1)


def blank_causal_lm(folder: Path) -> PreTrainedModel:
    """An untrained language model from the folder's config.json, drawn from torch's global generator."""
    return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(str(folder)), dtype=torch.float32)


def token_scores(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The `score` head at every position. ids, mask: (B, T) → (B, T)."""
    whole: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    backbone = getattr(whole, whole.base_model_prefix)
    hidden = backbone(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)
    return whole.score(hidden.last_hidden_state).squeeze(-1)


def sequence_scores(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The score at the last token that is not padding: a finished answer's end. (B, T) → (B,)."""
    last = mask.size(1) - 1 - mask.flip(1).argmax(1)
    return token_scores(model, ids, mask).gather(1, last[:, None])[:, 0]


@torch.no_grad()
def scores(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], *, pad_id: int, batch: int = 64
) -> list[float]:
    """The score of every conversation's token ids, in order; rows of like length are scored together."""
    place = next(model.parameters()).device
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    found = [0.0] * len(rows)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        ids, mask = pad_right([rows[i] for i in chosen], pad_id, place)
        for i, score in zip(chosen, sequence_scores(model, ids, mask).tolist(), strict=True):
            found[i] = score
    return found


def pad_left(
    rows: Sequence[Sequence[int]], pad_id: int, place: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, (B, T) each, of rows padded on the left."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in rows], device=place)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=place)
    return ids, mask


def pad_right(
    rows: Sequence[Sequence[int]], pad_id: int, place: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, (B, T) each, of rows padded on the right."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([list(row) + [pad_id] * (width - len(row)) for row in rows], device=place)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=place)
    return ids, mask


def end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer: the tokenizer's own first, then those of the generation settings."""
    named = getattr(model.generation_config, "eos_token_id", None)
    others = named if isinstance(named, list) else [named]
    return list(dict.fromkeys(token for token in [tokenizer.eos_token_id, *others] if token is not None))


def settle_threads(model: PreTrainedModel) -> None:
    """One thread for a model so small that more only wait for each other; OMP_NUM_THREADS overrides."""
    if "OMP_NUM_THREADS" not in os.environ and sum(p.numel() for p in model.parameters()) < SMALL:
        torch.set_num_threads(1)


def _load(kind: Any, folder: Path, dtype: torch.dtype, **settings: Any) -> PreTrainedModel:
    store.verify(folder)
    transformers_logging.disable_progress_bar()
    verbosity = transformers_logging.get_verbosity()
    # A head that is fresh, or left behind, is how a reward model is made from a language model: no warning
    # is due.
    transformers_logging.set_verbosity_error()
    try:
        place = _base_of(folder) if store.is_adapter(folder) else folder
        model = kind.from_pretrained(str(place), dtype=dtype, local_files_only=True, **settings)
        if store.is_adapter(folder):
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise store.BrokenCheckpoint(
            f"{folder}: the weights cannot be loaded ({_first_line(error)})"
        ) from error
    finally:
        transformers_logging.set_verbosity(verbosity)
    settle_threads(model)
    return model.eval()


def _base_of(adapter: Path) -> Path:
    named = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
    # `base` beside the adapter is how a folder that has moved still finds its base.
    for place in (adapter / "base", Path(named), adapter / named):
        if place.is_dir():
            return place
    raise store.BrokenCheckpoint(
        f"{adapter}: its base model is not at {named}; link it as {adapter / 'base'}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""Pretrain a base model from text by `transformers.Trainer`: `python -m rlhf.trainers.pretrain RUN_DIR`.

The input `policy` is a checkpoint to go on from, or a folder with config.json and tokenizer but no weights
for a model drawn from the run's seed. Documents are joined, each between its begin and end token, and cut
into rows of `context` tokens; the remainder is left out.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, Trainer, TrainingArguments

from models_zoo import load, store
from rlhf.trainers import callback
from rlhf.trainers.command import execute
from rlhf.trainers.knobs import Pretrain
from rlhf.trainers.run_directory import BadRun, RunDirectory


def train(run: RunDirectory) -> None:
    """Train as config.json says, and write output/ and result.json. Raises BadRun and Stopped."""
    knobs = run.knobs
    assert isinstance(knobs, Pretrain)
    torch.manual_seed(run.seed)
    folder = _start(run)
    tokenizer = load.tokenizer(folder)
    model = load.causal_lm(folder) if _has_weights(folder) else load.blank_causal_lm(folder)
    load.settle_threads(model)
    rows = _packed(run, "train", tokenizer, knobs.context)
    heldout = _packed(run, "heldout", tokenizer, knobs.context) if "heldout" in run.data else []
    arguments = TrainingArguments(
        **callback.settings(run, checkpoint_every=knobs.checkpoint_every),
        max_steps=knobs.steps,
        per_device_train_batch_size=knobs.batch,
        learning_rate=knobs.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=knobs.warmup,
        weight_decay=knobs.weight_decay,
        adam_beta2=0.95,
        max_grad_norm=knobs.gradient_clip,
        logging_steps=max(1, knobs.steps // 100),
    )
    trainer = Trainer(
        model=model, args=arguments, train_dataset=Dataset.from_dict({"input_ids": rows, "labels": rows})
    )
    losses = callback.train(trainer, run)
    figures: dict[str, Any] = {
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "tokens": knobs.steps * knobs.batch * knobs.context,
    }
    if heldout:
        figures["loss_heldout"] = loss_on(model, heldout)
    with run.writing_output() as output:
        model.save_pretrained(output)
        tokenizer.save_pretrained(output)
        run.describe(output, "Base model", figures)
    run.finish(figures)


def pack(tokenizer: PreTrainedTokenizerBase, texts: list[str], context: int) -> list[list[int]]:
    """Documents joined between begin and end tokens, cut into rows of `context` token ids."""
    begin = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    stream: list[int] = []
    for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]:
        stream += [*begin, *ids, tokenizer.eos_token_id]
    return [stream[at : at + context] for at in range(0, len(stream) - context + 1, context)]


@torch.no_grad()
def loss_on(model: Any, rows: list[list[int]]) -> float:
    """Mean next-token loss in nats over rows of equal length."""
    model.eval()
    device = next(model.parameters()).device
    losses = []
    for start in range(0, len(rows), 32):
        ids = torch.tensor(rows[start : start + 32], device=device)
        losses.append((model(input_ids=ids, labels=ids).loss.item(), len(ids)))
    return sum(loss * count for loss, count in losses) / sum(count for _, count in losses)


def _packed(
    run: RunDirectory, name: str, tokenizer: PreTrainedTokenizerBase, context: int
) -> list[list[int]]:
    texts = [_text(row, number) for number, row in enumerate(run.rows(name), 1)]
    if rows := pack(tokenizer, texts, context):
        return rows
    raise BadRun(f"data.{name}: too little text for one row of {context} tokens; add text or lower context")


def _start(run: RunDirectory) -> Path:
    entry = run.inputs.get("policy")
    folder = run.path / str(entry.get("path")) if isinstance(entry, dict) else None
    if folder is not None and (folder / "config.json").is_file() and not _has_weights(folder):
        return folder
    return run.input("policy")


def _has_weights(folder: Path) -> bool:
    return any((folder / name).exists() for name in store.WEIGHTS)


def _text(row: dict[str, Any], number: int) -> str:
    text = row.get("text")
    if not isinstance(text, str) or not text:
        raise BadRun(f'data: row {number} has no text; each row is {{"text": …}}')
    return text


if __name__ == "__main__":
    sys.exit(execute(train, algorithm="pretrain"))

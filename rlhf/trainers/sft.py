"""Supervised fine-tuning on demonstrations by `trl.SFTTrainer`: `python -m rlhf.trainers.sft RUN_DIR`.

Only the answers carry loss (`assistant_only_loss`, by the {% generation %} marks of the chat template).
Where rows carry a weight, a row's tokens count that much in the mean.
"""

import sys
from typing import Any

import torch
import torch.nn.functional as F
from datasets import Dataset
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from models_zoo import load
from rlhf.trainers import callback
from rlhf.trainers.adapter import lora, whole
from rlhf.trainers.command import execute
from rlhf.trainers.knobs import Sft
from rlhf.trainers.run_directory import BadRun, RunDirectory


class WeightedCollator(DataCollatorForLanguageModeling):
    """TRL's collator, which also carries each row's weight."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Pad a batch; `weight` is (B,)."""
        weights = torch.tensor([example["weight"] for example in examples])
        return {**super().torch_call(examples), "weight": weights}


class WeightedSFTTrainer(SFTTrainer):
    """TRL's trainer with a weight a row."""

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["input_ids", "labels", "weight"]

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Weighted mean over the answers' tokens of a batch."""
        weight, labels = inputs.pop("weight"), inputs.pop("labels")
        output = model(**inputs, use_cache=False)
        loss = weighted_loss(output.logits, labels, weight)
        return (loss, output) if return_outputs else loss


def weighted_loss(logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean next-token loss, each row's tokens counting `weight` times.

    logits: (B, T, V), labels: (B, T) with −100 where nothing is learned, weight: (B,) → scalar.
    """
    target = labels[:, 1:]
    each = F.cross_entropy(logits[:, :-1].transpose(1, 2), target, ignore_index=-100, reduction="none")
    counted = (target != -100) * weight[:, None]
    return (each * counted).sum() / counted.sum().clamp(min=1e-8)


def train(run: RunDirectory) -> None:
    """Train as config.json says, and write output/ and result.json. Raises BadRun and Stopped."""
    knobs = run.knobs
    assert isinstance(knobs, Sft)
    torch.manual_seed(run.seed)
    rows = [_row(row, number) for number, row in enumerate(run.rows(), 1)]
    folder = run.input("policy")
    tokenizer = load.tokenizer(folder)
    if "{% generation %}" not in str(tokenizer.chat_template):
        raise BadRun(
            "inputs.policy: the chat template has no {% generation %} marks around answers; add them"
        )
    model = load.causal_lm(folder)
    weighted = any(row["weight"] != 1 for row in rows)
    kind, extra = SFTTrainer, {}
    if weighted:
        kind, extra = (
            WeightedSFTTrainer,
            {"data_collator": WeightedCollator(pad_token_id=tokenizer.pad_token_id)},
        )
    steps = -(-len(rows) // knobs.batch) * knobs.epochs
    arguments = SFTConfig(
        **callback.trl_settings(run, checkpoint_every=knobs.checkpoint_every),
        num_train_epochs=knobs.epochs,
        per_device_train_batch_size=knobs.batch,
        learning_rate=knobs.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=knobs.warmup,
        weight_decay=knobs.weight_decay,
        max_grad_norm=knobs.gradient_clip,
        max_length=knobs.max_length,
        assistant_only_loss=True,
        packing=False,
        logging_steps=max(1, int(steps // 100)),
    )
    trainer = kind(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(
            rows if weighted else [{"messages": row["messages"]} for row in rows]
        ),
        processing_class=tokenizer,
        peft_config=lora(knobs.lora_rank, task="CAUSAL_LM"),
        **extra,
    )
    losses = callback.train(trainer, run)
    shown = max(1, len(losses) // 10)
    figures: dict[str, Any] = {
        "loss_first": sum(losses[:shown]) / shown,
        "loss_last": sum(losses[-shown:]) / shown,
        "demonstrations": len(rows),
        "steps": trainer.state.global_step,
    }
    with run.writing_output() as output:
        whole(trainer.model).save_pretrained(output)
        tokenizer.save_pretrained(output)
        run.describe(output, "Fine-tuned on demonstrations", figures)
    run.finish(figures)


def _row(row: dict[str, Any], number: int) -> dict[str, Any]:
    messages = row.get("messages")
    wanted = 'each row is {"messages": [{"role", "content"}, …]} and ends with the assistant\'s answer'
    if not isinstance(messages, list) or not messages:
        raise BadRun(f"data: row {number} has no messages; {wanted}")
    for message in messages:
        if not isinstance(message, dict) or not all(
            isinstance(message.get(key), str) for key in ("role", "content")
        ):
            raise BadRun(f"data: row {number} has a message without role and content; {wanted}")
    if messages[-1]["role"] != "assistant":
        raise BadRun(f"data: row {number} ends with the role {messages[-1]['role']!r}; {wanted}")
    weight = row.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight >= 0:
        raise BadRun(f"data: row {number} has the weight {weight!r}; give a number of 0 or more")
    return {
        "messages": [{"role": m["role"], "content": m["content"]} for m in messages],
        "weight": float(weight),
    }


if __name__ == "__main__":
    sys.exit(execute(train, algorithm="sft"))

"""LoRA, the same way in every trainer: asked for by rank, merged into the weights at the end."""

from typing import Any

from transformers import PreTrainedModel


def lora(rank: int, *, task: str, heads: list[str] | None = None) -> Any:
    """The LoRA settings of a rank, or None for rank 0. `heads` are trained in full: a fresh head must be."""
    if rank == 0:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type=task, modules_to_save=heads
    )


def whole(model: Any) -> PreTrainedModel:
    """The model with its adapter, where it has one, merged: a checkpoint stands on its own."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model

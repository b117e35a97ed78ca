"""What the trainers built on `transformers.Trainer` share: settings, and a callback to the run directory."""

import shutil
import warnings
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from rlhf.trainers.run_directory import RunDirectory, Stopped


def settings(run: RunDirectory, *, checkpoint_every: int) -> dict[str, Any]:
    """Arguments of every TrainingArguments here: quiet, offline, resumable, no half precision on a CPU."""
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    datasets.config.HF_DATASETS_CACHE = run.path / "cache"
    return {
        "output_dir": str(run.path / "checkpoints" / "aside-trainer"),
        "seed": run.seed,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": False,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "save_strategy": "steps",
        "save_steps": checkpoint_every,
        "logging_first_step": True,
        "optim": "adamw_torch",
    }


def trl_settings(run: RunDirectory, *, checkpoint_every: int) -> dict[str, Any]:
    """As `settings`, without TRL's default of recomputing activations, which at our sizes only costs time."""
    # TRL still spells it the way that transformers warns about.
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated")
    return {**settings(run, checkpoint_every=checkpoint_every), "gradient_checkpointing": False}


def train(trainer: Trainer, run: RunDirectory, *, more_steps: int = 0) -> list[float]:
    """Train from the newest whole checkpoint to the end and return the losses logged, oldest first.

    `more_steps` are still to come after this training and count in the progress. Raises Stopped, after a
    checkpoint, where control.json asks for it.
    """
    follower = RunCallback(run, more_steps=more_steps)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(follower)
    newest, _ = run.resume()
    trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    if follower.stopped:
        raise Stopped
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


class RunCallback(TrainerCallback):
    """Streams metrics and progress, obeys control.json, and renames finished checkpoints into place."""

    def __init__(self, run: RunDirectory, *, more_steps: int = 0) -> None:
        self.run = run
        self.more_steps = more_steps
        self.stopped = False

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """One line of metrics; the summary that the trainer logs at the very end is no step."""
        values = {
            name: float(value) for name, value in (logs or {}).items() if isinstance(value, int | float)
        }
        if values and "train_runtime" not in values:
            self.run.record(state.global_step, **values)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Progress, then whatever control.json asks for."""
        self.run.progress(state.global_step, state.max_steps + self.more_steps)
        asked = self.run.wait_while_paused()
        self.run.changed(self.run.knobs, asked, allowed=())
        if asked.stop:
            self.stopped = control.should_save = control.should_training_stop = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Give a checkpoint, written piece by piece, the name that is resumed from once it is whole."""
        aside = Path(str(args.output_dir))
        self.run.keep_checkpoint(aside / f"checkpoint-{state.global_step}", state.global_step)
        shutil.rmtree(aside, ignore_errors=True)

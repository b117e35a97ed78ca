"""The knobs of every trainer: one dataclass each, defaults as they worked on the embedded default model.

No torch here, so that a page or a command can read, explain and check them. A value out of range raises
ValueError with the knob's name.
"""

import math
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrain:
    """Next-token training on packed text."""

    steps: int = 3300
    """Optimizer steps."""
    batch: int = 8
    """Sequences a step."""
    context: int = 96
    """Tokens a sequence."""
    learning_rate: float = 6e-3
    """Peak; cosine to zero after the warm-up."""
    warmup: int = 30
    """Steps of linear warm-up."""
    weight_decay: float = 0.05
    gradient_clip: float = 1.0
    checkpoint_every: int = 1000
    """Steps between checkpoints to resume from."""

    def __post_init__(self) -> None:
        _positive(self, "steps", "batch", "context", "learning_rate", "gradient_clip", "checkpoint_every")
        _not_negative(self, "warmup", "weight_decay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sft:
    """Supervised fine-tuning on demonstrations; only answers are learned."""

    epochs: float = 2.0
    batch: int = 16
    """Demonstrations a step."""
    learning_rate: float = 1.5e-3
    """Peak; linear to zero after the warm-up."""
    warmup: int = 10
    """Steps of linear warm-up."""
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    max_length: int = 256
    """Tokens kept of a conversation."""
    lora_rank: int = 0
    """Rank of a LoRA adapter, merged at the end; 0 trains all weights."""
    checkpoint_every: int = 50
    """Steps between checkpoints to resume from."""

    def __post_init__(self) -> None:
        _positive(self, "epochs", "batch", "learning_rate", "gradient_clip", "max_length", "checkpoint_every")
        _not_negative(self, "warmup", "weight_decay", "lora_rank")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """A reward model from rankings of K answers."""

    epochs: int = 4
    batch: int = 4
    """Rankings a step; every pair of a ranking is in the same step."""
    learning_rate: float = 5e-4
    """Of the backbone; falls linearly."""
    head_learning_rate: float = 5e-3
    """Of the fresh score head."""
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    centre: float = 0.001
    """Weight of the squared scores in the loss, which keeps them near zero."""
    max_length: int = 256
    """Rankings with a longer conversation are left out and counted."""
    folds: int = 5
    """Cross-validation folds of the agreement, up to 200 rankings; above, a tenth is held out."""
    normalise_on: int = 128
    """Fresh answers of the policy whose scores give the mean and deviation."""
    lora_rank: int = 0
    """Rank of a LoRA adapter, merged at the end; 0 trains all weights."""
    checkpoint_every: int = 50
    """Steps between checkpoints to resume from."""

    def __post_init__(self) -> None:
        _positive(
            self, "epochs", "batch", "learning_rate", "head_learning_rate", "gradient_clip", "max_length"
        )
        _positive(self, "checkpoint_every")
        _not_negative(self, "weight_decay", "centre", "lora_rank")
        if self.folds < 2:
            raise ValueError(f"folds must be 2 or more, not {self.folds}")
        if self.normalise_on < 2:
            raise ValueError(f"normalise_on must be 2 or more, not {self.normalise_on}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ppo:
    """Proximal policy optimisation against a reward model, held near the reference by a KL penalty."""

    updates: int = 40
    rollouts: int = 64
    """Answers an update."""
    epochs: int = 2
    """Passes over the rollouts of an update."""
    minibatches: int = 2
    """Optimizer steps a pass."""
    micro_batch: int = 64
    """Answers held in memory at once; smaller ones accumulate to the same step."""
    learning_rate: float = 3e-4
    """Of the policy."""
    value_learning_rate: float = 1e-3
    """Of the critic."""
    clip: float = 0.2
    """How far the probability ratio counts from 1."""
    value_clip: float = 0.2
    """How far a value counts from the one at rollout; 0 does not clip."""
    discount: float = 1.0
    gae_lambda: float = 0.95
    kl: float = 0.1
    """Penalty a token and nat of KL to the reference."""
    kl_target: float = 0.0
    """KL a sequence that the penalty is steered to; 0 keeps the penalty fixed."""
    kl_horizon: int = 1000
    """Answers over which the steered penalty settles."""
    kl_stop: float = 8.0
    """Training ends at a mean KL a sequence above this, with the policy from before it; 0 never ends it."""
    missing_end_score: float = -3.0
    """Normalised score of an answer without its end token."""
    score_clip: float = 5.0
    """Normalised scores are clamped to plus and minus this."""
    gradient_clip: float = 1.0
    temperature: float = 1.0
    max_new_tokens: int = 72
    checkpoint_every: int = 5
    """Updates between checkpoints to resume from."""

    def __post_init__(self) -> None:
        _positive(self, "updates", "rollouts", "epochs", "minibatches", "micro_batch", "learning_rate")
        _positive(self, "value_learning_rate", "clip", "score_clip", "gradient_clip", "temperature")
        _positive(self, "max_new_tokens", "checkpoint_every", "kl_horizon")
        _not_negative(self, "value_clip", "kl", "kl_target", "kl_stop")
        for name in ("discount", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        if self.minibatches > self.rollouts:
            raise ValueError(
                f"minibatches must be at most rollouts ({self.rollouts}), not {self.minibatches}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Answers to prompts, to be labeled or measured."""

    k: int = 4
    """Answers a prompt."""
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 72
    batch: int = 64
    """Answers drawn at once."""

    def __post_init__(self) -> None:
        _positive(self, "k", "max_new_tokens", "batch")
        _not_negative(self, "temperature")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")


Knobs = Pretrain | Sft | Reward | Ppo | Sample
ALGORITHMS: dict[str, type[Knobs]] = {
    "pretrain": Pretrain,
    "sft": Sft,
    "reward": Reward,
    "ppo": Ppo,
    "sample": Sample,
}


def read(algorithm: str, given: dict[str, Any]) -> Knobs:
    """The knobs of an algorithm, defaults where none are given.

    Raises ValueError for an unknown algorithm or knob, a wrong type or a value out of range, naming the
    field.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm: {algorithm!r} is unknown; choose one of {', '.join(ALGORITHMS)}")
    kind = ALGORITHMS[algorithm]
    types = {field.name: field.type for field in fields(kind)}
    for name, value in given.items():
        if name not in types:
            raise ValueError(f"knobs.{name}: unknown to {algorithm}; choose from {', '.join(types)}")
        allowed = (int, float) if types[name] in (float, "float") else (int,)
        if isinstance(value, bool) or not isinstance(value, allowed) or not math.isfinite(value):
            wanted = "a number" if float in allowed else "a whole number"
            raise ValueError(f"knobs.{name}: must be {wanted}, not {value!r}")
    try:
        return kind(**given)
    except ValueError as error:
        raise ValueError(f"knobs.{error}") from error


def _positive(knobs: Any, *names: str) -> None:
    for name in names:
        if not getattr(knobs, name) > 0:
            raise ValueError(f"{name} must be above 0, not {getattr(knobs, name)}")


def _not_negative(knobs: Any, *names: str) -> None:
    for name in names:
        if not getattr(knobs, name) >= 0:
            raise ValueError(f"{name} must be 0 or more, not {getattr(knobs, name)}")

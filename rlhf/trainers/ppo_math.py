"""The formulas of PPO as small functions of tensors; `ppo.py` has the loop.

Shapes: B answers of R token positions. Masks are 1 on an answer's own tokens, its end token included, and 0
on padding after it.
"""

import torch
import torch.nn.functional as F


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the marked positions. (B, R), (B, R) → scalar."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def token_kl(policy: torch.Tensor, reference: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The k1 estimate log π − log π_ref of each sampled token, in nats. (B, R) each → (B, R).

    Unbiased (Schulman, Approximating KL Divergence, 2020); a single token's may be negative.
    """
    return (policy - reference) * mask


def token_rewards(
    kl: torch.Tensor, scores: torch.Tensor, mask: torch.Tensor, *, coefficient: float
) -> torch.Tensor:
    """−coefficient · KL at every token, plus the answer's score at its last. (B, R), (B,) → (B, R).

    InstructGPT (arXiv 2203.02155), equation 2, without its pretraining term.
    """
    last = mask.sum(1).long() - 1
    return -coefficient * kl + F.one_hot(last, mask.size(1)) * scores[:, None]


def answer_scores(
    raw: torch.Tensor, finished: torch.Tensor, *, mean: float, std: float, missing_end: float, clip: float
) -> torch.Tensor:
    """Normalised scores, `missing_end` where an answer has no end token, clamped to ±clip. (B,) → (B,)."""
    normal = (raw - mean) / std
    return torch.where(finished, normal, torch.full_like(normal, missing_end)).clamp(-clip, clip)


def advantages(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, *, discount: float, gae_lambda: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalised advantage estimates and returns (arXiv 1506.02438, equation 16).

    rewards, values, mask: (B, R) → two of (B, R), zero on padding; nothing follows an answer's last token.
    """
    estimates = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    following = torch.zeros_like(running)
    for t in reversed(range(rewards.size(1))):
        surprise = rewards[:, t] + discount * following - values[:, t]
        running = (surprise + discount * gae_lambda * running) * mask[:, t]
        estimates[:, t] = running
        following = values[:, t] * mask[:, t]
    return estimates, (estimates + values) * mask


def whiten(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Zero mean and unit variance over the marked positions, zero elsewhere. (B, R) → (B, R)."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean).square(), mask)
    return (values - mean) * torch.rsqrt(variance + 1e-8) * mask


def policy_losses(
    new: torch.Tensor, old: torch.Tensor, advantage: torch.Tensor, *, clip: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The clipped surrogate, negated, and where the clip was active. (B, R) each.

    PPO (arXiv 1707.06347), equation 7.
    """
    ratio = (new - old).exp()
    plain, clipped = -advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip)
    return torch.maximum(plain, clipped), clipped > plain


def value_losses(new: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, *, clip: float) -> torch.Tensor:
    """Half the squared error, or that of the value held within `clip` of the old one if worse. (B, R).

    A clip of 0 holds nothing.
    """
    plain = (new - returns).square()
    if clip == 0:
        return 0.5 * plain
    held = (old + (new - old).clamp(-clip, clip) - returns).square()
    return 0.5 * torch.maximum(plain, held)


def steer(coefficient: float, *, kl: float, target: float, answers: int, horizon: int) -> float:
    """The KL penalty after `answers` more answers, moved towards the target KL a sequence.

    Ziegler et al. (arXiv 1909.08593), section 2.2.
    """
    error = max(-0.2, min(0.2, kl / target - 1))
    return coefficient * (1 + error * answers / horizon)

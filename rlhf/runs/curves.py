"""Which curves the page of a run draws, with titles and units. Other metrics get one under their own name."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Curve:
    """One chart: the metric it draws, what it is called, its unit, and whether it is a share of 1."""

    key: str
    title: str | Promise
    unit: str | Promise = ""
    share: bool = False


LOSS = Curve("loss", _("Loss"), _("nats a token"))
GRADIENT = Curve("grad_norm", _("Gradient norm"))
RATE = Curve("learning_rate", _("Learning rate"))
SUPERVISED = [
    LOSS,
    Curve("mean_token_accuracy", _("Next token right"), _("share of tokens"), share=True),
    Curve("entropy", _("Entropy"), _("nats a token")),
    GRADIENT,
    RATE,
]
CURVES: dict[str, list[Curve]] = {
    "pretrain": [LOSS, GRADIENT, RATE],
    "sft": SUPERVISED,
    "reward": [
        Curve("loss", _("Loss"), _("nats a pair")),
        Curve("accuracy", _("Pairs ordered right"), _("share of pairs"), share=True),
        GRADIENT,
        RATE,
    ],
    "ppo": [
        Curve("reward", _("Reward"), _("deviations above the start")),
        Curve("kl", _("KL to the reference"), _("nats an answer")),
        Curve("length", _("Length"), _("tokens an answer")),
        Curve("entropy", _("Entropy"), _("nats a token")),
        Curve("distinct", _("Distinct answers"), _("share of answers"), share=True),
        Curve("finished", _("Ends by itself"), _("share of answers"), share=True),
        Curve("policy_loss", _("Policy loss")),
        Curve("value_loss", _("Value loss")),
        Curve("value", _("Value"), _("reward the critic expects")),
        Curve("approximate_kl", _("KL of one update"), _("nats a token")),
        Curve("clipped", _("Clipped"), _("share of tokens"), share=True),
        Curve("kl_coefficient", _("KL coefficient"), _("a token and nat")),
        Curve("gradient_norm", _("Gradient norm")),
    ],
}
# Bookkeeping of the trainers' libraries, no curve.
UNSEEN = ("n", "step", "time", "superseded", "epoch", "num_tokens", "seconds")


TELLING = 6


def of(algorithm: str) -> tuple[list[Curve], list[Curve]]:
    """The curves of an algorithm: those that tell how it goes, and the rest. None for one that is unknown."""
    known = CURVES.get(algorithm, [])
    return known[:TELLING], known[TELLING:]

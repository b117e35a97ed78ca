"""What a round took in, measured and gave: read from its steps and their runs, for tables and sentences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch
from django.utils.translation import gettext_lazy as _

from labeling.models import Project
from rlhf.models import Round, RoundStep
from rlhf.rounds import guard

STEPS = {
    "freeze": _("freeze the labels"),
    "sft": _("fine-tune on demonstrations"),
    "reward": _("train the reward model"),
    "ppo": _("train the policy"),
    "sample": _("sample answers"),
    "evaluate": _("compare with the checkpoint before"),
    "tasks": _("put the answers into the queue"),
}


def step_name(name: str) -> str:
    """A step of a round as what it does."""
    return str(STEPS.get(name, name))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often a reward model orders a pair as held-out labels do: shares of 1, with a 90 % interval."""

    share: float
    low: float | None
    high: float | None
    is_weak: bool
    """Not clearly above chance, as the guard sees it."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One round with its steps and what they measured; nothing where a step has not been or failed."""

    round: Round
    steps: list[RoundStep]

    @property
    def labels(self) -> int | None:
        """Rows of the dataset that was frozen for it."""
        return next((step.dataset.size for step in self.steps if step.dataset), None)

    @property
    def agreement(self) -> Agreement | None:
        return agreement(self._result("reward"))

    @property
    def policy(self) -> dict[str, Any]:
        """What the training of the policy measured at its end."""
        return self._result("ppo") or self._result("sft")

    @property
    def current(self) -> RoundStep | None:
        """The step that runs, failed or comes next; None once all are done."""
        return next((step for step in self.steps if step.state != RoundStep.State.DONE), None)

    @property
    def restartable(self) -> bool:
        """Whether a step may be done again: the round has ended and nobody has decided on it."""
        ended = self.round.state in {Round.State.STOPPED, Round.State.DONE}
        return ended and self.round.decision == Round.Decision.NONE

    @property
    def steps_done(self) -> int:
        return sum(step.state == RoundStep.State.DONE for step in self.steps)

    def _result(self, name: str) -> dict[str, Any]:
        return next((step.run.result for step in self.steps if step.name == name and step.run), {})


def of_project(project: Project, *, most: int | None = None) -> list[Summary]:
    """The rounds of a project, newest first; two queries however many there are."""
    rounds = (
        Round.objects.filter(project=project)
        .select_related("guideline_version", "checkpoint_before", "checkpoint_after", "decided_by")
        .prefetch_related(_steps())
    )
    return of(rounds[:most])


def of(rounds: Iterable[Round]) -> list[Summary]:
    """Summaries of rounds whose steps are fetched already, or are fetched one by one."""
    return [Summary(round=turn, steps=list(turn.steps.all())) for turn in rounds]


def agreement(result: dict[str, Any]) -> Agreement | None:
    """Read a reward run's result; None where it measured none."""
    share = result.get("agreement")
    if not isinstance(share, int | float):
        return None
    return Agreement(
        share=share,
        low=result.get("agreement_low"),
        high=result.get("agreement_high"),
        is_weak=bool(guard.objection(result)),
    )


def _steps() -> Prefetch:
    return Prefetch("steps", RoundStep.objects.select_related("run", "dataset").defer("run__config"))

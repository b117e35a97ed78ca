"""What is done to rounds and runs, as the audit log of their project keeps it."""

from __future__ import annotations

from typing import Any

from labeling.people import audit
from rlhf.models import Round, Run


def note_round(round: Round, deed: str, *, user: Any = None, **detail: Any) -> None:
    """Record that ``user``, or nobody, did ``deed`` to a round: start, stop, fail, restart."""
    about = f"round {round.number} ({round.kind})"
    audit.record(actor=user, action=f"round.{deed}", target=about, project=round.project, **detail)


def note_decision(round: Round, *, user: Any = None, reason: str = "") -> None:
    """Record what was decided on a round's checkpoint."""
    audit.record(
        actor=user,
        action="checkpoint.promote" if round.decision == Round.Decision.PROMOTED else "checkpoint.refuse",
        target=f"checkpoint {round.checkpoint_after.name if round.checkpoint_after else '–'}",
        project=round.project,
        round=round.number,
        reason=reason,
    )


def note_run(run: Run, deed: str, *, user: Any = None) -> None:
    """Record that a run was made, stopped or resumed; one outside any project is nobody's to read about."""
    if run.project:
        about = f"run {str(run.pk)[:8]} ({run.algorithm})"
        audit.record(actor=user, action=f"run.{deed}", target=about, project=run.project, run=str(run.pk))

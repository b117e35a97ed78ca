"""After a label on a copy of a gold item: how far it agrees, and what its quiz has come to."""

from __future__ import annotations

from typing import Any

from labeling.models import Annotation, Attempt, GoldItem, GoldLabel
from labeling.qualification import attempts, grading


class Explained(Exception):
    """The known answer was shown since, so that the label stays as it is."""

    def __init__(self) -> None:
        super().__init__("The right answer was shown to you since, so this one stays as it is.")


def submitted(label: Annotation) -> Attempt | None:
    """Store how far a label agrees; its try, where it was one of a quiz. Call in its transaction."""
    gold: Any = label.task.gold
    item = GoldItem.objects.get(pk=gold["item"])
    attempt = gold.get("attempt")
    GoldLabel.objects.create(
        annotation=label,
        item=item,
        labeler_id=label.labeler_id,
        use=gold["use"],
        attempt_id=attempt,
        agreement=_agreement(label, item),
    )
    return attempts.answered(attempt) if attempt else None


def check_open(label: Annotation) -> None:
    """
    Raises:
        Explained: the label is of practice, or of a quiz that ended.
    """
    gold: Any = label.task.gold
    if gold["use"] == GoldLabel.Use.PRACTICE:
        raise Explained
    if attempt := gold.get("attempt"):
        # Held until the revision is stored, so that the try cannot end in between.
        held = Attempt.objects.select_for_update(no_key=True).get(pk=attempt)
        if held.state != Attempt.State.OPEN:
            raise Explained


def _agreement(label: Annotation, item: GoldItem) -> float | None:
    places = dict(label.task.candidates.values_list("pk", "position"))
    return grading.agreement(
        kind=item.kind,
        answer=grading.renamed(label.answer, places),
        known=item.answer,
        criteria=label.guideline_version.criteria,
    )

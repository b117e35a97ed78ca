"""How far a round's labels are."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from labeling.datasets import dataset
from labeling.models import Dataset, DatasetItem, Task
from rlhf.models import Round, RoundStep

# What a round freezes.
LABELED = {
    Round.Kind.DEMONSTRATIONS: Dataset.Kind.DEMONSTRATIONS,
    Round.Kind.PREFERENCES: Dataset.Kind.PREFERENCES,
}


@dataclass(frozen=True)
class Progress:
    """How far a round's labels are."""

    labels: int
    target: int
    open_tasks: int

    @property
    def due(self) -> bool:
        """Whether the round waits for its press."""
        return self.labels >= self.target


def progress(round: Round) -> Progress:
    """Labels that would train in this round and in no earlier one, and the tasks still open.

    Of a round that froze its labels, those it froze; its tasks went on to the next one.
    """
    frozen = next((step.dataset for step in round.steps.all() if step.dataset), None)
    if frozen:
        return Progress(labels=frozen.size, target=round.label_target, open_tasks=0)
    kind = LABELED[Round.Kind(round.kind)]
    # An edit trains in rounds of both kinds: in one of each.
    earlier = DatasetItem.objects.filter(
        annotation=OuterRef("pk"),
        dataset__kind=kind,
        dataset__in=RoundStep.objects.filter(
            round__project=round.project_id, round__number__lt=round.number, dataset__isnull=False
        ).values("dataset"),
    )
    labels = dataset.trainable(project=round.project, kind=kind)
    tasks = Task.objects.open().filter(project=round.project_id, kind__in=dataset.LABELS[kind])
    return Progress(
        labels=labels.filter(~Exists(earlier)).count(), target=round.label_target, open_tasks=tasks.count()
    )

"""The blast radius: what was made of some labels, shown before anybody takes them out of use.

Labeling knows the datasets that list a label. What was made of a dataset is known above: `rlhf` registers
how to go on from there (`register`), so that nothing here imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from django.db.models import Count
from django.urls import reverse

from labeling.models import AnnotationQuerySet, Dataset, DatasetItem

MOST_LISTED = 200


@dataclass(frozen=True, slots=True)
class Touched:
    """One thing that the labels went into: a dataset, run, round or checkpoint."""

    kind: str
    name: str
    address: str
    """Of its page; empty where it has none."""
    labels: int | None = None
    """How many of the labels it holds itself; None for what was made of a dataset."""


@dataclass(frozen=True, slots=True)
class Radius:
    """What some labels touch. Lists hold the newest `MOST_LISTED`."""

    labels: int
    tasks: int
    labelers: int
    datasets: list[Touched] = field(default_factory=list)
    made: list[Touched] = field(default_factory=list)
    """Runs, rounds and checkpoints made of those datasets, nearest first."""


Walk = Callable[[Collection[int]], list[Touched]]
_walks: list[Walk] = []


def register(walk: Walk) -> None:
    """Add what goes from the keys of datasets to all that was made of them; called from `AppConfig.ready`."""
    if walk not in _walks:
        _walks.append(walk)


def radius(labels: AnnotationQuerySet) -> Radius:
    """What ``labels`` went into, counted in the database; the labels themselves are not read."""
    chosen = labels.order_by().values("pk")
    items = DatasetItem.objects.filter(annotation__in=chosen)
    grouped = items.order_by().values_list("dataset").annotate(n=Count("pk"))
    counts: dict[int, int] = dict(grouped)
    found = Dataset.objects.filter(pk__in=counts).select_related("project").order_by("-pk")[:MOST_LISTED]
    # One look: there may be a million labels.
    sums = labels.order_by().aggregate(
        labels=Count("pk"), tasks=Count("task", distinct=True), labelers=Count("labeler", distinct=True)
    )
    return Radius(
        **sums,
        datasets=[Touched("dataset", str(each), _address(each), counts[each.pk]) for each in found],
        made=[touched for walk in _walks for touched in walk(list(counts))],
    )


def _address(dataset: Dataset) -> str:
    return f"{reverse('rlhf:datasets', args=[dataset.project.slug])}#dataset-{dataset.number}"

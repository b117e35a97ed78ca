"""What gold can be made of: tasks that were labeled, their labels in words, and what these have in common."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from guidelines.render import answer_html
from labeling.models import Annotation, Project, Task
from labeling.qualification import consensus, grading
from labeling.reviewing import readings
from labeling.reviewing.readings import Part, Texts


@dataclass(frozen=True)
class Said:
    """One label in words."""

    label: Annotation
    parts: list[Part]


@dataclass(frozen=True)
class Source:
    """A task with what people said of it; answers are numbered by position."""

    candidates: list[tuple[int, str]]
    """Number and HTML."""
    labels: list[Said]
    consensus: list[Part] | None
    """What they have in common, in words."""


def tasks(*, project: Project, kind: str = "") -> QuerySet[Task]:
    """Tasks with labels that stand, those with the most labels and then the newest first."""
    labels = Annotation.objects.filter(task=OuterRef("pk"))
    found = Task.objects.filter(
        Exists(labels), project=project, gold__isnull=True, kind__in=[kind] if kind else grading.KINDS
    )
    stands = Q(annotations__superseded_by__isnull=True, annotations__invalidation__isnull=True)
    return (
        found.select_related("prompt")
        .annotate(labels=Count("annotations", filter=stands))
        .filter(labels__gt=0)
        .order_by(F("labels").desc(), "-pk")
    )


def of(task: Task) -> Source:
    """What was said of a task."""
    shown = list(task.candidates.order_by("position").values_list("pk", "completion__text"))
    labels = list(
        Annotation.objects.standing()
        .filter(task=task)
        .select_related("labeler", "guideline_version")
        .defer("guideline_version__body")
        .order_by("pk")
    )
    numbers = {pk: number for number, (pk, _text) in enumerate(shown, start=1)}

    def texts(label: Annotation) -> Texts:
        return Texts(numbers=numbers, candidates=dict(shown), criteria=label.guideline_version.criteria)

    common = consensus.of(kind=task.kind, answers=[one.answer for one in labels], candidates=list(numbers))
    return Source(
        candidates=[(numbers[pk], answer_html(text)) for pk, text in shown],
        labels=[
            Said(one, readings.read(kind=one.kind, answer=one.answer, texts=texts(one))) for one in labels
        ],
        consensus=readings.read(kind=task.kind, answer=common, texts=texts(labels[0]))
        if common and len(labels) > 1
        else None,
    )

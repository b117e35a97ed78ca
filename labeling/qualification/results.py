"""What somebody is told of their answers to gold: what they said, what is right, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from guidelines.render import answer_html
from labeling.content import message_html
from labeling.models import Annotation, Attempt, Candidate, GoldItem, GoldLabel, Grade
from labeling.qualification import grading
from labeling.reviewing import readings
from labeling.reviewing.readings import Part, Texts


@dataclass(frozen=True)
class Told:
    """One answer and the known one, in words; answers are numbered as their author saw them."""

    label: Annotation
    item: GoldItem
    agreement: float | None
    grade: Grade | None
    prompt: list[dict[str, Any]]
    """Its messages, each with its HTML."""
    candidates: list[tuple[int, str]]
    """Number and HTML of each answer that was shown."""
    said: list[Part]
    right: list[Part]

    @property
    def is_right(self) -> bool:
        return self.agreement is not None and self.agreement > 1 - 1e-9

    def as_dict(self) -> dict[str, Any]:
        """As the API writes it."""
        return {
            "task": self.label.task_id,
            "kind": self.label.kind,
            "agreement": self.agreement,
            "points": self.grade and self.grade.points,
            "comment": self.grade.comment if self.grade else "",
            "said": self.said,
            "right": self.right,
            "explanation": self.item.explanation,
        }


def of_attempt(attempt: Attempt) -> list[Told]:
    """All that was asked in a try, in the order of its questions."""
    return told(GoldLabel.objects.filter(attempt=attempt))


def told(gold_labels: Any) -> list[Told]:
    """What to tell of a queryset of `GoldLabel`; the number of queries does not depend on how many."""
    found = list(
        gold_labels.filter(annotation__superseded_by__isnull=True)
        .select_related("annotation__task__prompt", "annotation__task__project", "item")
        .select_related("annotation__guideline_version")
        .defer("annotation__guideline_version__body")
        .order_by("annotation__task")
    )
    shown = _shown(one.annotation.task_id for one in found)
    by_people = Grade.objects.filter(annotation__in=[one.annotation_id for one in found])
    grades = {one.annotation_id: one for one in by_people}
    return [_told(one, shown.get(one.annotation.task_id, {}), grades) for one in found]


def _told(one: GoldLabel, shown: dict[int, tuple[int, str]], grades: dict[int, Grade]) -> Told:
    label = one.annotation
    order = label.shown_order or sorted(shown)
    texts = Texts(
        numbers={pk: at for at, pk in enumerate(order, start=1)},
        candidates={pk: shown[pk][1] for pk in order},
        criteria=label.guideline_version.criteria,
    )
    names = {position: pk for pk, (position, _text) in shown.items()}
    right = grading.renamed(one.item.answer, names)
    return Told(
        label=label,
        item=one.item,
        agreement=one.agreement,
        grade=grades.get(label.pk),
        prompt=message_html.shown(label.task.prompt.messages, slug=label.task.project.slug),
        candidates=[(at, answer_html(shown[pk][1])) for at, pk in enumerate(order, start=1)],
        said=readings.read(kind=label.kind, answer=label.answer, texts=texts),
        right=readings.read(kind=label.kind, answer=right, texts=texts),
    )


def _shown(tasks: Iterable[int]) -> dict[int, dict[int, tuple[int, str]]]:
    """By task, each candidate's position and text."""
    rows = Candidate.objects.filter(task__in=list(tasks)).values_list(
        "task", "pk", "position", "completion__text"
    )
    found: dict[int, dict[int, tuple[int, str]]] = {}
    for task, pk, position, text in rows:
        found.setdefault(task, {})[pk] = (position, text)
    return found

"""What a reviewer sees of the task under review: its answers, its labels in words, and where they differ.

Authors are letters, in an order of the reviewer's own that stays the same while labels come and go.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef
from django.db.models.functions import JSONObject

from guidelines.render import answer_html
from labeling.models import Annotation, Candidate, Completion, Lease, Review, Task
from labeling.reviewing import readings, reviews
from labeling.reviewing.readings import Texts

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def part(lease: Lease) -> dict[str, Any]:
    """What the sheet of a review holds besides its prompt."""
    task = Task.objects.select_related("reviewed").annotate(answers=_answers()).get(pk=lease.task_id)
    reviewed, shown = task.reviewed, [(one["id"], one["text"]) for one in task.answers]
    assert reviewed is not None
    mine = None
    if lease.state == Lease.State.SUBMITTED:
        mine = Annotation.objects.valid().filter(lease=lease).first()
    asked = reviews.shown(task, review=mine).filter(pk=OuterRef("pk"))
    # All of them, since letters are for all their authors.
    every = list(
        Annotation.objects.filter(task=reviewed)
        .annotate(asked=Exists(asked))
        .select_related("guideline_version")
        .defer("guideline_version__body")
    )
    names = _names(reviewed, {one.labeler_id for one in every}, lease.labeler_id)
    labels = sorted(
        (one for one in every if one.asked),
        key=lambda one: (len(names[one.labeler_id]), names[one.labeler_id]),
    )
    talks = _completions(labels)
    texts = {
        label.pk: Texts(
            numbers={pk: number for number, (pk, _text) in enumerate(shown, start=1)},
            candidates=dict(shown),
            completions=talks,
            criteria=label.guideline_version.criteria,
        )
        for label in labels
    }
    appealed = _appeal(task.brief.get("appeal"))
    return {
        "candidates": [{"id": pk, "text": text, "html": answer_html(text)} for pk, text in shown],
        "reviewed": {"id": reviewed.pk, "kind": reviewed.kind},
        "labels": [
            {
                "id": label.pk,
                "name": names[label.labeler_id],
                "earlier": label.supersedes_id,
                "comment": label.answer.get("comment", ""),
                "parts": readings.read(kind=label.kind, answer=label.answer, texts=texts[label.pk]),
                **appealed,
            }
            for label in labels
        ],
        "differ": _differences(labels, names, texts),
    }


def _differences(
    labels: Sequence[Annotation], names: dict[UUID, str], texts: dict[int, Texts]
) -> dict[str, Any]:
    rankings = {
        names[one.labeler_id]: readings.tiers(kind=one.kind, answer=one.answer, texts=texts[one.pk])
        for one in labels
    }
    rated = {
        names[one.labeler_id]: (one.answer, texts[one.pk]) for one in labels if one.kind == Task.Kind.RATE
    }
    return {
        "pairs": readings.pairs_that_differ(rankings),
        "values": readings.values_that_differ(rated),
    }


def _answers() -> ArraySubquery:
    """The answers of the reviewed task, by position."""
    of_task = Candidate.objects.filter(task=OuterRef("reviewed")).order_by("position")
    return ArraySubquery(of_task.values(one=JSONObject(id="pk", text="completion__text")))


def _names(reviewed: Task, labelers: Iterable[UUID], reviewer: UUID) -> dict[UUID, str]:
    """A letter for everybody who labeled the task, whether their label still stands or not."""
    authors = sorted(labelers)
    random.Random(f"{reviewed.pk}:{reviewer}").shuffle(authors)
    return {author: LETTERS[at] if at < len(LETTERS) else str(at + 1) for at, author in enumerate(authors)}


def _completions(labels: Iterable[Annotation]) -> dict[int, str]:
    """The texts of the answers that talks name."""
    turns = [turn for label in labels for turn in label.answer.get("turns", [])]
    named = {completion for turn in turns for completion in turn.get("completions", [])}
    return dict(Completion.objects.filter(pk__in=named).values_list("pk", "text")) if named else {}


def _appeal(number: int | None) -> dict[str, Any]:
    """Why the label was sent back and why its author disagrees, where the review decides an appeal."""
    if number is None:
        return {}
    review = Review.objects.select_related("appeal").get(appeal=number)
    return {"sent_back": review.reason, "appeal": review.appeal.text}

"""Gold items for tests, and labelers who know the answers, or do not."""

from __future__ import annotations

import uuid
from typing import Any

from scenes import CANDIDATES, new_task

from labeling import annotate, queue
from labeling.models import Annotation, Candidate, GoldItem, Labeler, Lease, Project
from labeling.qualification import grading, items

RIGHT: dict[str, dict[str, Any]] = {
    "rank": {"tiers": [[0], [1], [2]]},
    "compare": {"preferred": 0, "strength": "better"},
    "rate": {"ratings": {"0": {}, "1": {}, "2": {}}, "tiers": [[0], [1], [2]]},
    "mark": {"marks": []},
    "demonstrate": {"text": "Once a fox found a kite, and was kind."},
}


def new_gold(
    project: Project, *, kind: str = "rank", uses: tuple[str, ...] = ("queue",), **given: Any
) -> GoldItem:
    """A gold item about a prompt of its own; its first answer is best."""
    task = new_task(project, kind=kind, state="withdrawn")
    completions = list(task.candidates.order_by("position").values_list("completion", flat=True))
    assert len(completions) == CANDIDATES.get(kind, 3)
    return items.add(
        project=project,
        kind=kind,
        prompt=task.prompt,
        completions=completions,
        **{"answer": RIGHT[kind], "uses": uses, "explanation": "The first is kindest."} | given,
    )


def known(lease: Lease) -> dict[str, Any]:
    """The right answer to a copy of `new_gold`, with its candidates' own ids."""
    names = dict(Candidate.objects.filter(task=lease.task).values_list("position", "pk"))
    return grading.renamed(RIGHT[lease.task.kind], names)


def wrong(lease: Lease) -> dict[str, Any]:
    answer = known(lease)
    if "tiers" in answer:
        answer["tiers"] = answer["tiers"][::-1]
    if "preferred" in answer:
        answer["preferred"] = next(one for one in lease.shown_order if one != answer["preferred"])
    return answer


def submitted(lease: Lease, answer: dict[str, Any]) -> Annotation:
    return annotate.submit(
        lease_id=lease.pk, labeler=lease.labeler, submission_id=uuid.uuid4(), answer=answer, active_seconds=60
    )


def given_next(labeler: Labeler, project: Project, **asked: Any) -> Lease:
    lease = queue.lease_next(labeler=labeler, project=project, **asked)
    assert lease is not None
    return lease

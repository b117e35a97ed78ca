"""The sheet of a task: all that a labeler gets to see of it, and never which model wrote what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from guidelines.render import answer_html
from labeling.content import message_html
from labeling.models import Candidate, Draft, Lease, Task
from labeling.reviewing import review_sheets
from labeling.talks import model_drafts, talk
from labeling.writing import branching

# What the sheet of a kind holds besides.
PARTS: dict[str, Callable[[Lease], dict[str, Any]]] = {
    Task.Kind.REVIEW: review_sheets.part,
    Task.Kind.CONVERSE: talk.part,
    Task.Kind.DEMONSTRATE: model_drafts.part,
}


def sheet(lease: Lease) -> dict[str, Any]:
    """The task of a lease as its labeler gets it, with their draft, at the guideline version they read."""
    about = Lease.objects.filter(pk=lease.pk).values(
        kind=F("task__kind"),
        prompt=F("task__prompt__messages"),
        slug=F("task__project__slug"),
        brief=F("task__brief"),
        sensitive=F("task__sensitive"),
        partial=F("task__project__partial_rankings"),
        tree_turns=F("task__project__tree_turns"),
        tree_branches=F("task__project__tree_branches"),
        version=_of_version_read("id"),
        number=_of_version_read("number"),
        guideline=_of_version_read("guideline__slug"),
        criteria=_of_version_read("criteria"),
    )[0]
    texts = {}
    if lease.shown_order:
        texts = dict(Candidate.objects.filter(task=lease.task_id).values_list("pk", "completion__text"))
    drafts = Draft.objects.filter(task=lease.task_id, labeler=lease.labeler_id)
    part = PARTS.get(about["kind"])
    return {
        "id": lease.task_id,
        "lease": lease.pk,
        "kind": about["kind"],
        "prompt": message_html.shown(about["prompt"], slug=about["slug"]),
        "pictures": message_html.addresses(about["prompt"], slug=about["slug"]),
        "candidates": [
            {"id": pk, "text": texts[pk], "html": answer_html(texts[pk])} for pk in lease.shown_order
        ],
        "brief": about["brief"],
        "sensitive": about["sensitive"],
        "offers": branching.offers(about),
        "criteria": about["criteria"],
        "partial": about["partial"],
        "guideline_version": {
            "id": about["version"],
            "guideline": about["guideline"],
            "number": about["number"],
        },
        "draft": next(iter(drafts.values("answer", "version")), None),
        "expires_at": lease.expires_at,
        "expires_in": seconds_left(lease),
        "opened_at": lease.opened_at,
        **(part(lease) if part else {}),
    }


def seconds_left(lease: Lease) -> float:
    """How long the lease lasts from now, for pages whose clock is off; 0 once it ran out."""
    return max(0.0, (lease.expires_at - timezone.now()).total_seconds())


def _of_version_read(field: str) -> Coalesce:
    """A field of the version that the lease was given under, as `Lease.version_read`."""
    return Coalesce(f"guideline_version__{field}", f"task__guideline_version__{field}")

"""How good the labels are and why: agreement of every part, and how far each person can be relied on."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_safe

from labeling.models import Task
from labeling.people.access import SignedInRequest, manager_of, project_context

if TYPE_CHECKING:
    from labeling.quality import collect, leanings

# The statistics are imported where they are used: they bring numpy, which a web process does without.
CUTS = {
    "kind": gettext_noop("By kind of task"),
    "criterion": gettext_noop("By criterion"),
    "use case": gettext_noop("By use case"),
    "guideline version": gettext_noop("By guideline version"),
    "week": gettext_noop("By week, from its Monday"),
}
LEANINGS = {
    "shown first": gettext_noop("It is shown first"),
    "twice as long": gettext_noop("It is twice as long"),
    "lists": gettext_noop("It has a list item, the other none"),
    "headings": gettext_noop("It has a heading, the other none"),
    "bold": gettext_noop("It has a bold passage, the other none"),
    "code": gettext_noop("It has code, the other none"),
    "names itself": gettext_noop("It says which model it is"),
}
# The track that an interval is drawn on goes from no agreement but by chance to all.
TRACK = 100


@require_safe
@login_required
def quality(request: SignedInRequest, slug: str) -> HttpResponse:
    """Agreement with its intervals, first of everything and then of every part; then the labelers."""
    from labeling.quality import collect, leanings

    project = (membership := manager_of(user=request.user, slug=slug)).project
    context = project_context(membership)
    told = collect.collect(project)
    rows = collect.agreements(told)
    context |= {
        "labels": len(told.origins),
        "cut_off": told.cut_off,
        "all": next((_shown(row) | {"says": row.found.says} for row in rows if row.cut == "all"), None),
        "parts": [
            (_(CUTS[cut]), cut, [_shown(row) for row in group])
            for cut, group in groupby(rows, lambda row: row.cut)
            if cut in CUTS
        ],
        "people": _people(told),
        "leanings": [_lean(one) for one in leanings.leanings(told)],
    }
    return render(request, "labeling/cockpit/quality.html", context)


def _shown(row: collect.Row) -> dict[str, Any]:
    from labeling.quality import agreement

    found, name = row.found, row.name
    if row.cut == "kind":
        name = str(Task.Kind(row.name).label)
    known = not math.isnan(found.alpha)
    low = max(0.0, found.low) if known else 0.0
    return {
        "name": name or _("none"),
        "found": found,
        "raw": None if math.isnan(found.raw) else 100 * found.raw,
        "alpha": found.alpha if known else None,
        "tau": None if math.isnan(row.tau) else row.tau,
        "from": round(TRACK * low, 1),
        "width": round(TRACK * max(0.01, min(1.0, found.high) - low), 1) if known else 0,
        "at": round(TRACK * max(0.0, found.alpha), 1) if known else 0,
        "says": agreement.advice(found) if known else found.says,
    }


def _lean(one: leanings.Lean) -> dict[str, Any]:
    low, high = max(0.0, one.low), min(1.0, one.high)
    return {
        "name": _(LEANINGS[one.name]),
        "lean": one,
        "percent": [100 * value for value in (one.chance, one.low, one.high)],
        "from": round(TRACK * low, 1),
        "width": round(TRACK * max(0.01, high - low), 1),
        "at": round(TRACK * one.chance, 1),
    }


def _people(told: collect.Collected) -> list[dict[str, Any]]:
    """Who is least to be relied on first."""
    from labeling.quality import collect, reliability

    found = collect.reliabilities(told)
    if found is None:
        return []
    said = [
        {"id": person, "name": name, **reliability.labeler(found, at)}
        for at, (person, name) in enumerate(told.people)
    ]
    for one in said:
        one["doubted"] = one["kind"] != "honest" and one["evidence"] >= reliability.FEW_LABELS
    return sorted((one for one in said if one["labels"]), key=lambda one: (one["weight"], one["name"]))

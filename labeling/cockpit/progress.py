"""How the project comes along, for those who run it."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from labeling.people import progress as progresses
from labeling.people.access import SignedInRequest, manager_of, project_context

WIDTH, HEIGHT, GAP = 840, 160, 6


@dataclass(frozen=True)
class Bar:
    """A day of the picture, in its own units."""

    day: progresses.Day
    x: float
    y: float
    width: float
    height: float


@require_safe
@login_required
def progress(request: SignedInRequest, slug: str) -> HttpResponse:
    project = (membership := manager_of(user=request.user, slug=slug)).project
    context = project_context(membership)
    found = progresses.progress(project=project)
    context |= {
        "progress": found,
        "bars": _bars(found.days),
        "most": max(one.labels for one in found.days),
        "view": f"0 0 {WIDTH} {HEIGHT}",
        "has_prompts": bool(found.labels or found.open) or project.prompts.exists(),
    }
    return render(request, "labeling/cockpit/progress.html", context)


def _bars(days: list[progresses.Day]) -> list[Bar]:
    most = max(one.labels for one in days) or 1
    step = WIDTH / len(days)
    bars = []
    for at, one in enumerate(days):
        height = max(2.0, (HEIGHT - 4) * one.labels / most) if one.labels else 0.0
        bars.append(Bar(one, round(at * step + GAP / 2, 1), HEIGHT - height, round(step - GAP, 1), height))
    return bars

"""Pages of the loop. Each finds what the user may see, reads and renders; a change is one verb, then back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from labeling.datasets import dataset
from labeling.models import Dataset, Membership
from labeling.people.access import membership_of, project_context
from models_zoo.models import Checkpoint
from rlhf.checkpoints import comparison, lineage
from rlhf.models import Metric, Round, Run
from rlhf.rounds import loop, picture, summary
from rlhf.runs import curves, directory, jobs, transcript
from rlhf.trainers import knobs

ROWS = 50
SIDE_BY_SIDE = 6
ALL_ROLLOUTS = 512


@require_safe
@login_required
def project(request: HttpRequest, slug: str) -> HttpResponse:
    """Project home: the loop as it stands now."""
    membership = membership_of(user=request.user, slug=slug)
    context = project_context(membership)
    now = picture.read(membership.project)
    shown = now.finished
    pairs = []
    if shown and membership.runs_models:
        before, after = shown.round.checkpoint_before, shown.round.checkpoint_after
        pairs = comparison.pairs(project=membership.project, before=before, after=after, most=2)
    return render(
        request,
        "rlhf/project.html",
        {
            **context,
            "picture": now,
            "says": picture.limits(now),
            "hindrance": picture.hindrance(now),
            "shown": shown,
            "pairs": pairs,
        },
    )


@require_POST
@login_required
def auto_start(request: HttpRequest, slug: str) -> HttpResponse:
    """Switch whether a due round waits for a press."""
    membership = _engineer(request, slug)
    loop.set_auto_start(membership.project, on=request.POST.get("on") == "1")
    return redirect("rlhf:project", slug=slug)


@require_safe
@login_required
def rounds(request: HttpRequest, slug: str) -> HttpResponse:
    membership = _engineer(request, slug)
    context = project_context(membership)
    listed = summary.of_project(membership.project, most=200)
    return render(request, "rlhf/rounds.html", {**context, "rounds": listed})


@require_safe
@login_required
def round_page(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    membership = _engineer(request, slug)
    context = project_context(membership)
    found = summary.of(_rounds(membership).filter(number=number))
    if not found:
        raise Http404
    turn = found[0].round
    pairs = comparison.pairs(
        project=membership.project, before=turn.checkpoint_before, after=turn.checkpoint_after
    )
    progress = loop.progress(turn)
    return render(
        request,
        "rlhf/round.html",
        {**context, "summary": found[0], "round": turn, "pairs": pairs, "progress": progress},
    )


@require_POST
@login_required
def change_round(request: HttpRequest, slug: str, number: int, verb: str) -> HttpResponse:
    """Start (also in spite of the guard), restart a step, promote or refuse; then back."""
    membership = _engineer(request, slug)
    turn = get_object_or_404(_rounds(membership), number=number)
    given = request.POST
    verbs: dict[str, Callable[[], Any]] = {
        "start": lambda: loop.start(turn, user=request.user, force=given.get("force") == "1"),
        "restart": lambda: loop.restart(turn, step=given.get("step") or None),
        "promote": lambda: loop.promote(turn, user=request.user),
        "refuse": lambda: loop.refuse(turn, user=request.user, reason=given.get("reason", "")),
    }
    if verb not in verbs:
        raise Http404
    _attempt(request, verbs[verb])
    if given.get("from") == "home":
        return redirect("rlhf:project", slug=slug)
    return redirect("rlhf:round", slug=slug, number=number)


@require_safe
@login_required
def runs(request: HttpRequest, slug: str) -> HttpResponse:
    membership = _engineer(request, slug)
    context = project_context(membership)
    listed = (
        Run.objects.filter(project=membership.project)
        .select_related("round", "dataset", "output", "user")
        .defer("config")
    )
    return render(request, "rlhf/runs.html", {**context, "page": _page(request, listed)})


@require_safe
@login_required
def run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """One run: curves, progress, knobs, inputs and output, rollouts, log."""
    found, membership = _run(request, run_id)
    newest = Metric.objects.filter(run=found, superseded=False).order_by("-n").first()
    telling, rest = curves.of(found.algorithm)
    most = ALL_ROLLOUTS if request.GET.get("rollouts") == "all" else SIDE_BY_SIDE
    return render(
        request,
        "rlhf/run.html",
        {
            **project_context(membership),
            "run": found,
            "inputs": found.inputs.select_related("checkpoint").order_by("role"),
            "progress": directory.read(found.directory, "progress.json"),
            "knobs": _knobs(found),
            "curves": telling,
            "more_curves": rest,
            "newest": newest,
            "rollouts": transcript.answers(found.directory, most=most)
            if found.algorithm == "sample"
            else transcript.rollouts(found.directory, step=_number(request, "step") or None, most=most),
            "more_rollouts": most < ALL_ROLLOUTS,
            "log": transcript.log(found.directory),
        },
    )


@require_POST
@login_required
def change_run(request: HttpRequest, run_id: UUID, verb: str) -> HttpResponse:
    found, _membership = _run(request, run_id)
    verbs: dict[str, Callable[[], Any]] = {
        "stop": lambda: jobs.stop(found, user=request.user),
        "resume": lambda: jobs.resume(found, user=request.user),
    }
    if verb not in verbs:
        raise Http404
    _attempt(request, verbs[verb])
    return redirect("rlhf:run", run_id=run_id)


@require_safe
@login_required
def checkpoints(request: HttpRequest, slug: str) -> HttpResponse:
    membership = _engineer(request, slug)
    context = project_context(membership)
    listed = lineage.checkpoints(membership.project).select_related("parent", "made_by__round")
    return render(request, "rlhf/checkpoints.html", {**context, "page": _page(request, listed)})


@require_safe
@login_required
def checkpoint(request: HttpRequest, checkpoint_id: int) -> HttpResponse:
    """One checkpoint: what it is, where it comes from, what it was used for, and how it answers."""
    found = get_object_or_404(Checkpoint.objects.select_related("parent"), pk=checkpoint_id)
    memberships = lineage.memberships_of(found, user=request.user)
    if not memberships:
        raise Http404
    asked = request.GET.get("project")
    membership = next((each for each in memberships if each.project.slug == asked), memberships[0])
    # Of a run or dataset of another project nothing is told here.
    made_by = (
        Run.objects.filter(output=found, project=membership.project)
        .select_related("dataset", "round")
        .first()
    )
    first = _number(request, "from")
    pairs = comparison.pairs(
        project=membership.project, before=found.parent, after=found, first=first, most=SIDE_BY_SIDE + 1
    )
    return render(
        request,
        "rlhf/checkpoint.html",
        {
            **project_context(membership),
            "checkpoint": found,
            "chain": lineage.ancestors(found),
            "made_by": made_by,
            "dataset": lineage.dataset_of(made_by) if made_by else None,
            "used_by": Run.objects.filter(inputs__checkpoint=found, project=membership.project)
            .select_related("output", "round")
            .defer("config")
            .distinct()[:ROWS],
            "rounds": Round.objects.filter(project=membership.project, checkpoint_after=found),
            "pairs": pairs[:SIDE_BY_SIDE],
            "more": first + SIDE_BY_SIDE if len(pairs) > SIDE_BY_SIDE else None,
        },
    )


@require_safe
@login_required
def datasets(request: HttpRequest, slug: str) -> HttpResponse:
    membership = _engineer(request, slug)
    context = project_context(membership)
    listed = (
        Dataset.objects.filter(project=membership.project)
        .select_related("user")
        .annotate(run_count=Count("runs"))
        .order_by("-number")
    )
    return render(
        request,
        "rlhf/datasets.html",
        {**context, "page": _page(request, listed), "kinds": Dataset.Kind.choices},
    )


@require_POST
@login_required
def freeze(request: HttpRequest, slug: str) -> HttpResponse:
    """Freeze the labels of one kind as of now."""
    membership = _engineer(request, slug)
    kind = request.POST.get("kind", "")
    _attempt(request, lambda: dataset.freeze(project=membership.project, kind=kind, user=request.user))
    return redirect("rlhf:datasets", slug=slug)


def _engineer(request: HttpRequest, slug: str) -> Membership:
    """The membership of somebody who runs models here; to others these pages do not exist."""
    membership = membership_of(user=request.user, slug=slug)
    if not membership.runs_models:
        raise Http404
    return membership


def _run(request: HttpRequest, run_id: UUID) -> tuple[Run, Membership]:
    found = get_object_or_404(
        Run.objects.select_related("project", "round", "dataset", "output", "user"), pk=run_id
    )
    if found.project is None:
        raise Http404
    return found, _engineer(request, found.project.slug)


def _rounds(membership: Membership) -> QuerySet[Round]:
    return Round.objects.filter(project=membership.project).select_related(
        "project", "guideline_version", "checkpoint_before", "checkpoint_after", "decided_by"
    )


def _knobs(found: Run) -> dict[str, Any]:
    """Every knob the run has, as its trainer reads them; as given where that is not possible any more."""
    given = found.config.get("knobs") or {}
    try:
        return asdict(knobs.read(found.algorithm, given))
    except ValueError:
        return given


def _number(request: HttpRequest, name: str) -> int:
    """A small whole number of the query string, 0 where it is none."""
    given = request.GET.get(name, "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else 0


def _page(request: HttpRequest, rows: Any, *, size: int = ROWS) -> Any:
    return Paginator(rows, size).get_page(request.GET.get("page"))


def _attempt(request: HttpRequest, verb: Callable[[], Any]) -> None:
    """Carry a verb out; what it refuses, it refuses in words."""
    try:
        verb()
    except ValueError as error:
        messages.error(request, str(error))

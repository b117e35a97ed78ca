"""The pages about gold: its items and how they fare, new ones from labels, and what qualifies a labeler."""

from __future__ import annotations

from typing import Any

from django.contrib import messages as notices
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from labeling.content import message_html
from labeling.faults import FieldError
from labeling.models import GoldItem, Labeler, Membership, Project, Task
from labeling.people import projects, settings
from labeling.people.access import SignedInRequest, manager_of, project_context
from labeling.qualification import door, grades, grading, items, requirements, scores, sources

ROWS = 50
PEOPLE = 200


@login_required
@require_http_methods(["GET", "POST"])
def gold(request: SignedInRequest, slug: str) -> HttpResponse:
    """The items, with how far labelers agree with each; a POST retires one, or sets the rate."""
    manager = manager_of(user=request.user, slug=slug)
    project = manager.project
    context: dict[str, Any] = project_context(manager)
    try:
        if request.POST.get("do") == "retire":
            item = GoldItem.objects.select_related("project").get(
                pk=_number(request.POST.get("item")), project=project
            )
            items.retire(item=item, actor=request.user)
            notices.success(request, _("Gold item %(n)s is asked no more.") % {"n": item.pk})
            return redirect("labeling:gold", slug=slug)
        if request.POST.get("do") == "rate":
            rate = settings.read("gold_rate", request.POST.get("gold_rate", ""))
            projects.change_settings(project=project, actor=request.user, gold_rate=_share(rate))
            return redirect("labeling:gold", slug=slug)
    except GoldItem.DoesNotExist:
        raise Http404 from None
    except FieldError as error:
        context |= {"error": error, "given": request.POST}
    found = GoldItem.objects.filter(project=project).select_related("prompt")
    if not request.GET.get("retired"):
        found = found.live()
    page = Paginator(found, ROWS).get_page(request.GET.get("page"))
    agreed, doubted = scores.of_items(project=project), scores.suspect_items(project=project)
    context |= {
        "page": page,
        "rows": [(one, agreed.get(one.pk), doubted.get(one.pk)) for one in page],
        "doubted": [
            (one, doubted[one.pk])
            for one in GoldItem.objects.filter(pk__in=list(doubted)).select_related("prompt")
        ],
        "retired": bool(request.GET.get("retired")),
        "rate": f"{100 * project.gold_rate:g}",
    }
    return render(request, "labeling/cockpit/gold.html", context, status=422 if "error" in context else 200)


@login_required
@require_http_methods(["GET", "POST"])
def new(request: SignedInRequest, slug: str) -> HttpResponse:
    """Make gold of a task that was labeled: choose the task, then the answer, its uses and the reason."""
    manager = manager_of(user=request.user, slug=slug)
    project = manager.project
    context: dict[str, Any] = project_context(manager)
    asked = request.POST if request.method == "POST" else request.GET
    task = _task(project, asked.get("task", ""))
    kind = request.GET.get("kind", "")
    if task and request.method == "POST":
        chosen = request.POST.get("label", "")
        try:
            item = items.add_from_task(
                task=task,
                label=_number(chosen) if chosen != "consensus" else None,
                uses=request.POST.getlist("uses"),
                explanation=request.POST.get("explanation", ""),
                actor=request.user,
            )
            notices.success(request, _("Gold item %(n)s is made.") % {"n": item.pk})
            return redirect("labeling:gold", slug=slug)
        except FieldError as error:
            context |= {"error": error, "given": request.POST, "chosen": chosen}
            context["uses"] = request.POST.getlist("uses")
    if task:
        source = sources.of(task)
        context |= {
            "task": task,
            "source": source,
            "prompt": message_html.shown(task.prompt.messages, slug=slug),
            "written": task.kind in grading.BY_PEOPLE,
        }
    else:
        if asked.get("task"):
            context["unknown"] = asked["task"][:20]
        context |= {
            "tasks": sources.tasks(project=project, kind=kind if kind in grading.KINDS else "")[:ROWS],
            "kinds": grading.KINDS,
            "kind": kind,
        }
    return render(
        request, "labeling/cockpit/gold_new.html", context, status=422 if "error" in context else 200
    )


@login_required
@require_http_methods(["GET", "POST"])
def qualification(request: SignedInRequest, slug: str) -> HttpResponse:
    """What labelers pass before they work, and how each of them stands."""
    manager = manager_of(user=request.user, slug=slug)
    project = manager.project
    context: dict[str, Any] = project_context(manager)
    asked = requirements.of(project)
    values = requirements.stated(asked) | requirements.PRESETS.get(request.GET.get("preset", ""), {})
    if request.method == "POST":
        try:
            if request.POST.get("do") == "anew":
                requirements.ask_anew(project=project, actor=request.user)
                notices.success(request, _("Everybody qualifies again before their next task."))
            else:
                given = _given(request.POST)
                values |= given
                active = {"on": True, "off": False}.get(request.POST.get("active", ""))
                requirements.change(project=project, active=active, actor=request.user, **given)
                notices.success(request, _("Saved."))
            return redirect("labeling:qualification", slug=slug)
        except FieldError as error:
            context["error"] = error
    context |= {
        "asked": asked,
        "fields": [(name, bounds, _written(values[name])) for name, bounds in requirements.NUMBERS.items()],
        "kinds": [(kind, kind in values["kinds"]) for kind in grading.BY_PLATFORM],
        "available": requirements.available(project),
        "people": _standings(project),
        "to_grade": grades.waiting(project=project, grader=request.user).count(),
    }
    status = 422 if "error" in context else 200
    return render(request, "labeling/cockpit/qualification.html", context, status=status)


def _standings(project: Project) -> list[tuple[Labeler, door.Door | None, scores.Score | None]]:
    """Everybody who has to qualify, with how they stand and their score on gold."""
    users = Membership.objects.filter(project=project, role=Membership.Role.LABELER).values("user")
    people = list(Labeler.objects.filter(user__in=users, kind=Labeler.Kind.HUMAN).order_by("name")[:PEOPLE])
    found = door.standings(project=project, labelers=people)
    scored = scores.of_labelers(project=project)
    return [(one, found.get(one.pk), scored.get(one.pk)) for one in people]


def _given(form: Any) -> dict[str, Any]:
    """The settings as the form gives them; what is no number stays text, for the verb to refuse."""
    given: dict[str, Any] = {"kinds": form.getlist("kinds")}
    for name, bounds in requirements.NUMBERS.items():
        text = form.get(name, "").strip().replace(",", ".")
        try:
            given[name] = int(text) if bounds.whole else float(text)
        except ValueError:
            given[name] = text
    return given


def _task(project: Project, number: str) -> Task | None:
    tasks = Task.objects.select_related("project__guideline", "prompt")
    return tasks.filter(project=project, pk=_number(number), kind__in=grading.KINDS, gold=None).first()


def _written(value: Any) -> str:
    """A setting as its field shows it: 6 rather than 6.0; what was given and is no number as it was."""
    return f"{value:g}" if isinstance(value, int | float) else value


def _share(percent: Any) -> Any:
    return percent / 100 if isinstance(percent, float) else percent


def _number(given: str | None) -> int:
    """A whole number of a form; 0 for what is none."""
    return int(given) if given and given.isdecimal() and given.isascii() and len(given) < 19 else 0

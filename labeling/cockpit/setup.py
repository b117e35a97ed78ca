"""Set a project up, and change its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST

from guidelines.criteria import GuidelineError
from labeling.faults import FieldError
from labeling.models import Project
from labeling.people import presets
from labeling.people import settings as project_settings
from labeling.people.access import SignedInRequest, manager_of, project_context
from labeling.people.projects import change_settings, may_create
from labeling.people.settings import SETTINGS, Setting

GROUPS = (
    (_lazy("Project"), ("name",)),
    (_lazy("Work"), ("overlap", "lease_seconds", "partial_rankings", "model_drafts")),
    (_lazy("Quality"), ("review_share", "heldout_share", "gold_rate", "weigh_labels")),
    (_lazy("Conversations"), ("tree_turns", "tree_branches", "tree_size")),
    (_lazy("Pay"), ("hourly_rate", "currency")),
)
# What the set-up asks for; all else is as delivered and can be changed afterwards.
AT_FIRST = (
    "overlap",
    "lease_seconds",
    "review_share",
    "heldout_share",
    "model_drafts",
    "hourly_rate",
    "currency",
)
STEPS = ("about", "preset", "settings", "check")


@dataclass(frozen=True)
class Field:
    """A setting as a form shows it."""

    name: str
    setting: Setting
    value: Any
    error: Any = None


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: SignedInRequest, slug: str) -> HttpResponse:
    """Every setting in words; a refused one keeps what was written."""
    project = (membership := manager_of(user=request.user, slug=slug)).project
    context = project_context(membership)
    names = [name for _title, group in GROUPS for name in group]
    values = project_settings.settings_of(project)
    errors: Mapping[str, Any] = {}
    if request.method == "POST":
        given = {name: project_settings.read(name, request.POST.get(name, "")) for name in names}
        checked, errors = project_settings.check_all(given)
        if not errors:
            change_settings(project=project, actor=request.user, **checked)
            messages.success(request, _("The settings are saved."))
            return redirect("labeling:settings", slug=slug)
        values |= given
    context["groups"] = [(title, _fields(group, values, errors)) for title, group in GROUPS]
    context["errors"] = len(errors)
    return render(request, "labeling/cockpit/settings.html", context, status=422 if errors else 200)


@login_required
@require_POST
def pause(request: SignedInRequest, slug: str) -> HttpResponse:
    """Hand out no more tasks, or go on; then back."""
    project = manager_of(user=request.user, slug=slug).project
    paused = request.POST.get("paused") == "1"
    change_settings(project=project, actor=request.user, paused=paused)
    said = (
        _("The project is paused: no new task is handed out.") if paused else _("Tasks are handed out again.")
    )
    messages.success(request, said)
    return redirect("labeling:settings", slug=slug)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_project(request: SignedInRequest) -> HttpResponse:
    """Set a project up in four steps. The form carries what the other steps say, so that nothing is lost."""
    if not may_create(request.user):
        raise PermissionDenied("Only who owns a project or runs the server makes new ones.")
    given = _given(request.POST)
    step = request.POST.get("step", STEPS[0])
    step = step if step in STEPS else STEPS[0]
    errors: dict[str, Any] = {}
    if request.method == "POST":
        go = request.POST.get("go", "next")
        at = STEPS.index(step)
        if go == "back":
            step = STEPS[max(0, at - 1)]
        elif go in STEPS[:at]:
            step = go
        else:
            errors = _wrong(step, given)
            if not errors and step == STEPS[-1]:
                project, errors = _create(request, given)
                if project:
                    said = _("%(name)s is there. Now bring the first prompts in.") % {"name": project.name}
                    messages.success(request, said)
                    return redirect("labeling:new_prompts", slug=project.slug)
                step = _step_of(errors) or step
            elif not errors:
                step = STEPS[at + 1]
                given = _prefilled(step, given)
    context = {
        "step": step,
        "number": STEPS.index(step) + 1,
        "steps": _steps(step),
        "given": given,
        "errors": errors,
        "presets": presets.PRESETS,
        "chosen": presets.PRESETS.get(given["preset"]),
        "fields": _fields(AT_FIRST, given, errors),
        "carried": _carried(step, given),
    }
    return render(request, "labeling/cockpit/new_project.html", context, status=422 if errors else 200)


FIELDS = {
    "about": ("name", "slug"),
    "preset": ("preset",),
    "settings": (*AT_FIRST, "guideline_title", "guideline_body"),
    "check": (),
}


def _given(post: QueryDict) -> dict[str, Any]:
    """What the form says so far; its own text, not yet judged."""
    names = {name for part in FIELDS.values() for name in part}
    given: dict[str, Any] = {name: post.get(name, "").replace("\r\n", "\n") for name in names}
    given["model_drafts"] = post.get("model_drafts", "") in ("on", "1", "True")
    given["preset"] = given["preset"] or "instructgpt"
    given["filled_from"] = post.get("filled_from", "")
    return given


def _wrong(step: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be mended on a step before the next."""
    errors: dict[str, Any] = {}
    if step == "about":
        errors |= project_settings.check_all({"name": given["name"]})[1]
        slug = given["slug"].strip()
        try:
            presets.check_address(slug or presets.address_for(given["name"]))
        except FieldError as error:
            errors[error.field] = error
    elif step == "preset":
        try:
            presets.named(given["preset"])
        except FieldError as error:
            errors[error.field] = error
    elif step == "settings":
        errors |= project_settings.check_all(_settings(given))[1]
        if not given["guideline_body"].strip():
            errors["guideline_body"] = _("The guideline has no text. Write what labelers should do.")
        if not given["guideline_title"].strip():
            errors["guideline_title"] = _("The guideline has no title.")
    return errors


def _create(request: SignedInRequest, given: Mapping[str, Any]) -> tuple[Project | None, dict[str, Any]]:
    try:
        project = presets.create(
            owner=request.user,
            slug=given["slug"].strip() or presets.address_for(given["name"]),
            name=given["name"],
            preset=given["preset"],
            guideline_title=given["guideline_title"],
            guideline_body=given["guideline_body"],
            settings=project_settings.check_all(_settings(given))[0],
        )
    except (FieldError, GuidelineError) as error:
        field = {"body": "guideline_body", "title": "guideline_title"}.get(error.field, error.field)
        return None, {field: error}
    return project, {}


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: given[name] if SETTINGS[name].is_flag else project_settings.read(name, given[name])
        for name in AT_FIRST
    }


def _prefilled(step: str, given: dict[str, Any]) -> dict[str, Any]:
    """The form with what the name and the preset suggest, where another preset was chosen or none yet."""
    if step == "preset" and not given["slug"].strip():
        given["slug"] = presets.address_for(given["name"])
    if step == "settings" and given["filled_from"] != given["preset"]:
        given["filled_from"] = given["preset"]
        chosen = presets.named(given["preset"])
        delivered = project_settings.settings_of(Project())
        given |= {name: chosen.settings.get(name, delivered[name]) for name in AT_FIRST}
        given["guideline_title"] = str(chosen.guideline or given["name"])
        given["guideline_body"] = chosen.parts.body
    return given


def _carried(step: str, given: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What other steps say, for hidden fields."""
    names = [name for part, fields in FIELDS.items() if part != step for name in fields]
    carried = [(name, given[name]) for name in names if given[name] not in ("", False)]
    # So that a step back and forth fills nothing in anew that was written over.
    return [*carried, ("filled_from", given["filled_from"])]


def _fields(names: Iterable[str], values: Mapping[str, Any], errors: Mapping[str, Any]) -> list[Field]:
    return [Field(name, SETTINGS[name], _written(values[name]), errors.get(name)) for name in names]


def _written(value: Any) -> Any:
    """A number as a person writes it: 0 and 18.5 rather than 0.0 and 18.50."""
    return f"{value:g}" if isinstance(value, float) else value


def _steps(current: str) -> list[tuple[str, str, str]]:
    titles = {
        "about": _("Name"),
        "preset": _("Begin with"),
        "settings": _("Guideline and settings"),
        "check": _("Look it over"),
    }
    at = STEPS.index(current)
    return [
        (name, titles[name], "done" if n < at else "now" if n == at else "ahead")
        for n, name in enumerate(STEPS)
    ]


def _step_of(errors: Mapping[str, Any]) -> str:
    return next((step for step, names in FIELDS.items() for name in errors if name in names), "")

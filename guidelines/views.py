"""Pages of a guideline: read any version, see what changed, write and publish the next one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from guidelines import changes, drafts, forms, presets, publish, readers
from guidelines.models import GuidelineVersion
from guidelines.parts import Parts
from guidelines.plan import WORTH_READING, least
from guidelines.render import body_html, markdown


@require_safe
@login_required
def guideline(request: HttpRequest, slug: str) -> HttpResponse:
    """The newest version."""
    reading = readers.read(user=request.user, slug=slug)
    return _version(request, reading, reading.guideline.current)


@require_safe
@login_required
def version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    reading = readers.read(user=request.user, slug=slug)
    return _version(request, reading, get_object_or_404(reading.guideline.versions, number=number))


@require_safe
@login_required
def diff(
    request: HttpRequest, slug: str, before: int | None = None, after: int | None = None
) -> HttpResponse:
    """What changed between any two versions; by default in the newest one."""
    reading = readers.read(user=request.user, slug=slug)
    versions = list(_listed(reading))
    if not versions:
        raise Http404
    numbers = [each.number for each in versions]
    asked = [request.GET.get("from", ""), request.GET.get("to", "")]
    if all(one.isdecimal() and int(one) in numbers for one in asked):
        return redirect("guidelines:diff", slug, *map(int, asked))
    if before is None or after is None:
        return redirect("guidelines:diff", slug, max(1, numbers[0] - 1), numbers[0])
    shown = {each.number: each for each in reading.guideline.versions.filter(number__in=[before, after])}
    if not {before, after} <= set(shown):
        raise Http404
    context = {
        **_context(reading),
        "versions": versions,
        "before": shown[before],
        "after": shown[after],
        "difference": changes.difference(Parts.of(shown[before]), Parts.of(shown[after])),
    }
    return render(request, "guidelines/diff.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Write the next version; publishing lists its effects before the click and after it."""
    reading = readers.read_to_publish(user=request.user, slug=slug)
    current = reading.guideline.current
    draft = drafts.draft_of(guideline=reading.guideline, author=request.user)
    if request.method != "POST":
        if name := request.GET.get("preset"):
            if name not in presets.PRESETS:
                raise Http404
            form = forms.Written.from_parts(presets.preset(name).parts, current)
        else:
            form = forms.Written.from_draft(draft) if draft else forms.Written.from_parts(None, current)
        return _editor(request, reading, form, draft=draft)
    form = forms.Written.posted(request.POST, current)
    if "preview" in request.POST:
        return _editor(request, reading, form, draft=draft)
    try:
        published, done = publish.publish(
            guideline=reading.guideline, author=request.user, based_on=form.based_on, **form.arguments()
        )
    except publish.Overtaken as overtaken:
        return _editor(request, reading, form, draft=draft, overtaken=overtaken)
    except publish.GuidelineError as error:
        return _editor(request, reading, form, draft=draft, error=error)
    drafts.discard(guideline=reading.guideline, author=request.user)
    said = _("Version %(n)s is published.") % {"n": published.number}
    messages.success(request, " ".join([said, *filter(None, done)]))
    return redirect("guidelines:guideline", slug=slug)


@require_POST
@login_required
def effects(request: HttpRequest, slug: str) -> HttpResponse:
    """What publishing what is written would do now: a part of the editor, asked for as it changes."""
    reading = readers.read_to_publish(user=request.user, slug=slug)
    form = forms.Written.posted(request.POST, reading.guideline.current)
    return render(request, "guidelines/effects.html", {**_context(reading), **_foreseen(reading, form)})


@require_POST
@login_required
def preview(request: HttpRequest, slug: str) -> HttpResponse:
    """A text as readers would see it; nothing is stored."""
    readers.read(user=request.user, slug=slug)
    return HttpResponse(markdown(request.POST.get("body", "")[: publish.LONGEST]))


def _editor(
    request: HttpRequest,
    reading: readers.Reading,
    form: forms.Written,
    *,
    draft: Any,
    error: publish.GuidelineError | None = None,
    overtaken: publish.Overtaken | None = None,
) -> HttpResponse:
    current = reading.guideline.current
    number = current.number if current else 0
    behind = None
    if overtaken or (request.method != "POST" and 0 < form.based_on < number):
        base = reading.guideline.versions.filter(number=form.based_on).first()
        behind = {
            "base": base,
            "newest": current,
            "theirs": changes.difference(Parts.of(base), Parts.of(current)) if base else None,
            "mine": changes.difference(Parts.of(current), form.shown()),
        }
        # What is published next goes on top of what was compared.
        form.based_on = number
    context = {
        **_context(reading),
        **_foreseen(reading, form),
        "current": current,
        "number": number + 1,
        "form": form,
        "draft": draft,
        "behind": behind,
        "presets": list(presets.PRESETS.values()),
        "aside": draft is not None and "preset" in request.GET,
        "preview": markdown(form.body[: publish.LONGEST]),
    }
    if error:
        context["error"] = error
    return render(request, "guidelines/edit.html", context, status=422 if error or overtaken else 200)


def _foreseen(reading: readers.Reading, form: forms.Written) -> dict[str, Any]:
    """What publishing would do, or why it cannot be done."""
    context: dict[str, Any] = {"form": form, "plan_changes": GuidelineVersion.Change.choices}
    try:
        proposal = publish.propose(guideline=reading.guideline, **form.arguments())
    except publish.GuidelineError as error:
        return context | {"unfit": error}
    form.seed = proposal.plan.seed
    return context | {
        "proposal": proposal,
        "effects": [told for told in publish.preview(proposal) if told.sentence],
        "guessed": proposal.plan.change,
        "least": least(proposal.difference),
        "worth_reading": proposal.plan.change in WORTH_READING,
    }


def _version(request: HttpRequest, reading: readers.Reading, shown: GuidelineVersion | None) -> HttpResponse:
    if shown is None:
        raise Http404
    versions = list(_listed(reading))
    before = reading.guideline.versions.filter(number=shown.number - 1).first()
    context = {
        **_context(reading),
        "version": shown,
        "body": body_html(shown),
        "versions": versions,
        "newest": versions[0].number,
        "before": before,
        "difference": changes.difference(Parts.of(before), Parts.of(shown)) if before else None,
        "report": publish.report(shown) if reading.may_publish and before else [],
    }
    return render(request, "guidelines/version.html", context)


def _listed(reading: readers.Reading) -> Any:
    versions = reading.guideline.versions.order_by("-number").select_related("author")
    return versions.defer("body", "criteria", "examples", "rules")


def _context(reading: readers.Reading) -> dict[str, object]:
    return {
        "guideline": reading.guideline,
        "project": reading.project,
        "membership": reading.membership,
        "may_publish": reading.may_publish,
    }

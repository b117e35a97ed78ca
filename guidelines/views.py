"""Pages of a guideline: read any version, see what changed, publish the next one."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from guidelines import changes, publish, readers
from guidelines.models import GuidelineVersion
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


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Write the next version; publishing lists its effects before the click and after it."""
    reading = readers.read_to_publish(user=request.user, slug=slug)
    current = reading.guideline.current
    body, note = (current.body if current else ""), ""
    error: publish.GuidelineError | None = None
    if request.method == "POST":
        body = request.POST.get("body", "").replace("\r\n", "\n")
        note = request.POST.get("note", "")
        number = current.number if current else 0
        try:
            published, done = publish.publish(
                guideline=reading.guideline,
                body=body,
                note=note,
                author=request.user,
                based_on=number if request.POST.get("based_on") == str(number) else 0,
            )
        except publish.GuidelineError as refused:
            error, current = refused, reading.guideline.current
        else:
            said = _("Version %(n)s is published.") % {"n": published.number}
            messages.success(request, " ".join([said, *done]))
            return redirect("guidelines:guideline", slug=slug)
    return render(
        request,
        "guidelines/edit.html",
        {
            **_context(reading),
            "current": current,
            "body": body,
            "note": note,
            "error": error,
            "preview": markdown(body[: publish.LONGEST]),
            "effects": publish.preview(reading.guideline),
        },
        status=422 if error else 200,
    )


@require_POST
@login_required
def preview(request: HttpRequest, slug: str) -> HttpResponse:
    """A text as readers would see it; nothing is stored."""
    readers.read(user=request.user, slug=slug)
    return HttpResponse(markdown(request.POST.get("body", "")[: publish.LONGEST]))


def _version(request: HttpRequest, reading: readers.Reading, shown: GuidelineVersion | None) -> HttpResponse:
    if shown is None:
        raise Http404
    versions = list(reading.guideline.versions.order_by("-number").select_related("author").defer("body"))
    before = reading.guideline.versions.filter(number=shown.number - 1).first()
    return render(
        request,
        "guidelines/version.html",
        {
            **_context(reading),
            "version": shown,
            "body": body_html(shown),
            "versions": versions,
            "newest": versions[0].number,
            "changes": changes.lines(before.body, shown.body) if before else [],
        },
    )


def _context(reading: readers.Reading) -> dict[str, object]:
    return {
        "guideline": reading.guideline,
        "project": reading.project,
        "membership": reading.membership,
        "may_publish": reading.may_publish,
    }

"""Labelers' pages: the desk, the work page, personal tokens. The tasks themselves come through the API."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.dateparse import parse_date
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guidelines.models import GuidelineVersion
from guidelines.render import answer_html, body_html
from labeling import answers, unread
from labeling.content import pictures, sensitive_content
from labeling.models import ApiToken, Labeler, Membership, Message, Task
from labeling.people import keys, ledger, messages, tokens
from labeling.people.access import SignedInRequest, kinds_for, membership_of, project_context
from labeling.people.desk import MOST_COUNTED, desk, waiting
from labeling.people.projects import labeler_for, may_create
from labeling.qualification import door

LONGEST_TOKEN_NAME = 80


@login_required
@require_GET
def home(request: SignedInRequest) -> HttpResponse:
    labeler = labeler_for(request.user)
    shown = desk(user=request.user, labeler=labeler)
    context = {
        "desk": shown,
        "left_out": sensitive_content.left_out(labeler),
        "may_create": may_create(request.user, roles={one.membership.role for one in shown.projects}),
    }
    return render(request, "labeling/home.html", context)


@login_required
@require_GET
def work(request: SignedInRequest, slug: str, kind: str = "") -> HttpResponse:
    """The shell of the work page; ``kind`` narrows it to one kind of task."""
    kind = kind or request.GET.get("kind", "")
    if kind and kind not in Task.Kind.values:
        raise Http404
    membership = membership_of(user=request.user, slug=slug)
    if kind:
        kinds_for(membership, [kind])
    labeler = labeler_for(request.user)
    context = {
        **project_context(membership),
        "kind": kind,
        "keys": keys.settings_of(request.user),
        "labeler": labeler.pk,
        "avoids_sensitive": labeler.avoids_sensitive,
    }
    return render(request, "labeling/work.html", context)


@require_GET
@cache_control(no_cache=True)
def service_worker(request: HttpRequest) -> HttpResponse:
    """The script that opens the work page while the server is away; from the root, so that it may."""
    return render(request, "labeling/service_worker.js", content_type="text/javascript")


@login_required
@require_GET
def left(request: SignedInRequest, slug: str) -> HttpResponse:
    """How many tasks still wait for me, as the words that the work page shows."""
    membership = membership_of(user=request.user, slug=slug)
    asked = request.GET.getlist("kind")
    kinds = [kind for kind in kinds_for(membership) if not asked or kind in asked]
    at_door = door.of(project=membership.project, labeler=labeler_for(request.user))
    kinds = kinds if at_door is None or at_door.is_open else []
    counts = waiting(membership=membership, labeler=labeler_for(request.user), kinds=kinds).values()
    context = {"count": sum(counts), "capped": MOST_COUNTED in counts}
    return render(request, "labeling/left.html", context)


@login_required
@require_GET
@cache_control(private=True, max_age=3600)
def drawer(request: SignedInRequest, slug: str, number: int) -> HttpResponse:
    """One version of the project's guideline, to be read beside the task."""
    project = membership_of(user=request.user, slug=slug).project
    version = get_object_or_404(
        GuidelineVersion.objects.select_related("guideline"), guideline=project.guideline_id, number=number
    )
    return render(request, "labeling/drawer.html", {"version": version, "body": body_html(version)})


@login_required
@require_GET
def guideline_news(request: SignedInRequest, slug: str, number: int) -> HttpResponse:
    """What changed in the guideline up to this version since the one by which I last worked."""
    project = membership_of(user=request.user, slug=slug).project
    version = get_object_or_404(
        GuidelineVersion.objects.select_related("guideline"), guideline=project.guideline_id, number=number
    )
    changed = unread.changed(version=version, project=project, labeler=labeler_for(request.user))
    context = {"changed": changed, "version": version, "body": body_html(version)}
    return render(request, "labeling/guideline_news.html", context)


@login_required
@require_GET
@cache_control(private=True, max_age=31536000, immutable=True)
def picture(request: SignedInRequest, slug: str, sha256: str) -> HttpResponse:
    """A picture of the project's messages; its address says what it holds."""
    project = membership_of(user=request.user, slug=slug).project
    found = pictures.stored(project=project, sha256=sha256)
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "inline"}
    return HttpResponse(bytes(found.content), content_type=found.media_type, headers=headers)


@login_required
@require_GET
def hours(request: SignedInRequest) -> HttpResponse:
    """My own time and labels by day, in every project of mine, with the corrections and why."""
    labeler = labeler_for(request.user)
    memberships = Membership.objects.filter(user=request.user).select_related("project")
    context: dict[str, object] = {}
    try:
        found = [
            ledger.ledger(project=one.project, labeler=labeler, **_days(request))
            for one in memberships.order_by("project__name")
        ]
        context |= {"ledgers": found, "shown": found[0] if found else None}
    except ledger.LedgerError as error:
        context["error"] = error
    return render(request, "labeling/hours.html", context, status=422 if "error" in context else 200)


@login_required
@require_GET
def project_ledger(request: SignedInRequest, slug: str) -> HttpResponse:
    """Everybody's time by day, for those who run the project; `ledger.js` corrects it over the API."""
    membership = membership_of(user=request.user, slug=slug)
    if not membership.manages:
        raise PermissionDenied("Only an owner or admin of the project sees the time of others.")
    context = project_context(membership)
    try:
        context["shown"] = ledger.ledger(project=membership.project, **_days(request))
    except ledger.LedgerError as error:
        context["error"] = error
    people = Labeler.objects.filter(user__memberships__project=membership.project)
    context["people"] = people.filter(kind=Labeler.Kind.HUMAN).order_by("name")
    return render(request, "labeling/ledger.html", context, status=422 if "error" in context else 200)


def _days(request: HttpRequest) -> dict[str, Any]:
    """The days of the address; what is no day is as if it were not there."""
    days: dict[str, date | None] = {}
    for name, key in (("since", "from"), ("until", "to")):
        try:
            days[name] = parse_date(request.GET.get(key, ""))
        except ValueError:
            days[name] = None
    return days


@login_required
@require_POST
def preview(request: SignedInRequest, slug: str) -> HttpResponse:
    """What a text looks like as Markdown; nothing is stored."""
    membership_of(user=request.user, slug=slug)
    return HttpResponse(answer_html(request.POST.get("text", "")[: answers.MOST_BYTES]))


@login_required
@require_GET
def key_list(request: SignedInRequest) -> HttpResponse:
    """The keys of the work page, to change and to switch off; `key_list.js` does it over the API."""
    chosen = keys.settings_of(request.user)
    shown = {name: keys.label(chosen.keys.get(name, name)) for name in keys.DOES}
    groups = [
        (group.title, [(name, does, shown[name]) for name, does in group.keys.items()])
        for group in keys.GROUPS
    ]
    return render(request, "labeling/keys.html", {"groups": groups, "chosen": chosen})


@login_required
@require_GET
def reading(request: SignedInRequest) -> HttpResponse:
    """How sensitive tasks are read; `reading_choice.js` changes it over the API."""
    return render(request, "labeling/reading.html", {"choice": sensitive_content.choice_of(request.user)})


@login_required
@require_http_methods(["GET", "POST"])
def token_list(request: SignedInRequest) -> HttpResponse:
    """Personal tokens; a new one is shown in the answer to the POST that made it, and never again."""
    context: dict[str, object] = {}
    if request.method == "POST":
        name = request.POST.get("name", "").replace("\x00", "").strip()
        if 0 < len(name) <= LONGEST_TOKEN_NAME:
            context = {"made": tokens.issue(user=request.user, name=name), "name": name}
        else:
            context = {"refused": name[: LONGEST_TOKEN_NAME * 2], "longest": LONGEST_TOKEN_NAME}
    context["tokens"] = ApiToken.objects.filter(user=request.user).order_by("-created_at")
    response = render(request, "labeling/tokens.html", context, status=422 if "refused" in context else 200)
    response["Cache-Control"] = "no-store"
    return response


@login_required
@require_POST
def token_revoke(request: SignedInRequest, pk: int) -> HttpResponse:
    tokens.revoke(token=get_object_or_404(ApiToken, pk=pk, user=request.user))
    return redirect("labeling:tokens")


@login_required
@require_POST
def message_read(request: SignedInRequest, pk: int) -> HttpResponse:
    """Put a message away that somebody who runs the project wrote."""
    try:
        messages.read(message_id=pk, labeler=labeler_for(request.user))
    except Message.DoesNotExist:
        raise Http404 from None
    return redirect("labeling:home")

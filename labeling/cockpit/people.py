"""The pages about people: the roster, links that invite, one person's page, taking labels out of use."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.contrib import messages as notices
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods

from guidelines.models import GuidelineVersion
from labeling.faults import FieldError
from labeling.models import Invitation, Labeler, Membership, Split, Task
from labeling.people import erasure, invalidate, invitations, members, messages, passwords, roster
from labeling.people.access import SignedInRequest, manager_of, project_context
from labeling.people.invalidate import InvalidateError
from labeling.people.members import MemberError

MOST_LISTED = 500
MOST_BYTES = 1024 * 1024
# Fields of the person's page that say what is wrong beside themselves.
BESIDE = ("role", "group", "languages", "skills", "text", "name", "confirm")


@login_required
@require_GET
def people(request: SignedInRequest, slug: str) -> HttpResponse:
    """Who works here; search and a role narrow it."""
    manager = manager_of(user=request.user, slug=slug)
    search = request.GET.get("search", "").replace("\x00", "").strip()[:150]
    role = request.GET.get("role", "")
    if role not in {*Membership.Role.values, roster.FORMER, roster.PAUSED}:
        role = ""
    context = project_context(manager) | {
        "page": roster.roster(
            project=manager.project, search=search, role=role, page=_number(request.GET.get("page"), 1)
        ),
        "search": search,
        "role": role,
        "roles": Membership.Role.choices,
    }
    return render(request, "labeling/cockpit/people.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def links(request: SignedInRequest, slug: str) -> HttpResponse:
    """Links that invite: made singly or from a CSV, shown in the answer to the POST and never again."""
    manager = manager_of(user=request.user, slug=slug)
    context: dict[str, Any] = project_context(manager)
    asked = request.POST.get("do")
    try:
        if asked == "link":
            made = invitations.invite(manager=manager, **_link_given(request))
            context["link"] = _address(request, made.secret)
        elif asked == "csv":
            batch = invitations.invite_many(manager=manager, text=_csv_given(request))
            lines = invitations.as_csv(batch.made, address=lambda secret: _address(request, secret))
            context |= {"batch": batch, "csv": (csv := "".join(lines)), "csv_href": quote(csv)}
        elif asked == "revoke":
            invitations.revoke(manager=manager, invitation_id=_number(request.POST.get("invitation"), 0))
            return redirect("labeling:invitations", slug=slug)
    except Invitation.DoesNotExist:
        raise Http404 from None
    except FieldError as error:
        context |= {"errors": {error.field: str(error)}, "given": request.POST, "asked": asked}
    rows = Invitation.objects.filter(project=manager.project).select_related("actor")[:MOST_LISTED]
    context |= {
        "invitations": [(row, invitations.state_of(row)) for row in rows],
        "roles": _choices(manager),
        "groups": Split.choices,
        "most_uses": invitations.MOST_USES,
        "most_days": invitations.MOST_DAYS,
        "columns": ",".join(invitations.COLUMNS),
    }
    response = render(
        request, "labeling/cockpit/invitations.html", context, status=422 if "errors" in context else 200
    )
    response["Cache-Control"] = "no-store"
    return response


@login_required
@require_http_methods(["GET", "POST"])
def person(request: SignedInRequest, slug: str, labeler_id: UUID) -> HttpResponse:
    """What one person did, and all that may be done about them."""
    manager = manager_of(user=request.user, slug=slug)
    labeler = _labeler(manager, labeler_id)
    context: dict[str, Any] = project_context(manager)
    if request.method == "POST":
        try:
            if request.POST.get("do") == "reset":
                path = passwords.reset_path(manager=manager, labeler=labeler)
                context["reset_link"] = request.build_absolute_uri(path)
            else:
                return _do(request, manager, labeler)
        except Membership.DoesNotExist:
            context["errors"] = {"": _("They are no member any more, so there is nothing to change.")}
        except FieldError as error:
            context |= {"errors": {error.field: str(error)}, "given": request.POST}
        except PermissionDenied as error:
            context["errors"] = {"": str(error)}
    record = roster.record(project=manager.project, labeler_id=labeler_id)
    member = record.person.membership
    context |= {
        "record": record,
        "person": record.person,
        "member": member,
        "may": bool(member and members.manages(manager, member)),
        "roles": _choices(manager),
        "groups": Split.choices,
        "longest": messages.LONGEST,
        "shown": BESIDE,
    }
    response = render(
        request, "labeling/cockpit/person.html", context, status=422 if "errors" in context else 200
    )
    response["Cache-Control"] = "no-store"
    return response


@login_required
@require_http_methods(["GET", "POST"])
def invalidation(request: SignedInRequest, slug: str) -> HttpResponse:
    """Take many labels out of use: first what they touch, then, with a reason, the deed."""
    manager = manager_of(user=request.user, slug=slug)
    given = request.POST if request.method == "POST" else request.GET
    context: dict[str, Any] = project_context(manager) | {"given": given}
    try:
        if given.get("labeler") or given.get("version"):
            choice = _choice(manager, given)
            if request.method == "POST":
                done = invalidate.invalidate(choice, manager=manager, reason=given.get("reason", ""))
                notices.success(request, _done(done))
                return redirect(f"{reverse('labeling:invalidate', args=[slug])}?{_asked(given)}")
            context |= {
                "choice": choice,
                "preview": invalidate.preview(choice, membership=manager),
            }
        elif request.method == "POST":
            raise InvalidateError("labeler", _("Say whose labels, or which guideline version's."))
    except FieldError as error:
        context["errors"] = {error.field: str(error)}
        if error.field == "reason":
            context |= {"choice": choice, "preview": invalidate.preview(choice, membership=manager)}
    versions = GuidelineVersion.objects.filter(guideline=manager.project.guideline_id).order_by("-number")
    context |= {
        "people": members.labelers_of(manager.project).order_by("name"),
        "versions": versions.defer("body", "criteria"),
        "kinds": Task.Kind.values,
    }
    status = 422 if "errors" in context else 200
    return render(request, "labeling/cockpit/invalidate.html", context, status=status)


def _do(request: SignedInRequest, manager: Membership, labeler: Labeler) -> HttpResponse:
    """One deed of the person's page, by the form that was sent."""
    asked, given = request.POST.get("do"), request.POST
    back = redirect("labeling:person", slug=manager.project.slug, labeler_id=labeler.pk)
    who: dict[str, Any] = {"manager": manager, "labeler": labeler}
    is_me = labeler.user_id == request.user.pk
    match asked:
        case "change":
            fields: dict[str, Any] = {
                name: given[name] for name in ("role", "group", "languages", "skills") if name in given
            }
            members.change(**who, **fields)
            notices.success(request, _("Changed."))
        case "pause" | "resume":
            members.pause(**who, paused=asked == "pause")
        case "message":
            messages.send(sender=manager, labeler=labeler, text=given.get("text", ""))
            notices.success(request, _("Sent. It waits on their first page until they have read it."))
        case "rename":
            erasure.rename(**who, name=given.get("name", ""))
        case "end":
            members.end(**who)
            notices.success(request, _("%(name)s is no member any more.") % {"name": labeler.name})
            if is_me:
                return redirect("labeling:home")
        case "erase":
            erasure.erase(**who, confirm=given.get("confirm", ""))
            notices.success(request, _("Erased. Their labels stay, under a pseudonym."))
            if is_me:
                return redirect("account_login")
        case _:
            raise Http404
    return back


def _labeler(manager: Membership, labeler_id: UUID) -> Labeler:
    try:
        return members.labelers_of(manager.project).select_related("user").get(pk=labeler_id)
    except Labeler.DoesNotExist:
        raise Http404 from None


def _choices(manager: Membership) -> list[tuple[str, str]]:
    """The roles that the manager may give, the labeler's first."""
    given = members.roles_given_by(manager)
    ordered = sorted(given, key=lambda role: role != Membership.Role.LABELER)
    return [(role, str(Membership.Role(role).label)) for role in ordered]


def _link_given(request: SignedInRequest) -> dict[str, Any]:
    given = request.POST
    fields: dict[str, Any] = {
        name: given.get(name, "") for name in ("role", "group", "languages", "skills", "name")
    }
    for name in ("most_uses", "days"):
        fields[name] = _number(given.get(name), 0)
    return fields


def _csv_given(request: SignedInRequest) -> str:
    """The pasted rows, or those of the file.

    Raises:
        MemberError: neither, or no text.
    """
    file = request.FILES.get("file")
    if file is None:
        return request.POST.get("csv", "")
    if (file.size or 0) > MOST_BYTES:
        raise MemberError("csv", _("The file is larger than 1 MB. Send it in parts."))
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MemberError("csv", _("The file is not UTF-8. Save it as CSV UTF-8.")) from None


def _address(request: SignedInRequest, secret: str) -> str:
    return request.build_absolute_uri(reverse("labeling:join", args=[secret]))


def _choice(manager: Membership, given: Any) -> invalidate.Choice:
    """The labels that a form means.

    Raises:
        InvalidateError: a field that means nothing.
    """
    labeler = version = None
    if asked := given.get("labeler"):
        try:
            labeler = members.labelers_of(manager.project).get(pk=UUID(asked))
        except (ValueError, Labeler.DoesNotExist):
            raise InvalidateError("labeler", _("There is nobody like that in this project.")) from None
    if asked := given.get("version"):
        versions = GuidelineVersion.objects.filter(guideline=manager.project.guideline_id)
        version = versions.filter(number=_number(asked, 0)).first()
        if version is None:
            raise InvalidateError("version", _("The guideline has no such version."))
    days = {name: _day(given, name) for name in ("since", "until")}
    return invalidate.Choice(labeler=labeler, version=version, kind=given.get("kind", ""), **days)


def _asked(given: Any) -> str:
    names = ("labeler", "version", "kind", "since", "until")
    return "&".join(f"{name}={quote(given[name])}" for name in names if given.get(name))


def _done(done: invalidate.Done) -> str:
    if not done.labels:
        return _("Nothing was left to do: none of these labels is in use.")
    labels = ngettext("%(n)s label is out of use.", "%(n)s labels are out of use.", done.labels)
    tasks = ngettext("%(n)s task asks again.", "%(n)s tasks ask again.", done.opened)
    return f"{labels % {'n': done.labels}} {tasks % {'n': done.opened}}"


def _day(given: Any, name: str) -> date | None:
    text = given.get(name, "")
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if text and day is None:
        raise InvalidateError(name, _("This is no day. Write it as 2026-01-31."))
    return day


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else otherwise

"""The audit log of a project, to be read, searched and taken away."""

from __future__ import annotations

from datetime import date
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from labeling.people import audit
from labeling.people.access import SignedInRequest, manager_of, project_context

ROWS = 50
FIELDS = ("actor", "action", "text", "from", "to")


@require_safe
@login_required
def log(request: SignedInRequest, slug: str) -> HttpResponse:
    """Newest first; ``before`` is the entry that the page goes on below."""
    project = (membership := manager_of(user=request.user, slug=slug)).project
    context = project_context(membership)
    asked = {name: request.GET.get(name, "").strip() for name in FIELDS}
    try:
        found = audit.entries(project=project, search=_search(asked))
    except audit.AuditError as error:
        context |= {"asked": asked, "error": error, "actions": []}
        return render(request, "labeling/cockpit/log.html", context, status=422)
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        found = found.filter(pk__lt=int(before))
    rows = list(found[: ROWS + 1])
    context |= {
        "entries": [(one, audit.facts(one)) for one in rows[:ROWS]],
        "older": rows[ROWS - 1].pk if len(rows) > ROWS else None,
        "newest": not before,
        "asked": asked,
        "narrowed": any(asked.values()),
        "query": urlencode({name: value for name, value in asked.items() if value}),
        "actions": audit.actions(project=project),
    }
    return render(request, "labeling/cockpit/log.html", context)


def _search(asked: dict[str, str]) -> audit.Search:
    days = {"since": _day(asked, "from"), "until": _day(asked, "to")}
    return audit.Search(actor=asked["actor"], action=asked["action"], text=asked["text"], **days)


def _day(asked: dict[str, str], field: str) -> date | None:
    """The day of a field; an empty one names none.

    Raises:
        audit.AuditError: it is no day.
    """
    if not asked[field]:
        return None
    try:
        day = parse_date(asked[field])
    except ValueError:
        day = None
    if day is None:
        raise audit.AuditError(field, _("Give a day as year-month-day, such as 2026-03-31."))
    return day

"""What is told when a request fails: a plain page to people, a problem document under `/api/`."""

import errno
import sys
from http import HTTPStatus

import psycopg
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from psycopg.errors import DiskFull

DETAILS = {
    400: _("The request was not understood."),
    403: _("You may not do this."),
    404: _("There is nothing at this address."),
    500: _("Something went wrong on our side. Nothing you had submitted is lost."),
    503: _("The database is not answering. Nothing you had submitted is lost; try again in a moment."),
    507: _("The server's disk is full. Nothing you had submitted is lost; new work cannot be stored now."),
}


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 403, str(exception or ""))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 404)


def csrf_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _answer(
        request,
        403,
        str(_("This form was open for too long, or in another sign-in. Reload the page and send it again.")),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """The last resort: tells an absent database and a full disk from a fault of ours."""
    return _answer(request, status_of(sys.exc_info()[1]))


def status_of(error: BaseException | None) -> int:
    """507 where the disk is full, 503 where the database is away, 500 for anything else."""
    while error:
        if isinstance(error, DiskFull) or isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return 507
        if isinstance(
            error, psycopg.OperationalError | psycopg.InterfaceError | OperationalError | InterfaceError
        ):
            state = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)
            # No state: the connection itself failed. Class 08, 57P: lost, shut down. 53: out of connections.
            if state is None or state[:2] in {"08", "53"} or state[:3] == "57P":
                return 507 if state == DiskFull.sqlstate else 503
        error = error.__cause__ or error.__context__
    return 500


def _answer(request: HttpRequest, status: int, detail: str = "") -> HttpResponse:
    title, detail = HTTPStatus(status).phrase, detail or str(DETAILS[status])
    headers = {"Retry-After": "5"} if status == 503 else {}
    if request.path.startswith(("/api/", "/healthz")):
        body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        return JsonResponse(body, status=status, headers=headers, content_type="application/problem+json")
    # A page for a person in trouble needs no database: it renders without the request.
    template = "error.html" if status < 500 else "error_standalone.html"
    context = {"status": status, "title": title, "detail": detail}
    page = render_to_string(template, context, request if status < 500 else None)
    return HttpResponse(page, status=status, headers=headers)

"""Failures of the API as problem documents (RFC 9457), so that a program can tell them apart and mend them.

``{"type", "title", "status", "detail", "errors": [{"field", "message"}]}``; a domain error that carries a
``field`` is bad input, and others are listed in `_CONFLICTS`, to which an app above adds its own; what an
error has as ``more`` is added to its document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from guidelines import drafts
from guidelines.publish import Overtaken
from labeling.annotate import Conflict, StaleDraft
from labeling.fit import Paused
from labeling.people.invitations import LinkOver
from labeling.qualification.answered import Explained
from labeling.qualification.door import Shut
from labeling.queue import LeaseLost
from labeling.reviewing.reviews import Settled
from labeling.unread import Unread
from labeling.writing.conversations import Closed, TakenBack

MEDIA_TYPE = "application/problem+json"
BAD_INPUT = "urn:tutelage:bad-input"

_CONFLICTS: dict[type[Exception], str] = {
    StaleDraft: "urn:tutelage:stale-draft",
    LeaseLost: "urn:tutelage:lease-over",
    Paused: "urn:tutelage:paused",
    LinkOver: "urn:tutelage:link-over",
    Conflict: "urn:tutelage:conflict",
    drafts.StaleDraft: "urn:tutelage:stale-draft",
    Overtaken: "urn:tutelage:overtaken",
    Unread: "urn:tutelage:unread-guideline",
    Settled: "urn:tutelage:settled",
    Shut: "urn:tutelage:qualification",
    Explained: "urn:tutelage:explained",
    TakenBack: "urn:tutelage:taken-back",
    Closed: "urn:tutelage:conversation-closed",
}


class TooLarge(exceptions.APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request is too large."


def register_conflict(error: type[Exception], name: str) -> None:
    """Answer ``error`` with 409 and the type ``urn:tutelage:<name>``; its message is the detail."""
    _CONFLICTS[error] = f"urn:tutelage:{name}"


def problem_document(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """The problem document for ``error``; None for a fault of ours, which `handler500` words and logs."""
    problem = _problem(error)
    if problem is None:
        return None
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return Response(problem, status=problem["status"], headers=headers, content_type=MEDIA_TYPE)


def _problem(error: Exception) -> dict[str, Any] | None:
    for kind, name in _CONFLICTS.items():
        if isinstance(error, kind):
            return _document(HTTPStatus.CONFLICT, str(error), type=name) | getattr(error, "more", {})
    if isinstance(error, ValueError) and hasattr(error, "field"):
        return _bad_input([{"field": error.field, "message": str(error)}])
    if isinstance(error, exceptions.ValidationError):
        return _bad_input(list(_flat(error.detail)))
    if isinstance(error, exceptions.APIException):
        return _document(HTTPStatus(error.status_code), str(error.detail))
    if isinstance(error, ObjectDoesNotExist):
        noun = type(error).__qualname__.split(".")[0].lower()
        return _document(HTTPStatus.NOT_FOUND, f"There is no such {noun}, or it is not yours to see.")
    if isinstance(error, Http404):
        return _document(HTTPStatus.NOT_FOUND, "There is nothing at this address, or it is not yours to see.")
    if isinstance(error, PermissionDenied):
        return _document(HTTPStatus.FORBIDDEN, str(error) or "You may not do this.")
    return None


def _bad_input(errors: list[dict[str, str]]) -> dict[str, Any]:
    detail = " ".join(
        f"{one['field']}: {one['message']}" if one["field"] else one["message"] for one in errors
    )
    return _document(HTTPStatus.BAD_REQUEST, detail, type=BAD_INPUT) | {"errors": errors}


def _document(status: HTTPStatus, detail: str, *, type: str = "about:blank") -> dict[str, Any]:
    return {"type": type, "title": status.phrase, "status": status.value, "detail": detail}


def _flat(detail: Any, field: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested lists and dicts of messages, one entry a message, with the path of its field."""
    if isinstance(detail, dict):
        for key, part in detail.items():
            inner = field if key == "non_field_errors" else f"{field}.{key}" if field else str(key)
            yield from _flat(part, inner)
    elif isinstance(detail, list):
        for part in detail:
            yield from _flat(part, field)
    else:
        yield {"field": field, "message": str(detail)}

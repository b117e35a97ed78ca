"""Who may open a project's pages: its members. To anybody else it does not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from labeling.models import Event, Membership, Project, Task


class SignedInRequest(HttpRequest):
    """What a view behind ``login_required`` gets."""

    user: User


def membership_of(*, user: User | AnonymousUser, slug: str) -> Membership:
    """Return the membership of ``user`` in the project ``slug``; a superuser counts as its owner.

    Raises:
        Http404: no such project, or none that this user may know of.
    """
    memberships = Membership.objects.select_related("project__guideline").filter(project__slug=slug)
    if membership := memberships.filter(user_id=user.pk).first():
        return membership
    project = (
        Project.objects.select_related("guideline").filter(slug=slug).first() if user.is_superuser else None
    )
    if project is None:
        raise Http404
    return Membership(project=project, user_id=user.pk, role=Membership.Role.OWNER)


def manager_of(*, user: User | AnonymousUser, slug: str) -> Membership:
    """Return the membership of somebody who manages the project ``slug``.

    Raises:
        Http404: as `membership_of`.
        PermissionDenied: a member who is neither its owner nor an admin.
    """
    membership = membership_of(user=user, slug=slug)
    if not membership.manages:
        raise PermissionDenied("Only an owner or admin of the project may do this.")
    return membership


def reviewer_of(*, user: User | AnonymousUser, slug: str) -> Membership:
    """Return the membership of somebody who judges the work of others in the project ``slug``.

    Raises:
        Http404: as `membership_of`.
        PermissionDenied: a member who is no reviewer, admin or owner.
    """
    membership = membership_of(user=user, slug=slug)
    if not membership.reviews:
        raise PermissionDenied("Only a reviewer, admin or owner of the project may do this.")
    return membership


def kinds_for(membership: Membership, asked: Sequence[str] | None = None) -> list[str]:
    """The kinds of task that a member may be given: those ``asked`` for, or all.

    Raises:
        PermissionDenied: only reviews are asked for, by somebody who does not review.
    """
    kinds = [kind for kind in asked or Task.Kind.values if kind != Task.Kind.REVIEW or membership.reviews]
    if not kinds:
        raise PermissionDenied("Only a reviewer, admin or owner of the project reviews the labels of others.")
    return kinds


def project_context(membership: Membership) -> dict[str, Any]:
    """What `base.html` wants of a project's page; read it before the page's own queries.

    ``live_since`` is the newest event at that moment, so that the page's socket misses none after it.
    """
    newest = (
        Event.objects.filter(project=membership.project).order_by("-id").values_list("id", flat=True).first()
    )
    return {"project": membership.project, "membership": membership, "live_since": newest or 0}

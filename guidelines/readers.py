"""Who reads a guideline: members of the projects that use it. Who publishes it: those who manage them all.

Guidelines import nobody: projects and memberships are reached through the relations that point here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext as _

from guidelines.models import Guideline


@dataclass(frozen=True, slots=True)
class Reading:
    """A guideline as one person meets it: within the first of their projects that use it."""

    guideline: Guideline
    project: Any
    membership: Any
    may_publish: bool


def read(*, user: User | AnonymousUser, slug: str) -> Reading:
    """Find a guideline for somebody.

    Raises:
        Http404: no such guideline, or none that this user may know of.
    """
    guideline = Guideline.objects.filter(slug=slug).first()
    if guideline is None:
        raise Http404
    projects = guideline.projects.order_by("pk")
    mine = [
        each.memberships.model(project=each, user_id=user.pk, role="owner")
        if user.is_superuser
        else each.memberships.filter(user_id=user.pk).first()
        for each in projects
    ]
    if not user.is_superuser and not any(mine):
        raise Http404
    membership = next(filter(None, mine), None)
    return Reading(
        guideline=guideline,
        project=membership.project if membership else None,
        membership=membership,
        may_publish=all(each and each.manages for each in mine),
    )


def read_to_publish(*, user: User | AnonymousUser, slug: str) -> Reading:
    """Find a guideline for somebody who will publish its next version.

    Raises:
        Http404: as `read`.
        PermissionDenied: it is not theirs to publish.
    """
    reading = read(user=user, slug=slug)
    if not reading.may_publish:
        raise PermissionDenied(_("Only those who manage every project under this guideline may publish it."))
    return reading

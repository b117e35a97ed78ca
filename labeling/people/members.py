"""Members: who may do what to whom; change, pause and end a membership.

An owner manages everybody; an admin those who neither own nor administer the project. Nobody gives a role
that they could not manage. Locks are taken in one order: memberships, then the labeler, leases and tasks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from labeling import fit, live, queue
from labeling.content.texts import unstorable
from labeling.faults import FieldError
from labeling.models import Annotation, Invitation, Labeler, Membership, Project, Split
from labeling.people import audit

LONGEST = {"languages": 35, "skills": 60}
MOST_EACH = 50
RUNNING = (Membership.Role.OWNER, Membership.Role.ADMIN)
_BETWEEN = re.compile(r"[,;\n]")


class MemberError(FieldError):
    """A change to a member that cannot be; ``field`` names what to mend."""


def roles_given_by(manager: Membership) -> list[str]:
    """The roles that somebody may give to others, and take from them, lowest first."""
    if manager.role == Membership.Role.OWNER:
        given = list(Membership.Role)
    elif manager.role == Membership.Role.ADMIN:
        given = [role for role in Membership.Role if role not in RUNNING]
    else:
        given = []
    return [role.value for role in reversed(given)]


def check_role(manager: Membership, role: str) -> None:
    """Make sure that ``manager`` may give ``role``.

    Raises:
        MemberError: no such role, or one that is not theirs to give.
    """
    given = roles_given_by(manager)
    if role not in Membership.Role.values:
        raise MemberError("role", f"There is no role {role!r:.40}. Choose from {', '.join(given)}.")
    if role not in given:
        raise MemberError("role", f"Only an owner gives the role {role}. Choose from {', '.join(given)}.")


def check_group(group: str) -> None:
    """Make sure that there is such a group.

    Raises:
        MemberError: there is none.
    """
    if group not in Split.values:
        raise MemberError("group", f"There is no group {group!r:.40}. Choose from {', '.join(Split.values)}.")


def words(given: str | Iterable[str], *, field: str) -> list[str]:
    """Languages or skills, from a list or a text with commas: in small letters, each once.

    Raises:
        MemberError: too many, or one that is too long or cannot be stored.
    """
    parts = _BETWEEN.split(given) if isinstance(given, str) else list(given)
    cleaned = list(dict.fromkeys(part.strip().lower() for part in parts if part.strip()))
    if len(cleaned) > MOST_EACH:
        raise MemberError(field, f"There are {len(cleaned)}; the most is {MOST_EACH}.")
    for word in cleaned:
        if len(word) > LONGEST[field]:
            raise MemberError(field, f"{word[:40]!r} is longer than {LONGEST[field]} characters.")
        if fault := unstorable(word):
            raise MemberError(field, fault)
    return cleaned


def manages(manager: Membership, member: Membership) -> bool:
    """Whether ``manager`` may change, pause and end ``member``."""
    return member.role in roles_given_by(manager)


def found(*, manager: Membership, labeler: Labeler) -> Membership:
    """The membership of ``labeler`` in the manager's project.

    Raises:
        Membership.DoesNotExist: they are not, or no longer, a member.
        PermissionDenied: it is not the manager's to change.
    """
    return _checked(manager, Membership.objects.select_related("user").get(**_whose(manager, labeler)))


def change(
    *,
    manager: Membership,
    labeler: Labeler,
    role: str | None = None,
    group: str | None = None,
    languages: str | Iterable[str] | None = None,
    skills: str | Iterable[str] | None = None,
) -> Membership:
    """Change what is given of a membership. A new group holds for future labels: those there keep theirs.

    Raises:
        Membership.DoesNotExist, PermissionDenied: as `found`.
        MemberError: an unknown value, a role that is not the manager's to give, or the last owner's role.
    """
    wanted: dict[str, Any] = {}
    if role is not None:
        check_role(manager, role)
        wanted["role"] = role
    if group is not None:
        check_group(group)
        wanted["group"] = group
    if languages is not None:
        wanted["languages"] = words(languages, field="languages")
    if skills is not None:
        wanted["skills"] = words(skills, field="skills")
    with transaction.atomic():
        member = _locked(manager, labeler)
        changes = {
            name: [getattr(member, name), value]
            for name, value in wanted.items()
            if getattr(member, name) != value
        }
        if not changes:
            return member
        if "role" in changes:
            check_owned(member, field="role")
            if role not in RUNNING:
                _revoke_links(member)
        for name, (_, value) in changes.items():
            setattr(member, name, value)
        member.save(update_fields=list(changes))
        _record(manager, "member.change", labeler, changes=changes)
        live.announce(project=manager.project, event="member", told=[str(labeler.pk)])
    return member


def pause(*, manager: Membership, labeler: Labeler, paused: bool) -> Membership:
    """Hand somebody no more tasks, or again; what they have open they may finish. Twice is once.

    Raises:
        Membership.DoesNotExist, PermissionDenied: as `found`.
    """
    with transaction.atomic():
        member = _locked(manager, labeler)
        if member.paused != paused:
            member.paused = paused
            member.save(update_fields=["paused"])
            _record(manager, "member.pause" if paused else "member.resume", labeler)
            live.announce(project=manager.project, event="member", told=[str(labeler.pk)])
    return member


def end(*, manager: Membership, labeler: Labeler) -> int:
    """End a membership and return how many leases were given back. Labels stay, and so do drafts.

    Links that the member made to invite others are revoked with it, or they could let themselves in again.

    Raises:
        Membership.DoesNotExist, PermissionDenied: as `found`.
        MemberError: they are the last owner.
    """
    with transaction.atomic():
        member = _locked(manager, labeler)
        check_owned(member, field="member")
        fit.lock(labeler, manager.project)
        _revoke_links(member)
        member.delete()
        _record(manager, "member.end", labeler, role=member.role)
        given_back = queue.take_back(labeler=labeler, project=manager.project)
        live.announce(project=manager.project, event="member", told=[str(labeler.pk)])
    return given_back


def labelers_of(project: Project) -> Any:
    """Who is a member or left labels here: the people that its pages may name."""
    here = Annotation.objects.filter(task__project=project).values("labeler")
    return Labeler.objects.filter(Q(user__memberships__project=project) | Q(pk__in=here)).distinct()


def _whose(manager: Membership, labeler: Labeler) -> dict[str, Any]:
    if labeler.user_id is None:
        raise Membership.DoesNotExist
    return {"project": manager.project, "user": labeler.user_id}


def _locked(manager: Membership, labeler: Labeler) -> Membership:
    """The membership, locked along with those of all owners, so that two never leave none."""
    whose = _whose(manager, labeler)
    rows = (
        Membership.objects.select_for_update()
        .filter(Q(role=Membership.Role.OWNER) | Q(user=whose["user"]), project=manager.project)
        .order_by("pk")
    )
    member = next((row for row in rows if row.user_id == whose["user"]), None)
    if member is None:
        raise Membership.DoesNotExist
    return _checked(manager, member)


def _checked(manager: Membership, member: Membership) -> Membership:
    if not manages(manager, member):
        raise PermissionDenied("Only an owner of the project may do this to its owners and admins.")
    return member


def check_owned(member: Membership, *, field: str) -> None:
    """Make sure that somebody else owns the project too, where ``member`` does. Call with the rows locked.

    Raises:
        MemberError: they are its last owner.
    """
    if member.role != Membership.Role.OWNER:
        return
    others = Membership.objects.filter(project=member.project_id, role=Membership.Role.OWNER)
    if not others.exclude(pk=member.pk).exists():
        raise MemberError(field, "They are the project's last owner. Make somebody else an owner first.")


def _revoke_links(member: Membership) -> None:
    theirs = Invitation.objects.filter(project=member.project_id, actor=member.user_id, revoked_at=None)
    theirs.update(revoked_at=timezone.now())


def _record(manager: Membership, action: str, labeler: Labeler, **detail: Any) -> None:
    audit.record(
        actor=manager.user,
        action=action,
        target=f"labeler {labeler.name}",
        project=manager.project,
        labeler=str(labeler.pk),
        **detail,
    )

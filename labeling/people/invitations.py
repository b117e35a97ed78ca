"""Invitations: links that make whoever opens one a member, singly or for a list of people at once.

A link holds 256 random bits and is shown once; the database keeps its sha256. What a link allows is checked
with its row locked, so that no more people use it than it is for.
"""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from labeling import live
from labeling.content import csv_text
from labeling.content.texts import unstorable
from labeling.models import Invitation, Membership, Split
from labeling.people import audit, members
from labeling.people.members import MemberError
from labeling.people.projects import labeler_for

MOST_USES = 1000
MOST_DAYS = 365
MOST_ROWS = 2000
LONGEST_NAME = 150
DAYS = 14
COLUMNS = ("name", "role", "group", "languages", "skills")
_PREFIX = 6


class State(StrEnum):
    """What a link is good for now."""

    OPEN = "open"
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"


class LinkOver(Exception):
    """The link makes no more members; ``state`` says why, the message what to do."""

    def __init__(self, state: State) -> None:
        whys = {
            State.USED: "This link was used by as many people as it was for.",
            State.EXPIRED: "This link has expired.",
            State.REVOKED: "This link was revoked.",
        }
        super().__init__(f"{whys[state]} Ask whoever sent it for a new one.")
        self.state = state


@dataclass(frozen=True)
class Made:
    """An invitation with its secret, which cannot be read again."""

    invitation: Invitation
    secret: str


@dataclass(frozen=True)
class Batch:
    """What came of a list of people: links, and the rows that were refused with the field and why."""

    made: list[Made] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)


def state_of(invitation: Invitation) -> State:
    if invitation.revoked_at:
        return State.REVOKED
    if invitation.uses >= invitation.most_uses:
        return State.USED
    return State.EXPIRED if invitation.expires_at <= timezone.now() else State.OPEN


def invite(
    *,
    manager: Membership,
    role: str = Membership.Role.LABELER,
    group: str = Split.TRAIN,
    languages: str | Iterable[str] = (),
    skills: str | Iterable[str] = (),
    most_uses: int = 1,
    days: int = DAYS,
    name: str = "",
) -> Made:
    """Make a link for up to ``most_uses`` people and ``days`` days.

    Raises:
        MemberError: a value out of bounds, or a role that is not the manager's to give.
    """
    made = _new(
        manager,
        {"role": role, "group": group, "languages": languages, "skills": skills, "name": name},
        most_uses=most_uses,
        days=days,
    )
    with transaction.atomic():
        made.invitation.save(force_insert=True)
        audit.record(
            actor=manager.user,
            action="invitation.make",
            target=f"invitation {made.invitation.prefix}…",
            project=manager.project,
            invitation=made.invitation.pk,
            role=role,
            group=group,
            most_uses=most_uses,
        )
    return made


def invite_many(*, manager: Membership, text: str, days: int = DAYS) -> Batch:
    """Make a link for each row of a CSV with `COLUMNS`, of which only ``name`` has to be there.

    Rows that cannot be are refused with their line, and the others are made.

    Raises:
        MemberError: no CSV with such columns, no rows at all, or too many.
    """
    batch = Batch()
    for number, cells, fault in _rows(text):
        try:
            if fault:
                raise MemberError("row", fault)
            batch.made.append(_new(manager, _filled(cells), most_uses=1, days=days))
        except MemberError as error:
            batch.refused.append({"row": number, "field": error.field, "reason": str(error)})
    if not batch.made and not batch.refused:
        raise MemberError("csv", "There are no rows under the header. Give one line a person.")
    if batch.made:
        with transaction.atomic():
            Invitation.objects.bulk_create([one.invitation for one in batch.made])
            audit.record(
                actor=manager.user,
                action="invitation.make",
                target=f"{len(batch.made)} invitations",
                project=manager.project,
                invitations=[batch.made[0].invitation.pk, batch.made[-1].invitation.pk],
                refused=len(batch.refused),
            )
    return batch


def find(secret: str) -> Invitation:
    """The invitation of a link, whatever its state.

    Raises:
        Invitation.DoesNotExist: there is none.
    """
    return Invitation.objects.select_related("project__guideline").get(digest=_digest(secret))


def accept(*, secret: str, user: User) -> Membership:
    """Make ``user`` a member as the link says. Who is one already stays as they are, and uses nothing up.

    Raises:
        Invitation.DoesNotExist: there is no such link.
        LinkOver: it is used up, expired or revoked.
    """
    with transaction.atomic():
        locked = Invitation.objects.select_for_update(of=("self",)).select_related("project")
        invitation = locked.get(digest=_digest(secret))
        project = invitation.project
        labeler = labeler_for(user)
        there = Membership.objects.select_related("project").filter(project=project, user=user).first()
        if there:
            return there
        if (state := state_of(invitation)) != State.OPEN:
            raise LinkOver(state)
        member = Membership.objects.create(
            project=project,
            user=user,
            role=invitation.role,
            group=invitation.group,
            languages=invitation.languages,
            skills=invitation.skills,
        )
        Invitation.objects.filter(pk=invitation.pk).update(uses=F("uses") + 1)
        audit.record(
            actor=user,
            action="invitation.accept",
            target=f"invitation {invitation.prefix}…",
            project=project,
            invitation=invitation.pk,
            role=member.role,
        )
        live.announce(project=project, event="member", told=[str(labeler.pk)])
    return member


def revoke(*, manager: Membership, invitation_id: int) -> Invitation:
    """End a link; one that has ended already stays as it is.

    Raises:
        Invitation.DoesNotExist: none of the manager's project.
    """
    with transaction.atomic():
        locked = Invitation.objects.select_for_update()
        invitation = locked.get(pk=invitation_id, project=manager.project)
        if state_of(invitation) == State.OPEN:
            invitation.revoked_at = timezone.now()
            invitation.save(update_fields=["revoked_at"])
            audit.record(
                actor=manager.user,
                action="invitation.revoke",
                target=f"invitation {invitation.prefix}…",
                project=manager.project,
                invitation=invitation.pk,
            )
    return invitation


def as_csv(made: Iterable[Made], *, address: Callable[[str], str]) -> Iterator[str]:
    """The columns that came in with a link for each person, a line at a time.

    Args:
        address: gives the link to a secret.
    """
    yield csv_text.line((*COLUMNS, "link"))
    for one in made:
        invitation = one.invitation
        texts = (
            invitation.name,
            invitation.role,
            invitation.group,
            "; ".join(invitation.languages),
            "; ".join(invitation.skills),
        )
        yield csv_text.line((*map(csv_text.cell, texts), address(one.secret)))


def _new(manager: Membership, given: dict[str, Any], *, most_uses: int, days: int) -> Made:
    """An invitation that is not saved yet.

    Raises:
        MemberError: as `invite`.
    """
    members.check_role(manager, given["role"])
    members.check_group(given["group"])
    name = given["name"].strip()
    if len(name) > LONGEST_NAME:
        raise MemberError("name", f"The name is longer than {LONGEST_NAME} characters.")
    if fault := unstorable(name):
        raise MemberError("name", fault)
    if not 1 <= most_uses <= MOST_USES:
        raise MemberError("most_uses", f"A link is for 1 to {MOST_USES:,} people.")
    if not 1 <= days <= MOST_DAYS:
        raise MemberError("days", f"A link lasts for 1 to {MOST_DAYS} days.")
    secret = secrets.token_urlsafe(32)
    invitation = Invitation(
        project=manager.project,
        digest=_digest(secret),
        prefix=secret[:_PREFIX],
        name=name,
        role=given["role"],
        group=given["group"],
        languages=members.words(given["languages"], field="languages"),
        skills=members.words(given["skills"], field="skills"),
        most_uses=most_uses,
        expires_at=timezone.now() + timedelta(days=days),
        actor=manager.user,
    )
    return Made(invitation, secret)


def _rows(text: str) -> list[tuple[int, dict[str, str], str]]:
    """The rows of a CSV with the line of each, and why one cannot be read.

    Raises:
        MemberError: as `invite_many`.
    """
    if fault := unstorable(text):
        raise MemberError("csv", fault)
    records = _records(text.removeprefix("\ufeff"))
    _, header, fault = next(records, (1, [], ""))
    named = [cell.strip().lower() for cell in header]
    known = ", ".join(COLUMNS)
    if fault or "name" not in named:
        raise MemberError("csv", fault or f"The first line has to name the columns: {known}.")
    if unknown := [cell for cell in named if cell not in COLUMNS]:
        raise MemberError("csv", f"There is no column {unknown[0][:40]!r}. There are: {known}.")
    if len(set(named)) < len(named):
        raise MemberError("csv", "The first line names a column twice.")
    rows: list[tuple[int, dict[str, str], str]] = []
    for number, cells, fault in records:
        if len(rows) == MOST_ROWS:
            raise MemberError("csv", f"There are more than {MOST_ROWS:,} rows. Send them in parts.")
        if len(cells) > len(named):
            fault = f"It has {len(cells)} cells where the first line names {len(named)} columns."
        rows.append((number, dict(zip(named, cells, strict=False)), fault))
    return rows


def _records(text: str) -> Iterator[tuple[int, list[str], str]]:
    """The records of a CSV that are not empty, with the line of each, and why one cannot be read."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            if record := next(reader):
                yield number, record, ""
        except StopIteration:
            return
        except csv.Error as error:
            yield number, [], f"Not CSV: {error}."


def _filled(cells: dict[str, str]) -> dict[str, Any]:
    """A row with what its empty cells stand for."""
    if not cells.get("name", "").strip():
        raise MemberError("name", "Say whom the link is for.")
    return {
        "name": cells["name"],
        "role": cells.get("role", "").strip().lower() or Membership.Role.LABELER,
        "group": cells.get("group", "").strip().lower() or Split.TRAIN,
        "languages": cells.get("languages", ""),
        "skills": cells.get("skills", ""),
    }


def _digest(secret: str) -> str:
    # Random through and through, so one plain hash of it is as good as a slow one.
    return hashlib.sha256(secret.encode()).hexdigest()

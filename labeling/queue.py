"""The queue: hand out tasks, keep leases alive, take them back.

`Task.taken` counts live leases and counted labels on the very row that is locked, because a count over
other tables is read from a snapshot older than a rival's commit and over-assigns (measured: 250 of 100,000).
Locks are taken in one order everywhere: labeler, lease, task. A slot belongs to a labeler rather than to
one of their leases: where an expired lease was followed by a newer one on the same task, either may use it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, connection, transaction
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from labeling import live, unread
from labeling.fit import MAY_TAKE, Fit, Paused, lock
from labeling.models import Draft, GoldLabel, Labeler, Lease, Membership, Project, Task
from labeling.qualification import copies, door

WARNING = timedelta(seconds=60)  # before a lease runs out
MOST_TOLD = 100  # leases in one notice, which has to stay below a notice's size
MOST_OPEN = 2  # of a kind: the task on screen and the one fetched ahead

# One head for each kind, then the best of the heads: the partial index serves every branch in order.
# "no key": a row on which a rival's label hangs its foreign key is not busy.
_TAKE = f"""
update labeling_task set taken = taken + 1
where id = (
    select head.id from unnest(%(kinds)s::text[]) as wanted_kind
    cross join lateral (
        select task.id, task.priority from labeling_task task
        where task.project_id = %(project)s and task.kind = wanted_kind
          and task.state = 'open' and task.taken < task.wanted {MAY_TAKE}
        order by task.priority desc, task.id
        limit 1 for no key update of task {{busy}}
    ) head
    order by head.priority desc, head.id limit 1
)
returning id, guideline_version_id,
    array(select candidate.id from labeling_candidate candidate
          where candidate.task_id = labeling_task.id order by candidate.position)
"""

# A lease or a task that is busy is left to the next sweep, so that a sweep waits for nobody.
_SWEEP = """
with overdue as (
    select lease.id, lease.task_id, task.project_id
    from labeling_lease lease join labeling_task task on task.id = lease.task_id
    where lease.state = 'open' and lease.expires_at < %(now)s
    order by lease.expires_at limit 1000 for no key update of lease, task skip locked
), closed as (
    update labeling_lease set state = 'expired', closed_at = %(now)s from overdue
    where labeling_lease.id = overdue.id
    returning labeling_lease.id, labeling_lease.task_id, overdue.project_id
), freed as (
    update labeling_task set taken = taken - given.n
    from (select task_id, count(*) as n from closed group by task_id) given
    where labeling_task.id = given.task_id
)
select project_id, id from closed
"""


class LeaseLost(Exception):
    """The lease is over; the message says why. Its draft is kept, and a submit is still accepted."""


def lease_next(
    *,
    labeler: Labeler,
    project: Project,
    kinds: Sequence[str] = tuple(Task.Kind.values),
    prefetch: bool = False,
) -> Lease | None:
    """Return the task that ``labeler`` works on next, or None when nothing waits.

    The labeler's own open lease comes first, renewed; with ``prefetch`` a further one is taken, up to
    `MOST_OPEN` in all. Skipped and submitted tasks never come back; an expired one may, with its draft.
    Who is qualifying gets the questions of that and nothing else.

    Raises:
        Paused: they are paused in the project, and have nothing open there.
        unread.Unread: they have a guideline version to read first, and nothing open.
        door.Shut: they have to qualify first, and have nothing open.
    """
    with transaction.atomic():
        # Two tabs of one person must not take the same task: they queue up here.
        fit = lock(labeler, project)
        # Locked, or a sweep or a submit could close the lease that is being handed out again.
        mine = list(
            Lease.objects.select_for_update(of=("self",), no_key=True)
            .filter(labeler=labeler, state=Lease.State.OPEN, task__project=project, task__kind__in=kinds)
            .exclude(task__gold__use=GoldLabel.Use.PRACTICE)
            .order_by("opened_at")
        )
        if mine and not (prefetch and len(mine) < MOST_OPEN):
            # A prefetch at the limit answers with the one fetched ahead, never the one on screen.
            lease = mine[-1] if prefetch else mine[0]
            lease.expires_at = timezone.now() + timedelta(seconds=project.lease_seconds)
            lease.save(update_fields=["expires_at"])
            return lease
        if fit.paused and not mine:
            raise Paused
        if fit.unread and not mine:
            raise unread.Unread(project)
        if project.paused or fit.paused or fit.unread:
            return None
        try:
            attempt = door.enter(project=project, labeler=labeler)
        except door.Shut:
            if mine:
                return None
            raise
        if attempt:
            taken = copies.next_of(attempt=attempt, labeler=labeler, kinds=kinds)
            if taken is None and not mine:
                # Its last questions are of other kinds, or in another tab: the door says so.
                door.stop(project=project, labeler=labeler)
        else:
            taken = _take(labeler=labeler, project=project, kinds=kinds, fit=fit)
            if taken and copies.is_drawn(project.gold_rate):
                taken = _gold_instead(taken, labeler=labeler, project=project)
        if taken is None:
            return None
        return hand_out(taken, labeler=labeler, project=project)


def hand_out(taken: copies.Taken, *, labeler: Labeler, project: Project) -> Lease:
    """Lease a task that was claimed just now. Call inside a transaction that locked the labeler."""
    task_id, version_id, candidates = taken
    # In this labeler's own order: the same each time, different for each person.
    random.Random(f"{task_id}:{labeler.pk}").shuffle(candidates)
    now = timezone.now()
    return Lease.objects.create(
        task_id=task_id,
        labeler=labeler,
        guideline_version_id=version_id,
        shown_order=candidates,
        opened_at=now,
        expires_at=now + timedelta(seconds=project.lease_seconds),
    )


def lease_task(*, task: Task, labeler: Labeler) -> Lease | None:
    """Lease this very task, or renew the labeler's lease; None where it is full or they are done with it.

    Call inside a transaction that locked the labeler. Only for what follows from their own work: the queue
    hands out all else.
    """
    now = timezone.now()
    expires_at = now + timedelta(seconds=task.project.lease_seconds)
    theirs = Lease.objects.filter(task=task, labeler=labeler)
    if lease := theirs.filter(state=Lease.State.OPEN).select_for_update(no_key=True).first():
        lease.expires_at = expires_at
        lease.save(update_fields=["expires_at"])
        return lease
    settled = theirs.filter(state__in=[Lease.State.SUBMITTED, Lease.State.SKIPPED]).exists()
    if settled or not take_slot(task=task):
        return None
    return Lease.objects.create(
        task=task,
        labeler=labeler,
        guideline_version_id=task.guideline_version_id,
        opened_at=now,
        expires_at=expires_at,
    )


def own(*, lease_id: UUID, labeler: Labeler) -> Lease:
    """Return the labeler's lease, locked, with its task, project and prompt. Call inside a transaction.

    Its ``labeler_group`` is the labeler's group in the project, None where they are no member.

    Raises:
        Lease.DoesNotExist: no such lease of this labeler, or its project is no longer theirs to see.
    """
    member = Membership.objects.filter(project=OuterRef("task__project"), user=labeler.user_id)
    return (
        Lease.objects.annotate(labeler_group=Subquery(member.values("group")[:1]))
        .select_for_update(of=("self",), no_key=True)
        .select_related("task__project", "task__prompt", "task__reviewed")
        .filter(task__project__in=Project.objects.visible_to(labeler.user or AnonymousUser()))
        .get(pk=lease_id, labeler=labeler)
    )


def found(*, lease_id: UUID, labeler: Labeler) -> Lease:
    """The labeler's lease, to be looked at.

    Raises:
        Lease.DoesNotExist: as `own`.
    """
    visible = Project.objects.visible_to(labeler.user or AnonymousUser())
    return Lease.objects.get(pk=lease_id, labeler=labeler, task__project__in=visible)


def renew(*, lease_id: UUID, labeler: Labeler, active_seconds: float | None = None) -> Lease:
    """Keep a lease alive (the page's heartbeat); an expired one is taken up again while its task has room.

    Args:
        active_seconds: time with activity on this task so far, in seconds; it never counts back.

    Raises:
        Lease.DoesNotExist: as `own`.
        LeaseLost: the task is full by now, or the labeler is done with it.
    """
    now = timezone.now()
    with transaction.atomic():
        lease = own(lease_id=lease_id, labeler=labeler)
        if is_settled(lease=lease):
            raise LeaseLost("You are done with this task. Ask for the next one.")
        if not (holds_slot(lease=lease) or take_slot(task=lease.task)):
            raise LeaseLost("This lease ran out and others took the task. You may still submit your answer.")
        lease.state, lease.closed_at = Lease.State.OPEN, None
        lease.expires_at = now + timedelta(seconds=lease.task.project.lease_seconds)
        lease.active_seconds = max(lease.active_seconds, active_seconds or 0)
        if active_seconds and lease.first_action_at is None:
            lease.first_action_at = now
        lease.save(update_fields=["state", "closed_at", "expires_at", "active_seconds", "first_action_at"])
    return lease


def skip(*, lease_id: UUID, labeler: Labeler, reason: str = "") -> Lease:
    """Give a task back for good; it never counts against the labeler. Skipping twice is skipping once.

    Raises:
        Lease.DoesNotExist: as `own`.
        LeaseLost: the labeler submitted this task, or skipped it through another lease.
    """
    try:
        with transaction.atomic():
            lease = own(lease_id=lease_id, labeler=labeler)
            if lease.state == Lease.State.SKIPPED:
                return lease
            if lease.state == Lease.State.SUBMITTED:
                raise LeaseLost("You submitted this task already. Revise your label instead.")
            if (lease.task.gold or {}).get("attempt"):
                raise LeaseLost("This is a question of your qualification. Answer it as well as you can.")
            if holds_slot(lease=lease):
                give_back_slot(task=lease.task)
            lease.state, lease.skip_reason, lease.closed_at = Lease.State.SKIPPED, reason, timezone.now()
            lease.save(update_fields=["state", "skip_reason", "closed_at"])
            Draft.objects.filter(task_id=lease.task_id, labeler=labeler).delete()
    except IntegrityError as error:
        raise LeaseLost("You are done with this task. Ask for the next one.") from error
    return lease


def sweep() -> int:
    """Take back leases that ran out, a batch of them, and tell their pages; return how many. Drafts stay."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_SWEEP, {"now": timezone.now()})
        over = cursor.fetchall()
        _announce(over, state="over")
    return len(over)


def warn(*, now: datetime, every: timedelta) -> int:
    """Tell the pages of leases that run out in `WARNING`; return how many.

    Call it each ``every`` with times that far apart, and every lease is told of once.
    """
    until = now + WARNING
    ending = Lease.objects.filter(
        state=Lease.State.OPEN, expires_at__gt=until - every, expires_at__lte=until
    ).values_list("task__project", "pk")
    with transaction.atomic():
        _announce(told := list(ending), state="ending")
    return len(told)


def _announce(leases: Iterable[tuple[int, UUID]], *, state: str) -> None:
    """Tell of leases ``(project, id)``, project by project in one order, as everybody locks them."""
    ordered = sorted(leases)
    projects = Project.objects.in_bulk({project for project, _ in ordered})
    for project, some in groupby(ordered, key=itemgetter(0)):
        ids = [str(lease) for _, lease in some]
        for at in range(0, len(ids), MOST_TOLD):
            live.announce(
                project=projects[project], event="lease", state=state, leases=ids[at : at + MOST_TOLD]
            )


def is_settled(*, lease: Lease) -> bool:
    """Whether its labeler is done with the task, through this lease or another."""
    settled = {Lease.State.SUBMITTED, Lease.State.SKIPPED}
    if lease.state == Lease.State.EXPIRED:
        others = Lease.objects.filter(task=lease.task_id, labeler=lease.labeler_id, state__in=settled)
        return others.exists()
    return lease.state in settled


def holds_slot(*, lease: Lease) -> bool:
    """Whether the lease, locked by the caller, speaks for a slot of its task.

    A newer lease of the same labeler on the same task hands its slot over and expires.
    """
    if lease.state == Lease.State.OPEN:
        return True
    newer = Lease.objects.filter(task=lease.task_id, labeler=lease.labeler_id, state=Lease.State.OPEN)
    return bool(newer.update(state=Lease.State.EXPIRED, closed_at=timezone.now()))


def take_slot(*, task: Task) -> bool:
    """Claim one of the task's wanted labels, if one is left. Call inside a transaction."""
    free = Task.objects.filter(pk=task.pk, state=Task.State.OPEN, taken__lt=F("wanted"))
    return bool(free.update(taken=F("taken") + 1))


def give_back_slot(*, task: Task) -> None:
    """Return a claimed slot. Call inside a transaction that holds the lease."""
    Task.objects.filter(pk=task.pk).update(taken=F("taken") - 1)


def take_back(*, labeler: Labeler, project: Project | None = None) -> int:
    """End the labeler's open leases, in one project or all; return how many. Drafts stay.

    Call inside a transaction that locked the labeler.
    """
    where = {"task__project": project} if project else {}
    theirs = Lease.objects.filter(labeler=labeler, state=Lease.State.OPEN, **where)
    held = list(
        theirs.select_for_update(of=("self",), no_key=True)
        .order_by("pk")
        .values_list("pk", "task", "task__project")
    )
    Lease.objects.filter(pk__in=[lease for lease, _, _ in held]).update(
        state=Lease.State.EXPIRED, closed_at=timezone.now()
    )
    for task in sorted(task for _, task, _ in held):
        Task.objects.filter(pk=task).update(taken=F("taken") - 1)
    _announce([(project, lease) for lease, _, project in held], state="over")
    return len(held)


def _gold_instead(taken: copies.Taken, *, labeler: Labeler, project: Project) -> copies.Taken:
    """A copy of a gold item in the place of a task that was claimed just now, where one is left for them."""
    copy = copies.draw(project=project, labeler=labeler, alike=taken[0])
    if copy is None:
        return taken
    Task.objects.filter(pk=taken[0]).update(taken=F("taken") - 1)
    return copy


def _take(
    *, labeler: Labeler, project: Project, kinds: Sequence[str], fit: Fit
) -> tuple[int, int, list[int]] | None:
    """Ids: of a task that was claimed just now, its guideline version, its candidates by position."""
    # The second time it waits for busy rows: "nothing left" must not mean "everything is being handed out".
    # One order of kinds, hence of locks, for everybody who waits.
    parameters: dict[str, Any] = {
        "kinds": sorted(set(kinds)),
        "project": project.pk,
        "labeler": labeler.pk,
        **fit.parameters(),
    }
    with connection.cursor() as cursor:
        for busy in ("skip locked", ""):
            cursor.execute(_TAKE.format(busy=busy), parameters)
            if row := cursor.fetchone():
                return row
    return None

"""The queue hands every task to as many people as it wants, to nobody twice, and takes back what ran out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from scenes import an_answer, new_labeler, new_project, new_task

from labeling import annotate, models, queue
from labeling.models import Annotation, Draft, Labeler, Lease, Membership, Project, Task

pytestmark = pytest.mark.django_db
across_threads = pytest.mark.django_db(transaction=True)


def run_out(lease: Lease) -> None:
    Lease.objects.filter(pk=lease.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    queue.sweep()


def in_threads(n: int, work: Callable[[int], object]) -> list[object]:
    """Run ``work(0…n-1)`` at once, each on a connection of its own, and return what each returned."""
    barrier = Barrier(n)

    def one(i: int) -> object:
        try:
            barrier.wait(30)
            return work(i)
        finally:
            connection.close()

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))


def test_order_of_tasks() -> None:
    project = new_project()
    low, urgent = new_task(project), new_task(project, priority=5)
    lower = new_task(project, kind="demonstrate")
    labelers = [new_labeler(project) for _ in range(3)]
    leases = [queue.lease_next(labeler=labeler, project=project) for labeler in labelers]
    assert [lease.task for lease in leases] == [urgent, low, lower]


def test_only_the_kinds_asked_for() -> None:
    project = new_project()
    new_task(project, priority=5)
    written = new_task(project, kind="demonstrate")
    labeler = new_labeler(project)
    assert queue.lease_next(labeler=labeler, project=project, kinds=["demonstrate"]).task == written


def test_only_the_project_asked_for() -> None:
    new_task(new_project())
    here = new_project()
    assert queue.lease_next(labeler=new_labeler(here), project=here) is None


def test_same_lease_until_settled() -> None:
    project = new_project()
    new_task(project), new_task(project)
    labeler = new_labeler(project)
    first = queue.lease_next(labeler=labeler, project=project)
    again = queue.lease_next(labeler=labeler, project=project)
    assert first == again
    assert again.expires_at > first.expires_at


def test_prefetch_holds_two_at_most() -> None:
    project = new_project()
    for _ in range(3):
        new_task(project)
    labeler = new_labeler(project)
    on_screen = queue.lease_next(labeler=labeler, project=project)
    ahead = queue.lease_next(labeler=labeler, project=project, prefetch=True)
    assert ahead != on_screen
    assert queue.lease_next(labeler=labeler, project=project, prefetch=True) == ahead
    assert queue.lease_next(labeler=labeler, project=project) == on_screen


def test_overlap_goes_to_different_people() -> None:
    project = new_project(overlap=2)
    task = new_task(project)
    people = [new_labeler(project) for _ in range(3)]
    leases = [queue.lease_next(labeler=labeler, project=project) for labeler in people]
    assert [lease and lease.task for lease in leases] == [task, task, None]


def test_paused_project_keeps_what_is_open() -> None:
    project = new_project()
    new_task(project), new_task(project)
    labeler = new_labeler(project)
    lease = queue.lease_next(labeler=labeler, project=project)
    project.paused = True
    assert queue.lease_next(labeler=labeler, project=project) == lease
    assert queue.lease_next(labeler=labeler, project=project, prefetch=True) is None


def test_withdrawn_task_stays_away() -> None:
    project = new_project()
    new_task(project, state="withdrawn")
    assert queue.lease_next(labeler=new_labeler(project), project=project) is None


def test_skipped_task_goes_to_another_and_never_back() -> None:
    project = new_project()
    task = new_task(project)
    leo, mia = new_labeler(project), new_labeler(project)
    lease = queue.lease_next(labeler=leo, project=project)
    queue.skip(lease_id=lease.pk, labeler=leo, reason="sensitive")
    queue.skip(lease_id=lease.pk, labeler=leo, reason="twice")
    assert queue.lease_next(labeler=leo, project=project) is None
    assert queue.lease_next(labeler=mia, project=project).task == task
    assert Lease.objects.get(pk=lease.pk).skip_reason == "sensitive"


def test_expired_lease_returns_with_its_draft() -> None:
    project = new_project()
    task = new_task(project)
    labeler = new_labeler(project)
    lease = queue.lease_next(labeler=labeler, project=project)
    annotate.save_draft(lease_id=lease.pk, labeler=labeler, answer={"tiers": []}, version=0)
    run_out(lease)
    assert Task.objects.get().taken == 0
    again = queue.lease_next(labeler=labeler, project=project)
    assert again != lease
    assert again.task == task
    assert Draft.objects.get(task=task, labeler=labeler).answer == {"tiers": []}


def test_sweep_leaves_live_leases() -> None:
    project = new_project()
    new_task(project)
    queue.lease_next(labeler=new_labeler(project), project=project)
    assert queue.sweep() == 0
    assert Task.objects.get().taken == 1


def test_heartbeat_takes_an_expired_lease_up_again() -> None:
    project = new_project()
    new_task(project)
    labeler = new_labeler(project)
    lease = queue.lease_next(labeler=labeler, project=project)
    run_out(lease)
    renewed = queue.renew(lease_id=lease.pk, labeler=labeler, active_seconds=12.5)
    assert (renewed.state, renewed.active_seconds) == ("open", 12.5)
    assert queue.renew(lease_id=lease.pk, labeler=labeler, active_seconds=3).active_seconds == 12.5
    assert Task.objects.get().taken == 1


def test_heartbeat_too_late() -> None:
    project = new_project()
    new_task(project)
    labeler = new_labeler(project)
    lease = queue.lease_next(labeler=labeler, project=project)
    run_out(lease)
    queue.lease_next(labeler=new_labeler(project), project=project)
    with pytest.raises(queue.LeaseLost):
        queue.renew(lease_id=lease.pk, labeler=labeler)


@pytest.mark.parametrize("settle", ["skip", "submit"])
def test_heartbeat_after_the_end(settle: str) -> None:
    project = new_project(overlap=2)
    new_task(project)
    labeler = new_labeler(project)
    first = queue.lease_next(labeler=labeler, project=project)
    run_out(first)
    second = queue.lease_next(labeler=labeler, project=project)
    if settle == "skip":
        queue.skip(lease_id=second.pk, labeler=labeler)
    else:
        annotate.submit(lease_id=second.pk, labeler=labeler, submission_id=uuid4(), answer=an_answer(second))
    for lease in (first, second):
        with pytest.raises(queue.LeaseLost):
            queue.renew(lease_id=lease.pk, labeler=labeler)
        if settle == "submit":
            with pytest.raises(queue.LeaseLost):
                queue.skip(lease_id=lease.pk, labeler=labeler)


def test_older_lease_uses_the_slot_of_the_newer() -> None:
    project = new_project(overlap=2)
    new_task(project)
    labeler = new_labeler(project)
    older = queue.lease_next(labeler=labeler, project=project)
    run_out(older)
    newer = queue.lease_next(labeler=labeler, project=project)
    queue.renew(lease_id=older.pk, labeler=labeler)
    assert Task.objects.get().taken == 1
    assert Lease.objects.get(pk=newer.pk).state == "expired"
    queue.skip(lease_id=newer.pk, labeler=labeler)
    assert Task.objects.get().taken == 0
    assert queue.lease_next(labeler=labeler, project=project) is None


def test_foreign_lease_and_former_member() -> None:
    project = new_project()
    new_task(project)
    labeler = new_labeler(project)
    lease = queue.lease_next(labeler=labeler, project=project)
    with pytest.raises(Lease.DoesNotExist):
        queue.skip(lease_id=lease.pk, labeler=new_labeler(project))
    Membership.objects.filter(user=labeler.user).delete()
    with pytest.raises(Lease.DoesNotExist):
        queue.renew(lease_id=lease.pk, labeler=labeler)


def test_shown_order_is_ones_own() -> None:
    project = new_project(overlap=20)
    task = new_task(project, k=4)
    shown = [queue.lease_next(labeler=new_labeler(project), project=project).shown_order for _ in range(20)]
    ids = sorted(task.candidates.values_list("pk", flat=True))
    assert all(sorted(order) == ids for order in shown)
    assert len(set(map(tuple, shown))) > 5


@across_threads
def test_sixteen_threads_never_over_assign() -> None:
    project = new_project(overlap=3)
    tasks = [new_task(project, kind="demonstrate", priority=i % 3) for i in range(12)]
    people = [new_labeler(project) for _ in range(16)]

    def work(i: int) -> list[int]:
        done = []
        while lease := queue.lease_next(labeler=people[i], project=project):
            done.append(lease.task_id)
            annotate.submit(
                lease_id=lease.pk, labeler=people[i], submission_id=uuid4(), answer={"text": "A fox."}
            )
        return done

    done = in_threads(16, work)
    handed_out = Counter(task for mine in done for task in mine)
    assert handed_out == {task.pk: 3 for task in tasks}
    assert all(len(set(mine)) == len(mine) for mine in done)
    assert Annotation.objects.filter(surplus=False).count() == 36
    assert set(Task.objects.values_list("taken", flat=True)) == {3}


@across_threads
def test_sixteen_threads_of_one_person_hold_two_tasks() -> None:
    project = new_project()
    for _ in range(5):
        new_task(project, kind="demonstrate")
    labeler = new_labeler(project)
    in_threads(16, lambda _: queue.lease_next(labeler=labeler, project=project, prefetch=True))
    assert Lease.objects.count() == 2
    assert Counter(Task.objects.values_list("taken", flat=True)) == {1: 2, 0: 3}


@across_threads
def test_last_task_is_not_hidden_while_it_is_handed_out() -> None:
    project = new_project(overlap=16)
    new_task(project, kind="demonstrate")
    people = [new_labeler(project) for _ in range(16)]
    leases = in_threads(16, lambda i: queue.lease_next(labeler=people[i], project=project))
    assert None not in leases
    assert Task.objects.get().taken == 16


@across_threads
def test_sweep_does_not_wait_for_a_busy_task() -> None:
    project = new_project()
    task = new_task(project)
    lease = queue.lease_next(labeler=new_labeler(project), project=project)
    Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    held, swept = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Task.objects.select_for_update().get(pk=task.pk)
                held.set()
                swept.wait(30)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        held.wait(30)
        assert queue.sweep() == 0
        swept.set()
        holding.result()
    assert queue.sweep() == 1
    assert Lease.objects.get(pk=lease.pk).state == "expired"


@across_threads
def test_sweeps_heartbeats_and_submits_at_once() -> None:
    project = new_project(overlap=2)
    for _ in range(20):
        new_task(project, kind="demonstrate")
    people = [new_labeler(project) for _ in range(8)]

    def work(i: int) -> None:
        while lease := queue.lease_next(labeler=people[i], project=project):
            Lease.objects.filter(pk=lease.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
            queue.sweep()
            if i % 2:
                try:
                    queue.renew(lease_id=lease.pk, labeler=people[i])
                except queue.LeaseLost:
                    pass
            annotate.submit(
                lease_id=lease.pk, labeler=people[i], submission_id=uuid4(), answer={"text": "A fox."}
            )

    in_threads(8, work)
    queue.sweep()
    assert_slots_add_up()
    assert Annotation.objects.filter(surplus=False).count() == 40


def assert_slots_add_up() -> None:
    """A task's counter is its open leases and its counted labels, and never more than it wants."""
    for task in Task.objects.all():
        labels = Annotation.objects.valid().filter(task=task, surplus=False).count()
        leases = Lease.objects.filter(task=task, state="open").count()
        assert task.taken == labels + leases <= task.wanted


class Queue(RuleBasedStateMachine):
    """Everything that people, browsers and the clock may do to a small queue, in any order."""

    project: Project
    people: list[Labeler]

    def __init__(self) -> None:
        super().__init__()
        self.world = transaction.atomic()
        self.world.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.world.__exit__(None, None, None)

    @initialize(wanted=st.lists(st.integers(1, 3), min_size=1, max_size=4))
    def open_project(self, wanted: list[int]) -> None:
        self.project = new_project()
        self.people = [new_labeler(self.project) for _ in range(3)]
        for i, n in enumerate(wanted):
            new_task(self.project, kind=("demonstrate", "rank")[i % 2], k=2, wanted=n, priority=i % 3)

    @rule(person=st.integers(0, 2), prefetch=st.booleans())
    def ask(self, person: int, prefetch: bool) -> None:
        labeler = self.people[person]
        settled = Lease.objects.filter(labeler=labeler, state__in=["submitted", "skipped"])
        done = set(settled.values_list("task_id", flat=True))
        held = Lease.objects.filter(labeler=labeler, state="open")
        free = Task.objects.open().exclude(pk__in=done | set(held.values_list("task_id", flat=True)))
        expected = held.exists() or free.exists()
        if prefetch and held.count() < queue.MOST_OPEN:
            expected = free.exists()
        lease = queue.lease_next(labeler=labeler, project=self.project, prefetch=prefetch)
        assert (lease is not None) == expected
        assert lease is None or lease.task_id not in done

    @precondition(lambda _: Lease.objects.exists())
    @rule(data=st.data())
    def let_one_run_out(self, data: st.DataObject) -> None:
        run_out(self.pick(data))

    @precondition(lambda _: Lease.objects.exists())
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        lease = self.pick(data)
        try:
            queue.renew(lease_id=lease.pk, labeler=lease.labeler)
        except queue.LeaseLost:
            assert lease.state != "open"

    @precondition(lambda _: Lease.objects.exists())
    @rule(data=st.data())
    def skip(self, data: st.DataObject) -> None:
        lease = self.pick(data)
        try:
            queue.skip(lease_id=lease.pk, labeler=lease.labeler)
        except queue.LeaseLost:
            assert lease.state in {"submitted", "expired"}

    @precondition(lambda _: Lease.objects.exists())
    @rule(data=st.data())
    def submit(self, data: st.DataObject) -> None:
        lease = self.pick(data)
        try:
            label = annotate.submit(
                lease_id=lease.pk, labeler=lease.labeler, submission_id=uuid4(), answer=an_answer(lease)
            )
        except annotate.Conflict:
            others = Lease.objects.filter(task=lease.task_id, labeler=lease.labeler)
            assert others.filter(state__in=["submitted", "skipped"]).exists()
        else:
            assert lease.state != "open" or not label.surplus

    @precondition(lambda _: Annotation.objects.exists())
    @rule(data=st.data())
    def revise(self, data: st.DataObject) -> None:
        label = data.draw(st.sampled_from(list(Annotation.objects.order_by("pk"))))
        stands = Annotation.objects.valid().filter(pk=label.pk).exists()
        try:
            annotate.revise(
                annotation_id=label.pk, labeler=label.labeler, submission_id=uuid4(), answer=label.answer
            )
        except annotate.Conflict:
            assert not stands

    @precondition(lambda _: Annotation.objects.exists())
    @rule(data=st.data())
    def invalidate(self, data: st.DataObject) -> None:
        label = data.draw(st.sampled_from(list(Annotation.objects.order_by("pk"))))
        stands = Annotation.objects.valid().filter(pk=label.pk).exists()
        try:
            annotate.invalidate(annotation=label, actor=None, reason="wrong rule")
        except annotate.Conflict:
            assert not stands

    @invariant()
    def slots_add_up(self) -> None:
        assert_slots_add_up()

    @invariant()
    def nobody_hoards(self) -> None:
        open_leases = Lease.objects.filter(state="open").values_list("labeler", "task__kind")
        assert all(n <= queue.MOST_OPEN for n in Counter(open_leases).values())

    @invariant()
    def one_label_a_person(self) -> None:
        labels = Annotation.objects.filter(supersedes=None).values_list("task", "labeler")
        assert all(n == 1 for n in Counter(labels).values())

    @staticmethod
    def pick(data: st.DataObject) -> Lease:
        return data.draw(st.sampled_from(list(Lease.objects.order_by("opened_at"))))


@pytest.mark.slow
def test_whatever_happens_the_slots_add_up() -> None:
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_pages_are_told_before_a_lease_ends_and_when_it_did() -> None:
    project = new_project()
    new_task(project)
    lease = queue.lease_next(labeler=new_labeler(project), project=project)
    assert lease is not None
    every = timedelta(seconds=10)
    told = [
        queue.warn(now=lease.expires_at - timedelta(seconds=before), every=every)
        for before in (80, 70, 60, 50)
    ]
    assert told == [0, 0, 1, 0]
    Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert queue.sweep() == 1
    said = [event.reference for event in models.Event.objects.filter(kind="lease")]
    assert said == [
        {"state": "ending", "leases": [str(lease.pk)]},
        {"state": "over", "leases": [str(lease.pk)]},
    ]

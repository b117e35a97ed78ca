"""Labels are appended once, revised or invalidated, never overwritten; drafts survive and never mix."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import KINDS, an_answer, new_labeler, new_project, new_task

from guidelines import publish
from labeling import annotate, answers, queue
from labeling.models import Annotation, Completion, Draft, Event, Labeler, Lease, Task
from models_zoo.models import Checkpoint

pytestmark = pytest.mark.django_db
across_threads = pytest.mark.django_db(transaction=True)


def lease_of(labeler: Labeler, task: Task) -> Lease:
    lease = queue.lease_next(labeler=labeler, project=task.project)
    assert lease.task == task
    return lease


def submit(lease: Lease, answer: Any = None, submission_id: UUID | None = None, **more: Any) -> Annotation:
    return annotate.submit(
        lease_id=lease.pk,
        labeler=lease.labeler,
        submission_id=submission_id or uuid4(),
        answer=an_answer(lease) if answer is None else answer,
        **more,
    )


def run_out(lease: Lease) -> None:
    Lease.objects.filter(pk=lease.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    queue.sweep()


@pytest.fixture
def lease() -> Lease:
    project = new_project()
    return lease_of(new_labeler(project), new_task(project))


def test_label_keeps_its_lineage() -> None:
    project = new_project()
    task = new_task(project, split="heldout")
    lease = lease_of(new_labeler(project, group="heldout"), task)
    label = submit(lease, active_seconds=7.5)
    label.refresh_from_db()
    assert label.shown_order == lease.shown_order
    assert label.guideline_version == task.guideline_version
    assert (label.prompt_split, label.labeler_group) == ("heldout", "heldout")
    assert label.opened_at <= label.first_action_at <= label.submitted_at
    assert label.active_seconds == 7.5
    hashes = {str(c.pk): c.completion.text_hash for c in task.candidates.all()}
    assert label.text_hashes == hashes | {"prompt": task.prompt.text_hash}
    assert Event.objects.get(kind="label").reference == {"task": task.pk, "kind": "rank"}


def test_label_names_the_version_that_was_read() -> None:
    project = new_project()
    task, labeler = new_task(project), new_labeler(project)
    late = lease_of(labeler, task)
    read = task.guideline_version
    run_out(late)
    newer, _ = publish.publish(guideline=project.guideline, body="# Be kinder")
    task.refresh_from_db()
    assert (late.guideline_version, task.guideline_version) == (read, newer)
    again = lease_of(new_labeler(project), task)
    assert again.guideline_version == newer
    assert submit(late).guideline_version == read
    assert submit(again).guideline_version == newer


def test_lease_of_before_versions_were_kept(lease: Lease) -> None:
    Lease.objects.filter(pk=lease.pk).update(guideline_version=None)
    assert submit(lease).guideline_version == lease.task.guideline_version


@pytest.mark.parametrize("kind", KINDS)
def test_label_of_every_kind(kind: str) -> None:
    project = new_project()
    lease = lease_of(new_labeler(project), new_task(project, kind=kind))
    label = Annotation.objects.get(pk=submit(lease).pk)
    assert (label.kind, label.schema) == (kind, answers.SCHEMA[kind])
    shown = answers.Shown(candidates=lease.shown_order)
    assert answers.check(kind=kind, answer=label.answer, shown=shown) == label.answer
    assert Annotation.objects.get(pk=revise(label, label.answer).pk).answer == label.answer


RUDE = {"key": "rude", "label": "Rude", "scope": "completion", "type": "flag"}
SCALE = {"key": "quality", "label": "Quality", "scope": "completion", "type": "scale", "min": 1, "max": 7}


def test_rating_is_held_to_the_criteria_that_were_read() -> None:
    project = new_project()
    publish.publish(guideline=project.guideline, body="# Rate", criteria=[SCALE | {"required": True}])
    task, labeler = new_task(project, kind="rate", k=1), new_labeler(project)
    lease = lease_of(labeler, task)
    run_out(lease)
    publish.publish(guideline=project.guideline, body="# Rate", criteria=[RUDE])
    one = str(lease.shown_order[0])
    with pytest.raises(answers.AnswerError, match="no such criterion") as refused:
        submit(lease, {"ratings": {one: {"rude": True}}})
    assert refused.value.field == f"answer.ratings.{one}.rude"
    label = submit(lease, {"ratings": {one: {"quality": 6}}})
    assert label.answer == {"ratings": {one: {"quality": 6}}, "prompt": {}}
    with pytest.raises(answers.AnswerError, match="from 1 to 7"):
        revise(label, {"ratings": {one: {"quality": 8}}})
    assert revise(label, {"ratings": {one: {"quality": 5}}}).answer["ratings"] == {one: {"quality": 5}}


def test_partial_rankings_are_the_projects_choice(lease: Lease) -> None:
    two = {"tiers": [[pk] for pk in lease.shown_order[:2]]}
    with pytest.raises(answers.AnswerError, match="not placed"):
        submit(lease, two)
    project = lease.task.project
    project.partial_rankings = True
    project.save()
    assert submit(lease, two).answer == two


def test_edit_records_who_assisted_and_how_much() -> None:
    project = new_project()
    task, labeler = new_task(project, kind="edit"), new_labeler(project)
    writer = Checkpoint.objects.create(name="sft", kind="sft", digest="sha256:sft", folder="store/sft")
    Completion.objects.filter(candidates__task=task).update(checkpoint=writer, text="Once a fox ran home.")
    label = submit(lease_of(labeler, task), {"text": "Once a fox walked home."})
    assert (label.assisted_by, label.assisted_share) == (writer, 4 / 5)
    assert revise(label, {"text": "A bear slept."}).assisted_share == 0
    assert Annotation.objects.get(pk=label.pk).assisted_share == 4 / 5


def test_edit_of_an_imported_answer_that_was_right() -> None:
    project = new_project()
    task, labeler = new_task(project, kind="edit"), new_labeler(project)
    label = submit(lease_of(labeler, task), {"text": Completion.objects.get(candidates__task=task).text})
    assert (label.assisted_by, label.assisted_share) == (None, 1)


@pytest.mark.parametrize("kind", ["demonstrate", "rank", "compare", "rate"])
def test_nobody_assists_in_other_kinds(kind: str) -> None:
    project = new_project()
    label = submit(lease_of(new_labeler(project), new_task(project, kind=kind)))
    assert (label.assisted_by, label.assisted_share) == (None, None)


def test_repeat_returns_the_first_label(lease: Lease) -> None:
    key = uuid4()
    assert submit(lease, submission_id=key) == submit(lease, submission_id=key)
    assert Annotation.objects.count() == Event.objects.filter(kind="label").count() == 1


def test_same_id_with_another_body(lease: Lease) -> None:
    key = uuid4()
    submit(lease, submission_id=key)
    with pytest.raises(annotate.Conflict, match="submission_id"):
        submit(lease, {"tiers": [lease.shown_order]}, submission_id=key)


def test_same_id_by_another_person() -> None:
    project = new_project(overlap=2)
    task = new_task(project, kind="demonstrate")
    key = uuid4()
    submit(lease_of(new_labeler(project), task), submission_id=key)
    with pytest.raises(annotate.Conflict, match="submission_id"):
        submit(lease_of(new_labeler(project), task), submission_id=key)
    assert Task.objects.get(pk=task.pk).taken == 2


def test_second_label_of_the_same_task(lease: Lease) -> None:
    submit(lease)
    with pytest.raises(annotate.Conflict, match="already has your label"):
        submit(lease)


def test_late_submit_counts_while_there_is_room(lease: Lease) -> None:
    run_out(lease)
    assert not submit(lease).surplus
    assert Task.objects.get().taken == 1


def test_late_submit_is_kept_as_surplus(lease: Lease) -> None:
    run_out(lease)
    submit(lease_of(new_labeler(lease.task.project), lease.task))
    assert submit(lease).surplus
    assert Task.objects.get().taken == 1


def test_submit_after_a_skip_is_not_lost(lease: Lease) -> None:
    queue.skip(lease_id=lease.pk, labeler=lease.labeler)
    assert not submit(lease).surplus


def test_two_leases_of_one_person_make_one_label(lease: Lease) -> None:
    run_out(lease)
    newer = lease_of(lease.labeler, lease.task)
    assert not submit(lease).surplus
    with pytest.raises(annotate.Conflict):
        submit(newer)
    assert Task.objects.get().taken == 1


def test_refused_answer_leaves_the_lease_open(lease: Lease) -> None:
    with pytest.raises(answers.AnswerError):
        submit(lease, {"tiers": []})
    assert Lease.objects.get().state == "open"
    assert not submit(lease).surplus


@pytest.mark.parametrize(
    ("answer", "field", "words"),
    [
        ([], "answer", "object"),
        ({}, "answer.tiers", "list of lists"),
        ({"tiers": "abc"}, "answer.tiers", "list of lists"),
        ({"tiers": [["a"]]}, "answer.tiers", "whole-number"),
        ({"tiers": [[True]]}, "answer.tiers", "whole-number"),
        ({"tiers": [[1, 2, 3], []]}, "answer.tiers", "empty"),
        ({"tiers": [[1, 2]]}, "answer.tiers", "Candidate 3 is not placed"),
        ({"tiers": [[1, 2], [3, 2]]}, "answer.tiers", "Candidate 2 is placed more than once"),
        ({"tiers": [[1, 2, 3, 4]]}, "answer.tiers", "Candidate 4 is not a candidate"),
        ({"tiers": [[1, 2, 3]], "text": "?"}, "answer.text", "no such field"),
        ({"tiers": [[1, 2, 3]], "comment": 3}, "answer.comment", "text"),
        ({"tiers": [[1, 2, 3]], "comment": "a\x00b"}, "answer", "NUL"),
        ({"tiers": [[1, 2, 3]], "comment": "\ud800"}, "answer", "surrogate"),
        ({"tiers": [[1, 2, 3]], "comment": "x" * 2_000_000}, "answer", "2,0"),
    ],
)
def test_wrong_rankings(answer: Any, field: str, words: str) -> None:
    with pytest.raises(answers.AnswerError, match=words) as refused:
        answers.check(kind="rank", answer=answer, shown=answers.Shown(candidates=[1, 2, 3]))
    assert refused.value.field == field


@pytest.mark.parametrize("text", ["", " \n", None, 7])
def test_empty_demonstration(text: Any) -> None:
    with pytest.raises(answers.AnswerError, match="empty"):
        answers.check(kind="demonstrate", answer={"text": text}, shown=answers.Shown())


def test_bottomless_answer() -> None:
    answer: Any = {}
    for _ in range(5000):
        answer = {"a": answer}
    with pytest.raises(answers.AnswerError, match="deeply"):
        answers.check_storable(answer)


@given(
    tiers=st.permutations(range(6)).flatmap(
        lambda order: st.lists(st.integers(1, 5), unique=True).map(
            lambda cuts: [order[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 6], strict=True)]
        )
    )
)
def test_every_partition_into_tiers_is_a_ranking(tiers: list[list[int]]) -> None:
    assert answers.check(kind="rank", answer={"tiers": tiers}, shown=answers.Shown(candidates=range(6))) == {
        "tiers": tiers
    }


requests = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["A fox.", "A bear."])), min_size=1, max_size=12
)


@given(requests=requests)
@settings(max_examples=50, deadline=None)
def test_repeats_in_any_order_store_one_label(requests: list[tuple[int, str]]) -> None:
    with transaction.atomic():
        project = new_project()
        lease = lease_of(new_labeler(project), new_task(project, kind="demonstrate"))
        keys = [uuid4() for _ in range(3)]
        winner = (keys[requests[0][0]], requests[0][1])
        for number, text in requests:
            if (keys[number], text) == winner:
                label = submit(lease, {"text": text}, keys[number])
                assert (label.submission_id, label.answer) == (winner[0], {"text": winner[1]})
            else:
                with pytest.raises(annotate.Conflict):
                    submit(lease, {"text": text}, keys[number])
        assert Annotation.objects.count() == 1
        transaction.set_rollback(True)


@across_threads
@pytest.mark.parametrize("one_id", [True, False])
def test_race_of_submits_stores_one_label(one_id: bool) -> None:
    project = new_project()
    lease = lease_of(new_labeler(project), new_task(project, kind="demonstrate"))
    key, barrier = uuid4(), Barrier(12)

    def work(_: int) -> int | None:
        try:
            barrier.wait(30)
            return submit(lease, submission_id=key if one_id else None).pk
        except annotate.Conflict:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        stored = list(pool.map(work, range(12)))
    label = Annotation.objects.get()
    assert stored.count(label.pk) == (12 if one_id else 1)
    assert set(stored) <= {label.pk, None}
    assert Task.objects.get().taken == 1


@across_threads
def test_race_of_one_id_on_two_tasks() -> None:
    project = new_project()
    people = [new_labeler(project) for _ in range(2)]
    tasks = [new_task(project, kind="demonstrate") for _ in range(2)]
    leases = [lease_of(labeler, task) for labeler, task in zip(people, tasks, strict=True)]
    key, barrier = uuid4(), Barrier(2)

    def work(lease: Lease) -> bool:
        try:
            barrier.wait(30)
            return bool(submit(lease, submission_id=key))
        except annotate.Conflict:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(work, leases)) == [False, True]
    assert sorted(Lease.objects.values_list("state", flat=True)) == ["open", "submitted"]


@across_threads
def test_race_of_revisions_keeps_one_chain() -> None:
    project = new_project()
    lease = lease_of(new_labeler(project), new_task(project, kind="demonstrate"))
    first, barrier = submit(lease), Barrier(8)

    def work(i: int) -> bool:
        try:
            barrier.wait(30)
            if i % 2:
                annotate.invalidate(annotation=first, actor=None, reason="off topic")
            else:
                revise(first, {"text": f"Version {i}"})
            return True
        except annotate.Conflict:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 1
    standing = Annotation.objects.valid().count()
    assert Task.objects.get().taken == standing


def revise(label: Annotation, answer: Any, submission_id: UUID | None = None) -> Annotation:
    return annotate.revise(
        annotation_id=label.pk,
        labeler=label.labeler,
        submission_id=submission_id or uuid4(),
        answer=answer,
    )


def test_revisions_form_a_chain(lease: Lease) -> None:
    first = submit(lease)
    tie = {"tiers": [lease.shown_order]}
    second = revise(first, tie)
    assert (second.supersedes, second.answer, second.lease) == (first, tie, lease)
    assert list(Annotation.objects.valid()) == [second]
    third = revise(second, first.answer)
    assert list(Annotation.objects.valid()) == [third]
    assert Annotation.objects.get(pk=first.pk).answer == first.answer
    assert Task.objects.get().taken == 1


def test_revision_of_an_old_version(lease: Lease) -> None:
    first = submit(lease)
    revise(first, {"tiers": [lease.shown_order]})
    with pytest.raises(annotate.Conflict, match="newest"):
        revise(first, {"tiers": [lease.shown_order]})


def test_revision_twice_is_once(lease: Lease) -> None:
    first, key, tie = submit(lease), uuid4(), {"tiers": [lease.shown_order]}
    assert revise(first, tie, key) == revise(first, tie, key)
    with pytest.raises(annotate.Conflict, match="submission_id"):
        revise(first, first.answer, key)


def test_revision_must_be_whole(lease: Lease) -> None:
    with pytest.raises(answers.AnswerError):
        revise(submit(lease), {"tiers": []})


def test_revision_of_somebody_elses_label(lease: Lease) -> None:
    label = submit(lease)
    with pytest.raises(Annotation.DoesNotExist):
        annotate.revise(
            annotation_id=label.pk,
            labeler=new_labeler(lease.task.project),
            submission_id=uuid4(),
            answer=label.answer,
        )


def test_invalidation_gives_the_slot_to_another(lease: Lease) -> None:
    label, ada = submit(lease), User.objects.create_user("ada")
    annotate.invalidate(annotation=label, actor=ada, reason="off topic")
    assert not Annotation.objects.valid().exists()
    assert queue.lease_next(labeler=lease.labeler, project=lease.task.project) is None
    assert lease_of(new_labeler(lease.task.project), lease.task)


def test_invalidation_once_and_with_a_reason(lease: Lease) -> None:
    label = submit(lease)
    with pytest.raises(answers.AnswerError) as refused:
        annotate.invalidate(annotation=label, actor=None, reason=" ")
    assert refused.value.field == "reason"
    annotate.invalidate(annotation=label, actor=None, reason="off topic")
    with pytest.raises(annotate.Conflict):
        annotate.invalidate(annotation=label, actor=None, reason="off topic")
    assert Task.objects.get().taken == 0


def test_invalidation_of_an_old_version_frees_nothing(lease: Lease) -> None:
    first = submit(lease)
    second = revise(first, {"tiers": [lease.shown_order]})
    with pytest.raises(annotate.Conflict, match="newest"):
        annotate.invalidate(annotation=first, actor=None, reason="off topic")
    assert Task.objects.get().taken == 1
    annotate.invalidate(annotation=second, actor=None, reason="off topic")
    assert Task.objects.get().taken == 0
    assert not Annotation.objects.valid().filter(task=lease.task).exists()


def test_invalid_surplus_frees_nothing(lease: Lease) -> None:
    run_out(lease)
    submit(lease_of(new_labeler(lease.task.project), lease.task))
    annotate.invalidate(annotation=submit(lease), actor=None, reason="late")
    assert Task.objects.get().taken == 1


@pytest.mark.parametrize("change", ["update", "delete", "sql"])
def test_database_refuses_to_change_a_label(lease: Lease, change: str) -> None:
    label = submit(lease)
    own = Annotation.objects.filter(pk=label.pk)
    changes: dict[str, Callable[[], object]] = {
        "update": lambda: own.update(surplus=True),
        "delete": lambda: own._raw_delete("default"),
        "sql": lambda: connection.cursor().execute("update labeling_annotation set answer = '{}'"),
    }
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        changes[change]()
    assert Annotation.objects.get().answer == label.answer


def draft(lease: Lease, text: str, version: int) -> Draft:
    return annotate.save_draft(
        lease_id=lease.pk, labeler=lease.labeler, answer={"text": text}, version=version
    )


def test_draft_counts_its_versions(lease: Lease) -> None:
    assert draft(lease, "Once", 0).version == 1
    assert draft(lease, "Once upon", 1).version == 2
    assert draft(lease, "Once upon", 1).version == 2
    assert Lease.objects.get().first_action_at is not None


def test_second_tab_is_told_of_the_first(lease: Lease) -> None:
    draft(lease, "first tab", 0)
    with pytest.raises(annotate.StaleDraft) as stale:
        draft(lease, "second tab", 0)
    assert (stale.value.stored.answer, stale.value.stored.version) == ({"text": "first tab"}, 1)
    assert draft(lease, "both", 1).version == 2


def test_draft_outlives_its_lease(lease: Lease) -> None:
    run_out(lease)
    draft(lease, "late thought", 0)
    newer = lease_of(lease.labeler, lease.task)
    assert draft(newer, "later thought", 1).version == 2


def test_submit_closes_the_draft(lease: Lease) -> None:
    draft(lease, "Once", 0)
    submit(lease)
    with pytest.raises(annotate.Conflict, match="closed"):
        draft(lease, "autosave that came late", 1)
    assert not Draft.objects.exists()


@pytest.mark.parametrize("settle", ["submit", "skip"])
def test_older_lease_leaves_no_draft_of_what_is_done(lease: Lease, settle: str) -> None:
    run_out(lease)
    newer = lease_of(lease.labeler, lease.task)
    if settle == "submit":
        submit(newer)
    else:
        queue.skip(lease_id=newer.pk, labeler=newer.labeler)
    with pytest.raises(annotate.Conflict, match="closed"):
        draft(lease, "autosave of the tab that lay asleep", 0)
    assert not Draft.objects.exists()


def test_draft_may_be_half_an_answer_but_storable(lease: Lease) -> None:
    annotate.save_draft(lease_id=lease.pk, labeler=lease.labeler, answer={"tiers": [[]]}, version=0)
    with pytest.raises(answers.AnswerError, match="bytes"):
        draft(lease, "x" * 300_000, 1)


@across_threads
def test_race_of_drafts_loses_none_unseen() -> None:
    project = new_project(overlap=2)
    task = new_task(project, kind="demonstrate")
    labeler = new_labeler(project)
    older = lease_of(labeler, task)
    run_out(older)
    leases, barrier = [older, lease_of(labeler, task)], Barrier(8)

    def work(i: int) -> bool:
        try:
            barrier.wait(30)
            draft(leases[i % 2], f"tab {i}", 0)
            return True
        except annotate.StaleDraft:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 1
    assert Draft.objects.get().version == 1

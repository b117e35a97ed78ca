"""Gold: known answers, private copies, how far a label agrees, and nothing that tells gold from work."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from gold import RIGHT, given_next, known, new_gold, submitted, wrong
from scenes import an_answer, new_labeler, new_project, new_task

from guidelines import publish
from labeling import annotate, queue, work
from labeling.models import Annotation, Event, GoldItem, GoldLabel, Lease, Project, Task
from labeling.people.desk import desk
from labeling.qualification import copies, grading, items
from labeling.qualification.items import GoldError
from labeling.reviewing import reviews

CRITERIA = [
    {
        "key": "kind",
        "label": "Kind",
        "scope": "completion",
        "type": "scale",
        "required": True,
        "min": 1,
        "max": 7,
    },
    {"key": "rude", "label": "Rude", "scope": "completion", "type": "flag", "required": False},
    {"key": "odd", "label": "Odd", "scope": "prompt", "type": "flag", "required": False},
]


def tiers(*order: list[int]) -> dict[str, Any]:
    return {"tiers": list(order)}


def agreement(kind: str, answer: dict[str, Any], right: dict[str, Any], **more: Any) -> float | None:
    return grading.agreement(kind=kind, answer=answer, known=right, **more)


@pytest.mark.parametrize(
    ("answer", "right", "expected"),
    [
        (tiers([0], [1], [2]), tiers([0], [1], [2]), 1),
        (tiers([2], [1], [0]), tiers([0], [1], [2]), 0),
        (tiers([1], [0], [2]), tiers([0], [1], [2]), 2 / 3),
        (tiers([0, 1, 2]), tiers([0], [1], [2]), 0.5),
        # What is tied in the known answer decides nothing.
        (tiers([1], [0], [2]), tiers([0, 1], [2]), 1),
        (tiers([0, 1, 2]), tiers([0, 1, 2]), 1),
        (tiers([0], [1, 2]), tiers([0, 1, 2]), 1 / 3),
        # What is left out stands last; two that are left out are not ordered.
        (tiers([0], [1]), tiers([0], [1], [2]), 1),
        ({"tiers": [], "all_bad": True}, tiers([0], [1], [2]), 0),
    ],
)
def test_agreement_of_rankings(answer, right, expected) -> None:
    assert agreement("rank", answer, right) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("preferred", "strength", "expected"),
    [
        (7, "better", 1),
        (7, "much", 1),
        (7, "slightly", 1),
        (None, "tie", 0),
        (8, "slightly", 0),
        (8, "much", 0),
    ],
)
def test_agreement_of_comparisons(preferred, strength, expected) -> None:
    right = {"preferred": 7, "strength": "better"}
    assert agreement("compare", {"preferred": preferred, "strength": strength}, right) == expected


def test_agreement_of_comparisons_at_the_ends() -> None:
    much, tie = {"preferred": 7, "strength": "much"}, {"preferred": None, "strength": "tie"}
    slightly = {"preferred": 7, "strength": "slightly"}
    assert [agreement("compare", slightly, much), agreement("compare", tie, tie)] == [0.5, 1]
    assert [agreement("compare", much, tie), agreement("compare", slightly, tie)] == [0, 1]


def test_agreement_of_ratings_counts_scales_within_a_step_and_flags() -> None:
    right = {"ratings": {"0": {"kind": 5, "rude": True}}, "prompt": {}}

    def given(**values: Any) -> float | None:
        return agreement("rate", {"ratings": {"0": values}, "prompt": {}}, right, criteria=CRITERIA)

    assert given(kind=6, rude=True) == 1
    assert given(kind=7, rude=True) == 0.5
    assert given(kind=4) == 0.5
    assert given() == 0
    # A flag that only the labeler sets is one more value, and not the same.
    over = {"ratings": {"0": {"kind": 5, "rude": True}}, "prompt": {"odd": True}}
    assert agreement("rate", over, right, criteria=CRITERIA) == pytest.approx(2 / 3)


def test_agreement_of_ratings_that_rank_too() -> None:
    right = {"ratings": {"0": {"kind": 7}, "1": {"kind": 1}}, "tiers": [[0], [1]]}
    same = {"ratings": {"0": {"kind": 7}, "1": {"kind": 1}}, "tiers": [[1], [0]]}
    assert agreement("rate", same, right, criteria=CRITERIA) == 0.5


def test_agreement_of_marks_is_their_overlap() -> None:
    def marked(*places: tuple[int, int, str]) -> dict[str, Any]:
        return {"marks": [{"start": a, "end": b, "criterion": key} for a, b, key in places]}

    right = marked((0, 10, "false"))
    assert agreement("mark", marked((0, 10, "false")), right) == 1
    assert agreement("mark", marked((5, 15, "false")), right) == 0.5
    assert agreement("mark", marked((0, 10, "rude")), right) == 0
    assert agreement("mark", marked(), marked()) == 1


def test_people_grade_what_is_written() -> None:
    assert agreement("demonstrate", {"text": "a"}, {"text": "b"}) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("answer", {"answer": None}),
        ("answer", {"answer": {}}),
        ("answer.tiers", {"answer": {"tiers": [[0], [1]]}}),
        ("answer.tiers", {"answer": {"tiers": [[0], [1], [7]]}}),
        ("answer.text", {"answer": {"text": "no ranking"}}),
        ("explanation", {"explanation": " ", "uses": ["quiz"]}),
        ("explanation", {"explanation": "", "uses": ["queue", "practice"]}),
        ("explanation", {"explanation": "a\x00b"}),
        ("uses", {"uses": []}),
        ("uses", {"uses": ["exam"]}),
        ("uses", {"uses": "quiz"}),
        ("completions", {"completions": []}),
        ("kind", {"kind": "converse"}),
        ("uses", {"kind": "demonstrate", "completions": [], "answer": {"text": "An owl."}}),
    ],
)
def test_a_gold_item_that_cannot_be_is_refused(field: str, given: dict[str, Any]) -> None:
    project = new_project()
    task = new_task(project)
    base = {
        "kind": "rank",
        "prompt": task.prompt,
        "completions": list(task.candidates.values_list("completion", flat=True)),
        "answer": RIGHT["rank"],
        "uses": ["queue"],
        "explanation": "Kindest first.",
    }
    with pytest.raises(GoldError) as refused:
        items.add(project=project, **base | given)
    assert refused.value.field == field
    assert not GoldItem.objects.exists()


@pytest.mark.django_db
def test_the_database_refuses_what_the_verb_would() -> None:
    item = new_gold(new_project(), uses=("quiz",))
    for change in ({"quiz": False}, {"explanation": ""}):
        with pytest.raises(IntegrityError), transaction.atomic():
            GoldItem.objects.filter(pk=item.pk).update(**change)


@pytest.mark.django_db
def test_gold_of_a_label_of_a_task_and_of_its_consensus() -> None:
    project = new_project(overlap=3)
    task = new_task(project)
    people = [new_labeler(project) for _ in range(3)]
    ids = list(task.candidates.values_list("pk", flat=True))
    for person, order in zip(people, ((0, 1, 2), (0, 2, 1), (2, 0, 1)), strict=True):
        lease = given_next(person, project)
        label = submitted(lease, {"tiers": [[ids[place]] for place in order], "comment": "mine"})
    item = items.add_from_task(task=task, uses=["queue"])
    assert (item.answer, item.made_from) == ({"tiers": [[0], [2], [1]]}, task)
    assert items.add_from_task(task=task, uses=["queue"], label=label.pk).answer == {"tiers": [[2], [0], [1]]}
    own = {"tiers": [[ids[1]], [ids[0], ids[2]]]}
    assert items.add_from_task(task=task, uses=["queue"], answer=own).answer == {"tiers": [[1], [0, 2]]}


@pytest.mark.django_db
def test_gold_of_a_task_without_one_answer_is_refused() -> None:
    project = new_project(overlap=2)
    nothing = new_task(project, kind="compare")
    with pytest.raises(GoldError, match="no label yet"):
        items.add_from_task(task=nothing, uses=["queue"])
    for side in (0, 1):
        lease = given_next(new_labeler(project), project)
        ids = list(nothing.candidates.values_list("pk", flat=True))
        submitted(lease, {"preferred": ids[side], "strength": "better"})
    with pytest.raises(GoldError, match="no one answer in common"):
        items.add_from_task(task=nothing, uses=["queue"])
    with pytest.raises(GoldError, match="no such label"):
        items.add_from_task(task=nothing, uses=["queue"], label=10**9)
    with pytest.raises(GoldError, match="no candidate"):
        items.add_from_task(task=nothing, uses=["queue"], answer={"preferred": 10**9, "strength": "much"})


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies.chance, "random", lambda: 0.0)


@pytest.mark.django_db
def test_gold_comes_in_the_place_of_work_once_a_person(always: None) -> None:
    project = new_project(gold_rate=0.1)
    item = new_gold(project)
    task = new_task(project)
    for _ in range(2):
        mia = new_labeler(project)
        lease = given_next(mia, project)
        assert lease.task.gold == {"item": item.pk, "use": "queue"}
        assert (lease.task.reserved_for, lease.task.wanted, lease.task.taken) == (mia, 1, 1)
        assert sorted(lease.shown_order) == sorted(lease.task.candidates.values_list("pk", flat=True))
        task.refresh_from_db()
        assert task.taken == 0
        label = submitted(lease, known(lease))
        assert GoldLabel.objects.get(annotation=label).agreement == 1
    # They have had it: what comes is work.
    assert given_next(mia, project).task == task


@pytest.mark.django_db
def test_gold_keeps_to_its_rate_and_never_comes_alone(monkeypatch: pytest.MonkeyPatch, always: None) -> None:
    project = new_project(gold_rate=0.1)
    new_gold(project)
    assert queue.lease_next(labeler=new_labeler(project), project=project) is None
    task = new_task(project)
    monkeypatch.setattr(copies.chance, "random", lambda: 0.1)
    assert given_next(new_labeler(project), project).task == task


@pytest.mark.django_db
def test_gold_is_alike_what_it_stands_for(always: None) -> None:
    project = new_project(gold_rate=0.5)
    new_gold(project, kind="compare")
    sensitive = new_gold(project)
    sensitive.prompt.sensitive = True
    sensitive.prompt.save()
    spanish = new_gold(project)
    spanish.prompt.language = "es"
    spanish.prompt.save()
    retired = new_gold(project)
    items.retire(item=retired)
    task = new_task(project)
    assert given_next(new_labeler(project), project).task == task


@pytest.mark.django_db
def test_gold_of_a_task_is_not_for_who_did_that_task(always: None) -> None:
    project = new_project(overlap=2)
    task, other = new_task(project), new_task(project)
    mia = new_labeler(project)
    lease = given_next(mia, project)
    label = submitted(lease, an_answer(lease))
    assert lease.task == task
    items.add_from_task(task=task, label=label.pk, uses=["queue"])
    project.gold_rate = 0.5
    assert given_next(mia, project).task == other


@pytest.mark.django_db
def test_a_copy_is_for_nobody_else_and_comes_back_where_its_lease_ran_out(always: None) -> None:
    project = new_project(gold_rate=0.5)
    new_gold(project)
    task = new_task(project)
    mia, leo = new_labeler(project), new_labeler(project)
    lease = given_next(mia, project)
    queue.take_slot(task=task)
    Lease.objects.filter(pk=lease.pk).update(expires_at=lease.opened_at)
    queue.sweep()
    assert queue.lease_next(labeler=leo, project=project) is None
    assert queue.renew(lease_id=lease.pk, labeler=mia).task == lease.task
    Lease.objects.filter(pk=lease.pk).update(expires_at=lease.opened_at)
    queue.sweep()
    queue.give_back_slot(task=task)
    assert given_next(mia, project).task == lease.task


@pytest.mark.django_db
def test_gold_is_no_work_and_trains_nothing(always: None) -> None:
    project = new_project(gold_rate=0.5, review_share=1)
    item = new_gold(project)
    task = new_task(project)
    mia = new_labeler(project)
    submitted(lease := given_next(mia, project), an_answer(lease))
    gold = lease.task
    assert Annotation.objects.standing().count() == 1
    assert not Annotation.objects.trainable().exists()
    assert list(Task.objects.open()) == [task]
    assert not Task.objects.filter(kind="review").exists()
    assert reviews.make_reviews(project=project) == 0
    # Its answers are still to be asked about in earnest.
    completions = {
        item.prompt: [one.completion for one in gold.candidates.select_related("completion__prompt")]
    }
    Task.objects.filter(prompt=item.prompt, state="withdrawn").delete()
    assert work.add_tasks(project=project, kind="rank", completions_by_prompt=completions) == 1
    assert [one.count for one in desk(user=mia.user, labeler=mia).projects[0].waiting if one.count] == [2]


@pytest.mark.django_db
def test_nothing_a_labeler_is_told_says_gold(client: Client, always: None) -> None:
    project = new_project()
    new_gold(project)
    new_task(project)
    new_task(project)
    mia = new_labeler(project)
    client.force_login(mia.user)

    def done(rate: float) -> list[dict[str, Any]]:
        Project.objects.filter(pk=project.pk).update(gold_rate=rate)
        before = Event.objects.filter(project=project).count()
        sheet = client.post(f"/api/projects/{project.slug}/next/", {}, "application/json").json()
        lease = Lease.objects.get(pk=sheet["lease"])
        assert (lease.task.gold is not None) == bool(rate)
        body = {"submission_id": str(lease.pk), "answer": an_answer(lease)}
        stored = client.post(f"/api/leases/{lease.pk}/submit/", body, "application/json").json()
        listed = client.get(f"/api/projects/{project.slug}/annotations/?mine=1").json()["results"][0]
        events = list(Event.objects.filter(project=project).order_by("id")[before:])
        return [sheet, stored, listed, *({"kind": one.kind, **one.reference} for one in events)]

    work_, gold = done(0), done(0.5)
    assert [sorted(part) for part in work_] == [sorted(part) for part in gold]
    assert "gold" not in str(gold)


@pytest.mark.django_db
def test_a_label_on_gold_may_be_revised_and_the_newest_counts(always: None) -> None:
    project = new_project(gold_rate=0.5)
    new_gold(project)
    new_task(project)
    mia = new_labeler(project)
    lease = given_next(mia, project)
    first = submitted(lease, wrong(lease))
    annotate.revise(annotation_id=first.pk, labeler=mia, submission_id=first.lease_id, answer=known(lease))
    agreements = list(GoldLabel.objects.order_by("id").values_list("agreement", flat=True))
    assert agreements == [0, 1]


@pytest.mark.django_db
def test_gold_keeps_up_with_the_guideline(always: None) -> None:
    project = new_project(gold_rate=0.5)
    new_gold(project)
    new_task(project)
    publish.publish(guideline=project.guideline, body="# Be kinder", author=None)
    project = Project.objects.get(pk=project.pk)
    assert given_next(new_labeler(project), project).task.guideline_version.number == 2


@pytest.mark.django_db
def test_records_of_gold_stay(always: None) -> None:
    project = new_project(gold_rate=0.5)
    new_gold(project)
    new_task(project)
    lease = given_next(new_labeler(project), project)
    submitted(lease, known(lease))
    with pytest.raises(IntegrityError), transaction.atomic():
        GoldLabel.objects.update(agreement=0)


@pytest.mark.django_db
def test_next_costs_few_statements_with_gold_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    project = new_project(gold_rate=0.5)
    for _ in range(3):
        new_gold(project)
        new_task(project)
    mia = new_labeler(project)
    client.force_login(mia.user)

    def statements(drawn: float) -> int:
        monkeypatch.setattr(copies.chance, "random", lambda: drawn)
        with CaptureQueriesContext(connection) as seen:
            body = {"prefetch": True}
            assert (
                client.post(f"/api/projects/{project.slug}/next/", body, "application/json").status_code
                == 200
            )
        return len([one for one in seen if "savepoint" not in one["sql"].lower()])

    # Two of them are the session and its account.
    assert statements(0.9) <= 12
    assert statements(0.0) <= 20

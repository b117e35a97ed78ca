"""The quality of a project's own labels: what is read, how it is cut, who may see it, how many queries."""

import random
import uuid
from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone
from scenes import an_answer, new_labeler, new_project, new_task

from labeling import annotate, queue
from labeling.models import Annotation, Completion, Invalidation, Membership
from labeling.people.projects import create_project
from labeling.quality import collect, leanings

pytestmark = pytest.mark.django_db
CRITERIA = [
    {
        "key": "overall",
        "label": "Overall",
        "scope": "completion",
        "type": "scale",
        "min": 1,
        "max": 7,
        "required": True,
    },
    {"key": "rude", "label": "Rude", "scope": "completion", "type": "flag", "required": False},
    {
        "key": "clear",
        "label": "Clear",
        "scope": "prompt",
        "type": "scale",
        "min": 1,
        "max": 3,
        "required": False,
    },
]


def label(task, labeler, *, order=None, **answer):
    """One label as the queue takes it; ``order`` numbers the candidates as they were made, best first."""
    lease = queue.lease_next(labeler=labeler, project=task.project)
    assert lease.task_id == task.pk
    ids = sorted(lease.shown_order)
    made = an_answer(lease) | answer
    if order is not None:
        made["tiers"] = [[ids[at]] for at in order]
    if "ratings" in answer:
        made["ratings"] = {str(ids[at]): values for at, values in answer["ratings"].items()}
    return annotate.submit(lease_id=lease.pk, labeler=labeler, submission_id=uuid.uuid4(), answer=made)


@pytest.fixture
def project():
    return new_project(overlap=2)


@pytest.fixture
def pair(project):
    return new_labeler(project), new_labeler(project)


def test_rankings(project, pair):
    for orders in ([0, 1, 2], [0, 1, 2]), ([0, 1, 2], [0, 2, 1]):
        task = new_task(project)
        for labeler, order in zip(pair, orders, strict=True):
            label(task, labeler, order=order)
    told = collect.collect(project)
    everything, by_kind = collect.agreements(told)
    assert (everything.cut, by_kind.cut, by_kind.name) == ("all", "kind", "rank")
    assert (everything.found.shared, everything.found.labels) == (6, 12)
    assert everything.found.raw == pytest.approx(5 / 6)
    assert everything.tau == pytest.approx((1 + 1 / 3) / 2)


def test_comparisons_and_ties(project, pair):
    task = new_task(project, kind="compare")
    for labeler in pair:
        label(task, labeler, preferred=None, strength="tie")
    told = collect.collect(project)
    assert collect.agreements(told)[0].found.raw == 1
    assert collect.reliabilities(told) is None


def test_criteria():
    project = create_project(
        slug="rated", name="Rated", guideline_title="Rate", guideline_body="# Rate", criteria=CRITERIA
    )
    pair = new_labeler(project), new_labeler(project)
    task = new_task(project, kind="rate", k=2, wanted=2)
    first = {"ratings": {0: {"overall": 7, "rude": True}, 1: {"overall": 1}}, "prompt": {"clear": 2}}
    second = {"ratings": {0: {"overall": 6}, 1: {"overall": 1}}, "prompt": {}}
    for labeler, answer in zip(pair, (first, second), strict=True):
        label(task, labeler, **answer, order=[0, 1])
    rows = {
        row.name: row.found for row in collect.agreements(collect.collect(project)) if row.cut == "criterion"
    }
    assert (rows["Overall"].level, rows["Overall"].raw, rows["Overall"].shared) == ("ordinal", 0.5, 2)
    assert (rows["Rude"].level, rows["Rude"].raw, rows["Rude"].shared) == ("nominal", 0.5, 2)
    assert (rows["Clear"].labels, rows["Clear"].shared) == (1, 0)


def test_cuts(project, pair):
    for use_case in ("chat", "code"):
        task = new_task(project)
        task.prompt.use_case = use_case
        task.prompt.save()
        for labeler in pair:
            label(task, labeler)
    rows = collect.agreements(collect.collect(project))
    assert [(row.cut, row.name) for row in rows] == [
        ("all", ""),
        ("kind", "rank"),
        ("use case", "chat"),
        ("use case", "code"),
    ]


def test_only_labels_that_stand(project, pair):
    task = new_task(project)
    kept, gone = (label(task, labeler) for labeler in pair)
    Invalidation.objects.create(annotation=gone, reason="a spammer")
    told = collect.collect(project)
    assert [name for _, name in told.people] == [kept.labeler.name]
    assert len(told.origins) == 1


def test_the_newest(project, pair):
    for _ in range(3):
        task = new_task(project)
        for labeler in pair:
            label(task, labeler)
    told = collect.collect(project, newest=4)
    assert (len(told.origins), told.cut_off) == (4, True)
    assert not collect.collect(project, newest=6).cut_off


def crowd(project, *, tasks=40):
    """Five people, the last of whom takes what is shown first; their labels are made directly."""
    rng = random.Random(1)
    people = [new_labeler(project) for _ in range(5)]
    at = timezone.now() - timedelta(days=1)
    rows = []
    for _ in range(tasks):
        task = new_task(project, k=4, wanted=5)
        ids = list(task.candidates.order_by("pk").values_list("pk", flat=True))
        for number, labeler in enumerate(people):
            shown = rng.sample(ids, 4)
            order = shown if number == 4 else sorted(ids, key=lambda pk: ids.index(pk) + rng.gauss(0, 0.8))
            rows.append(
                Annotation(
                    submission_id=uuid.uuid4(),
                    body_hash="",
                    task=task,
                    labeler=labeler,
                    kind="rank",
                    guideline_version=task.guideline_version,
                    answer={"tiers": [[pk] for pk in order]},
                    shown_order=shown,
                    prompt_split="train",
                    labeler_group="train",
                    opened_at=at,
                    submitted_at=at,
                    active_seconds=30,
                )
            )
    Annotation.objects.bulk_create(rows)
    return people


def test_who_takes_what_is_shown_first(project, client, django_assert_max_num_queries):
    people = crowd(project)
    found = collect.reliabilities(collect.collect(project))
    last = found.labels.labelers.index(people[4].name)
    assert found.first.share[last] == 1
    assert found.weights[last] < 0.05 < 0.8 < np.delete(found.weights, last).min()
    owner = new_labeler(project, role="owner").user
    client.force_login(owner)
    with django_assert_max_num_queries(12):
        page = client.get(reverse("labeling:quality", args=[project.slug])).content.decode()
    assert "Takes what is shown first" in page
    assert "Krippendorff" in page
    assert "It is shown first" in page
    with django_assert_max_num_queries(10):
        told = client.get(f"/api/projects/{project.slug}/quality/").json()
    assert told["labelers"][str(people[4].pk)]["kind"] == "first"
    assert (told["labels"], told["complete"]) == (200, True)
    assert {row["cut"] for row in told["agreement"]} == {"all", "kind"}


def test_a_lean_towards_what_is_shown_first(project, django_assert_num_queries):
    """One in five follows it alone: that is one person's habit, and no lean of the crew that is sure."""
    crowd(project)
    told = collect.collect(project)
    with django_assert_num_queries(1):
        (found,) = leanings.leanings(told)
    assert found.name == "shown first"
    assert found.low < 0.5 < 0.55 < found.chance < found.high
    assert not found.sure


def test_a_lean_towards_length(project):
    """The better answers are the longer ones; a bold passage is in every one."""
    crowd(project)
    long = Completion.objects.filter(index__lt=2)
    for one in long:
        one.text += " And then it flew, high above the **hills**, until the evening."
    for one in (short := Completion.objects.filter(index__gte=2)):
        one.text += " **So.**"
    Completion.objects.bulk_update([*long, *short], ["text"])
    found = {one.name: one for one in leanings.leanings(collect.collect(project))}
    assert set(found) == {"shown first", "twice as long"}
    assert 0.5 < found["twice as long"].low < 0.7 < found["twice as long"].chance


def test_too_few_for_a_lean(project):
    crowd(project, tasks=2)
    assert leanings.leanings(collect.collect(project)) == []


def test_three_queries(project, django_assert_num_queries):
    crowd(project, tasks=3)
    with django_assert_num_queries(3):
        collect.collect(project)


def test_nothing_yet(project, client):
    client.force_login(new_labeler(project, role="admin").user)
    page = client.get(reverse("labeling:quality", args=[project.slug]))
    assert "Nothing to compare yet" in page.content.decode()
    told = client.get(f"/api/projects/{project.slug}/quality/").json()
    assert told == {"labels": 0, "complete": True, "agreement": [], "labelers": {}}


@pytest.mark.parametrize(("role", "status"), [("labeler", 403), ("reviewer", 403), (None, 404)])
def test_managers_only(project, client, role, status):
    labeler = new_labeler(project, role=role) if role else new_labeler()
    client.force_login(labeler.user)
    assert client.get(reverse("labeling:quality", args=[project.slug])).status_code == status
    assert client.get(f"/api/projects/{project.slug}/quality/").status_code == status
    assert Membership.objects.filter(project=project, role="owner").count() == 0

"""Many labels taken out of use at once: which, what they touch, and that each rule of a single one holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scenes import an_answer, new_labeler, new_project, new_task
from test_api import api_of, problem
from test_queue import across_threads, assert_slots_add_up, in_threads

from guidelines import publish
from labeling import annotate, blast, queue
from labeling.datasets import dataset
from labeling.models import (
    Annotation,
    AuditEntry,
    Event,
    Invalidation,
    Labeler,
    Membership,
    Project,
    Prompt,
    Task,
)
from labeling.people import invalidate
from labeling.people.invalidate import Choice, InvalidateError
from labeling.reviewing import reviews
from models_zoo.models import Checkpoint
from rlhf import lineage
from rlhf.models import Round, RoundStep, Run, RunInput

pytestmark = pytest.mark.django_db
WHY = "They always chose the first."


@pytest.fixture
def project() -> Project:
    return new_project(overlap=1)


@pytest.fixture
def owner(project: Project) -> Membership:
    return owner_of(project)


def owner_of(project: Project) -> Membership:
    labeler = new_labeler(project, role="owner")
    return Membership.objects.select_related("project", "user").get(user=labeler.user)


def submit(labeler: Labeler, project: Project, answer: Any = None, **kinds: Any) -> Annotation:
    lease = queue.lease_next(labeler=labeler, project=project, **kinds)
    answer = answer or an_answer(lease)
    return annotate.submit(lease_id=lease.pk, labeler=labeler, submission_id=uuid4(), answer=answer)


def label(project: Project, labeler: Labeler, n: int = 1, **fields: Any) -> list[Annotation]:
    made = []
    for _ in range(n):
        new_task(project, **fields)
        made.append(submit(labeler, project))
    return made


def revise(old: Annotation) -> Annotation:
    return annotate.revise(
        annotation_id=old.pk, labeler=old.labeler, submission_id=uuid4(), answer=old.answer
    )


def everything(owner: Membership, labeler: Labeler, **more: Any) -> invalidate.Done:
    return invalidate.invalidate(Choice(labeler=labeler, **more), manager=owner, reason=WHY)


def test_a_persons_labels_go_and_their_tasks_ask_again(project: Project, owner: Membership) -> None:
    mia, leo = new_labeler(project), new_labeler(project)
    label(project, mia, 3)
    [kept] = label(project, leo)
    assert everything(owner, mia) == invalidate.Done(labels=3, opened=3)
    assert Annotation.objects.valid().get() == kept
    assert Annotation.objects.count() == 4
    assert {(mark.reason, mark.actor) for mark in Invalidation.objects.all()} == {(WHY, owner.user)}
    assert Task.objects.open().count() == 3
    assert_slots_add_up()
    [event] = Event.objects.filter(project=project, kind="invalidated")
    assert event.reference == {"labels": 3, "told": [str(mia.pk)]}
    entry = AuditEntry.objects.get(action="labels.invalidate")
    assert (entry.target, entry.detail) == (
        f"labeler {mia.name}",
        {"labels": 3, "reason": WHY, "labeler": str(mia.pk)},
    )


def test_twice_is_once(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    label(project, mia, 2)
    everything(owner, mia)
    before = list(Task.objects.order_by("pk").values_list("taken", flat=True))
    assert everything(owner, mia) == invalidate.Done(labels=0, opened=0)
    assert list(Task.objects.order_by("pk").values_list("taken", flat=True)) == before
    assert Event.objects.filter(project=project, kind="invalidated").count() == 1
    assert AuditEntry.objects.filter(action="labels.invalidate").count() == 1


def test_while_they_work(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    label(project, mia, 1)
    new_task(project)
    lease = queue.lease_next(labeler=mia, project=project)
    assert invalidate.preview(Choice(labeler=mia), membership=owner).held == 1
    everything(owner, mia)
    later = annotate.submit(lease_id=lease.pk, labeler=mia, submission_id=uuid4(), answer=an_answer(lease))
    assert Annotation.objects.valid().get() == later
    assert_slots_add_up()


def test_a_kind_or_a_period_alone(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    [ranked] = label(project, mia)
    [written] = label(project, mia, kind="demonstrate")
    today = timezone.localdate()
    for choice, found in (
        ({"kind": "rank"}, [ranked]),
        ({"since": today, "until": today}, [ranked, written]),
        ({"since": today + timedelta(1)}, []),
        ({"until": today - timedelta(1)}, []),
        ({"kind": "demonstrate", "since": today}, [written]),
    ):
        chosen = invalidate.chosen(Choice(labeler=mia, **choice), membership=owner)
        assert list(chosen.order_by("pk")) == found
    assert everything(owner, mia, kind="rank").labels == 1
    assert Annotation.objects.valid().get() == written


def test_all_under_a_guideline_version(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    first = project.guideline.current
    label(project, mia, 2)
    publish.publish(guideline=project.guideline, body="# Be kinder")
    [kept] = label(project, mia)
    done = invalidate.invalidate(Choice(version=first), manager=owner, reason=WHY)
    assert done.labels == 2
    assert Annotation.objects.valid().get() == kept
    assert AuditEntry.objects.get(action="labels.invalidate").target == "labels under guideline version 1"


def test_a_shared_guideline_touches_this_project_alone(project: Project, owner: Membership) -> None:
    other = new_project()
    Project.objects.filter(pk=other.pk).update(guideline=project.guideline)
    other.refresh_from_db()
    mia = new_labeler(other)
    [kept] = label(other, mia)
    choice = Choice(version=project.guideline.current)
    assert invalidate.invalidate(choice, manager=owner, reason=WHY).labels == 0
    assert invalidate.preview(Choice(labeler=mia), membership=owner).radius.labels == 0
    assert Annotation.objects.valid().get() == kept


def test_a_surplus_label_gave_no_slot(project: Project, owner: Membership) -> None:
    mia, leo = new_labeler(project), new_labeler(project)
    task = new_task(project)
    late = queue.lease_next(labeler=mia, project=project)
    type(late).objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    queue.sweep()
    submit(leo, project)
    surplus = annotate.submit(lease_id=late.pk, labeler=mia, submission_id=uuid4(), answer=an_answer(late))
    assert surplus.surplus
    assert everything(owner, mia) == invalidate.Done(labels=1, opened=0)
    task.refresh_from_db()
    assert task.taken == 1


def test_a_revised_label_gives_one_slot_back(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    [old] = label(project, mia)
    new = revise(old)
    assert everything(owner, mia).labels == 1
    assert Invalidation.objects.get().annotation == new
    assert Task.objects.get().taken == 0


def test_overlap_gives_back_what_one_person_took(owner: Membership, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(overlap=3)
    project.refresh_from_db()
    mia, leo = new_labeler(project), new_labeler(project)
    task = new_task(project)
    submit(mia, project), submit(leo, project)
    everything(owner, mia)
    task.refresh_from_db()
    assert task.taken == 1


def test_waiting_reviews_are_withdrawn(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    label(project, mia, 2)
    reviews.make_reviews(project=project)
    everything(owner, mia)
    assert set(Task.objects.filter(kind="review").values_list("state", flat=True)) == {"withdrawn"}


def test_a_review_in_hand_and_an_appeal(project: Project, owner: Membership) -> None:
    mia, reviewer = new_labeler(project), new_labeler(project, role="reviewer")
    [back] = label(project, mia)
    reviews.make_reviews(project=project)
    said = {"decisions": {str(back.pk): {"verdict": "send_back", "reason": "No."}}}
    submit(reviewer, project, said, kinds=["review"])
    reviews.appeal(annotation_id=back.pk, labeler=mia, text="It is right.")
    [appealed] = Task.objects.filter(kind="review", taken=0)
    everything(owner, mia)
    appealed.refresh_from_db()
    assert appealed.state == "withdrawn"


def test_a_reviewers_verdicts_lose_their_force(project: Project, owner: Membership) -> None:
    mia, reviewer = new_labeler(project), new_labeler(project, role="reviewer")
    [back] = label(project, mia)
    reviews.make_reviews(project=project)
    said = {"decisions": {str(back.pk): {"verdict": "send_back", "reason": "No."}}}
    submit(reviewer, project, said, kinds=["review"])
    assert not Annotation.objects.standing().filter(pk=back.pk).exists()
    assert everything(owner, reviewer).labels == 1
    assert Annotation.objects.standing().filter(pk=back.pk).exists()
    [event] = Event.objects.filter(project=project, kind="invalidated")
    assert str(mia.pk) in event.reference["told"]


def test_a_verdict_on_an_appeal_is_final(project: Project, owner: Membership) -> None:
    mia, first, second = (new_labeler(project, role=role) for role in ("labeler", "reviewer", "reviewer"))
    [back] = label(project, mia)
    reviews.make_reviews(project=project)
    said = {"decisions": {str(back.pk): {"verdict": "send_back", "reason": "No."}}}
    submit(first, project, said, kinds=["review"])
    reviews.appeal(annotation_id=back.pk, labeler=mia, text="It is right.")
    final = submit(second, project, said, kinds=["review"])
    shown = invalidate.preview(Choice(labeler=second), membership=owner)
    assert (shown.labels, shown.final) == (0, 1)
    assert everything(owner, second).labels == 0
    assert Annotation.objects.valid().filter(pk=final.pk).exists()


def test_what_hangs_below_a_written_prompt_is_withdrawn(project: Project, owner: Membership) -> None:
    from labeling.writing import conversations

    conversations.add_tasks(project=project, text="Owls", count=1)
    mia, leo = new_labeler(project), new_labeler(project)
    submit(mia, project, {"text": "Tell me about owls."}, kinds=["prompt"])
    submit(leo, project, {"text": "They see at night."}, kinds=["demonstrate"])
    everything(owner, mia)
    written = Prompt.objects.get(origin="written", written_in__isnull=False)
    assert written.withdrawn
    assert set(written.tasks.values_list("state", flat=True)) == {"withdrawn"}


def test_a_grown_conversation_makes_room_again(owner: Membership, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(tree_turns=4)
    owner.project.refresh_from_db()
    project.refresh_from_db()
    mia, leo = new_labeler(project), new_labeler(project)
    new_task(project, kind="demonstrate")
    submit(mia, project, kinds=["demonstrate"])
    submit(leo, project, {"text": "And then?"}, kinds=["prompt"])
    assert Prompt.objects.filter(project=project, withdrawn=False).count() == 3
    everything(owner, mia)
    below = Prompt.objects.filter(project=project, root__isnull=False)
    assert set(below.values_list("withdrawn", flat=True)) == {True}
    assert Task.objects.open().get().kind == "demonstrate"


@pytest.mark.parametrize("n", [1, 6])
def test_statements_for_one_and_for_many(project: Project, owner: Membership, n: int) -> None:
    mia = new_labeler(project)
    label(project, mia, n)
    with CaptureQueriesContext(connection) as captured:
        everything(owner, mia)
    assert len(captured) <= 16, "\n".join(query["sql"] for query in captured)


@pytest.mark.parametrize(
    ("choice", "reason", "field"),
    [
        ({}, WHY, "labeler"),
        ({"labeler": True}, " ", "reason"),
        ({"labeler": True}, "x" * 501, "reason"),
        ({"labeler": True}, "a\x00", "reason"),
        ({"labeler": True, "kind": "dance"}, WHY, "kind"),
        (
            {"labeler": True, "since": timezone.localdate(), "until": timezone.localdate() - timedelta(1)},
            WHY,
            "since",
        ),
    ],
)
def test_bad_input_names_its_field(
    project: Project, owner: Membership, choice: dict[str, Any], reason: str, field: str
) -> None:
    mia = new_labeler(project)
    label(project, mia)
    chosen = Choice(**({**choice, "labeler": mia} if choice else {}))
    with pytest.raises(InvalidateError) as refused:
        invalidate.invalidate(chosen, manager=owner, reason=reason)
    assert refused.value.field == field
    assert not Invalidation.objects.exists()


def test_a_version_of_another_guideline(project: Project, owner: Membership) -> None:
    choice = Choice(version=new_project().guideline.current)
    with pytest.raises(InvalidateError, match="another project's"):
        invalidate.preview(choice, membership=owner)


@across_threads
def test_revised_and_invalidated_at_once() -> None:
    project = new_project(overlap=1)
    owner, mia = owner_of(project), new_labeler(project)
    old = label(project, mia, 6)

    def work(i: int) -> None:
        if i == 6:
            everything(owner, mia)
            return
        try:
            revise(old[i])
        except annotate.Conflict:
            pass

    in_threads(7, work)
    # What was revised before counts as its newest version; what came after stands.
    for task in Task.objects.all():
        stand = Annotation.objects.valid().filter(task=task).count()
        assert task.taken == stand <= 1
    assert Invalidation.objects.filter(annotation__superseded_by__isnull=False).count() == 0


@across_threads
def test_two_admins_at_once() -> None:
    project = new_project(overlap=1)
    owners, mia = [owner_of(project) for _ in range(3)], new_labeler(project)
    label(project, mia, 8)
    done = in_threads(3, lambda i: everything(owners[i], mia).labels)
    assert sorted(done) == [0, 0, 8]
    assert set(Task.objects.values_list("taken", flat=True)) == {0}


# What was made of labels


def checkpoint(name: str, parent: Checkpoint | None = None) -> Checkpoint:
    return Checkpoint.objects.create(
        name=name, kind="policy", parent=parent, digest=f"sha256:{name}", folder=f"store/{name}"
    )


def run(project: Project, name: str, *, inputs: tuple[Checkpoint, ...] = (), **fields: Any) -> Run:
    """A finished run with its output, which is called as the run is."""
    parent = inputs[0] if inputs else None
    made = Run.objects.create(
        project=project,
        algorithm=name,
        state="done",
        output=checkpoint(f"{name}-{uuid4().hex[:6]}", parent),
        **fields,
    )
    for i, one in enumerate(inputs):
        RunInput.objects.create(run=made, role=f"input-{i}", checkpoint=one)
    return made


@pytest.fixture
def made(project: Project, owner: Membership) -> dict[str, Any]:
    """Of one dataset a reward model, PPO by that, a later run on its policy; another project apart."""
    mia = new_labeler(project)
    label(project, mia, 2)
    first = dataset.freeze(project=project, kind="preferences")
    base = checkpoint("base")
    turn = Round.objects.create(project=project, number=1, kind="preferences", label_target=2)
    RoundStep.objects.create(round=turn, ordinal=0, name="freeze", dataset=first)
    reward = run(project, "reward", inputs=(base,), dataset=first, round=turn)
    ppo = run(project, "ppo", inputs=(base, reward.output), round=turn)
    later = run(project, "sft", inputs=(ppo.output,))
    other = new_project(overlap=1)
    label(other, new_labeler(other))
    apart = dataset.freeze(project=other, kind="preferences")
    run(other, "aside", inputs=(base,), dataset=apart)
    return {
        "mia": mia,
        "first": first,
        "base": base,
        "turn": turn,
        "reward": reward,
        "ppo": ppo,
        "later": later,
    }


def test_descent(made: dict[str, Any]) -> None:
    found = lineage.descent([made["first"].pk])
    assert found.runs == [made["reward"].pk, made["ppo"].pk, made["later"].pk]
    assert found.checkpoints == [made[name].output.pk for name in ("reward", "ppo", "later")]
    assert found.rounds == [made["turn"].pk]
    assert made["base"].pk not in found.checkpoints
    assert lineage.descent([]) == lineage.Descent()


def test_radius_says_what_was_made(made: dict[str, Any], project: Project, owner: Membership) -> None:
    radius = invalidate.preview(Choice(labeler=made["mia"]), membership=owner).radius
    assert (radius.labels, radius.tasks, radius.labelers) == (2, 2, 1)
    [held] = radius.datasets
    assert (held.labels, held.address) == (2, f"/projects/{project.slug}/datasets/#dataset-1")
    assert [one.kind for one in radius.made] == ["run"] * 3 + ["checkpoint"] * 3 + ["round"]
    client = Client()
    client.force_login(owner.user)
    assert {client.get(one.address).status_code for one in [held, *radius.made]} == {200}


def test_radius_finds_the_earlier_version_of_a_revised_label(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    [old] = label(project, mia)
    dataset.freeze(project=project, kind="preferences")
    revise(old)
    shown = invalidate.preview(Choice(labeler=mia), membership=owner)
    assert (shown.labels, [one.labels for one in shown.radius.datasets]) == (1, [1])


def test_a_round_without_a_run_of_its_dataset(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    label(project, mia)
    frozen = dataset.freeze(project=project, kind="preferences")
    turn = Round.objects.create(project=project, number=1, kind="preferences", label_target=2)
    RoundStep.objects.create(round=turn, ordinal=0, name="freeze", dataset=frozen)
    without = Run.objects.create(project=project, algorithm="old", round=turn)
    found = lineage.descent([frozen.pk])
    assert (found.runs, found.rounds) == ([without.pk], [turn.pk])


def test_radius_costs_the_same_for_many(made: dict[str, Any], project: Project, owner: Membership) -> None:
    costs = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            blast.radius(Annotation.objects.filter(labeler=made["mia"]))
        costs.append(len(captured))
        turned = made["later"].output
        for _ in range(4):
            again = dataset.freeze(project=project, kind="preferences")
            turned = run(project, "more", inputs=(turned,), dataset=again).output
    assert costs[0] == costs[1] <= 13


# The page and the API


def test_page_shows_the_radius_before_the_deed(
    made: dict[str, Any], project: Project, owner: Membership
) -> None:
    client, page = Client(), f"/projects/{project.slug}/manage/people/invalidate/"
    client.force_login(owner.user)
    asked = {"labeler": str(made["mia"].pk)}
    shown = client.get(page, asked).content.decode()
    assert '<dd class="big" id="radius-labels">2</dd>' in shown
    assert made["ppo"].output.name in shown
    assert not Invalidation.objects.exists()
    refused = client.post(page, asked | {"reason": " "})
    assert (refused.status_code, "Say why" in refused.content.decode()) == (422, True)
    assert "radius-labels" in refused.content.decode()
    done = client.post(page, asked | {"reason": WHY}, follow=True).content.decode()
    assert "2 labels are out of use. 2 tasks ask again." in done
    assert "Nothing is left to do" in done
    again = client.post(page, asked | {"reason": WHY}, follow=True).content.decode()
    assert "Nothing was left to do" in again


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"labeler": "x"}, "nobody like that"),
        ({"labeler": "00000000-0000-0000-0000-000000000000"}, "nobody like that"),
        ({"version": "99"}, "no such version"),
        ({"version": "1", "kind": "dance"}, "no kind"),
        ({"version": "1", "since": "2026-02-30"}, "no day"),
        ({"version": "1", "since": "2026-02-02", "until": "2026-02-01"}, "is after"),
    ],
)
def test_page_with_bad_input(project: Project, owner: Membership, asked: dict[str, str], words: str) -> None:
    client = Client()
    client.force_login(owner.user)
    refused = client.get(f"/projects/{project.slug}/manage/people/invalidate/", asked)
    assert (refused.status_code, words in refused.content.decode()) == (422, True)


def test_by_api(made: dict[str, Any], project: Project) -> None:
    api, where = api_of(project, "admin"), f"projects/{project.slug}/invalidations/"
    mia = str(made["mia"].pk)
    shown = api.get(f"{where}?labeler={mia}&kind=rank").json()
    assert (shown["labels"], shown["opened"], shown["radius"]["datasets"][0]["labels"]) == (2, 2, 2)
    problem(api.post(where, {"labeler": mia}), 400, field="reason")
    problem(api.post(where, {"reason": WHY}), 400, field="labeler")
    problem(api.post(where, {"labeler": mia, "reason": WHY, "kind": "dance"}), 400, field="kind")
    problem(api.get(f"{where}?version=99"), 404)
    problem(api_of(project, "reviewer").post(where, {"labeler": mia, "reason": WHY}), 403)
    assert api.post(where, {"labeler": mia, "reason": WHY}).json() == {"labels": 2, "opened": 2}
    assert api.post(where, {"version": 1, "reason": WHY}).json() == {"labels": 0, "opened": 0}

"""Reviews: who may judge what, what sending back does, and how an appeal ends."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from gold import new_gold
from scenes import an_answer, new_labeler, new_project, new_task

from labeling import annotate, queue
from labeling.answers import AnswerError
from labeling.models import Annotation, Event, Labeler, Lease, Project, Review, Task
from labeling.people import tokens
from labeling.qualification import copies
from labeling.reviewing import readings, reviews
from labeling.reviewing.review_sheets import part
from labeling.reviewing.reviews import Settled, State

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return new_project(overlap=2)


def label(project: Project, labeler: Labeler, kind: str = "rank", answer: Any = None) -> Annotation:
    lease = queue.lease_next(labeler=labeler, project=project, kinds=[kind])
    assert lease is not None
    return submit(lease, answer or an_answer(lease))


def submit(lease: Lease, answer: Any) -> Annotation:
    return annotate.submit(
        lease_id=lease.pk, labeler=lease.labeler, submission_id=uuid.uuid4(), answer=answer
    )


def lease_review(project: Project, reviewer: Labeler) -> Lease | None:
    return queue.lease_next(labeler=reviewer, project=project, kinds=["review"])


def judge(project: Project, reviewer: Labeler, **back: str) -> Annotation:
    """Review what comes next: every label is accepted but those of ``{letter: reason}``."""
    lease = lease_review(project, reviewer)
    assert lease is not None
    return submit(lease, decisions(lease, **back))


def decisions(lease: Lease, **back: str) -> dict[str, Any]:
    return {
        "decisions": {
            str(one["id"]): {"verdict": "send_back", "reason": back[one["name"]]}
            if one["name"] in back
            else {"verdict": "accept"}
            for one in part(lease)["labels"]
        }
    }


def send_back(
    project: Project, reviewer: Labeler, target: Annotation, reason: str = "Too long."
) -> Annotation:
    lease = lease_review(project, reviewer)
    assert lease is not None
    (name,) = (one["name"] for one in part(lease)["labels"] if one["id"] == target.pk)
    return submit(lease, decisions(lease, **{name: reason}))


def revise(one: Annotation, answer: Any = None) -> Annotation:
    return annotate.revise(
        annotation_id=one.pk,
        labeler=one.labeler,
        submission_id=uuid.uuid4(),
        answer=answer or one.answer,
    )


def state(one: Annotation) -> State | None:
    outcome = reviews.outcomes([one.pk]).get(one.pk)
    return outcome and outcome.state


def told() -> dict[str, Any]:
    """What the newest event says beyond its task and kind."""
    reference = Event.objects.order_by("-id")[0].reference
    return {key: reference[key] for key in reference if key not in ("task", "kind")}


def standing(one: Annotation) -> bool:
    return Annotation.objects.standing().filter(pk=one.pk).exists()


@pytest.fixture
def reviewed(project: Project) -> tuple[Annotation, Annotation]:
    """Two labels of one task, for which a review waits."""
    new_task(project)
    pair = tuple(label(project, new_labeler(project)) for _ in range(2))
    assert reviews.make_reviews(project=project) == 1
    return pair


# Making


def test_only_finished_tasks_and_only_once(project: Project):
    for _ in range(3):
        new_task(project)
    mia, leo = new_labeler(project), new_labeler(project)
    for _ in range(2):
        label(project, mia)
    label(project, leo)
    assert [reviews.make_reviews(project=project) for _ in range(2)] == [1, 0]
    review = Task.objects.get(kind="review")
    assert (review.wanted, review.reviewed.kind, review.prompt_id) == (1, "rank", review.reviewed.prompt_id)


def test_gold_and_imports_are_not_reviewed(project: Project, monkeypatch: pytest.MonkeyPatch):
    project.gold_rate, copies_of = 0.5, new_gold(project)
    monkeypatch.setattr(copies.chance, "random", lambda: 0.0)
    new_task(project, wanted=1)
    label(project, new_labeler(project))
    gold = Task.objects.get(gold__item=copies_of.pk)
    project.gold_rate = 0
    Task.objects.filter(gold__isnull=True).delete()
    imported = new_task(project, wanted=1)
    theirs = label(project, new_labeler(project))
    Task.objects.filter(pk=imported.pk).update(taken=1)
    assert {gold.pk, imported.pk} == set(Task.objects.values_list("pk", flat=True))
    copied = Annotation.objects.get(pk=theirs.pk)
    copied.pk, copied.submission_id, copied.lease = None, uuid.uuid4(), None
    annotate.invalidate(annotation=theirs, actor=None, reason="an import stands in its place")
    copied.save(force_insert=True)
    Task.objects.filter(pk=imported.pk).update(taken=1)
    assert reviews.make_reviews(project=project) == 0


def test_a_larger_share_holds_the_smaller(project: Project):
    drawn = {share: {n for n in range(4000) if reviews.is_drawn(n, share)} for share in (0.1, 0.3)}
    assert drawn[0.1] < drawn[0.3]
    assert 320 < len(drawn[0.1]) < 480
    assert not any(reviews.is_drawn(n, 0.0) for n in range(1000))
    assert all(reviews.is_drawn(n, 1.0) for n in range(1000))


def test_the_label_that_fills_a_task_asks_for_its_review(project: Project):
    project.review_share = 1.0
    project.save()
    new_task(project)
    mia, leo = new_labeler(project), new_labeler(project)
    label(project, mia)
    assert not Task.objects.filter(kind="review").exists()
    label(project, leo)
    assert Task.objects.get(kind="review").propensity == 1.0
    assert reviews.make_reviews(project=project) == 0


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"kinds": ["review"]}, "of"),
        ({"kinds": ["x" * 999]}, "of"),
        ({"share": 0.0}, "share"),
        ({"share": 1.1}, "share"),
    ],
)
def test_bad_requests(project: Project, asked: Any, field: str):
    with pytest.raises(reviews.ReviewError) as refused:
        reviews.make_reviews(project=project, **asked)
    assert refused.value.field == field


# Judging


def test_nobody_reviews_their_own_or_the_same_twice(project: Project):
    new_task(project)
    ada, ben = new_labeler(project, role="reviewer"), new_labeler(project, role="admin")
    label(project, ada)
    label(project, new_labeler(project))
    reviews.make_reviews(project=project)
    assert lease_review(project, ada) is None
    judge(project, ben, A="Wrong way round.")
    revise(Annotation.objects.get(reviews__verdict="send_back"))
    assert reviews.make_reviews(project=project) == 1
    assert lease_review(project, ben) is None
    assert lease_review(project, new_labeler(project, role="owner")) is not None


def test_sent_back_labels_train_nothing(project: Project, reviewed: Any):
    bad, good = reviewed
    send_back(project, new_labeler(project, role="reviewer"), bad)
    assert [standing(one) for one in reviewed] == [False, True]
    assert [state(one) for one in reviewed] == [State.SENT_BACK, State.ACCEPTED]
    assert told() == {"reviewed": bad.task_id, "told": [str(bad.labeler_id)]}
    task = Task.objects.get(pk=bad.task_id)
    mended = revise(bad)
    assert standing(mended)
    assert Task.objects.get(pk=task.pk).taken == task.taken
    assert good.pk not in [one.annotation_id for one in Review.objects.filter(verdict="send_back")]


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        (None, "answer"),
        ({}, "answer.decisions"),
        ({"decisions": []}, "answer.decisions"),
        ({"decisions": {}}, "answer.decisions.{least}"),
        ({"decisions": {"0": {"verdict": "accept"}}}, "answer.decisions.0"),
        ({"decisions": {"\ud800": {}}}, "answer"),
        ({"decisions": {}, "grade": 3}, "answer.grade"),
    ],
)
def test_bad_answers(project: Project, reviewed: Any, answer: Any, field: str):
    lease = lease_review(project, new_labeler(project, role="reviewer"))
    with pytest.raises(AnswerError) as refused:
        submit(lease, answer)
    assert refused.value.field == field.format(least=min(str(one.pk) for one in reviewed))


@pytest.mark.parametrize(
    ("decision", "field"),
    [
        (None, ""),
        ({"verdict": "maybe"}, ""),
        ({"verdict": ["accept"]}, ""),
        ({"verdict": "send_back"}, ".reason"),
        ({"verdict": "send_back", "reason": " \n"}, ".reason"),
        ({"verdict": "send_back", "reason": 7}, ".reason"),
        ({"verdict": "send_back", "reason": "x" * 4001}, ".reason"),
        ({"verdict": "send_back", "reason": "a\x00b"}, None),
        ({"verdict": "accept", "why": ""}, ".why"),
    ],
)
def test_bad_decisions(project: Project, reviewed: Any, decision: Any, field: str | None):
    lease = lease_review(project, new_labeler(project, role="reviewer"))
    answer, pk = decisions(lease), str(reviewed[0].pk)
    answer["decisions"][pk] = decision
    with pytest.raises(AnswerError) as refused:
        submit(lease, answer)
    assert refused.value.field == ("answer" if field is None else f"answer.decisions.{pk}{field}")
    assert not Review.objects.exists()


def test_a_label_revised_meanwhile(project: Project, reviewed: Any):
    """The reviewer is told, and the new version takes the old one's place, under the same letter."""
    lease = lease_review(project, new_labeler(project, role="reviewer"))
    before, stale = part(lease), decisions(lease, A="No.", B="No.")
    new = revise(reviewed[0])
    with pytest.raises(AnswerError, match="revised, invalidated or judged since. Open the review again"):
        submit(lease, stale)
    after = part(lease)
    assert {one["name"]: one["id"] for one in before["labels"]} == {
        one["name"]: one["earlier"] or one["id"] for one in after["labels"]
    }
    assert new.pk in [one["id"] for one in after["labels"]]
    submit(lease, decisions(lease))
    assert state(new) == State.ACCEPTED


def test_everything_invalidated_meanwhile(project: Project, reviewed: Any):
    lease = lease_review(project, new_labeler(project, role="reviewer"))
    for one in reviewed:
        annotate.invalidate(annotation=one, actor=None, reason="spam")
    assert part(lease)["labels"] == []
    submit(lease, {"decisions": {}})


def test_reviews_of_nothing_are_withdrawn(project: Project, reviewed: Any):
    for one in reviewed:
        annotate.invalidate(annotation=one, actor=None, reason="spam")
    assert Task.objects.get(kind="review").state == "withdrawn"


def test_a_review_can_be_revised_until_an_author_acts(project: Project, reviewed: Any):
    bad, good = reviewed
    said = send_back(project, new_labeler(project, role="reviewer"), bad)
    swapped = {
        str(bad.pk): {"verdict": "accept"},
        str(good.pk): {"verdict": "send_back", "reason": "I meant this one."},
    }
    said = revise(said, {"decisions": swapped})
    assert [state(one) for one in reviewed] == [State.ACCEPTED, State.SENT_BACK]
    assert [standing(one) for one in reviewed] == [True, False]
    reviews.appeal(annotation_id=good.pk, labeler=good.labeler, text="It is short.")
    with pytest.raises(Settled, match="revised or appealed since"):
        revise(said, {"decisions": swapped})


def test_an_invalidated_review_frees_the_labels(project: Project, reviewed: Any):
    bad, _ = reviewed
    said = send_back(project, new_labeler(project, role="reviewer"), bad)
    reviews.appeal(annotation_id=bad.pk, labeler=bad.labeler, text="It is short.")
    annotate.invalidate(annotation=said, actor=None, reason="careless")
    assert standing(bad)
    assert state(bad) is None
    assert not Task.objects.open().filter(brief__form="appeal").exists()
    assert lease_review(project, new_labeler(project, role="reviewer")) is not None


# Appeals


@pytest.mark.parametrize(("verdict", "end"), [("accept", State.RESTORED), ("send_back", State.REFUSED)])
def test_an_appeal_goes_to_somebody_else_and_ends_it(
    project: Project, reviewed: Any, verdict: str, end: State
):
    bad, _ = reviewed
    first, second = (new_labeler(project, role="reviewer") for _ in range(2))
    send_back(project, first, bad, "Too long.")
    reviews.appeal(annotation_id=bad.pk, labeler=bad.labeler, text="It is short.")
    assert state(bad) == State.APPEALED
    assert not standing(bad)
    assert lease_review(project, first) is None
    lease = lease_review(project, second)
    (shown,) = part(lease)["labels"]
    assert (shown["id"], shown["sent_back"], shown["appeal"]) == (bad.pk, "Too long.", "It is short.")
    said = submit(lease, {"decisions": {str(bad.pk): {"verdict": verdict, "reason": "Counted."}}})
    assert state(bad) == end
    assert standing(bad) == (end == State.RESTORED)
    assert told()["told"] == [str(bad.labeler_id)]
    with pytest.raises(Settled, match="You appealed already"):
        reviews.appeal(annotation_id=bad.pk, labeler=bad.labeler, text="Once more.")
    with pytest.raises(Settled, match="final"):
        revise(said)
    with pytest.raises(Settled, match="final"):
        annotate.invalidate(annotation=said, actor=None, reason="x")
    # Final for this label; its author may still mend it.
    assert standing(revise(bad))
    # A restored label has its verdict, so the one that mends it is all that another review would ask about.
    assert reviews.make_reviews(project=project) == 1


def test_an_appeal_with_nobody_to_decide_it_waits(project: Project, reviewed: Any):
    bad, _ = reviewed
    only = new_labeler(project, role="reviewer")
    send_back(project, only, bad)
    reviews.appeal(annotation_id=bad.pk, labeler=bad.labeler, text="It is short.")
    assert reviews.stuck_appeals([project.pk]) == {project.pk: 1}
    new_labeler(project, role="labeler")
    assert reviews.stuck_appeals([project.pk]) == {project.pk: 1}
    new_labeler(project, role="admin")
    assert reviews.stuck_appeals([project.pk]) == {}


def test_mending_ends_an_appeal(project: Project, reviewed: Any):
    bad, _ = reviewed
    send_back(project, new_labeler(project, role="reviewer"), bad)
    reviews.appeal(annotation_id=bad.pk, labeler=bad.labeler, text="It is short.")
    revise(bad)
    assert Task.objects.get(brief__form="appeal").state == "withdrawn"
    with pytest.raises(Settled, match="revised or invalidated already"):
        reviews.appeal(annotation_id=bad.pk, labeler=bad.labeler, text="It is short.")


@pytest.mark.parametrize("text", ["", " \n", "x" * 4001, "a\x00b", "\ud800"])
def test_bad_appeals(project: Project, reviewed: Any, text: str):
    bad, good = reviewed
    send_back(project, new_labeler(project, role="reviewer"), bad)
    with pytest.raises(reviews.ReviewError) as refused:
        reviews.appeal(annotation_id=bad.pk, labeler=bad.labeler, text=text)
    assert refused.value.field == "text"
    with pytest.raises(Settled, match="was not sent back"):
        reviews.appeal(annotation_id=good.pk, labeler=good.labeler, text="Why not?")
    with pytest.raises(Annotation.DoesNotExist):
        reviews.appeal(annotation_id=bad.pk, labeler=good.labeler, text="On their behalf.")


# What the reviewer sees


def test_disagreement_in_rankings(project: Project):
    new_task(project)
    mia, leo = new_labeler(project), new_labeler(project)
    a, b, c = Task.objects.get().candidates.values_list("pk", flat=True)
    label(project, mia, answer={"tiers": [[a], [b, c]], "comment": "b and c are alike"})
    label(project, leo, answer={"tiers": [[b], [a], [c]]})
    reviews.make_reviews(project=project)
    seen = part(lease_review(project, new_labeler(project, role="reviewer")))
    names = {one["comment"]: one["name"] for one in seen["labels"]}
    first, second = names["b and c are alike"], names[""]
    assert seen["differ"]["pairs"] == [
        {"pair": [1, 2], "first": [first], "second": [second], "tie": []},
        {"pair": [2, 3], "first": [second], "second": [], "tie": [first]},
    ]
    (tiers,) = (one["parts"][0] for one in seen["labels"] if one["name"] == second)
    assert tiers == {"tiers": [[2], [1], [3]], "left_out": []}
    assert str(mia.pk) not in str(seen)
    assert mia.name not in str(seen)


@pytest.mark.parametrize("kind", ["demonstrate", "compare", "rate", "edit"])
def test_every_kind_can_be_read(project: Project, kind: str):
    new_task(project, kind=kind)
    for _ in range(2):
        label(project, new_labeler(project), kind)
    reviews.make_reviews(project=project, kinds=[kind])
    seen = part(lease_review(project, new_labeler(project, role="reviewer")))
    assert seen["reviewed"]["kind"] == kind
    assert all(one["parts"] for one in seen["labels"])


@pytest.mark.parametrize(
    ("kind", "answer", "wanted"),
    [
        (
            "mark",
            {"marks": [{"start": 2, "end": 5, "criterion": "wrong", "comment": "not so"}]},
            [{"quote": "fox", "line": "Wrong: not so"}],
        ),
        ("mark", {"marks": []}, [{"line": "Nothing to mark."}]),
        ("prompt", {"text": "Say it."}, [{"text": "Say it.", "html": '<p dir="auto">Say it.</p>\n'}]),
        ("edit", {"text": "A cat."}, [{"text": "A cat.", "was": "A fox."}]),
        (
            "compare",
            {"preferred": None, "strength": "tie", "both_bad": True},
            [{"line": "The answers tie."}, {"line": "Both are bad."}],
        ),
        ("rank", {"tiers": [], "all_bad": True}, [{"line": "All are bad."}]),
        ("rank", {"tiers": [[7]]}, [{"tiers": [[1]], "left_out": []}]),
    ],
)
def test_a_label_in_words(kind: str, answer: Any, wanted: Any):
    texts = readings.Texts(
        numbers={7: 1}, candidates={7: "A fox."}, criteria=[{"key": "wrong", "label": "Wrong"}]
    )
    assert readings.read(kind=kind, answer=answer, texts=texts) == wanted


def test_a_talk_and_a_few_shot_prompt_in_words():
    said = {"said": "Hi", "reply": 0, "completions": [1, 2], "chosen": 2, "strength": "much"}
    texts = readings.Texts(completions={1: "Hello.", 2: "Hey."})
    parts = readings.read(kind="converse", answer={"turns": [said]}, texts=texts)
    assert [part.get("text") for part in parts][:3] == ["Hi", "Hello.", "Hey."]
    shots = {"instruction": "Add.", "examples": [{"input": "1 1", "output": "2"}], "input": "2 2"}
    parts = readings.read(kind="prompt", answer=shots, texts=texts)
    assert [part["text"] for part in parts] == ["Add.", "1 1", "2", "2 2"]


def test_ratings_that_differ():
    criteria = [
        {"key": "all", "label": "Overall", "type": "scale", "scope": "completion", "max": 7},
        {"key": "rude", "label": "Rude", "type": "flag", "scope": "completion"},
    ]
    texts = readings.Texts(numbers={7: 1}, criteria=criteria)
    said = {
        name: ({"ratings": {"7": values}}, texts)
        for name, values in (("A", {"all": 6}), ("B", {"all": 5, "rude": True}))
    }
    assert readings.values_that_differ(said) == [
        {"about": "Answer 1", "criterion": "Rude", "values": [["A", "no"], ["B", "yes"]]}
    ]
    said["B"][0]["ratings"]["7"]["all"] = 4
    assert [one["criterion"] for one in readings.values_that_differ(said)] == ["Overall", "Rude"]


# Doors


class Door:
    def __init__(self, labeler: Labeler) -> None:
        self.client, self.token = Client(), tokens.issue(user=labeler.user, name="test")

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        more = {} if body is None else {"data": body, "content_type": "application/json"}
        return getattr(self.client, method)(
            f"/api/{path}", headers={"Authorization": f"Token {self.token}"}, **more
        )


def test_the_whole_way_through_the_api(project: Project):
    owner, reviewer, mia = (new_labeler(project, role=role) for role in ("owner", "reviewer", "labeler"))
    new_task(project, wanted=1)
    one = label(project, mia)
    ask, see, write = Door(owner), Door(reviewer), Door(mia)
    assert write("post", f"projects/{project.slug}/tasks/", {"kind": "review"}).status_code == 403
    made = ask("post", f"projects/{project.slug}/tasks/", {"kind": "review", "of": ["rank"], "share": 1})
    assert made.json() == {"made": 1}
    bad = ask("post", f"projects/{project.slug}/tasks/", {"kind": "rank", "share": 1})
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (400, "share")
    assert write("post", f"projects/{project.slug}/next/", {"kinds": ["review"]}).status_code == 403
    task = see("post", f"projects/{project.slug}/next/", {"kinds": ["review"]}).json()
    assert [each["name"] for each in task["labels"]] == ["A"]
    said = {str(one.pk): {"verdict": "send_back", "reason": "Two is kinder."}}
    body = {"submission_id": str(uuid.uuid4()), "answer": {"decisions": said}}
    assert see("post", f"leases/{task['lease']}/submit/", body).status_code == 201
    assert see("get", f"leases/{task['lease']}/").json()["labels"][0]["id"] == one.pk
    (listed,) = write("get", "sent-back/").json()["results"]
    assert (listed["annotation"], listed["reason"], listed["state"]) == (
        one.pk,
        "Two is kinder.",
        "sent_back",
    )
    mine = write("get", f"projects/{project.slug}/annotations/?mine=1").json()["results"]
    assert mine[0]["review"]["state"] == "sent_back"
    own = write("get", f"annotations/{one.pk}/").json()
    assert (own["answer"], own["task"]["kind"], own["review"]["reason"]) == (
        one.answer,
        "rank",
        "Two is kinder.",
    )
    assert see("get", f"annotations/{one.pk}/").status_code == 404
    assert see("post", f"annotations/{one.pk}/appeal/", {"text": "Mine."}).status_code == 404
    assert write("post", f"annotations/{one.pk}/appeal/", {"text": " "}).status_code == 400
    assert write("post", f"annotations/{one.pk}/appeal/", {"text": "It is not."}).status_code == 201
    again = write("post", f"annotations/{one.pk}/appeal/", {"text": "It is not."})
    assert (again.status_code, again.json()["type"]) == (409, "urn:tutelage:settled")
    assert ask("get", f"projects/{project.slug}/").json()["stuck_appeals"] == 0
    task = ask("post", f"projects/{project.slug}/next/", {"kinds": ["review"]}).json()
    body = {"submission_id": str(uuid.uuid4()), "answer": {"decisions": {str(one.pk): {"verdict": "accept"}}}}
    assert ask("post", f"leases/{task['lease']}/submit/", body).status_code == 201
    assert write("get", "sent-back/").json()["results"][0]["state"] == "restored"


def test_queries_of_a_review(project: Project):
    """As many for nine labels as for two."""
    costs = []
    for labels in (2, 9):
        new_task(project, wanted=labels)
        for _ in range(labels):
            label(project, new_labeler(project))
        reviews.make_reviews(project=project)
        door = Door(new_labeler(project, role="reviewer"))
        door("get", "sent-back/")
        with CaptureQueriesContext(connection) as leased:
            task = door("post", f"projects/{project.slug}/next/", {"kinds": ["review"]}).json()
        said = {str(one["id"]): {"verdict": "send_back", "reason": "No."} for one in task["labels"]}
        body = {"submission_id": str(uuid.uuid4()), "answer": {"decisions": said}}
        with CaptureQueriesContext(connection) as submitted:
            assert door("post", f"leases/{task['lease']}/submit/", body).status_code == 201
        costs.append((len(leased), len(submitted)))
    assert costs[0] == costs[1], costs
    assert max(costs[0]) <= 12, [one["sql"] for one in submitted]

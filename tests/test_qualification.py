"""Qualification: who stands at the door, what a try comes to, when one may try again, and who grades."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from gold import RIGHT, given_next, known, new_gold, submitted, wrong
from scenes import an_answer, new_labeler, new_project, new_task

from labeling import annotate, queue
from labeling.annotate import Conflict
from labeling.models import Attempt, AuditEntry, GoldItem, GoldLabel, Grade, Labeler, Project
from labeling.people.desk import desk
from labeling.qualification import (
    attempts,
    door,
    grades,
    items,
    practice,
    requirements,
    results,
    scores,
)
from labeling.qualification.answered import Explained
from labeling.qualification.door import Shut, Standing
from labeling.qualification.items import GoldError
from labeling.qualification.suspects import suspects
from labeling.queue import LeaseLost

pytestmark = pytest.mark.django_db


def guarded(questions: int = 2, demonstrations: int = 0, **asked: Any) -> Project:
    """A project at whose door a quiz of rankings stands, with one ordinary task behind it."""
    project = new_project()
    new_labeler(project, role="owner")
    new_task(project)
    for _ in range(questions):
        new_gold(project, uses=("quiz",))
    for _ in range(demonstrations):
        new_gold(project, kind="demonstrate", uses=("quiz",))
    given = {"kinds": ["rank"], "questions": questions, "demonstrations": demonstrations, "wait_hours": 0}
    requirements.change(project=project, active=True, **given | asked)
    return Project.objects.get(pk=project.pk)


def taken(project: Project, labeler: Labeler, *, right: int = 100) -> Attempt:
    """A try of ``labeler`` with so many right answers first."""
    attempt = attempts.start(project=project, labeler=labeler)
    for at in range(attempts.progress(attempt)[1]):
        lease = given_next(labeler, project)
        assert lease.task.gold["attempt"] == attempt.pk
        submitted(lease, known(lease) if at < right else wrong(lease))
    attempt.refresh_from_db()
    return attempt


def standing(project: Project, labeler: Labeler) -> Standing:
    found = door.of(project=project, labeler=labeler)
    assert found is not None
    return found.standing


def test_nobody_works_before_they_qualify() -> None:
    project = guarded()
    mia = new_labeler(project)
    with pytest.raises(Shut, match="qualify before you work"):
        queue.lease_next(labeler=mia, project=project)
    attempt = taken(project, mia)
    assert (attempt.state, attempt.agreement, standing(project, mia)) == ("passed", 1, Standing.PASSED)
    assert given_next(mia, project).task.gold is None


@pytest.mark.parametrize("role", ["owner", "admin", "reviewer", "engineer"])
def test_the_door_is_for_labelers(role: str) -> None:
    project = guarded()
    assert given_next(new_labeler(project, role=role), project)


def test_simulated_labelers_pass_by_the_door() -> None:
    project = guarded()
    bot = new_labeler(project)
    bot.kind = Labeler.Kind.SIMULATED
    assert given_next(bot, project)


def test_a_quiz_hands_out_its_questions_and_nothing_else() -> None:
    project = guarded(3)
    mia, leo = new_labeler(project), new_labeler(project)
    attempt = attempts.start(project=project, labeler=mia)
    assert attempts.start(project=project, labeler=mia) == attempt
    first = given_next(mia, project)
    ahead = given_next(mia, project, prefetch=True)
    assert {first.task.gold["attempt"], ahead.task.gold["attempt"]} == {attempt.pk}
    assert len({first.task_id, ahead.task_id}) == 2
    with pytest.raises(Shut, match="to the end"):
        queue.lease_next(labeler=mia, project=project, kinds=["compare"])
    with pytest.raises(LeaseLost, match="question of your qualification"):
        queue.skip(lease_id=first.pk, labeler=mia)
    with pytest.raises(Shut):
        queue.lease_next(labeler=leo, project=project)


def test_failing_says_when_one_may_try_again() -> None:
    project = guarded(tries=2, wait_hours=24)
    mia = new_labeler(project)
    assert taken(project, mia, right=1).state == "failed"
    found = door.of(project=project, labeler=mia)
    assert found is not None
    assert (found.standing, found.tries_left, found.may_start) == (Standing.FAILED, 1, False)
    with pytest.raises(Shut):
        attempts.start(project=project, labeler=mia)
    Attempt.objects.update(closed_at=timezone.now() - timedelta(hours=25))
    assert taken(project, mia, right=0).number == 2
    Attempt.objects.update(closed_at=timezone.now() - timedelta(days=9))
    assert standing(project, mia) == Standing.OUT_OF_TRIES
    with pytest.raises(Shut, match="no try left"):
        attempts.start(project=project, labeler=mia)


def test_exactly_the_pass_mark_passes() -> None:
    project = guarded(4)
    assert taken(project, new_labeler(project), right=3).state == "passed"


def test_a_pass_runs_out_and_can_be_asked_anew() -> None:
    project = guarded(valid_days=30)
    mia = new_labeler(project)
    taken(project, mia)
    Attempt.objects.update(valid_until=timezone.now() - timedelta(seconds=1))
    assert standing(project, mia) == Standing.EXPIRED
    assert taken(project, mia).number == 2
    assert standing(project, mia) == Standing.PASSED
    version = project.guideline.current
    assert requirements.needs_requalification(project=project, version=version)
    requirements.ask_anew(project=project, version=version)
    assert standing(project, mia) == Standing.EXPIRED
    assert not requirements.needs_requalification(project=project, version=version)


def test_what_is_in_hand_at_the_door_is_finished() -> None:
    project = new_project()
    task = new_task(project)
    mia = new_labeler(project)
    lease = given_next(mia, project)
    new_gold(project, uses=("quiz",))
    requirements.change(project=project, active=True, kinds=["rank"], questions=1)
    project = Project.objects.get(pk=project.pk)
    assert given_next(mia, project).task == task
    assert queue.lease_next(labeler=mia, project=project, prefetch=True) is None
    submitted(lease, an_answer(lease))
    with pytest.raises(Shut):
        queue.lease_next(labeler=mia, project=project)


def test_a_second_try_asks_other_questions_first() -> None:
    project = guarded(2, tries=3)
    for _ in range(2):
        new_gold(project, uses=("quiz",))
    mia = new_labeler(project)
    asked = []
    for _ in range(2):
        attempt = taken(project, mia, right=0)
        asked.append(set(attempt.gold_labels.values_list("item", flat=True)))
    assert len(asked[0] | asked[1]) == 4


def test_an_answer_of_a_quiz_is_revised_until_it_ends() -> None:
    project = guarded(2)
    mia = new_labeler(project)
    attempts.start(project=project, labeler=mia)
    first = given_next(mia, project)
    label = submitted(first, wrong(first))
    body = {"labeler": mia, "answer": known(first)}
    newer = annotate.revise(annotation_id=label.pk, submission_id=first.pk, **body)
    second = given_next(mia, project)
    last = submitted(second, known(second))
    assert last.attempt.state == "passed"
    with pytest.raises(Explained):
        annotate.revise(annotation_id=newer.pk, submission_id=second.pk, **body)


def test_results_say_what_was_said_what_is_right_and_why() -> None:
    project = guarded(1)
    mia = new_labeler(project)
    attempt = taken(project, mia, right=0)
    [one] = results.of_attempt(attempt)
    assert one.said[0]["tiers"] == one.right[0]["tiers"][::-1]
    assert (one.agreement, one.is_right, one.item.explanation) == (0, False, "The first is kindest.")


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("questions", {"questions": 3}),
        ("questions", {"questions": 0}),
        ("questions", {"questions": 201}),
        ("questions", {"questions": 1.5}),
        ("questions", {"kinds": ["compare"]}),
        ("kinds", {"kinds": []}),
        ("kinds", {"kinds": ["demonstrate"]}),
        ("kinds", {"kinds": "rank"}),
        ("pass_agreement", {"pass_agreement": 1.1}),
        ("pass_agreement", {"pass_agreement": 0}),
        ("pass_points", {"pass_points": 8}),
        ("demonstrations", {"demonstrations": 1}),
        ("tries", {"tries": 0}),
        ("tries", {"tries": True}),
        ("colour", {"colour": 1}),
    ],
)
def test_a_quiz_that_nobody_can_pass_is_not_switched_on(field: str, asked: dict[str, Any]) -> None:
    project = new_project()
    for _ in range(2):
        new_gold(project, uses=("quiz",))
    with pytest.raises(GoldError) as refused:
        requirements.change(project=project, active=True, **{"kinds": ["rank"], "questions": 2} | asked)
    assert refused.value.field == field
    assert not Project.objects.get(pk=project.pk).qualified_only


def test_written_answers_want_somebody_to_grade_them() -> None:
    project = new_project()
    new_gold(project, kind="demonstrate", uses=("quiz",))
    asked = {"questions": 0, "demonstrations": 1, "active": True}
    with pytest.raises(GoldError, match="Make somebody a reviewer"):
        requirements.change(project=project, **asked)
    new_labeler(project, role="reviewer")
    requirements.change(project=project, **asked)


def test_the_presets_can_be_asked() -> None:
    project = new_project()
    for preset in requirements.PRESETS.values():
        requirements.change(project=project, **preset)
    requirements.change(project=project, **requirements.PRESETS["instructgpt"])
    asked = requirements.of(project)
    assert (asked.pass_agreement, asked.pass_points, asked.kinds) == (0.75, 6, ["rank", "rate"])


def test_an_item_that_the_quiz_needs_is_not_retired() -> None:
    project = guarded(2)
    item = GoldItem.objects.first()
    with pytest.raises(GoldError, match="needs this item"):
        items.retire(item=item)
    with pytest.raises(GoldError, match="needs this item"):
        items.change(item=item, uses=["queue"], explanation="")
    new_gold(project, uses=("quiz",))
    items.retire(item=GoldItem.objects.get(pk=item.pk))
    requirements.change(project=project, active=False)
    assert AuditEntry.objects.filter(action="gold.retire", project=project).count() == 1


def test_reviewers_grade_what_was_written() -> None:
    project = guarded(1, demonstrations=2)
    mia, reviewer = new_labeler(project), new_labeler(project, role="reviewer")
    attempt = taken(project, mia)
    assert (attempt.state, attempt.agreement) == ("grading", 1)
    with pytest.raises(Shut, match="reviewer now reads"):
        queue.lease_next(labeler=mia, project=project)
    first, second = grades.waiting(project=project, grader=reviewer.user)
    by = {"project": project, "grader": reviewer.user}
    for points in (0, 8, True, "6"):
        with pytest.raises(GoldError, match="1 to 7"):
            grades.grade(annotation_id=first.annotation_id, points=points, **by)
    grades.grade(annotation_id=first.annotation_id, points=5, comment="Kind, but short.", **by)
    with pytest.raises(Conflict):
        grades.grade(annotation_id=first.annotation_id, points=7, **by)
    assert standing(project, mia) == Standing.GRADING
    grades.grade(annotation_id=second.annotation_id, points=7, **by)
    attempt.refresh_from_db()
    assert (attempt.state, attempt.points) == ("passed", 6)
    assert [one.grade.comment for one in results.of_attempt(attempt) if one.grade] == ["Kind, but short.", ""]
    with pytest.raises(IntegrityError), transaction.atomic():
        Grade.objects.update(points=1)


def test_low_grades_fail_and_nobody_grades_themselves() -> None:
    project = guarded(1, demonstrations=1)
    mia = new_labeler(project)
    attempt = taken(project, mia)
    assert not grades.waiting(project=project, grader=mia.user)
    owner = project.memberships.get(role="owner").user
    label = GoldLabel.objects.get(agreement=None).annotation_id
    grades.grade(annotation_id=label, project=project, grader=owner, points=5)
    attempt.refresh_from_db()
    assert (attempt.state, attempt.points) == ("failed", 5)


def test_a_failed_quiz_takes_no_reviewer_time() -> None:
    project = guarded(1, demonstrations=1)
    assert taken(project, new_labeler(project), right=0).state == "failed"


def test_practice_is_apart_from_work() -> None:
    project = guarded(1)
    new_gold(project, uses=("practice",))
    mia = new_labeler(project)
    lease = practice.lease_next(project=project, labeler=mia)
    assert lease is not None
    assert practice.lease_next(project=project, labeler=mia) == lease
    with pytest.raises(Shut):
        queue.lease_next(labeler=mia, project=project)
    label = submitted(lease, wrong(lease))
    [told] = results.told(GoldLabel.objects.filter(annotation=label))
    assert (told.agreement, told.item.explanation) == (0, "The first is kindest.")
    with pytest.raises(Explained):
        annotate.revise(annotation_id=label.pk, labeler=mia, submission_id=lease.pk, answer=known(lease))
    assert scores.of_labelers(project=project) == {}
    again = practice.lease_next(project=project, labeler=mia)
    assert again is not None
    assert again.task != lease.task


def test_gold_scores_have_intervals() -> None:
    project = guarded(4)
    mia = new_labeler(project)
    taken(project, mia, right=3)
    score = scores.of_labeler(project=project, labeler=mia)
    assert score is not None
    assert (score.n, score.agreement) == (4, 0.75)
    assert 0.25 < score.low < 0.75 < score.high < 1
    assert scores.of_labelers(project=project) == {mia.pk: score}
    assert len(scores.of_items(project=project)) == 4


def answers(people: int, items_: int, failed: str = "", by: int = 100) -> list[tuple[str, int, float]]:
    return [
        (f"i{item}", person, 0.0 if f"i{item}" == failed and person < by else 1.0)
        for person in range(people)
        for item in range(items_)
    ]


def test_gold_that_good_labelers_fail_is_suspect() -> None:
    [found] = suspects(answers(5, 8, failed="i3"))
    assert (found.item, found.good, found.agreement, found.elsewhere) == ("i3", 5, 0, 1)
    assert found.high < 0.5


def test_gold_is_not_suspect_by_few_or_by_bad_labelers() -> None:
    assert suspects([]) == []
    assert suspects(answers(1, 1)) == []
    assert suspects(answers(5, 8)) == []
    # Two good labelers are too few, and one failure among many is nobody's fault but theirs.
    assert suspects(answers(2, 8, failed="i3")) == []
    assert suspects(answers(9, 8, failed="i3", by=1)) == []
    # Those who fail everywhere say nothing of an item.
    assert suspects([(f"i{item}", person, 0.0) for person in range(9) for item in range(8)]) == []
    # Nor do those who are known by too little besides.
    assert suspects(answers(9, 3, failed="i1")) == []


def test_suspects_are_found_among_labels() -> None:
    project = guarded(4)
    wrong_one = GoldItem.objects.first()
    for _ in range(4):
        labeler = new_labeler(project)
        attempts.start(project=project, labeler=labeler)
        for _ in range(4):
            lease = given_next(labeler, project)
            is_wrong = lease.task.gold["item"] == wrong_one.pk
            submitted(lease, wrong(lease) if is_wrong else known(lease))
    assert list(scores.suspect_items(project=project)) == [wrong_one.pk]


def test_home_shows_the_door_and_no_work_behind_it(client: Client) -> None:
    project = guarded()
    mia = new_labeler(project)
    client.force_login(mia.user)
    shown = client.get("/").content.decode()
    assert "asks you to qualify" in shown
    assert f"/projects/{project.slug}/qualification/" in shown
    assert not desk(user=mia.user, labeler=mia).projects[0].waiting
    taken(project, mia)
    assert "asks you to qualify" not in client.get("/").content.decode()
    assert desk(user=mia.user, labeler=mia).projects[0].waiting


def test_the_way_in_over_the_api(client: Client) -> None:
    project = guarded(2)
    mia = new_labeler(project)
    client.force_login(mia.user)
    base = f"/api/projects/{project.slug}"
    shut = client.post(f"{base}/next/", {}, "application/json")
    assert (shut.status_code, shut.json()["type"]) == (409, "urn:tutelage:qualification")
    asked = shut.json()["qualification"]
    assert (asked["standing"], asked["tries_left"]) == ("new", 3)
    started = client.post(asked["start"], {}, "application/json")
    assert (started.status_code, started.json()["questions"]) == (201, 2)
    states = []
    for _ in range(2):
        sheet = client.post(f"{base}/next/", {}, "application/json").json()
        lease = queue.found(lease_id=sheet["lease"], labeler=mia)
        body = {"submission_id": str(lease.pk), "answer": known(lease)}
        states.append(client.post(f"/api/leases/{lease.pk}/submit/", body, "application/json").json())
    assert [one["qualification"] for one in states] == ["open", "passed"]
    result = client.get(f"{base}/qualification/attempts/1/").json()
    assert (result["state"], result["agreement"], len(result["results"])) == ("passed", 1, 2)
    assert client.get(f"{base}/qualification/").json()["mine"]["standing"] == "passed"


def test_gold_over_the_api(client: Client) -> None:
    project = new_project()
    owner = new_labeler(project, role="owner")
    task = new_task(project)
    client.force_login(new_labeler(project).user)
    base = f"/api/projects/{project.slug}/gold/"
    assert client.get(base).status_code == 403
    client.force_login(owner.user)
    ids = list(task.candidates.values_list("pk", flat=True))
    body = {"task": task.pk, "uses": ["queue"], "answer": {"tiers": [[one] for one in ids]}}
    made = client.post(base, body, "application/json")
    assert (made.status_code, made.json()["answer"]) == (201, RIGHT["rank"])
    refused = client.post(base, {"task": task.pk, "uses": ["queue"]}, "application/json")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "label")
    by_parts = {
        "kind": "rank",
        "prompt": task.prompt_id,
        "completions": list(task.candidates.values_list("completion", flat=True)),
        "answer": RIGHT["rank"],
        "uses": ["quiz"],
    }
    refused = client.post(base, by_parts, "application/json")
    assert refused.json()["errors"][0]["field"] == "explanation"
    item = client.post(base, by_parts | {"explanation": "So."}, "application/json").json()["id"]
    both = client.post(base, by_parts | {"task": task.pk}, "application/json")
    assert both.status_code == 400
    assert client.patch(f"{base}{item}/", {"retired": True}, "application/json").json()["retired_at"]
    assert len(client.get(base).json()["results"]) == 2


def test_pages_cost_no_query_an_item(client: Client) -> None:
    project = guarded(2, demonstrations=1)
    owner = project.memberships.get(role="owner").user
    slug = project.slug

    def cost(url: str, user: Any) -> int:
        client.force_login(user)
        with CaptureQueriesContext(connection) as seen:
            assert client.get(url).status_code == 200
        return len(seen)

    mia = new_labeler(project)
    taken(project, mia)
    pages = {
        f"/projects/{slug}/manage/gold/": owner,
        f"/projects/{slug}/manage/gold/new/": owner,
        f"/projects/{slug}/manage/qualification/": owner,
        f"/projects/{slug}/grading/": owner,
        f"/projects/{slug}/qualification/": mia.user,
        f"/projects/{slug}/practice/": mia.user,
    }
    before = {url: cost(url, user) for url, user in pages.items()}
    for _ in range(3):
        new_gold(project)
        taken(project, new_labeler(project))
    assert {url: cost(url, user) for url, user in pages.items()} == before
    assert max(before.values()) <= 22

"""Guidelines that act: parts and differences, plans, drafts, stale labels, and the door before the work."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import an_answer, new_labeler, new_project, new_task

from guidelines import acknowledgements, changes, drafts, parts, plan, presets, publish
from guidelines.models import Acknowledgement, GuidelineDraft
from guidelines.parts import Parts
from guidelines.publish import Plan
from labeling import annotate, queue, stale, unread
from labeling.datasets import dataset
from labeling.incoming import intake
from labeling.models import Annotation, AuditEntry, Labeler, Project, Staleness, Task
from labeling.people import tokens
from labeling.writing import conversations

GOOD = {"prompt": "An owl?", "answer": "Once an owl.", "verdict": "good", "reason": "It is a story."}
BAD = {"answer": "No.", "verdict": "bad", "reason": "It is none."}
SCALE = {"key": "clear", "label": "Clear", "scope": "completion", "type": "scale", "min": 1, "max": 5}
FLAG = {"key": "rude", "label": "Rude", "scope": "completion", "type": "flag", "required": False}
SPAN = {"key": "false", "label": "Not true", "scope": "completion", "type": "span", "required": False}


def label(project: Project, task: Task | None = None, *, labeler: Labeler | None = None) -> Annotation:
    """A label of a new task, or of this one, as the queue hands it out."""
    task = task or new_task(project)
    labeler = labeler or new_labeler(project)
    lease = queue.lease_next(labeler=labeler, project=project, kinds=[task.kind])
    assert lease is not None
    return annotate.submit(lease_id=lease.pk, labeler=labeler, submission_id=uuid4(), answer=an_answer(lease))


def door(project: Project, role: str = "labeler", *, user: Any = None) -> Any:
    """Posts to the API as somebody."""
    user = user or new_labeler(project, role=role).user
    client = Client(headers={"Authorization": f"Token {tokens.issue(user=user, name='tests')}"})

    def ask(method: str, path: str, body: Any = None) -> Any:
        sent = {} if method == "get" else {"data": json.dumps(body or {}), "content_type": "application/json"}
        return getattr(client, method)(f"/api/{path}", **sent)

    return ask


# Parts


def test_digest_of_old_versions_stays() -> None:
    whole = Parts("# Be kind", [FLAG])
    canonical = json.dumps(["# Be kind", [FLAG]], sort_keys=True, ensure_ascii=False)
    assert publish.digest(whole) == hashlib.sha256(canonical.encode()).hexdigest()
    others = [Parts("# Be kind", [FLAG], [GOOD]), Parts("# Be kind", [FLAG], [], ["Kind first."])]
    assert len({publish.digest(one) for one in [whole, *others]}) == 3


@pytest.mark.parametrize(
    ("given_parts", "field"),
    [
        ({"body": " "}, "body"),
        ({"body": "a\x00"}, "body"),
        ({"body": "\ud800"}, "body"),
        ({"examples": {}}, "examples"),
        ({"examples": [GOOD] * 200}, "examples"),
        ({"examples": [GOOD, "bad"]}, "examples[1]"),
        ({"examples": [GOOD | {"verdict": "fine"}]}, "examples[0].verdict"),
        ({"examples": [GOOD | {"reason": " "}]}, "examples[0].reason"),
        ({"examples": [GOOD | {"answer": ""}]}, "examples[0].answer"),
        ({"examples": [GOOD | {"answer": "x" * 8001}]}, "examples[0].answer"),
        ({"examples": [GOOD | {"prompt": 3}]}, "examples[0].prompt"),
        ({"examples": [GOOD | {"prompt": "a\x00"}]}, "examples[0].prompt"),
        ({"examples": [GOOD | {"score": 3}]}, "examples[0].score"),
        ({"rules": "kind first"}, "rules"),
        ({"rules": ["Kind first."] * 2}, "rules[1]"),
        ({"rules": ["a\nb"]}, "rules[0]"),
        ({"rules": ["x" * 501]}, "rules[0]"),
        ({"rules": [None]}, "rules[0]"),
        ({"rules": [f"Rule {n}." for n in range(31)]}, "rules"),
        ({"criteria": [FLAG | {"label": ""}]}, "criteria[0].label"),
    ],
)
def test_wrong_parts(given_parts: dict[str, Any], field: str) -> None:
    with pytest.raises(publish.GuidelineError) as refused:
        parts.check(Parts(**{"body": "# Be kind"} | given_parts))
    assert refused.value.field == field


def test_an_empty_prompt_is_left_out() -> None:
    assert parts.check_examples([BAD | {"prompt": " "}]) == [BAD]


@pytest.mark.parametrize("name", list(presets.PRESETS))
def test_presets_can_be_published(name: str) -> None:
    whole = presets.preset(name).parts
    assert parts.check(whole) == whole
    assert whole.rules
    assert {one["verdict"] for one in whole.examples} == {"good", "bad"}


# What differs

texts = st.text(st.sampled_from("ab c.\n"), max_size=40)


@given(old=texts, new=texts, budget=st.sampled_from([5, 10**6]))
@settings(deadline=None)
def test_words_lead_from_one_text_to_the_other(old: str, new: str, budget: int) -> None:
    runs = changes.words(old, new, budget=budget)
    assert "".join(run.text for run in runs if run.kind != "added") == old
    assert "".join(run.text for run in runs if run.kind != "removed") == new
    shown = changes.folded(runs)
    assert [run for run in shown if run.kind in {"added", "removed"}] == [
        run for run in runs if run.kind != "kept"
    ]


def test_words_are_marked_not_lines() -> None:
    runs = changes.words("Be kind to all.\nBe brief.\n", "Be fair to all.\nBe brief.\n")
    assert [(run.kind, run.text) for run in runs] == [
        ("kept", "Be "),
        ("removed", "kind"),
        ("added", "fair"),
        ("kept", " to all.\nBe brief.\n"),
    ]


def test_a_rewritten_text_is_told_whole() -> None:
    """Nothing in common, far beyond the budget: the search gives up and loses nothing."""
    old = " ".join(f"a{n}" for n in range(20_000))
    new = " ".join(f"b{n}" for n in range(20_000))
    runs = changes.words(old, new)
    assert [run.kind for run in runs] == ["removed", "added"]


def test_criteria_differ_field_by_field() -> None:
    found = changes.criteria([SCALE, FLAG], [FLAG, SCALE | {"max": 7, "help": "To a child."}, SPAN])
    assert [(one.kind, one.item["key"]) for one in found] == [
        ("moved", "rude"),
        ("changed", "clear"),
        ("added", "false"),
    ]
    assert [(one.name, one.before, one.after) for one in found[1].fields] == [
        ("max", 5, 7),
        ("help", None, "To a child."),
    ]
    assert [one.kind for one in changes.criteria([SCALE], [])] == ["removed"]


def test_examples_differ() -> None:
    found = changes.examples([GOOD, BAD], [GOOD | {"reason": "It has an owl."}])
    assert [(one.kind, [each.name for each in one.fields]) for one in found] == [
        ("removed", []),
        ("changed", ["reason"]),
    ]


# Plans

BEFORE = Parts("Be kind.", [SCALE], [GOOD], ["Kind first."])


@pytest.mark.parametrize(
    ("after", "guess", "least"),
    [
        (Parts("Be  Kind!", [SCALE], [GOOD], ["Kind first."]), "typo", "typo"),
        (Parts("Be fair.", [SCALE], [GOOD], ["Kind first."]), "wording", "typo"),
        (Parts("Be fair.", [SCALE], [], ["Kind first."]), "example", "typo"),
        (Parts("Be kind.", [SCALE, FLAG], [GOOD], ["Kind first."]), "criterion", "typo"),
        (Parts("Be kind.", [SCALE | {"max": 7}], [GOOD], ["Kind first."]), "criterion", "criterion"),
        (Parts("Be kind.", [], [GOOD], ["True first."]), "rule", "criterion"),
        (BEFORE, "", "typo"),
    ],
)
def test_kind_of_change(after: Parts, guess: str, least: str) -> None:
    differs = changes.difference(BEFORE, after)
    assert (plan.guess(differs), plan.least(differs)) == (guess, least)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"change": "whim"}, "change"),
        ({"change": "wording"}, "change"),
        ({"labels": "burn"}, "labels"),
        ({"labels": "relabel", "share": 0}, "share"),
        ({"labels": "relabel", "share": 1.5}, "share"),
        ({"labels": "relabel", "share": float("nan")}, "share"),
        ({"labels": "relabel", "share": True}, "share"),
        ({"labels": "exclude", "share": 0.5}, "share"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"asks": "yes"}, "asks"),
    ],
)
def test_wrong_plan(asked: dict[str, Any], field: str) -> None:
    differs = changes.difference(BEFORE, Parts("Be kind.", [], [GOOD], ["Kind first."]))
    with pytest.raises(publish.GuidelineError) as refused:
        plan.settle(Plan(**asked), difference=differs, first=False)
    assert refused.value.field == field


def test_a_first_version_has_no_older_labels() -> None:
    differs = changes.difference(Parts(), BEFORE)
    for asked in ({"labels": "exclude"}, {"change": "rule"}):
        with pytest.raises(publish.GuidelineError):
            plan.settle(Plan(**asked), difference=differs, first=True)


# Stale labels


def treatments(version: Any) -> dict[int, str]:
    return dict(Staleness.objects.filter(version=version).values_list("annotation", "treatment"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "stale_kinds"),
    [("typo", set()), ("wording", {"rank", "rate"}), ("criterion", {"rate"}), ("rule", {"rank", "rate"})],
)
def test_kinds_concerned(change: str, stale_kinds: set[str]) -> None:
    project = new_project()
    made = {kind: label(project, new_task(project, kind=kind)) for kind in ("rank", "rate")}
    version, _ = publish.publish(guideline=project.guideline, body="# Be fair", plan=Plan(change=change))
    assert set(treatments(version)) == {made[kind].pk for kind in stale_kinds}
    assert set(treatments(version).values()) <= {"keep"}
    assert Annotation.objects.trainable().count() == 2


@pytest.mark.django_db
def test_excluded_labels_train_nothing_and_stay() -> None:
    project = new_project()
    labels = [label(project, new_task(project, kind="demonstrate")) for _ in range(2)]
    before = list(Annotation.objects.values())
    version, done = publish.publish(
        guideline=project.guideline, body="# Be fair", plan=Plan(labels="exclude"), note="Kind is not enough."
    )
    assert treatments(version) == {one.pk: "exclude" for one in labels}
    assert "2 older labels become stale: 2 train nothing from now on." in done
    assert not Annotation.objects.trainable().exists()
    assert list(Annotation.objects.values()) == before
    assert Staleness.objects.first().reason == "the wording changed: Kind is not enough."
    with pytest.raises(ValueError, match="no trainable demonstrations"):
        dataset.freeze(project=project, kind="demonstrations")
    # A second version finds nothing left to take out of use.
    later, _ = publish.publish(guideline=project.guideline, body="# Be fairer", plan=Plan(labels="exclude"))
    assert treatments(later) == {}


@pytest.mark.django_db
def test_a_sample_is_relabeled_by_others() -> None:
    project = new_project()
    leo = new_labeler(project)
    labels = [label(project, labeler=leo) for _ in range(30)]
    asked = Plan(labels="relabel", share=0.3, seed=7)
    foreseen = {
        told.name: told.count
        for told in publish.preview(
            publish.propose(guideline=project.guideline, body="# Be fair", plan=asked)
        )
    }
    version, _ = publish.publish(guideline=project.guideline, body="# Be fair", plan=asked)
    drawn = {pk for pk, treatment in treatments(version).items() if treatment == "relabel"}
    assert 0 < len(drawn) < 30
    assert foreseen["stale"] == len(treatments(version)) == 30
    assert foreseen["stale_relabel"] == foreseen["reopened"] == len(drawn)
    reopened = Task.objects.open()
    assert set(reopened.values_list("annotations", flat=True)) == drawn
    assert set(reopened.values_list("wanted", "taken", "guideline_version")) == {(2, 1, version.pk)}
    assert queue.lease_next(labeler=leo, project=project) is None
    mia = new_labeler(project)
    anew = [label(project, one, labeler=mia) for one in list(reopened)]
    assert {one.guideline_version_id for one in anew} == {version.pk}
    assert queue.lease_next(labeler=new_labeler(project), project=project) is None
    assert Annotation.objects.trainable().count() == len(labels)
    told = {one.name: one.count for one in publish.report(version)}
    assert told["remade"] == told["stale_relabel"] == len(drawn)
    assert version.plan == {"labels": "relabel", "share": 0.3, "seed": 7}


@pytest.mark.django_db
def test_the_same_seed_draws_the_same_labels() -> None:
    project = new_project()
    for _ in range(20):
        label(project)

    def drawn(seed: int) -> list[int]:
        labels = stale.concerned(guideline=project.guideline, change="rule")
        asked = Plan(labels="relabel", share=0.5, seed=seed)
        return sorted(stale.remade(labels, plan=asked, has_spans=True).values_list("pk", flat=True))

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.django_db
def test_everything_is_relabeled() -> None:
    project = new_project(overlap=2)
    task = new_task(project)
    for _ in range(2):
        label(project, task)
    publish.publish(guideline=project.guideline, body="# Be fair", plan=Plan(labels="relabel"))
    task.refresh_from_db()
    assert (task.wanted, task.taken) == (4, 2)


@pytest.mark.django_db
def test_a_surplus_label_takes_no_place() -> None:
    project = new_project()
    task = new_task(project)
    late = new_labeler(project)
    lease = queue.lease_next(labeler=late, project=project)
    queue.Lease.objects.update(expires_at=lease.opened_at)
    queue.sweep()
    label(project, task)
    surplus = annotate.submit(lease_id=lease.pk, labeler=late, submission_id=uuid4(), answer=an_answer(lease))
    assert surplus.surplus
    publish.publish(guideline=project.guideline, body="# Be fair", plan=Plan(labels="relabel"))
    task.refresh_from_db()
    assert (task.wanted, task.taken) == (2, 1)


@pytest.mark.django_db
def test_who_finishes_late_is_marked_by_the_version_they_read() -> None:
    project = new_project()
    new_task(project)
    leo = new_labeler(project)
    lease = queue.lease_next(labeler=leo, project=project)
    version, _ = publish.publish(guideline=project.guideline, body="# Fair", plan=Plan(labels="exclude"))
    late = annotate.submit(lease_id=lease.pk, labeler=leo, submission_id=uuid4(), answer=an_answer(lease))
    assert late.guideline_version.number == 1
    assert treatments(version) == {late.pk: "exclude"}


@pytest.mark.django_db
def test_a_revision_stays_as_stale() -> None:
    project = new_project()
    old = label(project)
    version, _ = publish.publish(guideline=project.guideline, body="# Fair", plan=Plan(labels="exclude"))
    tiers = [[one] for one in reversed(old.shown_order)]
    new = annotate.revise(
        annotation_id=old.pk, labeler=old.labeler, submission_id=uuid4(), answer={"tiers": tiers}
    )
    assert treatments(version)[new.pk] == "exclude"
    assert not Annotation.objects.trainable().exists()


@pytest.mark.django_db
def test_imports_are_nobody_s_to_make_anew() -> None:
    project = new_project()
    rows = [{"prompt": "An owl?", "completion": "Once an owl."}]
    intake.import_demonstrations(project=project, source="the grammar", rows=rows, user=None)
    version, _ = publish.publish(guideline=project.guideline, body="# Fair", plan=Plan(labels="exclude"))
    assert treatments(version) == {}
    assert Annotation.objects.trainable().count() == 1


@pytest.mark.django_db
def test_tasks_that_mark_keep_a_version_with_something_to_mark() -> None:
    project = new_project()
    publish.publish(guideline=project.guideline, body="# Mark", criteria=[SPAN])
    task = new_task(project, kind="mark")
    rank = new_task(project)
    asked = publish.propose(guideline=project.guideline, body="# Rank", criteria=[])
    assert asked.plan.change == "criterion"
    assert {told.name: told.count for told in publish.preview(asked)}["nothing_to_mark"] == 1
    publish.publish(guideline=project.guideline, body="# Rank", criteria=[])
    task.refresh_from_db()
    rank.refresh_from_db()
    assert (task.guideline_version.number, rank.guideline_version.number) == (2, 3)


@pytest.mark.django_db
def test_publishing_is_in_the_log() -> None:
    project = new_project()
    label(project)
    ada = new_labeler(project, role="owner").user
    publish.publish(
        guideline=project.guideline, body="# Fair", author=ada, plan=Plan(labels="exclude", asks=True)
    )
    entry = AuditEntry.objects.filter(action="guideline.publish").first()
    assert (entry.actor, entry.detail["stale_exclude"], entry.detail["asks"]) == (ada, 1, True)


@pytest.mark.django_db
def test_marking_takes_as_many_statements_for_one_label_as_for_many(django_assert_max_num_queries) -> None:
    project = new_project()
    for _ in range(2):
        label(project)
    with django_assert_max_num_queries(100) as few:
        publish.publish(guideline=project.guideline, body="# One", plan=Plan(labels="relabel"))
    for _ in range(8):
        label(project)
    with django_assert_max_num_queries(len(few.captured_queries)):
        publish.publish(guideline=project.guideline, body="# Two", plan=Plan(labels="relabel"))


# The door before the next task


@pytest.mark.django_db
def test_the_door_opens_by_reading() -> None:
    project = new_project()
    new_task(project)
    leo = new_labeler(project)
    version, _ = publish.publish(guideline=project.guideline, body="# Be fair", plan=Plan(asks=True))
    ask = door(project, user=leo.user)
    answer = ask("post", f"projects/{project.slug}/next/", {})
    assert answer.status_code == 409
    document = answer.json()
    assert document["type"] == "urn:tutelage:unread-guideline"
    assert document["guideline_version"]["number"] == 2
    told = {one.name: one.sentence for one in publish.report(version)}
    assert told["read"] == "0 of 1 person has read it."
    said = ask("post", document["guideline_version"]["acknowledge"].removeprefix("/api/"))
    assert said.status_code == 201
    again = ask("post", document["guideline_version"]["acknowledge"].removeprefix("/api/"))
    assert again.json() == said.json()
    assert Acknowledgement.objects.count() == 1
    task = ask("post", f"projects/{project.slug}/next/", {})
    assert task.status_code == 200
    assert task.json()["guideline_version"]["number"] == 2
    assert publish.report(version)[0].sentence == "1 of 1 person has read it."


@pytest.mark.django_db
def test_what_is_in_hands_is_finished_first() -> None:
    project = new_project()
    new_task(project)
    new_task(project)
    leo = new_labeler(project)
    lease = queue.lease_next(labeler=leo, project=project)
    publish.publish(guideline=project.guideline, body="# Be fair", plan=Plan(asks=True))
    assert queue.lease_next(labeler=leo, project=project) == lease
    assert queue.lease_next(labeler=leo, project=project, prefetch=True) is None
    queue.renew(lease_id=lease.pk, labeler=leo)
    annotate.save_draft(lease_id=lease.pk, labeler=leo, answer={}, version=0)
    annotate.submit(lease_id=lease.pk, labeler=leo, submission_id=uuid4(), answer=an_answer(lease))
    with pytest.raises(unread.Unread):
        queue.lease_next(labeler=leo, project=project)
    changed = unread.changed(version=project.guideline.current, project=project, labeler=leo)
    assert changed.since.number == 1
    assert [run.text for run in changed.difference.body if run.kind == "added"] == ["fair"]


@pytest.mark.django_db
def test_going_on_with_a_conversation_is_a_next_task_too() -> None:
    project = new_project(tree_turns=4)
    mine = label(project, new_task(project, kind="demonstrate"))
    publish.publish(guideline=project.guideline, body="# Be fair", plan=Plan(asks=True))
    with pytest.raises(conversations.Closed, match="Version 2"):
        conversations.go_on(annotation_id=mine.pk, labeler=mine.labeler)
    acknowledgements.acknowledge(version=project.guideline.current, user=mine.labeler.user)
    assert conversations.go_on(annotation_id=mine.pk, labeler=mine.labeler)


@pytest.mark.django_db
def test_a_typo_lets_nobody_past_what_they_have_not_read() -> None:
    project = new_project()
    new_task(project)
    leo = new_labeler(project)
    guideline = project.guideline
    publish.publish(guideline=guideline, body="# Be fair", plan=Plan(asks=True))
    publish.publish(guideline=guideline, body="# Be fair!")
    with pytest.raises(unread.Unread, match="Version 3"):
        queue.lease_next(labeler=leo, project=project)
    assert acknowledgements.owed(guideline=guideline, user=leo.user) == guideline.current
    acknowledgements.acknowledge(version=guideline.current, user=leo.user)
    assert acknowledgements.owed(guideline=guideline, user=leo.user) is None
    assert queue.lease_next(labeler=leo, project=project)


@pytest.mark.django_db
def test_the_door_costs_the_queue_no_statement(django_assert_max_num_queries) -> None:
    project = new_project()
    for _ in range(3):
        new_task(project)
    leo = new_labeler(project)
    with django_assert_max_num_queries(20) as before:
        queue.lease_next(labeler=leo, project=project)
    publish.publish(guideline=project.guideline, body="# Be fair", plan=Plan(asks=True))
    mia = new_labeler(project)
    acknowledgements.acknowledge(version=project.guideline.current, user=mia.user)
    with django_assert_max_num_queries(len(before.captured_queries)):
        assert queue.lease_next(labeler=mia, project=project)


@pytest.mark.django_db
def test_strangers_acknowledge_nothing() -> None:
    project = new_project()
    path = f"guidelines/{project.guideline.slug}/versions/1/acknowledge/"
    assert door(new_project())("post", path).status_code == 404
    assert door(project)("post", path.replace("/1/", "/9/")).status_code == 404


# Drafts


@pytest.mark.django_db
def test_a_draft_is_kept_and_two_windows_are_told() -> None:
    project = new_project()
    ask = door(project, "owner")
    path = f"guidelines/{project.guideline.slug}/draft/"
    assert ask("get", path).status_code == 404
    body = {"body": "# Be", "criteria": [{"key": ""}], "rules": [], "based_on": 1, "version": 0}
    assert ask("put", path, body).json()["version"] == 1
    assert ask("put", path, body | {"body": "# Be fair", "version": 1}).json()["version"] == 2
    stale = ask("put", path, body | {"body": "# Be brief", "version": 1})
    assert stale.status_code == 409
    assert stale.json()["stored"]["body"] == "# Be fair"
    assert ask("get", path).json()["criteria"] == [{"key": ""}]
    assert door(project, "admin")("get", path).status_code == 404
    assert ask("delete", path).status_code == 204
    assert not GuidelineDraft.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"body": "a\x00"}, "body"),
        ({"body": "x" * 200_001}, "body"),
        ({"note": "x" * 301}, "note"),
        ({"criteria": {}}, "criteria"),
        ({"examples": ["a\x00"]}, "examples"),
        ({"rules": ["x" * 3_000_000]}, "rules"),
        ({"version": -1}, "version"),
    ],
)
def test_wrong_draft(wrong: dict[str, Any], field: str) -> None:
    project = new_project()
    body = {"body": "# Be", "based_on": 1, "version": 0} | wrong
    answer = door(project, "owner")("put", f"guidelines/{project.guideline.slug}/draft/", body)
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert not GuidelineDraft.objects.exists()


@pytest.mark.django_db
def test_labelers_have_no_drafts_and_no_preview() -> None:
    project = new_project()
    ask, path = door(project), f"guidelines/{project.guideline.slug}/"
    assert ask("get", f"{path}draft/").status_code == 403
    assert ask("post", f"{path}versions/preview/", {"body": "# Mine"}).status_code == 403


# By the API and the command


@pytest.mark.django_db
def test_preview_by_the_api() -> None:
    project = new_project()
    label(project)
    ask, path = door(project, "owner"), f"guidelines/{project.guideline.slug}/versions/"
    asked = {"body": "# Be fair", "labels": "relabel", "asks": True}
    told = ask("post", f"{path}preview/", asked).json()
    counts = {one["name"]: one["count"] for one in told["effects"]}
    assert (told["number"], told["change"], told["least_change"]) == (2, "wording", "typo")
    assert (counts["stale_relabel"], counts["reopened"], counts["asked"]) == (1, 1, 1)
    assert project.guideline.versions.count() == 1
    done = ask("post", path, asked | {"seed": told["seed"], "based_on": 1})
    assert done.status_code == 201
    assert project.guideline.current.asks
    behind = ask("post", path, asked | {"body": "# Be brief", "based_on": 1})
    assert behind.status_code == 409
    assert (behind.json()["type"], behind.json()["newest"]["body"]) == (
        "urn:tutelage:overtaken",
        "# Be fair",
    )


@pytest.mark.django_db
def test_a_whole_preset_by_the_api_and_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    project = new_project()
    path = f"guidelines/{project.guideline.slug}/versions/"
    assert door(project, "owner")("post", path, {"preset": "hh_rlhf"}).status_code == 201
    preset = presets.preset("hh_rlhf").parts
    assert Parts.of(project.guideline.current) == preset
    call_command("publish_guideline", "--json", project=project.slug, preset="instructgpt", asks=True)
    assert json.loads(capsys.readouterr().out)["version"] == 3
    assert project.guideline.current.rules == presets.preset("instructgpt").parts.rules
    assert project.guideline.current.asks


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "words"),
    [({}, "--file"), ({"preset": "hh_rlhf", "labels": "relabel", "share": 1.5}, "share: ")],
)
def test_bad_plan_by_the_command(options: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("publish_guideline", project=new_project().slug, **options)


# Pages


@pytest.fixture
def project() -> Project:
    return new_project()


@pytest.fixture
def owner(project: Project, client: Client) -> Client:
    client.force_login(new_labeler(project, role="owner").user)
    return client


def written(**more: Any) -> dict[str, Any]:
    lists = {"criteria": "[]", "examples": "[]", "rules": "[]"}
    return {"body": "# Be fair", "note": "", "based_on": "1", "labels": "keep", "change": ""} | lists | more


@pytest.mark.django_db
def test_publish_without_a_script(project: Project, owner: Client) -> None:
    label(project)
    address = reverse("guidelines:edit", args=[project.guideline.slug])
    lists = {
        "criteria": json.dumps([SCALE]),
        "examples": json.dumps([GOOD]),
        "rules": json.dumps(["Kind first."]),
    }
    asked = written(**lists, change="rule", asks="on", labels="relabel", share="50", seed="3")
    page = owner.post(address, asked | {"preview": "1"})
    assert b"becomes stale" in page.content
    assert project.guideline.versions.count() == 1
    assert owner.post(address, asked).status_code == 302
    version = project.guideline.current
    assert (version.change, version.asks) == ("rule", True)
    assert version.plan == {"labels": "relabel", "share": 0.5, "seed": 3}
    assert (version.examples, version.rules) == ([GOOD], ["Kind first."])
    shown = owner.get(reverse("guidelines:guideline", args=[project.guideline.slug])).content.decode()
    assert "Kind first." in shown
    assert "1 older label becomes stale" in shown
    assert "0 of 1 person has read it." in shown


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"criteria": "[{"}, "This is no JSON"),
        ({"criteria": json.dumps([FLAG | {"label": ""}])}, "criteria[0].label"),
        ({"examples": json.dumps([GOOD] * 200)}, "There are 200 examples"),
        ({"rules": '["a", "a"]'}, "rules[1]"),
        ({"labels": "relabel", "share": "nan"}, "Give a share above 0"),
        ({"labels": "relabel", "share": "150"}, "Give a share above 0"),
        ({"labels": "relabel", "share": "half"}, "number of percent"),
        ({"body": "# Be kind"}, "Nothing differs from version 1"),
        ({"change": "whim"}, "Must be one of typo"),
    ],
)
def test_refused_with_the_text_kept(
    project: Project, owner: Client, wrong: dict[str, str], words: str
) -> None:
    address = reverse("guidelines:edit", args=[project.guideline.slug])
    answer = owner.post(address, written(note="Fair <b>play</b>") | wrong)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert words in page
    assert "Fair &lt;b&gt;play&lt;/b&gt;" in page
    assert project.guideline.versions.count() == 1


@pytest.mark.django_db
def test_two_admins_keep_both_texts(project: Project, owner: Client) -> None:
    address = reverse("guidelines:edit", args=[project.guideline.slug])
    publish.publish(guideline=project.guideline, body="# Be brief", note="Shorter.")
    answer = owner.post(address, written())
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Version 2 was published while you wrote" in page
    assert "# Be fair</textarea>" in page
    assert "<ins>brief</ins>" in page
    assert '<input type="hidden" name="based_on" value="2">' in page
    assert owner.post(address, written(based_on="2")).status_code == 302
    assert project.guideline.current.body == "# Be fair"


@pytest.mark.django_db
def test_a_draft_that_fell_behind_is_told_on_return(project: Project, owner: Client) -> None:
    user = project.memberships.get(role="owner").user
    drafts.save(guideline=project.guideline, author=user, parts=Parts("# Be fair"), based_on=1, version=0)
    publish.publish(guideline=project.guideline, body="# Be brief")
    page = owner.get(reverse("guidelines:edit", args=[project.guideline.slug])).content.decode()
    assert "Version 2 was published while you wrote" in page
    assert "# Be fair</textarea>" in page


@pytest.mark.django_db
def test_publishing_takes_the_draft_along(project: Project, owner: Client) -> None:
    user = project.memberships.get(role="owner").user
    drafts.save(guideline=project.guideline, author=user, parts=Parts("# Be fair"), based_on=1, version=0)
    owner.post(reverse("guidelines:edit", args=[project.guideline.slug]), written())
    assert not GuidelineDraft.objects.exists()


@pytest.mark.django_db
def test_presets_in_the_editor(project: Project, owner: Client) -> None:
    address = reverse("guidelines:edit", args=[project.guideline.slug])
    page = owner.get(f"{address}?preset=hh_rlhf").content.decode()
    assert "A is far better" in page
    assert "Your draft is kept" not in page
    user = project.memberships.get(role="owner").user
    drafts.save(guideline=project.guideline, author=user, parts=Parts("# Be fair"), based_on=1, version=0)
    assert "Your draft is kept" in owner.get(f"{address}?preset=hh_rlhf").content.decode()
    assert owner.get(f"{address}?preset=llama").status_code == 404


@pytest.mark.django_db
def test_scripts_are_shown_and_never_run(project: Project, owner: Client) -> None:
    bad = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    hostile = {
        "body": bad,
        "criteria": [FLAG | {"label": bad, "help": bad}],
        "examples": [GOOD | {"answer": bad, "prompt": bad, "reason": bad}],
        "rules": [bad],
        "note": bad,
    }
    publish.publish(guideline=project.guideline, **hostile)
    slug = project.guideline.slug
    news = reverse("labeling:guideline_news", args=[project.slug, 2])
    for address in (
        reverse("guidelines:guideline", args=[slug]),
        reverse("guidelines:edit", args=[slug]),
        reverse("guidelines:diff", args=[slug, 1, 2]),
        news,
    ):
        page = owner.get(address).content.decode()
        assert "&lt;script&gt;" in page
        assert "<script>alert" not in page
        assert "<img" not in page


@pytest.mark.django_db
def test_any_two_versions_compare(project: Project, owner: Client) -> None:
    slug = project.guideline.slug
    publish.publish(guideline=project.guideline, body="# Be fair", criteria=[SCALE], rules=["Kind first."])
    publish.publish(guideline=project.guideline, body="# Be fair", criteria=[SCALE | {"max": 7}], rules=[])
    page = owner.get(reverse("guidelines:diff", args=[slug, 1, 3])).content.decode()
    assert "<del>kind</del><ins>fair</ins>" in page
    back = owner.get(reverse("guidelines:diff", args=[slug, 3, 2])).content.decode()
    assert "<del>7</del> <ins>5</ins>" in back
    assert "<ins>Kind first.</ins>" in back
    same = owner.get(reverse("guidelines:diff", args=[slug, 2, 2])).content.decode()
    assert "Nothing differs." in same
    differences = reverse("guidelines:differences", args=[slug])
    assert owner.get(differences).url == reverse("guidelines:diff", args=[slug, 2, 3])
    assert owner.get(f"{differences}?from=1&to=2").url == reverse("guidelines:diff", args=[slug, 1, 2])
    assert owner.get(f"{differences}?from=x&to=99").url == reverse("guidelines:diff", args=[slug, 2, 3])
    assert owner.get(reverse("guidelines:diff", args=[slug, 1, 9])).status_code == 404


@pytest.mark.django_db
def test_pages_in_few_queries(project: Project, owner: Client, django_assert_max_num_queries) -> None:
    slug = project.guideline.slug
    for n in range(4):
        publish.publish(guideline=project.guideline, body=f"# Be fair {n}", criteria=[SCALE, FLAG])
    label(project)
    for name, arguments, most in (
        ("guideline", [slug], 14),
        ("version", [slug, 2], 14),
        ("diff", [slug, 1, 4], 10),
        ("edit", [slug], 20),
    ):
        with django_assert_max_num_queries(most):
            assert owner.get(reverse(f"guidelines:{name}", args=arguments)).status_code == 200
    with django_assert_max_num_queries(10):
        assert owner.get(reverse("labeling:guideline_news", args=[project.slug, 2])).status_code == 200

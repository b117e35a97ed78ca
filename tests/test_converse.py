"""Talks with the checkpoint, and drafts by it: through the API, into labels and datasets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scenes import new_labeler, new_project, new_task

from labeling import annotate, queue
from labeling.content.texts import text_hash
from labeling.datasets import dataset
from labeling.models import Annotation, Completion, Labeler, Lease, Project, Prompt, Reply, Task
from labeling.people import tokens
from labeling.reviewing import readings
from labeling.talks import replies, talk
from models_zoo.generate import Completion as Answer
from models_zoo.models import Checkpoint

pytestmark = pytest.mark.django_db
HELLO = "Tell me a story."


@pytest.fixture
def project() -> Project:
    checkpoint = Checkpoint.objects.create(name="stories-7b", kind="sft", digest="sha256:x", folder="none")
    return new_project(current_checkpoint=checkpoint)


@pytest.fixture
def lease(project: Project) -> Lease:
    talk.add_tasks(project=project, text="Ask for a story.")
    return leased(project)


def leased(project: Project, kind: str = "converse", labeler: Labeler | None = None) -> Lease:
    lease = queue.lease_next(labeler=labeler or new_labeler(project), project=project, kinds=[kind])
    assert lease
    return lease


def api(labeler: Labeler) -> Client:
    token = tokens.issue(user=labeler.user, name="tests")
    return Client(headers={"Authorization": f"Token {token}"}, raise_request_exception=False)


def post(lease: Lease, path: str, body: Any = None) -> Any:
    address = f"/api/leases/{lease.pk}/{path}/"
    return api(lease.labeler).post(address, json.dumps(body or {}), content_type="application/json")


def say(lease: Lease, text: str = HELLO, turns: Sequence[Any] = ()) -> Reply:
    return talk.say(lease_id=lease.pk, labeler=lease.labeler, text=text, chosen=list(turns))


def answered(reply: Reply, *texts: str) -> Reply:
    """The reply as a responder that said these texts leaves it."""
    texts = texts or tuple(f"A story of {reply.pk}, told in way {at}." for at in range(reply.wanted))
    assert replies.claim()
    said = [
        Answer(text=text, finished=True, tokens=5, seed=seed)
        for text, seed in zip(texts, replies.seeds(reply), strict=True)
    ]
    reply.refresh_from_db()
    replies.finish(reply, answers=said, sampling={"temperature": 1.0})
    return reply


def turn(reply: Reply, chosen: int = 0, strength: str = "better", **more: Any) -> dict[str, Any]:
    said = reply.prompt.messages[-1]["content"]
    return {"said": said, "reply": reply.number, "chosen": chosen, "strength": strength, **more}


def shown(reply: Reply) -> list[str]:
    return [reply.texts[at] for at in replies.shown_order(reply)]


def submit(lease: Lease, turns: Sequence[Any], **more: Any) -> Annotation:
    answer = {"turns": list(turns), **more}
    return annotate.submit(
        lease_id=lease.pk, labeler=lease.labeler, submission_id=uuid4(), answer=answer, active_seconds=9
    )


def a_talk(lease: Lease, *choices: tuple[int, str]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for at, (chosen, strength) in enumerate(choices):
        turns.append(turn(answered(say(lease, f"{HELLO} {at}", turns)), chosen, strength))
    return turns


def test_a_talk_goes_on_with_the_chosen_answer(lease: Lease) -> None:
    first = answered(say(lease))
    second = say(lease, "Go on.", [turn(first, 1)])
    assert second.prompt.messages == [
        {"role": "user", "content": HELLO},
        {"role": "assistant", "content": shown(first)[1]},
        {"role": "user", "content": "Go on."},
    ]
    assert (second.prompt.origin, second.number, second.wanted) == ("conversed", 1, 2)
    assert not Prompt.objects.to_answer().filter(pk=second.prompt_id).exists()


def test_a_label_names_what_was_compared(lease: Lease) -> None:
    first = answered(say(lease))
    second = answered(say(lease, "Go on.", [turn(first, 1)]))
    turns = [turn(first, 1), turn(second, 0, "tie", both_bad=True)]
    label = submit(lease, turns, comment="Fine.", unsent={"writing": "And"})
    kept = [
        {**one, "completions": [Completion.objects.get(prompt=reply.prompt, text=text).pk for text in texts]}
        for one, reply, texts in zip(turns, (first, second), map(shown, (first, second)), strict=True)
    ]
    for one in kept:
        one["chosen"] = one["completions"][one["chosen"]]
    assert label.answer == {"turns": kept, "comment": "Fine."}
    # As it is stored, it can be sent again as a revision.
    kept[0]["strength"] = "much"
    again = annotate.revise(
        annotation_id=label.pk, labeler=lease.labeler, submission_id=uuid4(), answer={"turns": kept}
    )
    assert again.answer == {"turns": kept}


def test_a_reviewer_reads_what_was_said_and_chosen(lease: Lease) -> None:
    label = submit(lease, a_talk(lease, (1, "much"), (0, "tie")))
    pks = [pk for turn in label.answer["turns"] for pk in turn["completions"]]
    texts = readings.Texts(completions=dict.fromkeys(pks, "…"))
    parts = readings.read(kind="converse", answer=label.answer, texts=texts)
    assert [part.get("title") or part.get("line") for part in parts] == [
        "Turn 1, the person",
        "Answer 1",
        "Answer 2, with which the talk went on",
        "Answer 2 is much better.",
        "Turn 2, the person",
        "Answer 1, with which the talk went on",
        "Answer 2",
        "The answers tie.",
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"chosen": 2}, "answer.turns[0].chosen"),
        ({"chosen": True}, "answer.turns[0].chosen"),
        ({"chosen": None}, "answer.turns[0].chosen"),
        ({"strength": "hugely"}, "answer.turns[0].strength"),
        ({"strength": ["tie"]}, "answer.turns[0].strength"),
        ({"both_bad": "yes"}, "answer.turns[0].both_bad"),
        ({"reply": 7}, "answer.turns[0].reply"),
        ({"reply": True}, "answer.turns[0].reply"),
        ({"reply": [0]}, "answer.turns[0].reply"),
        ({"said": "Something else."}, "answer.turns[0].said"),
        ({"said": ""}, "answer.turns[0].said"),
        ({"said": "x" * 8001}, "answer.turns[0].said"),
        ({"said": 7}, "answer.turns[0].said"),
        ({"completions": [1, 2]}, "answer.turns[0].completions"),
        ({"model": "x"}, "answer.turns[0].model"),
    ],
)
def test_a_bad_turn_is_named(lease: Lease, change: dict[str, Any], field: str) -> None:
    reply = answered(say(lease))
    bad = {**turn(reply), **change}
    answer = post(lease, "submit", {"submission_id": str(uuid4()), "answer": {"turns": [bad]}})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
    asked = post(lease, "say", {"text": "Go on.", "turns": [bad]})
    assert asked.status_code == 400
    assert asked.json()["errors"][0]["field"] == field.removeprefix("answer.")


@pytest.mark.parametrize("turns", [[], None, "talk", [1], {"0": {}}, [{}] * 21])
def test_a_bad_talk_is_named(lease: Lease, turns: Any) -> None:
    answer = post(lease, "submit", {"submission_id": str(uuid4()), "answer": {"turns": turns}})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "answer.turns"


@pytest.mark.parametrize("text", ["", "  \n", "x" * 8001, "a\x00b"])
def test_a_bad_message_is_named(lease: Lease, text: str) -> None:
    answer = post(lease, "say", {"text": text, "turns": []})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "text"
    assert not Reply.objects.exists()


def test_an_answer_that_is_not_whole_cannot_be_chosen(lease: Lease) -> None:
    reply = say(lease)
    answer = post(lease, "say", {"text": "Go on.", "turns": [turn(reply)]})
    assert answer.json()["errors"][0]["field"] == "turns[0].reply"


def test_one_reply_at_a_time(lease: Lease) -> None:
    say(lease)
    assert replies.claim()
    answer = post(lease, "say", {"text": "Or rather a poem.", "turns": []})
    assert answer.status_code == 409
    assert "still answers" in answer.json()["detail"]


def test_a_message_that_nobody_answers_can_be_changed(lease: Lease) -> None:
    first = say(lease)
    second = say(lease, "Or rather a poem.")
    first.refresh_from_db()
    assert (first.state, second.state, second.number) == ("failed", "waiting", 1)


def test_the_same_message_is_asked_once(lease: Lease) -> None:
    """A repeat after a lost answer, and no drawing until one likes what comes."""
    first = say(lease)
    assert say(lease) == first
    answered(first)
    assert say(lease) == first
    assert Reply.objects.count() == 1


def test_a_talk_has_an_end(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labeling.talks.turns.MOST_TURNS", 2)
    turns = a_talk(lease, (0, "much"), (1, "slightly"))
    answer = post(lease, "say", {"text": "Go on.", "turns": turns})
    assert answer.status_code == 409
    assert "2 turns at most" in answer.json()["detail"]
    assert submit(lease, turns)


def test_a_talk_survives_its_lease(project: Project, lease: Lease) -> None:
    """The same person's next lease of the task goes on where the first one ended."""
    first = answered(say(lease))
    Lease.objects.update(expires_at=timezone.now())
    queue.sweep()
    again = leased(project, labeler=lease.labeler)
    assert again.pk != lease.pk
    second = say(again, "Go on.", [turn(first)])
    assert second.number == 1
    assert submit(again, [turn(first), turn(answered(second), 1)])


def test_a_settled_task_is_silent(lease: Lease) -> None:
    submit(lease, a_talk(lease, (0, "better")))
    answer = post(lease, "say", {"text": "Go on.", "turns": []})
    assert answer.status_code == 409
    assert "done with this task" in answer.json()["detail"]


def test_a_withdrawn_task_says_so_and_takes_the_talk(lease: Lease) -> None:
    turns = a_talk(lease, (0, "better"))
    Task.objects.update(state=Task.State.WITHDRAWN)
    answer = post(lease, "say", {"text": "Go on.", "turns": turns})
    assert answer.status_code == 409
    assert "withdrawn" in answer.json()["detail"]
    assert submit(lease, turns)


def test_without_a_checkpoint_nobody_answers(project: Project, lease: Lease) -> None:
    Project.objects.update(current_checkpoint=None)
    project.refresh_from_db()
    answer = post(lease, "say", {"text": HELLO, "turns": []})
    assert answer.status_code == 409
    assert "No checkpoint" in answer.json()["detail"]
    sheet = next_task(lease.labeler, project, "converse")
    assert not sheet["somebody"]


def next_task(labeler: Labeler, project: Project, kind: str) -> dict[str, Any]:
    path = f"/api/projects/{project.slug}/next/"
    answer = api(labeler).post(path, json.dumps({"kinds": [kind]}), content_type="application/json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_only_its_labeler_talks_and_reads(project: Project, lease: Lease) -> None:
    reply = say(lease)
    other = api(new_labeler(project))
    path = f"/api/leases/{lease.pk}"
    body = json.dumps({"text": HELLO, "turns": []})
    assert other.post(f"{path}/say/", body, content_type="application/json").status_code == 404
    assert other.get(f"{path}/replies/{reply.number}/").status_code == 404
    mine = api(lease.labeler)
    assert mine.get(f"{path}/replies/{reply.number}/").json()["state"] == "waiting"
    assert mine.get(f"{path}/replies/9/").status_code == 404
    assert Client().get(f"{path}/replies/0/").status_code == 401


def test_another_kind_of_task_is_no_talk(project: Project) -> None:
    new_task(project, kind="rank")
    assert post(leased(project, "rank"), "say", {"text": HELLO, "turns": []}).status_code == 409


def test_the_sheet_is_blind_and_whole(project: Project, lease: Lease) -> None:
    reply = answered(say(lease))
    sheet = next_task(lease.labeler, project, "converse")
    assert sheet["brief"] == {"text": "Ask for a story."}
    assert (sheet["prompt"], sheet["somebody"]) == ([], True)
    assert sheet["limits"] == {"turns": 20, "characters": 8000}
    (told,) = sheet["replies"]
    assert [one["text"] for one in told["texts"]] == shown(reply)
    assert "stories-7b" not in json.dumps(sheet)
    assert "checkpoint" not in json.dumps(sheet)


def test_words_kept_back_to_judge_are_refused(project: Project, lease: Lease) -> None:
    messages = [{"role": "user", "content": HELLO}]
    Prompt.objects.create(project=project, messages=messages, text_hash=text_hash(messages), split="heldout")
    answer = post(lease, "say", {"text": HELLO, "turns": []})
    assert answer.status_code == 400
    assert "other words" in answer.json()["detail"]


def test_queries(project: Project, lease: Lease) -> None:
    turns = a_talk(lease, (0, "better"), (1, "much"))
    mine = api(lease.labeler)
    path = f"/api/projects/{project.slug}/next/"
    mine.post(path, '{"kinds": ["converse"]}', content_type="application/json")
    with CaptureQueriesContext(connection) as took:
        mine.post(path, '{"kinds": ["converse"]}', content_type="application/json")
    body = json.dumps({"submission_id": str(uuid4()), "answer": {"turns": turns}})
    with CaptureQueriesContext(connection) as submitted:
        answer = mine.post(f"/api/leases/{lease.pk}/submit/", body, content_type="application/json")
    assert answer.status_code == 201
    for captured in (took, submitted):
        asked = [
            one["sql"] for one in captured.captured_queries if not one["sql"].startswith(("SAVEP", "RELE"))
        ]
        assert len(asked) <= 12, asked


# Tasks


def test_tasks_by_the_api(project: Project) -> None:
    owner = api(new_labeler(project, role="owner"))
    path = f"/api/projects/{project.slug}/tasks/"

    def made(**body: Any) -> Any:
        return owner.post(path, json.dumps({"kind": "converse", **body}), content_type="application/json")

    assert made(text="Plan a day.", count=3, setting="You are kind.").json() == {"made": 3}
    task = Task.objects.filter(kind="converse").select_related("prompt").latest("pk")
    assert task.brief == {"text": "Plan a day."}
    assert task.prompt.messages == [{"role": "system", "content": "You are kind."}]
    assert (task.prompt.next_role, task.wanted, task.propensity) == ("user", project.overlap, 1.0)
    for body, field in (
        ({}, "text"),
        ({"text": " "}, "text"),
        ({"text": "a\x00"}, "text"),
        ({"text": "x", "count": 0}, "count"),
        ({"text": "x", "count": 10_001}, "count"),
        ({"text": "x", "prompts": [1]}, "prompts"),
        ({"text": "x", "share": 0.5}, "share"),
    ):
        answer = made(**body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field), body
    Project.objects.update(current_checkpoint=None)
    answer = made(text="x")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "kind")
    labeler = api(new_labeler(project))
    assert labeler.post(path, '{"kind": "converse"}', content_type="application/json").status_code == 403


def test_tasks_by_the_command(project: Project) -> None:
    said = StringIO()
    arguments = ["make_tasks", "--project", project.slug, "--kind", "converse"]
    call_command(*arguments, "--text", "Plan a day.", "--count", "2", stdout=said)
    assert "2 new converse tasks" in said.getvalue()
    with pytest.raises(CommandError, match="text: Say what people are to talk about"):
        call_command(*arguments)
    with pytest.raises(CommandError, match="prompts: Not for converse tasks"):
        call_command(*arguments, "--text", "x", "--prompts", "1")


# Datasets


def test_a_talk_trains_turn_by_turn(project: Project, lease: Lease) -> None:
    turns = a_talk(lease, (1, "much"), (0, "tie"), (0, "slightly"))
    label = submit(lease, turns)
    frozen = dataset.freeze(project=project, kind="preferences", weights={label.pk: 0.5})
    groups = list(dataset.rows(frozen))
    said = [Reply.objects.get(number=at) for at in range(3)]
    assert [group["prompt"] for group in groups] == [reply.prompt.messages for reply in said]
    assert [group["ranks"] for group in groups] == [[1, 0], [0, 0], [0, 1]]
    assert [group["margin"] for group in groups] == [3.0, 0.0, 1.0]
    assert [[one[0]["content"] for one in group["completions"]] for group in groups] == [
        shown(reply) for reply in said
    ]
    assert {group["weight"] for group in groups} == {0.5}
    pairs = list(dataset.rows(frozen, "pairs"))
    assert [pair["margin"] for pair in pairs] == [3.0, 1.0]
    assert pairs[0]["chosen"] == groups[0]["completions"][1]
    assert list(dataset.rows(frozen, "prompts")) == []


def test_a_talk_of_ties_orders_nothing(project: Project) -> None:
    talk.add_tasks(project=project, text="Ask for a story.", count=2)
    ties, decided = leased(project), leased(project)
    submit(ties, a_talk(ties, (0, "tie"), (1, "tie")))
    label = submit(decided, a_talk(decided, (0, "tie"), (1, "slightly")))
    assert list(dataset.trainable(project=project, kind="preferences")) == [label]


# Drafts


@pytest.fixture
def writing(project: Project) -> Lease:
    project.model_drafts = True
    project.save()
    new_task(project, kind="demonstrate")
    return leased(project, "demonstrate")


def test_a_draft_is_asked_for_once(writing: Lease) -> None:
    first = post(writing, "draft-reply")
    assert (first.status_code, first.json()["state"], len(first.json()["texts"])) == (200, "waiting", 1)
    reply = answered(Reply.objects.get(), "Once a fox found a kite.")
    again = post(writing, "draft-reply").json()
    assert (again["number"], again["texts"][0]["text"]) == (reply.number, "Once a fox found a kite.")
    sheet = next_task(writing.labeler, writing.task.project, "demonstrate")
    assert sheet["drafts"]
    assert sheet["replies"][0]["state"] == "done"
    assert "stories-7b" not in json.dumps([first.json(), again, sheet])


def test_a_draft_that_failed_is_asked_for_again(writing: Lease) -> None:
    post(writing, "draft-reply")
    replies.fail(Reply.objects.get(), "The model could not answer.")
    assert post(writing, "draft-reply").json()["number"] == 1


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("Once a fox found a kite.", 1.0),
        ("Once a fox lost a kite.", 5 / 6),
        ("Owls sing.", 0.0),
    ],
)
def test_who_saw_a_draft_was_assisted(writing: Lease, text: str, share: float) -> None:
    post(writing, "draft-reply")
    answered(Reply.objects.get(), "Once a fox found a kite.")
    label = annotate.submit(
        lease_id=writing.pk, labeler=writing.labeler, submission_id=uuid4(), answer={"text": text}
    )
    assert label.assisted_by == writing.task.project.current_checkpoint
    assert label.assisted_share == pytest.approx(share)
    frozen = dataset.freeze(project=writing.task.project, kind="demonstrations")
    (row,) = dataset.rows(frozen)
    assert (row["assisted_by"], row["assisted_share"]) == ("stories-7b", label.assisted_share)
    revised = annotate.revise(
        annotation_id=label.pk, labeler=writing.labeler, submission_id=uuid4(), answer={"text": "Once a fox."}
    )
    assert revised.assisted_share == pytest.approx(2 / 3)


def test_who_asked_for_none_was_not(writing: Lease) -> None:
    label = annotate.submit(
        lease_id=writing.pk, labeler=writing.labeler, submission_id=uuid4(), answer={"text": "Owls sing."}
    )
    assert (label.assisted_by, label.assisted_share) == (None, None)


def test_drafts_are_where_the_project_offers_them(writing: Lease) -> None:
    Project.objects.update(model_drafts=False)
    answer = post(writing, "draft-reply")
    assert answer.status_code == 409
    assert "No draft by a model is offered" in answer.json()["detail"]
    assert not next_task(writing.labeler, writing.task.project, "demonstrate")["drafts"]


def test_a_person_s_turn_has_no_draft(writing: Lease) -> None:
    Prompt.objects.update(next_role="user")
    assert post(writing, "draft-reply").status_code == 409

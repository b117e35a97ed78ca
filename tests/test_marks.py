"""Marks: which passages of an answer can be marked, how they become rows, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import uuid
from typing import Any

import pytest
from django.test import Client
from pyarrow import parquet
from scenes import new_labeler, new_project, new_task

from guidelines import publish
from guidelines.criteria import GuidelineError
from guidelines.criteria import check as check_criteria
from labeling import annotate, answers, marks, queue, work
from labeling.content.texts import text_hash
from labeling.datasets import dataset, formats
from labeling.models import Annotation, Candidate, Completion, Project, Task

pytestmark = pytest.mark.django_db

FALSE = {"key": "false", "label": "False", "scope": "completion", "type": "span", "required": False}
KIND = {"key": "kind", "label": "Kind", "scope": "completion", "type": "span", "required": False}
SCALE = {
    "key": "overall",
    "label": "Overall",
    "scope": "completion",
    "type": "scale",
    "min": 1,
    "max": 7,
    "required": True,
}
# An astral letter, a family of joined emoji, a letter with two combining signs, and what turns directions.
TEXT = "A 🦊 said: 👨‍👩‍👧 e\u0301\u0323t\u202e <b>x</b>.\nNo."


@pytest.fixture
def project() -> Project:
    project = new_project()
    publish.publish(guideline=project.guideline, body="# Be true", criteria=[SCALE, FALSE, KIND])
    project.guideline.refresh_from_db()
    return project


def marking(project: Project, text: str = TEXT) -> Task:
    task = new_task(project, kind="mark")
    shown = Completion.objects.filter(candidates__task=task)
    shown.update(text=text, text_hash=text_hash(text))
    return task


def label(project: Project, *given: dict[str, Any], text: str = TEXT) -> Annotation:
    marking(project, text)
    labeler = new_labeler(project)
    lease = queue.lease_next(labeler=labeler, project=project)
    assert lease
    return annotate.submit(
        lease_id=lease.pk, labeler=labeler, submission_id=uuid.uuid4(), answer={"marks": list(given)}
    )


def test_ends_count_code_points(project: Project) -> None:
    fox, family = TEXT.index("🦊"), TEXT.index("👨")
    stored = label(
        project,
        {"start": family, "end": family + 5, "criterion": "kind", "comment": "Three."},
        {"start": fox, "end": fox + 1, "criterion": "false"},
    )
    assert stored.schema == 1
    assert [TEXT[mark["start"] : mark["end"]] for mark in stored.answer["marks"]] == ["🦊", "👨‍👩‍👧"]


def test_nothing_to_mark_is_an_answer(project: Project) -> None:
    assert label(project).answer == {"marks": []}


def mark(start: Any = 0, end: Any = 1, criterion: Any = "false", **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "criterion": criterion, **more}


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        (None, "answer.marks", "must be a list"),
        ({"0": mark()}, "answer.marks", "must be a list"),
        ([mark(at, at + 1) for at in range(marks.MOST + 1)], "answer.marks", "most is 1,000"),
        (["0-1"], "answer.marks[0]", "must be an object"),
        ([{"start": 0, "end": 1}], "answer.marks[0].criterion", "no such criterion"),
        ([mark(criterion="overall")], "answer.marks[0].criterion", "no such criterion"),
        ([mark(criterion=["false"])], "answer.marks[0].criterion", "no such criterion"),
        ([mark(), mark(start="0")], "answer.marks[1].start", "whole number"),
        ([mark(end=True)], "answer.marks[0].end", "whole number"),
        ([mark(end=1.0)], "answer.marks[0].end", "whole number"),
        ([mark(start=-1)], "answer.marks[0].end", "within the answer's"),
        ([mark(start=1, end=1)], "answer.marks[0].end", "its start before its end"),
        ([mark(end=len(TEXT) + 1)], "answer.marks[0].end", "within the answer's"),
        ([mark(end=2**80)], "answer.marks[0].end", "within the answer's"),
        ([mark(start=1, end=2)], "answer.marks[0].end", "nothing but space"),
        ([mark(), mark(comment="again")], "answer.marks[1]", "marked twice"),
        ([mark(comment=7)], "answer.marks[0].comment", "must be text"),
        ([mark(comment="x" * 2001)], "answer.marks[0].comment", "2,000 characters"),
        ([mark(colour="red")], "answer.marks[0].colour", "no such field"),
    ],
)
def test_refused(given: Any, field: str, words: str) -> None:
    shown = answers.Shown(candidates=[1], criteria=[SCALE, FALSE, KIND], text=TEXT)
    with pytest.raises(answers.AnswerError, match=words) as refused:
        answers.check(kind="mark", answer={"marks": given}, shown=shown)
    assert refused.value.field == field


def test_one_passage_may_have_two_marks(project: Project) -> None:
    both = [mark(0, 3, "kind"), mark(0, 3)]
    assert label(project, *both).answer == {"marks": [mark(0, 3), mark(0, 3, "kind")]}


def test_over_the_api(project: Project, client: Client) -> None:
    task, labeler = marking(project), new_labeler(project)
    assert labeler.user
    client.force_login(labeler.user)
    body = json.dumps({"kinds": ["mark"]})
    sheet = client.post(f"/api/projects/{project.slug}/next/", body, content_type="application/json").json()
    assert (sheet["id"], sheet["candidates"][0]["text"]) == (task.pk, TEXT)
    assert [one["key"] for one in sheet["criteria"] if one["type"] == "span"] == ["false", "kind"]
    address = f"/api/leases/{sheet['lease']}/submit/"
    for given, code in (([mark(5, 2)], 400), ([mark(2, 3)], 201)):
        sent = {"submission_id": str(uuid.uuid4()), "answer": {"marks": given}}
        answer = client.post(address, json.dumps(sent), content_type="application/json")
        assert answer.status_code == code, answer.json()
    assert Annotation.objects.get().answer == {"marks": [mark(2, 3)]}


def test_tasks_are_made_where_there_is_something_to_mark(project: Project) -> None:
    task = new_task(project, kind="rank", k=3)
    assert work.make_tasks(project=project, kind="mark") == 3
    assert work.make_tasks(project=project, kind="mark") == 0
    shown = Candidate.objects.filter(task__kind="mark").values_list("completion", flat=True)
    assert set(shown) == set(task.candidates.values_list("completion", flat=True))
    bare = new_project()
    new_task(bare)
    with pytest.raises(work.WorkError, match="no criterion of type span") as refused:
        work.make_tasks(project=bare, kind="mark")
    assert refused.value.field == "guideline"


def test_rating_passes_spans_over() -> None:
    shown = answers.Shown(candidates=[1], criteria=[SCALE, FALSE])
    answer = {"ratings": {"1": {"overall": 4}}}
    assert answers.check(kind="rate", answer=answer, shown=shown)["ratings"] == {"1": {"overall": 4}}
    with pytest.raises(answers.AnswerError, match="no such criterion"):
        answers.check(kind="rate", answer={"ratings": {"1": {"overall": 4, "false": True}}}, shown=shown)


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"scope": "prompt"}, "scope"), ({"required": True}, "required"), ({"min": 1}, "min")],
)
def test_a_span_is_marked_in_answers_and_never_required(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(GuidelineError) as refused:
        check_criteria([{**FALSE, **changed}])
    assert refused.value.field == f"criteria[0].{field}"


def test_a_dataset_has_a_row_a_mark(project: Project) -> None:
    first = label(project, mark(2, 3, comment="No fox."), mark(0, 3, "kind"))
    label(project)
    frozen = dataset.freeze(project=project, kind="marks")
    rows = list(dataset.rows(frozen))
    assert frozen.size == 2
    shown = ("start", "end", "quote", "criterion", "comment")
    assert [tuple(row[name] for name in shown) for row in rows] == [
        (0, 3, "A 🦊", "kind", None),
        (2, 3, "🦊", "false", "No fox."),
        (None, None, None, None, None),
    ]
    assert rows[0]["label"] == rows[1]["label"] == str(first.pk)
    assert rows[0]["completion"] == [{"role": "assistant", "content": TEXT}]
    written = b"".join(formats.encode(dataset.rows(frozen), form="marks", format="jsonl"))
    assert frozen.digest == hashlib.sha256(written).hexdigest()
    packed = b"".join(formats.encode(dataset.rows(frozen), form="marks", format="parquet"))
    assert parquet.read_table(io.BytesIO(packed)).to_pylist() == rows
    assert len(list(dataset.rows(frozen, "prompts"))) == 2

"""Every door of labeling's API: what it gives, to whom, and how it refuses."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import httpx
import pyarrow.parquet
import pytest
import yaml
from conftest import Server
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scenes import KINDS, new_labeler, new_project, new_task

from guidelines import publish
from guidelines.render import answer_html
from labeling import queue
from labeling.models import Annotation, Completion, Draft, Labeler, Lease, Membership, Project, Task
from labeling.people import tokens
from labeling.people.projects import settings_of

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script> & <b>bold</b> \u202e ’"


class Api:
    """The API as one person uses it, over a token."""

    def __init__(self, user: User) -> None:
        self.user = user
        token = tokens.issue(user=user, name="tests")
        self.client = Client(headers={"Authorization": f"Token {token}"}, raise_request_exception=False)

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        more = {"content_type": "application/json", "data": data} | more
        return self.client.generic(method, f"/api/{path}", **more)

    def get(self, path: str) -> Any:
        return self("GET", path)

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return self("POST", path, body, **more)

    def put(self, path: str, body: Any) -> Any:
        return self("PUT", path, body)

    def next(self, project: Project, **body: Any) -> dict[str, Any]:
        answer = self.post(f"projects/{project.slug}/next/", body)
        assert answer.status_code == 200, answer.content
        return answer.json()


def api_of(project: Project, role: str = "labeler", **more: Any) -> Api:
    return Api(new_labeler(project, role=role, **more).user)


def whole(task: dict[str, Any]) -> dict[str, Any]:
    tiers = [[one["id"]] for one in task["candidates"]]
    match task["kind"]:
        case "rank":
            return {"tiers": tiers}
        case "compare":
            return {"preferred": None, "strength": "tie"}
        case "rate":
            return {"ratings": {}, "tiers": tiers}
        case "mark":
            return {"marks": []}
    return {"text": "Once a fox found a kite."}


def send(api: Api, task: dict[str, Any], answer: Any = None, **more: Any) -> Any:
    body = {"submission_id": str(uuid4()), "answer": whole(task) if answer is None else answer} | more
    return api.post(f"leases/{task['lease']}/submit/", body)


def problem(answer: Any, status: int, *, field: str | None = None, words: str = "") -> dict[str, Any]:
    """Assert that the answer is a problem document of this status, about this field."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert {"type", "title", "detail"} <= set(document)
    assert words in document["detail"]
    assert "Traceback" not in document["detail"]
    if field is not None:
        assert field in [one["field"] for one in document["errors"]]
        assert all(one["message"] for one in document["errors"])
    return document


@pytest.fixture
def project() -> Project:
    return new_project()


@pytest.fixture
def leo(project: Project) -> Api:
    return api_of(project)


# Projects and people


def test_project_list_shows_ones_own(project: Project, leo: Api) -> None:
    other = new_project()
    new_labeler(other), new_labeler(project, role="admin")
    results = leo.get("projects/").json()["results"]
    assert results == [{"slug": project.slug, "name": "Stories", "role": "labeler"}]


def test_superuser_owns_every_project(project: Project) -> None:
    new_labeler(project), new_labeler(project)
    api = Api(User.objects.create_superuser("root"))
    assert api.get("projects/").json()["results"] == [
        {"slug": project.slug, "name": "Stories", "role": "owner"}
    ]


def test_project_in_figures(project: Project, leo: Api) -> None:
    new_task(project), new_task(project)
    send(leo, leo.next(project))
    version = project.guideline.current
    assert leo.get(f"projects/{project.slug}/").json() == {
        "slug": project.slug,
        "name": "Stories",
        "role": "labeler",
        "task_count": 2,
        "open_task_count": 1,
        "annotation_count": 1,
        "guideline_version": {"id": version.pk, "guideline": project.guideline.slug, "number": 1},
        "current_checkpoint": None,
        "stuck_appeals": 0,
        **settings_of(project),
    }


MEMBERS_ONLY = ["GET", ""], ["POST", "next/"], ["GET", "annotations/"], ["GET", "datasets/"]
MEMBERS_ONLY += ["POST", "prompts/"], ["POST", "demonstrations/"], ["POST", "members/"], ["POST", "datasets/"]


@pytest.mark.parametrize(("method", "path"), MEMBERS_ONLY)
def test_not_found_for_others(project: Project, method: str, path: str) -> None:
    stranger = api_of(new_project(), role="owner")
    problem(stranger(method, f"projects/{project.slug}/{path}"), 404)
    problem(stranger(method, f"projects/no-such-project/{path}"), 404)
    assert Client().generic(method, f"/api/projects/{project.slug}/{path}").status_code == 401


@pytest.mark.parametrize("role", ["labeler", "reviewer", "engineer"])
@pytest.mark.parametrize("path", ["prompts/", "demonstrations/", "members/"])
def test_only_managers_change_the_project(project: Project, role: str, path: str) -> None:
    problem(api_of(project, role).post(f"projects/{project.slug}/{path}", {}), 403, words="owner or admin")


@pytest.mark.parametrize("role", ["labeler", "reviewer"])
def test_only_engineers_freeze(project: Project, role: str) -> None:
    problem(api_of(project, role).post(f"projects/{project.slug}/datasets/", {"kind": "prompts"}), 403)


def test_new_member_may_work_at_once(project: Project) -> None:
    new_task(project)
    admin = api_of(project, "admin")
    body = {"username": "sim-1", "role": "labeler", "kind": "simulated", "group": "heldout"}
    answer = admin.post(f"projects/{project.slug}/members/", body)
    assert answer.status_code == 201
    assert answer.json()["username"] == "sim-1"
    token = answer.json()["token"]
    client = Client(headers={"Authorization": f"Token {token}"})
    path = f"/api/projects/{project.slug}/next/"
    assert client.post(path, content_type="application/json").status_code == 200
    labeler = Labeler.objects.get(user__username="sim-1")
    assert (labeler.kind, labeler.user.memberships.get().group) == ("simulated", "heldout")


def test_token_of_a_known_account_is_not_given_away(project: Project) -> None:
    User.objects.create_user("mia")
    admin = api_of(project, "admin")
    body = {"username": "mia", "role": "labeler"}
    assert admin.post(f"projects/{project.slug}/members/", body).json()["token"] is None


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_admin_makes_no_owner(project: Project, role: str) -> None:
    body = {"username": "mia", "role": role}
    problem(api_of(project, "admin").post(f"projects/{project.slug}/members/", body), 403)
    assert api_of(project, "owner").post(f"projects/{project.slug}/members/", body).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "labeler"}, "username"),
        ({"username": "mia", "role": "emperor"}, "role"),
        ({"username": "m i a", "role": "labeler"}, "username"),
        ({"username": "mia\x00", "role": "labeler"}, "username"),
        ({"username": "mia", "role": "labeler", "kind": "import"}, "kind"),
        ({"username": "mia", "role": "labeler", "grup": "heldout"}, "grup"),
    ],
)
def test_bad_member(project: Project, body: Any, field: str) -> None:
    problem(api_of(project, "owner").post(f"projects/{project.slug}/members/", body), 400, field=field)


# The work


def test_rating_task_shows_the_criteria_that_were_leased(project: Project, leo: Api) -> None:
    Project.objects.update(partial_rankings=True)
    flag = {"key": "rude", "label": "Rude", "scope": "completion", "type": "flag", "required": False}
    publish.publish(guideline=project.guideline, body="# Rate", criteria=[flag])
    task = new_task(project, kind="rate", k=2)
    assert (leo.next(project)["criteria"], leo.next(project)["partial"]) == ([flag], True)
    newer, _ = publish.publish(guideline=project.guideline, body="# Rank", criteria=[])
    Task.objects.filter(pk=task.pk).update(guideline_version=newer)
    body = leo.next(project)
    assert (body["criteria"], body["guideline_version"]["number"]) == ([flag], 2)
    problem(send(leo, body, {"ratings": {}}), 400, field="answer.tiers")
    wrong = {"ratings": {str(body["candidates"][0]["id"]): {"rude": "very"}}}
    problem(send(leo, body, wrong), 400, field=f"answer.ratings.{body['candidates'][0]['id']}.rude")


def test_texts_come_laid_out_and_harmless(project: Project, leo: Api) -> None:
    task = new_task(project, kind="edit")
    Completion.objects.filter(candidates__task=task).update(text=f"**bold** {SCRIPT}")
    (one,) = leo.next(project)["candidates"]
    assert one["text"] == f"**bold** {SCRIPT}"
    assert "<strong>bold</strong>" in one["html"]
    assert "<script" not in one["html"]


def test_rank_task_is_whole_and_blind(project: Project, leo: Api) -> None:
    task = new_task(project)
    body = leo.next(project)
    texts = dict(task.candidates.values_list("pk", "completion__text"))
    lease = Lease.objects.get()
    version = task.guideline_version
    assert body == {
        "id": task.pk,
        "lease": str(lease.pk),
        "kind": "rank",
        "prompt": [{**task.prompt.messages[0], "html": body["prompt"][0]["html"]}],
        "candidates": [
            {"id": pk, "text": texts[pk], "html": answer_html(texts[pk])} for pk in lease.shown_order
        ],
        "pictures": [],
        "brief": {},
        "sensitive": False,
        "offers": [],
        "criteria": [],
        "partial": False,
        "guideline_version": {"id": version.pk, "guideline": project.guideline.slug, "number": 1},
        "draft": None,
        "expires_at": body["expires_at"],
        "expires_in": body["expires_in"],
        "opened_at": body["opened_at"],
    }
    assert body["opened_at"] < body["expires_at"]


def test_nothing_waits(project: Project, leo: Api) -> None:
    answer = leo.post(f"projects/{project.slug}/next/")
    assert (answer.status_code, answer.content) == (204, b"")


def test_next_by_kind_and_ahead(project: Project, leo: Api) -> None:
    new_task(project)
    written = new_task(project, kind="demonstrate")
    assert leo.next(project, kinds=["demonstrate"])["id"] == written.pk
    assert leo.next(project, kinds=["demonstrate"], prefetch=False)["candidates"] == []
    assert leo.next(project, prefetch=True)["kind"] == "rank"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kinds": ["paint"]}, "kinds.0"),
        ({"kinds": "rank"}, "kinds"),
        ({"kinds": []}, "kinds"),
        ({"prefetch": "perhaps"}, "prefetch"),
        ({"kind": "rank"}, "kind"),
        (["rank"], ""),
    ],
)
def test_bad_next(project: Project, leo: Api, body: Any, field: str) -> None:
    problem(leo.post(f"projects/{project.slug}/next/", body), 400, field=field)


def test_draft_comes_back_with_the_task(project: Project, leo: Api) -> None:
    new_task(project, kind="demonstrate")
    task = leo.next(project)
    saved = leo.put(f"leases/{task['lease']}/draft/", {"answer": {"text": SCRIPT}, "version": 0}).json()
    assert (saved["version"], "saved_at" in saved) == (1, True)
    assert leo.next(project)["draft"] == {"answer": {"text": SCRIPT}, "version": 1}


def test_stale_draft_shows_what_is_stored(project: Project, leo: Api) -> None:
    new_task(project, kind="demonstrate")
    path = f"leases/{leo.next(project)['lease']}/draft/"
    leo.put(path, {"answer": {"text": "first tab"}, "version": 0})
    document = problem(leo.put(path, {"answer": {"text": "second tab"}, "version": 0}), 409)
    assert document["stored"] == {"answer": {"text": "first tab"}, "version": 1}
    assert document["type"] == "urn:tutelage:stale-draft"


def test_heartbeat(project: Project, leo: Api) -> None:
    new_task(project)
    task = leo.next(project)
    answer = leo.post(f"leases/{task['lease']}/heartbeat/", {"active_seconds": 4.5})
    assert answer.json()["expires_at"] > task["expires_at"]
    assert leo.post(f"leases/{task['lease']}/heartbeat/").status_code == 200
    assert Lease.objects.get().active_seconds == 4.5


def test_expired_lease(project: Project, leo: Api) -> None:
    new_task(project)
    task = leo.next(project)
    Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    queue.sweep()
    send(mia := api_of(project), mia.next(project))
    document = problem(leo.post(f"leases/{task['lease']}/heartbeat/"), 409, words="ran out")
    assert document["type"] == "urn:tutelage:lease-over"
    late = send(leo, task)
    assert (late.status_code, late.json()["surplus"]) == (201, True)


def test_skip(project: Project, leo: Api) -> None:
    new_task(project)
    task = leo.next(project)
    assert leo.post(f"leases/{task['lease']}/skip/", {"reason": "sensitive"}).status_code == 204
    assert leo.post(f"projects/{project.slug}/next/").status_code == 204
    assert Lease.objects.get().skip_reason == "sensitive"


def test_submit_once_whatever_is_sent(project: Project, leo: Api) -> None:
    new_task(project)
    task, key = leo.next(project), str(uuid4())
    first = send(leo, task, submission_id=key, active_seconds=3)
    again = send(leo, task, submission_id=key, active_seconds=9)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["submission_id"] == key
    tie = {"tiers": [[one["id"] for one in task["candidates"]]]}
    problem(send(leo, task, tie, submission_id=key), 409, words="submission_id")
    problem(send(leo, task), 409, words="already has your label")
    assert Annotation.objects.count() == 1


def test_foreign_and_unknown_lease(project: Project, leo: Api) -> None:
    new_task(project)
    task = leo.next(project)
    mia = api_of(project)
    for lease in (task["lease"], str(uuid4())):
        problem(send(mia, {**task, "lease": lease}), 404, words="lease")
        problem(mia.put(f"leases/{lease}/draft/", {"answer": {}, "version": 0}), 404)
        problem(mia.post(f"leases/{lease}/heartbeat/"), 404)
        problem(mia.post(f"leases/{lease}/skip/"), 404)
    assert Lease.objects.get().state == "open"
    assert not Draft.objects.exists()


def test_former_member_is_out(project: Project, leo: Api) -> None:
    new_task(project)
    task = leo.next(project)
    Membership.objects.filter(user=leo.user).delete()
    problem(send(leo, task), 404)


def test_wrong_tiers_name_the_fault(project: Project, leo: Api) -> None:
    new_task(project)
    task = leo.next(project)
    a, b, c = (one["id"] for one in task["candidates"])
    for tiers, words in [
        ([[a], [b]], f"Candidate {c} is not placed"),
        ([[a], [b], [c, a]], f"Candidate {a} is placed more than once"),
        ([[a], [b], [c], [c + 1000]], "is not a candidate"),
        ([[a], [], [b, c]], "empty"),
        ([[str(a)], [b, c]], "whole-number"),
        ({"1": a}, "list of lists"),
        (None, "list of lists"),
    ]:
        problem(send(leo, task, {"tiers": tiers}), 400, field="answer.tiers", words=words)
    assert send(leo, task).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"answer": {"text": "x" * 2_000_000}}, "answer"),
        ({"answer": {"text": "a\x00b"}}, "answer"),
        ({"answer": {"text": "  "}}, "answer.text"),
        ({"answer": {"text": "A fox.", "tiers": []}}, "answer.tiers"),
        ({"answer": "A fox."}, "answer"),
        ({"answer": None}, "answer"),
        ({}, "answer"),
        ({"answer": {"text": "A fox."}, "submission_id": "7"}, "submission_id"),
        ({"answer": {"text": "A fox."}, "active_seconds": -1}, "active_seconds"),
        ({"answer": {"text": "A fox."}, "lease": "x"}, "lease"),
    ],
)
def test_bad_demonstration(project: Project, leo: Api, body: Any, field: str) -> None:
    new_task(project, kind="demonstrate")
    task = leo.next(project)
    body = {"submission_id": str(uuid4())} | body
    problem(leo.post(f"leases/{task['lease']}/submit/", body), 400, field=field)
    assert Lease.objects.get().state == "open"


def test_markup_is_kept_as_text(project: Project, leo: Api) -> None:
    new_task(project, kind="demonstrate")
    assert send(leo, leo.next(project), {"text": SCRIPT}).status_code == 201
    answer = leo.get(f"projects/{project.slug}/annotations/?mine=1")
    assert answer.json()["results"][0]["answer"] == {"text": SCRIPT}
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'a': 1}",
        b'{"answer": NaN}',
        b'{"answer": "\xff"}',
        b'{"answer": {"text": "\\ud800"}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_broken_json(project: Project, leo: Api, body: bytes) -> None:
    problem(leo.post(f"projects/{project.slug}/next/", body), 400, words="not JSON")


def test_nested_answer(project: Project, leo: Api) -> None:
    new_task(project, kind="demonstrate")
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    body = b'{"version": 0, "answer": ' + deep + b"}"
    lease = leo.next(project)["lease"]
    problem(leo("PUT", f"leases/{lease}/draft/", body), 400, field="answer", words="deeply")
    body = f'{{"submission_id": "{uuid4()}", "answer": {deep.decode()}}}'.encode()
    problem(leo("POST", f"leases/{lease}/submit/", body), 400, field="answer", words="deeply")


def test_body_without_end(project: Project, leo: Api) -> None:
    problem(leo.post(f"projects/{project.slug}/next/", b" " * (16 * 1024 * 1024 + 1)), 413, words="bytes")


# Labels


def test_revision(project: Project, leo: Api) -> None:
    new_task(project)
    task = leo.next(project)
    label = send(leo, task).json()
    tie = {"tiers": [[one["id"] for one in task["candidates"]]]}
    path, body = f"annotations/{label['id']}/revise/", {"submission_id": str(uuid4()), "answer": tie}
    assert [leo.post(path, body).status_code for _ in range(2)] == [201, 200]
    problem(leo.post(path, {**body, "submission_id": str(uuid4())}), 409)
    problem(api_of(project).post(path, body), 404)
    newest, oldest = leo.get(f"projects/{project.slug}/annotations/?mine=1").json()["results"]
    assert (newest["supersedes"], oldest["revised_by"]) == (oldest["id"], newest["id"])
    assert leo.get(f"projects/{project.slug}/").json()["annotation_count"] == 1


def test_invalidation(project: Project, leo: Api) -> None:
    new_task(project)
    label = send(leo, leo.next(project)).json()
    path = f"annotations/{label['id']}/invalidate/"
    problem(leo.post(path, {"reason": "off topic"}), 403)
    problem(api_of(new_project(), "owner").post(path, {"reason": "off topic"}), 404)
    admin = api_of(project, "admin")
    problem(admin.post(path, {}), 400, field="reason")
    assert admin.post(path, {"reason": "off topic"}).json()["annotation"] == label["id"]
    problem(admin.post(path, {"reason": "off topic"}), 409)
    [shown] = admin.get(f"projects/{project.slug}/annotations/").json()["results"]
    assert shown["invalidated"] == "off topic"
    assert Task.objects.get().taken == 0


@pytest.mark.parametrize("number", ["0", "999999", "9" * 30])
def test_unknown_numbers(project: Project, number: str) -> None:
    admin = api_of(project, "owner")
    body = {"submission_id": str(uuid4()), "answer": {}}
    problem(admin.post(f"annotations/{number}/revise/", body), 404, words="annotation")
    problem(admin.post(f"annotations/{number}/invalidate/", {"reason": "?"}), 404)
    problem(admin.get(f"datasets/{number}/"), 404, words="dataset")


def test_annotations_by_page(project: Project, leo: Api) -> None:
    for _ in range(5):
        new_task(project, kind="demonstrate")
        send(leo, leo.next(project))
    seen, address = [], f"projects/{project.slug}/annotations/?mine=1&page_size=2"
    while address:
        page = leo.get(address).json()
        seen += [one["id"] for one in page["results"]]
        address = (page["next"] or "").partition("/api/")[2]
    assert seen == sorted(Annotation.objects.values_list("pk", flat=True), reverse=True)
    problem(leo.get(f"projects/{project.slug}/annotations/"), 403, words="mine=1")
    problem(leo.get(f"projects/{project.slug}/annotations/?mine=perhaps"), 400, field="mine")
    for cursor in (b"nonsense", b64encode(b"p=nonsense"), b64encode(b"p=\x00")):
        problem(leo.get(f"projects/{project.slug}/annotations/?mine=1&cursor={cursor.decode()}"), 404)


# In and out


ROWS = [
    {"messages": [{"role": "user", "content": f"Tell me about {SCRIPT}"}]},
    {"prompt": ""},
    {"prompt": "a\x00b"},
]


def test_prompts_come_in_and_refusals_are_listed(project: Project) -> None:
    admin = api_of(project, "admin")
    answer = admin.post(f"projects/{project.slug}/prompts/", {"rows": ROWS})
    assert answer.status_code == 201
    assert answer.json()["accepted"] == 1
    assert [one["row"] for one in answer.json()["refused"]] == [2, 3]
    assert all(one["reason"] for one in answer.json()["refused"])
    assert project.prompts.get().messages == ROWS[0]["messages"]


def test_share_of_prompts_is_held_out(project: Project) -> None:
    rows = [{"prompt": str(at)} for at in range(100)]
    answer = api_of(project, "admin").post(f"projects/{project.slug}/prompts/?split=0.25", {"rows": rows})
    assert answer.status_code == 201, answer.content
    assert 10 < project.prompts.filter(split="heldout").count() < 45


@pytest.mark.parametrize("depth", [500, 900, 1000])
@pytest.mark.parametrize("field", ["prompt", "messages", "metadata", "split", "use_case", "other"])
def test_nested_rows(project: Project, field: str, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    row = f'{{"prompt": "a", "{field}": {deep}}}' if field != "prompt" else f'{{"prompt": {deep}}}'
    admin = api_of(project, "admin")
    for body, media_type in (
        (f'{{"rows": [{row}]}}', "application/json"),
        (f"[{row}]", "application/json"),
        (row, "application/jsonl"),
    ):
        answer = admin.post(f"projects/{project.slug}/prompts/", body.encode(), content_type=media_type)
        assert answer.status_code in {201, 400}, answer.content
        if field != "other":
            assert answer.status_code == 400 or answer.json()["accepted"] == 0


@pytest.mark.parametrize("media_type", ["application/jsonl", "application/x-ndjson"])
def test_prompts_as_lines(project: Project, media_type: str) -> None:
    body = b"\n".join([json.dumps(ROWS[0]).encode(), b"{broken", b""])
    admin = api_of(project, "admin")
    answer = admin.post(f"projects/{project.slug}/prompts/?split=heldout", body, content_type=media_type)
    assert (answer.json()["accepted"], answer.json()["refused"][0]["row"]) == (1, 2)
    assert project.prompts.get().split == "heldout"


def test_demonstrations_as_csv(project: Project) -> None:
    admin = api_of(project, "admin")
    body = b'prompt,completion\n"Tell me, please","Once, a fox."\n'
    answer = admin.post(
        f"projects/{project.slug}/demonstrations/?synthetic=1", body, content_type="text/csv; charset=utf-8"
    )
    assert answer.json()["accepted"] == 1, answer.json()
    assert Annotation.objects.get().answer == {"text": "Once, a fox."}
    assert project.imports.get().synthetic


@pytest.mark.parametrize(
    ("query", "body", "field"),
    [
        ("", {}, "rows"),
        ("", {"rows": "one"}, "rows"),
        ("", {"rows": []}, "rows"),
        ("", {"rows": [], "split": "train"}, "split"),
        ("?split=half", {"rows": ROWS}, "split"),
        ("?split=nan", {"rows": ROWS}, "split"),
        ("?synthetic=perhaps", {"rows": ROWS}, "synthetic"),
    ],
)
def test_bad_import(project: Project, query: str, body: Any, field: str) -> None:
    admin = api_of(project, "admin")
    problem(admin.post(f"projects/{project.slug}/prompts/{query}", body), 400, field=field)
    assert not project.imports.exists()


OWNER = """
from django.contrib.auth.models import User
from labeling.people import tokens
from labeling.people.projects import create_project
user = User.objects.create_user("uploader")
create_project(slug="uploads", name="Uploads", guideline_title="Kind", guideline_body="Be kind", owner=user)
print(tokens.issue(user=user, name="tests"))
"""


def test_rows_of_unknown_length(server: Server) -> None:
    """A body that is made while it is sent has no Content-Length."""
    token = server.shell(OWNER).strip().splitlines()[-1]
    lines = (json.dumps({"prompt": f"Story {i}"}).encode() + b"\n" for i in range(1000))
    answer = httpx.post(
        f"{server.url}/api/projects/uploads/prompts/",
        content=lines,
        headers={"Authorization": f"Token {token}", "Content-Type": "application/jsonl"},
    )
    assert (answer.status_code, answer.json()["accepted"]) == (201, 1000)


def test_import_without_end(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labeling.api.projects.MOST_BYTES", 30)
    admin, path = api_of(project, "admin"), f"projects/{project.slug}/prompts/"
    assert admin.post(path, b'{"prompt": "a"}\n', content_type="application/jsonl").status_code == 201
    answer = admin.post(path, b'{"prompt": "b"}\n' * 2, content_type="application/jsonl")
    problem(answer, 413, words="in parts")
    assert project.prompts.count() == 1


def test_import_of_another_format(project: Project) -> None:
    admin, path = api_of(project, "admin"), f"projects/{project.slug}/prompts/"
    problem(admin.post(path, b"a,b\n1,2\n", content_type="text/csv"), 400, field="file")
    problem(admin.post(path, b"x", content_type="application/zip"), 415)
    problem(admin.post(path, b'"one"'), 400)
    assert admin.post(path, ROWS).json()["accepted"] == 1


def test_dataset_from_labels_to_file(project: Project, leo: Api) -> None:
    new_task(project)
    send(leo, leo.next(project))
    engineer = api_of(project, "engineer")
    answer = engineer.post(f"projects/{project.slug}/datasets/", {"kind": "preferences"})
    assert answer.status_code == 201
    dataset = answer.json()
    assert (dataset["number"], dataset["size"], dataset["forms"][0]) == (1, 1, "groups")
    assert engineer.get(f"datasets/{dataset['id']}/").json() == dataset
    assert engineer.get(f"projects/{project.slug}/datasets/").json()["results"] == [dataset]
    export = f"datasets/{dataset['id']}/export/"
    lines = b"".join(engineer.get(f"{export}?form=pairs&format=jsonl").streaming_content).splitlines()
    assert len(lines) == 3
    assert {"prompt", "chosen", "rejected", "margin", "weight"} <= set(json.loads(lines[0]))
    parquet = engineer.get(f"{export}?format=parquet")
    assert "attachment" in parquet["Content-Disposition"]
    table = pyarrow.parquet.read_table(BytesIO(b"".join(parquet.streaming_content)))
    assert table.num_rows == 1
    problem(engineer.get(f"{export}?form=sft"), 400, field="form")
    problem(engineer.get(f"{export}?format=xls"), 400, field="format")
    problem(leo.get(export), 403)
    problem(api_of(new_project(), "owner").get(export), 404)


NESTED: Any = json.loads("[" * 900 + "]" * 900)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "opinions"}, "kind"),
        ({"kind": "preferences"}, "filter"),
        ({"kind": "preferences", "filter": {"colour": "red"}}, "filter.colour"),
        ({"kind": "preferences", "filter": {"since": "yesterday"}}, "filter.since"),
        ({"kind": "preferences", "filter": "all"}, "filter"),
        ({"kind": "preferences", "filter": {"round": [1, "9" * 30]}}, "filter.round"),
        ({"kind": "preferences", "filter": {"round": NESTED}}, "filter.round"),
        ({"kind": "preferences", "filter": {"labeler": NESTED}}, "filter.labeler"),
        ({"kind": "prompts", "filter": {"use_case": "a\x00"}}, "filter.use_case"),
        ({"kind": "prompts", "filter": {"language": NESTED}}, "filter.language"),
        ({"kind": "prompts", "filter": {"split": NESTED}}, "filter.split"),
    ],
)
def test_bad_freeze(project: Project, body: Any, field: str) -> None:
    problem(api_of(project, "owner").post(f"projects/{project.slug}/datasets/", body), 400, field=field)


# Problems of every kind


def test_unknown_address(leo: Api) -> None:
    problem(leo.get("nothing/here/"), 404)
    problem(leo.get("leases/not-a-uuid/submit/"), 404)
    problem(leo.get("projects/a%00b/"), 404)


def test_wrong_method(project: Project, leo: Api) -> None:
    answer = leo("DELETE", f"projects/{project.slug}/")
    problem(answer, 405)
    assert "GET" in answer["Allow"]


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "nonsense", "x" * 999]
)
def test_wrong_media_type(project: Project, leo: Api, media_type: str) -> None:
    problem(leo.post(f"projects/{project.slug}/next/", b"a=b", content_type=media_type), 415)


@pytest.mark.parametrize("accept", ["text/html", "image/png", "*/*", "nonsense"])
def test_json_whatever_is_asked_for(leo: Api, accept: str) -> None:
    answer = leo.client.get("/api/projects/", headers={"Accept": accept})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def test_session_needs_the_csrf_token(project: Project) -> None:
    new_task(project)
    client, path = Client(enforce_csrf_checks=True), f"/api/projects/{project.slug}/next/"
    client.force_login(new_labeler(project).user)
    client.cookies["csrftoken"] = token = "a" * 32
    problem(client.post(path, content_type="application/json"), 403, words="CSRF")
    answer = client.post(path, content_type="application/json", headers={"X-CSRFToken": token})
    assert answer.status_code == 200


def test_fault_of_ours(project: Project, leo: Api) -> None:
    with mock.patch("labeling.queue.lease_next", side_effect=RuntimeError("secret")):
        document = problem(leo.post(f"projects/{project.slug}/next/"), 500)
    assert "secret" not in str(document)


def test_database_away(project: Project, leo: Api) -> None:
    with mock.patch("labeling.queue.lease_next", side_effect=OperationalError("connection lost")):
        answer = leo.post(f"projects/{project.slug}/next/")
    problem(answer, 503)
    assert answer["Retry-After"]


# Cost


@pytest.mark.parametrize("kind", KINDS)
def test_queries_of_a_lease_and_a_submit(project: Project, leo: Api, kind: str) -> None:
    for _ in range(3):
        new_task(project, kind=kind)
    send(leo, leo.next(project))
    with CaptureQueriesContext(connection) as leased:
        task = leo.next(project)
    with CaptureQueriesContext(connection) as submitted:
        assert send(leo, task).status_code == 201
    # A rating and marks are held to their criteria, an edit and a demonstration to what they began with.
    writes = {"rate", "edit", "mark", "demonstrate"}
    for captured, most in ((leased, 11), (submitted, 11 if kind in writes else 10)):
        assert len(captured) <= most, "\n".join(query["sql"] for query in captured)


def test_page_of_labels_costs_the_same_for_one_and_for_many(project: Project, leo: Api) -> None:
    costs = []
    for n in (1, 9):
        for _ in range(n):
            new_task(project, kind="demonstrate")
            send(leo, leo.next(project))
        with CaptureQueriesContext(connection) as captured:
            leo.get(f"projects/{project.slug}/annotations/?mine=1")
        costs.append(len(captured))
    assert costs[0] == costs[1] <= 5


def test_schema_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "schema.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    schema = yaml.safe_load(file.read_text())
    assert {"/api/projects/{slug}/next/", "/api/leases/{lease_id}/submit/"} <= set(schema["paths"])
    assert {"token": []} in schema["paths"]["/api/projects/"]["get"]["security"]
    assert Client().get("/api/schema/").status_code == Client().get("/api/docs/").status_code == 200

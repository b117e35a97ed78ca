"""Bringing prompts in: what a preview says before anything is stored, and taking an import out of use."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.test import APIClient
from scenes import an_answer, new_labeler, new_project
from test_setup import fields

from labeling import annotate, queue
from labeling.datasets import dataset
from labeling.incoming import duplicates, intake, personal_data, preview, uploads, withdrawal
from labeling.models import Annotation, AuditEntry, Draft, Import, Labeler, Project, Prompt, Task
from labeling.people.projects import change_settings

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return new_project()


@pytest.fixture
def owner(project: Project) -> Labeler:
    return new_labeler(project, role="owner")


@pytest.fixture
def page(owner: Labeler) -> Client:
    client = Client()
    client.force_login(owner.user)
    return client


@pytest.fixture
def api(owner: Labeler) -> APIClient:
    client = APIClient()
    client.force_authenticate(owner.user)
    return client


def new(project: Project) -> str:
    return f"/projects/{project.slug}/manage/prompts/new/"


def look(page: Client, project: Project, text: str = "", **form: Any) -> Any:
    return page.post(new(project), {"kind": "prompts", "split": "train", "text": text} | form)


def kept() -> list[Path]:
    folder = Path(settings.HOME) / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


@pytest.fixture(autouse=True)
def _no_uploads() -> None:
    for path in kept():
        path.unlink()


# The preview


def test_nothing_is_stored_before_the_word(project: Project, page: Client) -> None:
    answer = look(page, project, "An owl?\nA kite?\n\nAn owl?")
    found = answer.context["found"]
    assert (answer.status_code, found.batch.accepted, found.refused) == (200, 2, 1)
    assert [one.messages[0]["content"] for one in found.first] == ["An owl?", "A kite?"]
    assert not Prompt.objects.exists()
    assert not Import.objects.exists()
    assert not AuditEntry.objects.filter(action="prompts.import").exists()


def test_a_preview_is_taken_in(project: Project, page: Client) -> None:
    form = fields(look(page, project, "An owl?\nA kite?", tasks="demonstrate", skill="ornithology"))
    answer = page.post(new(project), form | {"intent": "import"})
    assert answer["Location"] == f"/projects/{project.slug}/manage/prompts/"
    batch = Import.objects.get()
    assert (batch.source, batch.accepted, str(batch.user.pk)) == ("pasted", 2, page.session["_auth_user_id"])
    assert list(Task.objects.values_list("kind", "skill").distinct()) == [("demonstrate", "ornithology")]
    assert kept() == []


def test_a_change_after_the_preview_is_shown_first(project: Project, page: Client) -> None:
    form = fields(look(page, project, "An owl?"))
    answer = page.post(new(project), form | {"intent": "import", "split": "heldout"})
    assert answer.context["found"].heldout == 1
    assert not Prompt.objects.exists()
    page.post(new(project), fields(answer) | {"intent": "import"})
    assert Prompt.objects.get().split == "heldout"


ROWS = [{"prompt": "An owl?", "topic": "birds"}, {"prompt": "A kite?", "split": "aside"}, {"prompt": ""}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", "\n".join(map(json.dumps, ROWS))),
        ("rows.json", json.dumps(ROWS, indent=2)),
        ("rows.csv", "prompt,topic,split\nAn owl?,birds,\nA kite?,,aside\n,,train\n"),
    ],
)
def test_files_of_every_format(project: Project, page: Client, name: str, content: str) -> None:
    answer = look(page, project, file=SimpleUploadedFile(name, content.encode()))
    found = answer.context["found"]
    assert (found.batch.accepted, [one["field"] for one in found.batch.refused]) == (1, ["split", "prompt"])
    # The file need not be sent again.
    form = fields(answer)
    assert form["source"] == name
    page.post(new(project), form | {"intent": "import"})
    assert Prompt.objects.get().metadata == {"topic": "birds"}


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("one\ntwo\n", 2),
        ('{"prompt": "one"}\n{"prompt": "two"}', 2),
        ('[{"prompt": "one"}, {"prompt": "two"}]', 2),
        ('{\n  "prompt": "one"\n}', 1),
        ('prompt,topic\n"one, with a comma",x\n', 1),
        ("prompt\n", 1),
        ("ünïcode 🦉", 1),
    ],
)
def test_pasted_text_is_known_by_how_it_begins(
    project: Project, page: Client, text: str, accepted: int
) -> None:
    assert look(page, project, text).context["found"].batch.accepted == accepted


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "file"),
        ({"text": "  \n "}, "file"),
        ({"file": SimpleUploadedFile("rows.xlsx", b"PK")}, "file"),
        ({"file": SimpleUploadedFile("rows.jsonl", b"")}, "file"),
        ({"file": SimpleUploadedFile("rows.json", b'[{"prompt": "a"')}, "file"),
        ({"file": SimpleUploadedFile("rows.jsonl", b"PK\x03\x04")}, "file"),
        ({"file": SimpleUploadedFile("rows.csv", b"question\nwhat?")}, "file"),
        ({"upload": "../../secret_key"}, "file"),
        ({"upload": f"{'0' * 64}.jsonl"}, "file"),
        ({"text": "An owl?", "split": "share", "share": "1.5"}, "split"),
        ({"text": "An owl?", "split": "share", "share": "nan"}, "split"),
        ({"text": "An owl?", "split": "source", "share": "0.5"}, "split_by"),
        ({"text": "An owl?", "skill": "s" * 61}, "skill"),
        ({"text": "An owl?", "language": "a\x00"}, "language"),
    ],
)
def test_bad_sendings_name_the_field(
    project: Project, page: Client, form: dict[str, Any], field: str
) -> None:
    answer = look(page, project, form.pop("text", ""), source="here", use_case="tales", **form)
    said = answer.content.decode()
    assert answer.status_code == 422
    assert answer.context["error"].field == field
    assert 'aria-invalid="true"' in said
    assert fields(answer)["use_case"] == "tales"


def test_too_large_a_file(project: Project, page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 10)
    answer = look(page, project, file=SimpleUploadedFile("rows.txt", b"An owl and a kite"))
    assert answer.context["error"].field == "file"
    assert kept() == []


def test_rows_of_another_are_not_found(project: Project, page: Client) -> None:
    upload = fields(look(page, project, "An owl?"))["upload"]
    other = Client()
    other.force_login(new_labeler(project, role="admin").user)
    assert look(other, project, upload=upload).context["error"].field == "file"


def test_uploads_are_tidied_up(project: Project, page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(uploads.MOST_KEPT + 3):
        look(page, project, f"Owl {n}?")
    assert len(kept()) == uploads.MOST_KEPT
    yesterday = time.time() - uploads.KEPT_FOR.total_seconds() - 60
    for path in kept():
        os.utime(path, (yesterday, yesterday))
    look(page, project, "A kite?")
    assert len(kept()) == 1


def test_refused_rows_as_a_file(project: Project, page: Client) -> None:
    form = fields(look(page, project, '{"prompt": ""}\n{"prompt": "An owl?", "sensitive": "maybe"}\n{oops'))
    answer = page.post(new(project), form | {"intent": "refused"})
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row[:2] for row in rows] == [["row", "field"], ["1", "prompt"], ["2", "sensitive"], ["3", ""]]


def test_every_row_refused(project: Project, page: Client) -> None:
    said = look(page, project, '{"prompt": ""}').content.decode()
    assert "Every row was refused" in said
    assert 'value="import"' not in said


# Near-duplicates and personal data


def test_near_duplicates() -> None:
    long = "Tell me a story about a small brave owl who flies over the wide dark sea to find a friend."
    texts = [
        (1, long),
        (2, long.upper().replace(".", " !!")),
        (3, long.replace("brave", "bold")),
        (4, "Tell me a story about a fox."),
        (5, "What is the capital of France?"),
        (6, "昔々あるところにおじいさんとおばあさんがいました"),
        (7, "昔々あるところにおじいさんとおばあさんがいました。"),
        (8, "…"),
        (9, "…"),
    ]
    found = {pair.key: (pair.of, pair.likeness) for pair in duplicates.pairs(texts)}
    assert set(found) == {2, 3, 7}
    assert found[2] == (1, 1.0)
    assert 0.75 <= found[3][1] < 1


def test_near_duplicates_agree_with_all_pairs() -> None:
    words = ["owl", "fox", "kite", "sea", "wood", "star", "moon", "hill", "lake", "boat"]
    texts = [
        (n, " ".join(words[(n * step + n // 7) % 10] for step in range(1, 40)) + f" {n % 40}")
        for n in range(300)
    ]
    shingles = {key: duplicates._shingles(text) for key, text in texts}
    alike = {
        a
        for a in shingles
        for b in shingles
        if b < a and duplicates._jaccard(shingles[a], shingles[b]) >= duplicates.ALIKE
    }
    found = {pair.key for pair in duplicates.pairs(texts)}
    assert found <= alike
    assert len(found) > 0.95 * len(alike) > 0


def test_near_duplicates_of_the_project(project: Project, page: Client) -> None:
    words = "write a long and friendly letter to my neighbour about the tree between our gardens"
    look_at = f"Please {words}"
    intake.import_prompts(project=project, rows=[{"prompt": look_at}], source="before")
    found = look(page, project, f"{look_at}!\n{look_at}\nSomething else").context["found"]
    assert [(one.row, one.of_row, one.of_text) for one in found.near] == [(1, None, look_at)]
    assert found.near_count == 1
    assert found.refused == 1


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to leo.owl@example.org today", ["email"]),
        ("call +44 20 7946 0958 or (555) 123-4567", ["phone", "phone"]),
        ("card 4111 1111 1111 1111", ["card"]),
        ("card 4111 1111 1111 1112", []),
        ("account DE89 3704 0044 0532 0130 00", ["iban"]),
        ("account DE88 3704 0044 0532 0130 00", []),
        ("GB82WEST12345698765432", ["iban"]),
        ("from 8.8.8.8 and 2001:4860:4860::8888", ["ip", "ip"]),
        ("from 127.0.0.1, 192.168.1.4 and at 12:30:45", []),
        ("AKIAIOSFODNN7EXAMPLE", ["secret"]),
        ("api_key = abcd1234efgh", ["secret"]),
        ("my password is secret, and 1234567890123", []),
        ("In 2024 there were 1,234,567 owls and 12.5 kites.", []),
    ],
)
def test_personal_data(text: str, kinds: list[str]) -> None:
    assert [one.kind.value for one in personal_data.find(text)] == kinds


def test_personal_data_is_pointed_out_and_masked(project: Project, page: Client) -> None:
    row = {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Mail kim@owl.org"}]
    }
    answer = look(page, project, json.dumps(row), kind="demonstrations")
    found = answer.context["found"]
    assert [(one.row, one.field, one.kind, one.start) for one in found.personal] == [
        (1, "completion", "email", 6)
    ]
    assert found.batch.accepted == 1
    assert "<code>ki…rg</code>" in answer.content.decode()


@pytest.mark.parametrize(
    "evil", ["a@" * 50_000, "password:" * 11_000, "1 " * 50_000, "A0" * 50_000, ":" * 100_000, "eyJ" * 30_000]
)
def test_personal_data_in_odd_texts_ends(evil: str) -> None:
    assert len(personal_data.find(evil)) <= personal_data.MOST_FOUND


def test_a_preview_takes_as_many_queries_for_more_rows(
    project: Project, page: Client, django_assert_max_num_queries
) -> None:
    with django_assert_max_num_queries(40) as few:
        look(page, project, "\n".join(f"Owl {n} of many?" for n in range(3)))
    with django_assert_max_num_queries(len(few.captured_queries)):
        look(page, project, "\n".join(f"Kite {n} of many?" for n in range(300)))


# Choices


def test_a_source_stays_on_one_side(project: Project) -> None:
    rows = [{"prompt": f"Owl {n}?", "site": f"site {n % 20}"} for n in range(200)]
    intake.import_prompts(project=project, rows=rows, source="s", split=0.4, split_by="site")
    sides: dict[str, set[str]] = {}
    for site, side in Prompt.objects.values_list("metadata__site", "split"):
        sides.setdefault(site, set()).add(side)
    assert {len(one) for one in sides.values()} == {1}
    assert {next(iter(one)) for one in sides.values()} == {"train", "heldout"}


def test_the_projects_share_is_held_out(project: Project) -> None:
    project = change_settings(project=project, heldout_share=0.5)
    intake.import_prompts(project=project, rows=[{"prompt": f"Owl {n}?"} for n in range(100)], source="s")
    assert 25 < Prompt.objects.filter(split="heldout").count() < 75


def test_rows_say_their_own_skill(project: Project) -> None:
    rows = [{"prompt": "An owl?", "skill": "birds"}, {"prompt": "A kite?"}]
    intake.import_prompts(
        project=project, rows=rows, source="s", skill="toys", language="en", use_case="play"
    )
    assert set(Prompt.objects.values_list("skill", "language", "use_case")) == {
        ("birds", "en", "play"),
        ("toys", "en", "play"),
    }


def test_several_kinds_of_task_at_once(project: Project) -> None:
    batch = intake.import_completions(
        project=project,
        rows=[{"prompt": "An owl?", "completions": ["a", "b"]}],
        source="s",
        tasks=["rank", "edit"],
    )
    assert batch.tasks_made == 3
    assert set(Task.objects.values_list("kind", flat=True)) == {"rank", "edit"}


def test_dry_run_by_the_api(project: Project, api: APIClient) -> None:
    rows = [
        {"prompt": "Mail kim@owl.org about the owls by the lake"},
        {"prompt": "Mail kim@owl.org about the owls by the lake!"},
    ]
    base = f"/api/projects/{project.slug}/prompts/"
    answer = api.post(f"{base}?dry_run=true&tasks=demonstrate", {"rows": rows}, format="json")
    body = answer.json()
    assert (answer.status_code, body["import"], body["accepted"], body["tasks"]) == (200, None, 2, 2)
    assert body["preview"]["near_duplicates"]["first"] == [
        {"row": 2, "of_row": 1, "of_prompt": None, "likeness": 1.0}
    ]
    assert body["preview"]["personal_data"]["kinds"] == {"email": 2}
    assert not Prompt.objects.exists()
    refused = api.post(f"{base}?tasks=rank", {"rows": rows}, format="json")
    assert refused.json()["errors"][0]["field"] == "tasks"


# Out of use, and back


def taken_in(project: Project, n: int = 2) -> Import:
    rows = [{"prompt": f"Owl {i}?"} for i in range(n)]
    return intake.import_prompts(project=project, rows=rows, source="owls.jsonl", tasks="demonstrate")


def write(project: Project, labeler: Labeler) -> Annotation:
    lease = queue.lease_next(labeler=labeler, project=project)
    return annotate.submit(lease_id=lease.pk, labeler=labeler, submission_id=uuid4(), answer=an_answer(lease))


def test_a_withdrawal_shows_what_it_touches(project: Project, page: Client) -> None:
    batch = taken_in(project, 3)
    writer, holder = new_labeler(project), new_labeler(project)
    write(project, writer)
    dataset.freeze(project=project, kind="demonstrations")
    queue.lease_next(labeler=holder, project=project)
    answer = page.get(f"/projects/{project.slug}/manage/prompts/{batch.pk}/")
    reach = answer.context["reach"]
    assert (reach.prompts, reach.open_tasks, reach.in_hand) == (3, 1, 1)
    assert (reach.radius.labels, reach.radius.labelers, len(reach.radius.datasets)) == (1, 1, 1)
    assert "dataset 1" in answer.content.decode()


def test_a_withdrawn_import_trains_nothing_and_comes_back(project: Project, page: Client) -> None:
    batch = taken_in(project)
    labeler = new_labeler(project)
    label = write(project, labeler)
    address = f"/projects/{project.slug}/manage/prompts/{batch.pk}/"
    page.post(address, {"reason": "wrong licence"})
    assert queue.lease_next(labeler=labeler, project=project) is None
    assert not Annotation.objects.trainable().filter(pk=label.pk).exists()
    assert Annotation.objects.valid().filter(pk=label.pk).exists()
    assert not Prompt.objects.to_answer().exists()
    entry = AuditEntry.objects.filter(project=project).first()
    assert (entry.action, entry.detail["reason"]) == ("prompts.withdraw", "wrong licence")
    assert page.post(address, {"reason": "again"}).status_code == 422
    page.post(address, {"intent": "restore"})
    assert Annotation.objects.trainable().filter(pk=label.pk).exists()
    assert queue.lease_next(labeler=labeler, project=project) is not None
    assert page.post(address, {"intent": "restore"}).status_code == 422


def test_a_lease_in_hand_keeps_its_text(project: Project) -> None:
    batch = taken_in(project, 1)
    labeler = new_labeler(project)
    lease = queue.lease_next(labeler=labeler, project=project)
    annotate.save_draft(lease_id=lease.pk, labeler=labeler, answer={"text": "Once"}, version=0)
    withdrawal.withdraw(batch=batch, actor=None)
    api = APIClient()
    api.force_authenticate(labeler.user)
    body = {"submission_id": str(uuid4()), "answer": {"text": "Once upon a time"}}
    answer = api.post(f"/api/leases/{lease.pk}/submit/", body, format="json")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tutelage:import-withdrawn")
    assert "Skip" in answer.json()["detail"]
    assert Draft.objects.get().answer == {"text": "Once"}
    queue.skip(lease_id=lease.pk, labeler=labeler)
    assert not Annotation.objects.exists()


def test_demonstrations_of_a_withdrawn_import_train_nothing(project: Project) -> None:
    intake.import_prompts(project=project, rows=[{"prompt": "An owl?"}], source="a")
    batch = intake.import_demonstrations(
        project=project, rows=[{"prompt": "An owl?", "completion": "Once."}], source="b"
    )
    assert dataset.trainable(project=project, kind="demonstrations").count() == 1
    withdrawal.withdraw(batch=batch, actor=None)
    assert dataset.trainable(project=project, kind="demonstrations").count() == 0
    assert Prompt.objects.filter(withdrawn=False).count() == 1


def test_a_growing_conversation_stays_withdrawn(project: Project) -> None:
    project = change_settings(project=project, tree_turns=4, tree_branches=2)
    batch = taken_in(project, 1)
    first, second = new_labeler(project), new_labeler(project)
    write(project, first)
    lease = queue.lease_next(labeler=second, project=project)
    withdrawal.withdraw(batch=batch, actor=None)
    with pytest.raises(withdrawal.Withdrawn):
        annotate.submit(lease_id=lease.pk, labeler=second, submission_id=uuid4(), answer=an_answer(lease))
    annotate.invalidate(annotation=Annotation.objects.get(), actor=None, reason="pasted")
    assert not Prompt.objects.filter(withdrawn=False).exists()
    assert not Task.objects.open().exists()
    withdrawal.restore(batch=batch, actor=None)
    assert Prompt.objects.filter(batch=batch, withdrawn=False).exists()
    assert Task.objects.open().exists()


def test_imports_by_the_api(project: Project, api: APIClient) -> None:
    batch = taken_in(project)
    base = f"/api/projects/{project.slug}/imports/"
    assert [one["id"] for one in api.get(base).json()["results"]] == [batch.pk]
    one = api.get(f"{base}{batch.pk}/").json()
    assert (one["reach"]["prompts"], one["reach"]["radius"]["labels"]) == (2, 0)
    assert api.post(f"{base}{batch.pk}/withdraw/", {"reason": "x"}, format="json").json()["withdrawn_at"]
    again = api.post(f"{base}{batch.pk}/withdraw/", {}, format="json")
    assert (again.status_code, again.json()["errors"][0]["field"]) == (400, "import")
    assert api.post(f"{base}{batch.pk}/restore/", {}, format="json").json()["withdrawn_at"] is None
    other = taken_in(new_project())
    assert api.get(f"{base}{other.pk}/").status_code == 404


def test_the_list_counts_in_few_queries(
    project: Project, page: Client, django_assert_max_num_queries
) -> None:
    for n in range(4):
        intake.import_prompts(
            project=project, rows=[{"prompt": f"Owl {n}?", "use_case": f"u{n}"}], source=f"file {n}"
        )
    with django_assert_max_num_queries(7) as few:
        answer = page.get(f"/projects/{project.slug}/manage/prompts/")
    assert answer.context["holds"].prompts == 4
    for n in range(10, 30):
        intake.import_prompts(project=project, rows=[{"prompt": f"Owl {n}?"}], source=f"file {n}")
    with django_assert_max_num_queries(len(few.captured_queries)):
        page.get(f"/projects/{project.slug}/manage/prompts/")
    batch = Import.objects.first()
    with django_assert_max_num_queries(20):
        page.get(f"/projects/{project.slug}/manage/prompts/{batch.pk}/")


def test_refusals_that_are_no_longer_listed_count(project: Project) -> None:
    batch = Import(
        refused=[
            {"row": 1, "field": "", "reason": "x"},
            {"row": None, "field": "", "reason": "1,234 more rows were refused."},
        ]
    )
    assert preview.refused(batch) == 1235

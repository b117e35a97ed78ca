"""Criteria are whole before they are published, by the API and the command, and the presets are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import new_labeler, new_project, new_task

from guidelines import criteria, publish
from labeling.models import Project
from labeling.people import tokens

SCALE = {"key": "clear", "label": "Clear", "scope": "completion", "type": "scale", "min": 1, "max": 5}
FLAG = {"key": "rude", "label": "Rude", "scope": "completion", "type": "flag"}


def test_required_is_filled_in() -> None:
    assert criteria.check([SCALE, FLAG]) == [{**SCALE, "required": False}, {**FLAG, "required": False}]


def test_words_for_the_ends_of_a_scale() -> None:
    worded = {**SCALE, "low": "muddled", "high": "clear", "help": "To a child of ten.", "required": True}
    assert criteria.check([worded]) == [worded]


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"key": "Clear"}, "key", "small letters"),
        ({"key": "a" * 41}, "key", "1 to 40"),
        ({"key": None}, "key", "small letters"),
        ({"label": "  "}, "label", "empty"),
        ({"label": 3}, "label", "text"),
        ({"label": "x" * 201}, "label", "200"),
        ({"help": "x" * 1001}, "help", "1,000"),
        ({"help": "a\x00b"}, "help", "stored"),
        ({"low": "\ud800"}, "low", "stored"),
        ({"scope": "answer"}, "scope", "completion or prompt"),
        ({"scope": []}, "scope", "completion or prompt"),
        ({"type": "number"}, "type", "scale or flag"),
        ({"min": None}, "min", "whole number"),
        ({"min": True}, "min", "whole number"),
        ({"max": 5.0}, "max", "whole number"),
        ({"max": 10**9}, "max", "at most 100"),
        ({"max": 1}, "max", "2 to 11"),
        ({"max": 12}, "max", "2 to 11"),
        ({"required": "yes"}, "required", "true or false"),
        ({"weight": 2}, "weight", "no such field"),
        ({"type": "flag"}, "max", "no such field"),
    ],
)
def test_wrong_criterion(wrong: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(criteria.GuidelineError, match=words) as refused:
        criteria.check([FLAG, SCALE | wrong])
    assert refused.value.field == f"criteria[1].{field}"


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({}, "criteria", "list"),
        ("clear", "criteria", "list"),
        ([FLAG] * 61, "criteria", "60"),
        (["clear"], "criteria[0]", "object"),
        ([SCALE, FLAG, SCALE], "criteria[2].key", "another"),
        ([FLAG | {"required": True}], "criteria[0].required", "means false"),
        ([{key: SCALE[key] for key in ("key", "scope", "type", "min", "max")}], "criteria[0].label", "empty"),
    ],
)
def test_wrong_criteria(wrong: Any, field: str, words: str) -> None:
    with pytest.raises(criteria.GuidelineError, match=words) as refused:
        criteria.check(wrong)
    assert refused.value.field == field


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["scale", "flag"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
nearly = st.fixed_dictionaries(
    {}, optional={name: values | st.just(known) for name, known in (SCALE | {"low": "", "help": ""}).items()}
)


@given(given_criteria=values | st.lists(nearly, max_size=3))
@settings(max_examples=200, deadline=None)
def test_anything_is_refused_in_words_or_stays_as_it_is(given_criteria: Any) -> None:
    try:
        checked = criteria.check(given_criteria)
    except criteria.GuidelineError as error:
        checked, field = [], error.field
        assert field.startswith("criteria")
    assert criteria.check(checked) == checked


def test_instructgpt() -> None:
    preset = criteria.preset("instructgpt")
    assert criteria.check(preset) == preset
    shapes = [(one["scope"], one["type"]) for one in preset]
    assert shapes.count(("completion", "flag")) == shapes.count(("prompt", "flag")) == 11
    (overall,) = (one for one in preset if one["type"] == "scale")
    assert (overall["min"], overall["max"], overall["required"]) == (1, 7, True)


def test_hh_rlhf_has_eight_steps_and_no_middle() -> None:
    preset = criteria.preset("hh_rlhf")
    assert criteria.check(preset) == preset
    (scale,) = (one for one in preset if one["type"] == "scale")
    assert (scale["min"], scale["max"], scale["required"]) == (1, 8, True)


def test_unknown_preset() -> None:
    with pytest.raises(criteria.GuidelineError, match="instructgpt") as refused:
        criteria.preset("llama")
    assert refused.value.field == "preset"


@pytest.mark.django_db
def test_nothing_is_published_with_a_wrong_criterion() -> None:
    guideline = new_project().guideline
    with pytest.raises(publish.GuidelineError, match="label"):
        publish.publish(guideline=guideline, body="# Be kind", criteria=[{**FLAG, "label": ""}])
    version, _ = publish.publish(guideline=guideline, body="# Be kind", criteria=[FLAG])
    assert version.criteria == [{**FLAG, "required": False}]
    assert guideline.versions.count() == 2


@pytest.mark.django_db
def test_criteria_are_carried_over_until_others_are_given() -> None:
    guideline = new_project().guideline
    publish.publish(guideline=guideline, body="# Be kind", criteria=[FLAG])
    kept, _ = publish.publish(guideline=guideline, body="# Be kinder")
    assert kept.criteria == [{**FLAG, "required": False}]
    gone, _ = publish.publish(guideline=guideline, body="# Be kinder", criteria=[])
    assert gone.criteria == []


# By the API


def posted(project: Project, role: str, body: Any) -> Any:
    token = tokens.issue(user=new_labeler(project, role=role).user, name="tests")
    client = Client(headers={"Authorization": f"Token {token}"})
    path = f"/api/guidelines/{project.guideline.slug}/versions/"
    return client.post(path, json.dumps(body), content_type="application/json")


@pytest.mark.django_db
def test_publish_by_the_api() -> None:
    project = new_project()
    task = new_task(project)
    answer = posted(project, "admin", {"body": "# Rate\n", "preset": "instructgpt", "note": "Rate too."})
    version = project.guideline.current
    assert answer.status_code == 201
    assert answer.json() == {
        "id": version.pk,
        "guideline": project.guideline.slug,
        "number": 2,
        "effects": ["1 open task that nobody has begun is re-issued at the new version."],
    }
    task.refresh_from_db()
    assert task.guideline_version == version
    assert (version.body, version.note, version.author.labeler.name) == (
        "# Rate\n",
        "Rate too.",
        version.author.username,
    )
    assert version.criteria == criteria.preset("instructgpt")
    posted(project, "owner", {"body": "# Rate", "criteria": [FLAG]})
    assert project.guideline.current.criteria == [{**FLAG, "required": False}]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"body": " "}, "body"),
        ({"body": "a\x00b"}, "body"),
        ({"body": "x" * 200_001}, "body"),
        ({"body": "# Be kind"}, "body"),
        ({"body": "# Rate", "criteria": "clear"}, "criteria"),
        ({"body": "# Rate", "criteria": None}, "criteria"),
        ({"body": "# Rate", "criteria": [SCALE | {"max": 99}]}, "criteria[0].max"),
        ({"body": "# Rate", "preset": "llama"}, "preset"),
        ({"body": "# Rate", "preset": "instructgpt", "criteria": []}, "preset"),
        ({"body": "# Rate", "note": "x" * 301}, "note"),
        ({"body": "# Rate", "based_on": 7}, "based_on"),
        ({"body": "# Rate", "examples": "good"}, "examples"),
        ({"body": "# Rate", "examples": [{"answer": "A fox.", "verdict": "fine"}]}, "examples[0].verdict"),
        ({"body": "# Rate", "rules": [""]}, "rules[0]"),
        ({"body": "# Rate", "labels": "burn"}, "labels"),
        ({"body": "# Rate", "labels": "relabel", "share": 0}, "share"),
        ({"body": "# Rate", "labels": "relabel", "share": 1.5}, "share"),
        ({"body": "# Rate", "labels": "relabel", "share": "half"}, "share"),
        ({"body": "# Rate", "change": "whim"}, "change"),
        ({"body": "# Rate", "change": "typo", "labels": "exclude"}, "labels"),
        ({"body": "# Rate", "asks": "perhaps"}, "asks"),
        ({"body": "# Rate", "seed": -1}, "seed"),
        ({"body": "# Rate", "based_on": -1}, "based_on"),
        ({"body": "# Rate", "title": "Rates"}, "title"),
        (["# Rate"], ""),
    ],
)
def test_bad_publish_by_the_api(body: Any, field: str) -> None:
    project = new_project()
    answer = posted(project, "owner", body)
    assert answer.status_code == 400, answer.content
    assert field in [one["field"] for one in answer.json()["errors"]]
    assert project.guideline.versions.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["labeler", "reviewer", "engineer"])
def test_only_managers_publish(role: str) -> None:
    project = new_project()
    assert posted(project, role, {"body": "# Mine"}).status_code == 403
    other = new_project()
    other.guideline = project.guideline
    other.save()
    assert posted(project, "owner", {"body": "# Mine"}).status_code == 403
    assert posted(new_project(), "owner", {"body": "# Its own"}).status_code == 201
    assert project.guideline.versions.count() == 1


@pytest.mark.django_db
def test_no_guideline_of_strangers() -> None:
    project = new_project()
    token = tokens.issue(user=new_labeler(new_project(), role="owner").user, name="tests")
    client = Client(headers={"Authorization": f"Token {token}"})
    assert client.post(f"/api/guidelines/{project.guideline.slug}/versions/").status_code == 404


# By the command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "body.md"
    path.write_text("# Rate\r\n\r\nHow kind?\n", newline="")
    return path


@pytest.mark.django_db
def test_publish_by_the_command(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = new_project()
    call_command("publish_guideline", "--json", project=project.slug, file=file, preset="instructgpt")
    said = json.loads(capsys.readouterr().out)
    assert (said["version"], said["criteria"]) == (2, 23)
    assert project.guideline.current.body == "# Rate\n\nHow kind?\n"
    own = tmp_path / "criteria.json"
    own.write_text(json.dumps([SCALE]))
    call_command("publish_guideline", project=project.slug, file=file, criteria=own, note="One scale.")
    assert capsys.readouterr().out.splitlines() == [
        f"Version 3 of {project.guideline.slug} is published, with 1 criterion.",
        "No waiting task needs to be re-issued.",
    ]
    assert project.guideline.current.note == "One scale."


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("written", "words"),
    [
        (b"[", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"{}", "criteria: The criteria must be a list"),
        (b'[{"key": "a"}]', "criteria[0].scope"),
        (b"\xff[]", "not UTF-8"),
        (b" " * 800_001, "800,000 bytes"),
    ],
)
def test_bad_criteria_file(file: Path, tmp_path: Path, written: bytes, words: str) -> None:
    project, path = new_project(), tmp_path / "criteria.json"
    path.write_bytes(written)
    with pytest.raises(CommandError) as refused:
        call_command("publish_guideline", project=project.slug, file=file, criteria=path)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert project.guideline.versions.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"project": "nowhere"}, "no project 'nowhere'"),
        ({"file": Path("no-such-file.md")}, "no-such-file.md: No such file"),
        ({"note": "x" * 301}, "note: The note is longer than 300"),
    ],
)
def test_bad_publish_by_the_command(file: Path, options: dict[str, Any], words: str) -> None:
    asked = {"project": new_project().slug, "file": file} | options
    with pytest.raises(CommandError) as refused:
        call_command("publish_guideline", **asked)
    assert words in str(refused.value)


def test_command_knows_its_arguments() -> None:
    wrong = ["--project", "p", "--file", "f", "--criteria", "c.json", "--preset", "instructgpt"]
    done = subprocess.run(
        [sys.executable, "manage.py", "publish_guideline", *wrong],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "not allowed with argument" in done.stderr

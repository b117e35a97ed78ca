"""Criteria are whole before they are published, and the presets are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import new_project

from guidelines import criteria, publish

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

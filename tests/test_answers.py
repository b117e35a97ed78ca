"""What is an answer of each kind: whole ones pass as they are, anything else is refused in words."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import KINDS

from guidelines import criteria
from labeling import answers
from labeling.content.texts import share_kept

TEXT = "A fox \U0001f98a ran."
CRITERIA = criteria.check(
    [
        {"key": "false", "label": "False", "scope": "completion", "type": "span"},
        {
            "key": "quality",
            "label": "Quality",
            "scope": "completion",
            "type": "scale",
            "min": 1,
            "max": 7,
            "required": True,
        },
        {"key": "rude", "label": "Rude", "scope": "completion", "type": "flag"},
        {"key": "clear", "label": "Clear", "scope": "prompt", "type": "scale", "min": 0, "max": 4},
        {"key": "sensitive", "label": "Sensitive", "scope": "prompt", "type": "flag"},
    ]
)


def check(kind: str, answer: Any, n: int, *, partial: bool = False) -> dict[str, Any]:
    shown = answers.Shown(candidates=range(1, n + 1), criteria=CRITERIA, partial=partial, text=TEXT)
    return answers.check(kind=kind, answer=answer, shown=shown)


def refused(kind: str, answer: Any, n: int, *, field: str, words: str, partial: bool = False) -> None:
    with pytest.raises(answers.AnswerError, match=words) as error:
        check(kind, answer, n, partial=partial)
    assert error.value.field == field


def test_every_kind_has_a_form() -> None:
    assert set(answers.SCHEMA) == set(answers.FIELDS)
    assert answers.SCHEMA["rank"] == 2


# Rank


@pytest.mark.parametrize("tiers", [[], [[2]], [[1], [2, 3]]])
def test_all_bad_need_not_be_placed(tiers: list[list[int]]) -> None:
    answer = {"tiers": tiers, "all_bad": True}
    assert check("rank", answer, 3) == answer


def test_partial_ranking_where_the_project_allows_it() -> None:
    answer = {"tiers": [[3], [1]]}
    assert check("rank", answer, 4, partial=True) == answer
    refused("rank", answer, 4, field="answer.tiers", words="Candidate 2 is not placed")


@pytest.mark.parametrize("tiers", [[], [[2]]])
def test_partial_ranking_places_two_at_least(tiers: list[list[int]]) -> None:
    refused("rank", {"tiers": tiers}, 4, partial=True, field="answer.tiers", words="at least 2")


@pytest.mark.parametrize(
    ("answer", "field", "words"),
    [
        ({"all_bad": True}, "answer.tiers", "list of lists"),
        ({"tiers": [], "all_bad": False}, "answer.tiers", "not placed"),
        ({"tiers": [[1, 2]], "all_bad": 1}, "answer.all_bad", "true or false"),
        ({"tiers": [[1, 1]], "all_bad": True}, "answer.tiers", "more than once"),
        ({"tiers": [[9]], "all_bad": True}, "answer.tiers", "Candidate 9 is not a candidate"),
        ({"tiers": [[1, 2]], "both_bad": True}, "answer.both_bad", "A rank answer"),
    ],
)
def test_wrong_all_bad(answer: Any, field: str, words: str) -> None:
    refused("rank", answer, 2, field=field, words=words)


# Compare


@pytest.mark.parametrize(
    "answer",
    [
        {"preferred": 1, "strength": "much"},
        {"preferred": 2, "strength": "slightly", "both_bad": True},
        {"preferred": None, "strength": "tie", "comment": "The same words."},
        {"strength": "tie"},
    ],
)
def test_comparison(answer: dict[str, Any]) -> None:
    assert check("compare", answer, 2) == {"preferred": None} | answer


@pytest.mark.parametrize(
    ("answer", "field", "words"),
    [
        ({}, "answer.strength", "much, better, slightly, tie"),
        ({"preferred": 1, "strength": "a lot"}, "answer.strength", "one of"),
        ({"preferred": 1, "strength": ["much"]}, "answer.strength", "one of"),
        ({"preferred": 3, "strength": "much"}, "answer.preferred", "two candidates"),
        ({"preferred": True, "strength": "much"}, "answer.preferred", "two candidates"),
        ({"preferred": [1], "strength": "much"}, "answer.preferred", "two candidates"),
        ({"preferred": None, "strength": "better"}, "answer.preferred", "tie"),
        ({"strength": "better"}, "answer.preferred", "tie"),
        ({"preferred": 1, "strength": "tie"}, "answer.preferred", "null"),
        ({"preferred": 1, "strength": "much", "both_bad": "yes"}, "answer.both_bad", "true or false"),
        ({"preferred": 1, "strength": "much", "tiers": []}, "answer.tiers", "no such field"),
    ],
)
def test_wrong_comparison(answer: Any, field: str, words: str) -> None:
    refused("compare", answer, 2, field=field, words=words)


# Rate


def test_rating() -> None:
    answer = {
        "ratings": {"2": {"quality": 7}, "1": {"quality": 1, "rude": True}},
        "prompt": {"clear": 0, "sensitive": False},
        "tiers": [[2], [1]],
        "comment": "The second one rhymes.",
    }
    assert check("rate", answer, 2) == answer


def test_rating_of_one_answer_ranks_nothing() -> None:
    answer = {"ratings": {"1": {"quality": 4}}, "prompt": {}}
    assert check("rate", answer, 1) == answer
    assert check("rate", answer | {"tiers": [[1]]}, 1) == answer | {"tiers": [[1]]}


def test_rating_names_everything_even_where_nothing_is_asked() -> None:
    shown = answers.Shown(candidates=[1, 2])
    checked = answers.check(kind="rate", answer={"ratings": {}, "tiers": [[1, 2]]}, shown=shown)
    assert checked == {"ratings": {"1": {}, "2": {}}, "prompt": {}, "tiers": [[1, 2]]}


def test_partial_ranking_after_a_rating() -> None:
    answer = {"ratings": {str(pk): {"quality": 4} for pk in (1, 2, 3)}, "prompt": {}, "tiers": [[1, 2]]}
    assert check("rate", answer, 3, partial=True) == answer
    refused("rate", answer, 3, field="answer.tiers", words="not placed")


RATING = {"ratings": {"1": {"quality": 3}, "2": {"quality": 5}}, "tiers": [[2], [1]]}


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"ratings": None}, "answer.ratings", "object"),
        ({"ratings": []}, "answer.ratings", "object"),
        ({"ratings": {}}, "answer.ratings.1.quality", "Quality is not rated"),
        ({"ratings": {"1": {"quality": 3}}}, "answer.ratings.2.quality", "Quality is not rated"),
        ({"ratings": RATING["ratings"] | {"3": {}}}, "answer.ratings.3", "no candidate"),
        ({"ratings": RATING["ratings"] | {"x" * 99: {}}}, f"answer.ratings.{'x' * 40}", "no candidate"),
        ({"ratings": {"1": 3, "2": {}}}, "answer.ratings.1", "object"),
        ({"ratings": {"1": {"quality": 8}}}, "answer.ratings.1.quality", "from 1 to 7"),
        ({"ratings": {"1": {"quality": 3.0}}}, "answer.ratings.1.quality", "whole number"),
        ({"ratings": {"1": {"quality": True}}}, "answer.ratings.1.quality", "whole number"),
        ({"ratings": {"1": {"quality": None}}}, "answer.ratings.1.quality", "whole number"),
        ({"ratings": {"1": {"quality": 3, "rude": 1}}}, "answer.ratings.1.rude", "true or false"),
        ({"ratings": {"1": {"quality": 3, "clear": 1}}}, "answer.ratings.1.clear", "no such criterion"),
        ({"prompt": {"clear": 5}}, "answer.prompt.clear", "from 0 to 4"),
        ({"prompt": {"rude": True}}, "answer.prompt.rude", "no such criterion"),
        ({"prompt": ["clear"]}, "answer.prompt", "object"),
        ({"tiers": [[1]]}, "answer.tiers", "Candidate 2 is not placed"),
        ({"tiers": None}, "answer.tiers", "list of lists"),
        ({"all_bad": True}, "answer.all_bad", "no such field"),
    ],
)
def test_wrong_rating(wrong: dict[str, Any], field: str, words: str) -> None:
    refused("rate", RATING | wrong, 2, field=field, words=words)


def test_two_answers_are_ranked_too() -> None:
    refused("rate", {"ratings": RATING["ratings"]}, 2, field="answer.tiers", words="list of lists")


def test_required_criterion_of_the_prompt() -> None:
    (required,) = criteria.check([CRITERIA[3] | {"required": True}])
    with pytest.raises(answers.AnswerError, match="Clear is not rated") as error:
        answers.check(
            kind="rate", answer={"ratings": {}}, shown=answers.Shown(candidates=[1], criteria=[required])
        )
    assert error.value.field == "answer.prompt.clear"


# Edit


def test_edit() -> None:
    assert check("edit", {"text": "Made right."}, 1) == {"text": "Made right."}
    refused("edit", {"text": " "}, 1, field="answer.text", words="edited answer is empty")
    refused("edit", {"text": "x", "tiers": [[1]]}, 1, field="answer.tiers", words="An edit answer")


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        ("a fox ran home", "a fox ran home", 1),
        ("a fox ran home", "a fox walked home", 3 / 4),
        ("a fox ran home", "a fox", 1),
        ("a fox", "a fox ran home", 1 / 2),
        ("a fox ran home", "no bear sat", 0),
        ("home ran a fox", "a fox ran home", 1 / 2),
        ("a  fox\nran", "a fox ran", 1),
        ("今天天气很好", "今天天气真好", 5 / 6),
        ("", "?", 0),
        ("", "", 1),
    ],
)
def test_share_kept(before: str, after: str, share: float) -> None:
    assert share_kept(before, after) == pytest.approx(share)


words = st.lists(st.sampled_from("abcd"), max_size=12).map(" ".join)


@given(before=words, after=words)
def test_share_kept_is_a_share(before: str, after: str) -> None:
    share = share_kept(before, after)
    assert 0 <= share <= 1
    assert (share == 0) == (not set(before.split()) & set(after.split()) and before != after)


def test_share_kept_of_long_texts_changed_at_both_ends() -> None:
    middle = " ".join(f"word{n}" for n in range(20_000))
    assert share_kept(f"start {middle} end", f"begin {middle} stop") == pytest.approx(1, abs=1e-3)


# Whatever comes

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["1", "2", "quality", "rude", "clear", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
values = st.fixed_dictionaries({"quality": st.integers(1, 8)}, optional={"rude": st.booleans()})

marked = st.fixed_dictionaries(
    {"start": st.integers(-1, 6), "end": st.integers(1, 14), "criterion": st.just("false")}
)


def nearly_whole(kind: str, n: int) -> st.SearchStrategy[dict[str, Any]]:
    """Answers of a kind to ``n`` candidates, most of which want little to be whole."""
    ordered = st.permutations(range(1, n + 1))
    tiers = ordered.map(lambda order: [[one] for one in order]) | st.lists(
        st.lists(st.integers(1, n), min_size=1, max_size=2), max_size=3
    )
    parts: dict[str, dict[str, Any]] = {
        "rank": {"tiers": tiers},
        "compare": {
            "preferred": st.none() | st.integers(1, n),
            "strength": st.sampled_from(answers.STRENGTHS),
        },
        "mark": {"marks": st.lists(marked, max_size=3)},
        "rate": {
            "ratings": st.fixed_dictionaries({str(pk): values for pk in range(1, n + 1)}),
            "prompt": st.fixed_dictionaries({}, optional={"clear": st.integers(-1, 4)}),
            "tiers": tiers,
        },
    }
    flags = {"rank": {"all_bad": st.booleans()}, "compare": {"both_bad": st.booleans()}}
    written = {"text": st.text(max_size=3)}
    return st.fixed_dictionaries(parts.get(kind, written), optional=flags.get(kind, {}))


harm = st.dictionaries(
    st.sampled_from(["comment", *sorted({name for names in answers.FIELDS.values() for name in names})]),
    anything,
    max_size=1,
)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), n=st.integers(1, 3), partial=st.booleans())
@settings(max_examples=200, deadline=None)
def test_what_is_accepted_is_whole(kind: str, data: st.DataObject, n: int, partial: bool) -> None:
    whole = nearly_whole(kind, n)
    answer = data.draw(whole | st.builds(operator.or_, whole, harm) | anything)
    try:
        accepted = check(kind, answer, n, partial=partial)
    except answers.AnswerError as error:
        field = error.field
        assert field.split(".")[0] == "answer"
        return
    assert check(kind, accepted, n, partial=partial) == accepted
    candidates = list(range(1, n + 1))
    if kind in {"demonstrate", "edit"}:
        assert accepted["text"].strip()
    if kind == "mark":
        ends = [(one["start"], one["end"]) for one in accepted["marks"]]
        assert ends == sorted(ends)
        assert all(0 <= start < end <= len(TEXT) for start, end in ends)
    if kind == "compare":
        assert (accepted["preferred"] is None) == (accepted["strength"] == "tie")
        assert accepted["preferred"] in [None, *candidates]
    if kind == "rate":
        assert sorted(accepted["ratings"]) == [str(pk) for pk in candidates]
        assert all(1 <= each["quality"] <= 7 for each in accepted["ratings"].values())
    if kind == "rank" or (kind == "rate" and n > 1):
        placed = sorted(one for tier in accepted["tiers"] for one in tier)
        assert len(set(placed)) == len(placed)
        assert set(placed) <= set(candidates)
        assert placed == candidates or accepted.get("all_bad") or (partial and len(placed) > 1)

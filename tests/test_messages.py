"""Conversations with pictures and the steps of a trace: what is kept, refused, shown and trained on."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import images
import pytest
from scenes import new_project

from labeling import work
from labeling.content import message_html
from labeling.content.messages import check_messages, plain, text_of
from labeling.content.texts import MOST_BYTES, TextError, text_hash
from labeling.datasets import dataset, formats
from labeling.incoming import intake
from labeling.models import Completion, Prompt

USER = {"role": "user", "content": "Is it cold in Oslo?"}
COLD = {"role": "assistant", "content": "Yes, 2 °C."}
SHOWN = {"type": "image_url", "image_url": {"url": images.address(images.png())}, "alt": "A map"}
HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(1)> ](javascript:x) \u202e\x07"


def called(name: str = "weather", arguments: Any = '{"city": "Oslo"}', **more: Any) -> dict[str, Any]:
    call = {"id": "a", "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call | more]}


def result(content: Any = '{"degrees": 2}', **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "a", "content": content} | more


TRACE = [USER, called(), result(), COLD, {"role": "user", "content": "Thanks."}]


def test_texts_keep_their_hash() -> None:
    messages = [{"role": "system", "content": "Be kind."}, USER]
    assert check_messages(messages) == messages
    asked = '[{"content":"Be kind.","role":"system"},{"content":"Is it cold in Oslo?","role":"user"}]'
    assert text_hash(check_messages(messages)) == hashlib.sha256(asked.encode()).hexdigest()


def test_parts_of_text_become_one_text() -> None:
    parts = [{"type": "text", "text": "Is it cold"}, {"type": "text", "text": "in Oslo?"}]
    assert check_messages([{"role": "user", "content": parts}]) == [
        {"role": "user", "content": "Is it cold\n\nin Oslo?"}
    ]


def test_a_trace_is_kept() -> None:
    messages = check_messages(TRACE)
    assert messages[1] == {**called(), "content": ""}
    assert messages[2] == result()
    assert check_messages(messages) == messages


def test_ids_and_empty_fields_may_lack() -> None:
    first = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}
    second = {"function": {"name": "time", "arguments": ""}}
    asked = {
        "role": "assistant",
        "content": "",
        "tool_calls": [first, second],
        "refusal": None,
        "audio": None,
    }
    back = [{"role": "tool", "name": "weather", "content": ""}, {"role": "tool", "content": "noon"}]
    messages = check_messages([USER, asked, *back])
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["call-1-0", "call-1-1"]
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == '{"city": "Oslo"}'
    assert messages[2:] == [
        {"role": "tool", "content": "", "tool_call_id": "call-1-0"},
        {"role": "tool", "content": "noon", "tool_call_id": "call-1-1"},
    ]


@pytest.mark.parametrize(
    ("messages", "field", "words"),
    [
        ([USER, called()], "messages", "'a' has no result"),
        ([USER, called(), COLD], "messages[2]", "'a' before it has no result yet"),
        ([USER, called(), USER], "messages[2]", "has no result yet"),
        ([result()], "messages[0]", "follows the call"),
        ([USER, called(), result(), result()], "messages[3]", "follows the call"),
        ([USER, called(), result(tool_call_id="b")], "messages[2].tool_call_id", "No call 'b' waits"),
        (
            [USER, called(), result(), called(), result()],
            "messages[3].tool_calls",
            "Two calls have the id 'a'",
        ),
        ([USER, called(), result(), USER], "messages", "must alternate"),
        ([called(), result(), USER], "messages", "must alternate"),
        ([{"role": "system", "content": "Be kind."}], "messages", "must alternate"),
        ([USER, COLD, {"role": "system", "content": "x"}], "messages", "only come first"),
        ([{**USER, "tool_calls": [{}]}], "messages[0].tool_calls", "no such field"),
        ([USER, {**called(), "tool_calls": "a"}], "messages[1].tool_calls", "list of 64"),
        ([USER, {**called(), "tool_calls": [{}] * 65}], "messages[1].tool_calls", "list of 64"),
        ([USER, {**called(), "tool_calls": ["a"]}], "messages[1].tool_calls[0]", "A call is"),
        ([USER, called(type="query")], "messages[1].tool_calls[0]", "A call is"),
        ([USER, called(index=0)], "messages[1].tool_calls[0].index", "no such field"),
        ([USER, called(id=7)], "messages[1].tool_calls[0].id", "1 to 200"),
        ([USER, called(name="")], "messages[1].tool_calls[0].function.name", "1 to 200"),
        ([USER, called(name="n" * 201)], "messages[1].tool_calls[0].function.name", "1 to 200"),
        ([USER, called(name="a\x00")], "messages[1].tool_calls[0].function.name", "1 to 200"),
        ([USER, called(arguments=7)], "messages[1].tool_calls[0].function.arguments", "must be JSON"),
        ([USER, called(arguments="\x00")], "messages[1].tool_calls[0].function.arguments", "must be JSON"),
        (
            [USER, called(arguments={"x": float("nan")})],
            "messages[1].tool_calls[0].function.arguments",
            "plain JSON",
        ),
        ([USER, called(), result("\x00")], "messages[2].content", "NUL"),
        ([USER, called(), result(7)], "messages[2].content", "Must be text"),
        ([USER, called(), result("x" * MOST_BYTES)], "messages", "the most is"),
        ([USER, called(arguments="x" * MOST_BYTES), result()], "messages", "the most is"),
        ([{"role": "user", "content": []}], "messages[0].content", "missing"),
        ([{"role": "user", "content": ["x"]}], "messages[0].content[0]", "A part is"),
        ([{"role": "user", "content": [{"type": "video"}]}], "messages[0].content[0]", "A part is"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text", "missing"),
        (
            [{"role": "user", "content": [{"type": "text", "text": "x", "url": "y"}]}],
            "messages[0].content[0].url",
            "no such field",
        ),
        ([USER, {"role": "assistant", "content": [SHOWN]}], "messages[1].content[0]", "not by the assistant"),
        (
            [{"role": "user", "content": [{**SHOWN, "alt": 7}]}],
            "messages[0].content[0].alt",
            "Must be text",
        ),
        (
            [{"role": "user", "content": [{**SHOWN, "alt": "x" * 2001}]}],
            "messages[0].content[0].alt",
            "longer than 2,000",
        ),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": "https://example.org/a.png"}]}],
            "messages[0].content[0].image_url",
            "not fetched from elsewhere",
        ),
        ([{"role": "user", "content": [SHOWN] * 33}], "messages", "33 pictures"),
        ([USER, COLD] * 501, "messages", "1,002 messages"),
        ([{"role": "critic", "content": "x"}], "messages[0].role", "system, user, assistant, tool"),
    ],
)
def test_refused(messages: Any, field: str, words: str) -> None:
    with pytest.raises(TextError, match=re.escape(words)) as refused:
        check_messages(messages, found={})
    assert refused.value.field == field


def test_pictures_come_with_an_import_only() -> None:
    with pytest.raises(TextError, match="with an import only"):
        check_messages([{"role": "user", "content": [SHOWN]}])


def test_models_are_given_texts_in_turn() -> None:
    messages = check_messages([{"role": "user", "content": [SHOWN]}, *TRACE[1:4]], found={})
    assert plain(messages) == [
        {"role": "user", "content": "[image: A map]"},
        {"role": "assistant", "content": '[call weather]\n{"city": "Oslo"}'},
        {"role": "user", "content": '[result of weather]\n{"degrees": 2}'},
        {"role": "assistant", "content": "Yes, 2 °C."},
    ]
    assert check_messages(plain(messages)) == plain(messages)


def test_results_of_one_turn_are_one_text() -> None:
    both = {**called(), "content": "Let me look."}
    both["tool_calls"] = [*both["tool_calls"], {**called(name="time")["tool_calls"][0], "id": "b"}]
    messages = check_messages([USER, both, result("noon", tool_call_id="b"), result("2")])
    assert [turn["role"] for turn in plain(messages)] == ["user", "assistant", "user"]
    assert plain(messages)[1]["content"].startswith("Let me look.\n\n[call weather]")
    assert plain(messages)[2]["content"] == "[result of time]\nnoon\n\n[result of weather]\n2"


def test_texts_come_as_they_are() -> None:
    messages = [{"role": "system", "content": "Be kind."}, USER, COLD]
    assert plain(messages) == messages
    assert text_of(USER) == USER["content"]


def test_steps_are_folded_with_what_they_hold() -> None:
    _, call, back, _, _ = message_html.shown(check_messages(TRACE), slug="owls")
    assert call["html"].count("<details") == 1
    assert (
        '<summary><b>weather</b> <span class="inside"><bdi>{&quot;city&quot;: &quot;Oslo&quot;}'
        in call["html"]
    )
    assert "{\n  &quot;city&quot;: &quot;Oslo&quot;\n}</pre>" in call["html"]
    assert "{&quot;degrees&quot;: 2}</pre>" in call["html"]
    assert back["html"] == ""


def test_hostile_steps_stay_text() -> None:
    messages = check_messages(
        [USER, called(name=HOSTILE, arguments=HOSTILE), result(HOSTILE), {**COLD, "content": HOSTILE}]
    )
    html = "".join(one["html"] for one in message_html.shown(messages, slug="owls"))
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("U+202E") >= 4
    seen = re.sub(r'data-raw="[^"]*"', "", html)
    assert "\u202e" not in seen
    assert "\x07" not in seen


@pytest.mark.parametrize(
    "arguments", ["[" * 60_000, "[[" * 4000 + "]]" * 4000, '{"a": ' + "9" * 10_000 + "}", "{"]
)
def test_arguments_that_are_no_use_to_indent_are_shown_as_given(arguments: str) -> None:
    shown = message_html.shown(check_messages([USER, called(arguments=arguments), result("")]), slug="owls")
    assert len(shown[1]["html"]) < 3 * len(arguments) + 5000
    assert "It gave nothing back." in shown[1]["html"]


def test_a_long_result_is_whole() -> None:
    words = "word " * 20_000
    shown = message_html.shown(check_messages([USER, called(), result(words)]), slug="owls")
    assert words in shown[1]["html"]


@pytest.mark.django_db
def test_a_trace_may_be_a_prompt_a_demonstration_and_be_ranked() -> None:
    project = new_project()
    asked = [{"role": "user", "content": [SHOWN]}, called(), result()]
    rows: list[Any] = [{"messages": asked}]
    assert intake.import_prompts(project=project, rows=rows, source="traces").refused == []
    rows = [{"messages": [*asked, COLD]}, {"prompt": asked, "completion": "It is."}]
    assert intake.import_demonstrations(project=project, rows=rows, source="traces").accepted == 2
    refused = intake.import_demonstrations(
        project=project, rows=[{"messages": asked}], source="traces"
    ).refused
    assert refused[0]["reason"] == "A demonstration ends with the assistant's answer."
    rows = [{"prompt": asked, "completions": ["Cold.", "Warm."]}]
    batch = intake.import_completions(project=project, rows=rows, source="traces", tasks="compare")
    assert (batch.accepted, batch.tasks_made) == (2, 1)
    assert Prompt.objects.count() == 1
    assert str(Prompt.objects.get())


@pytest.mark.django_db
def test_datasets_hold_texts() -> None:
    project = new_project()
    asked = [{"role": "user", "content": [{"type": "text", "text": "Where?"}, SHOWN]}, called(), result()]
    intake.import_demonstrations(project=project, rows=[{"messages": [*asked, COLD]}], source="traces")
    turns = [
        {"role": "user", "content": "Where?\n\n[image: A map]"},
        {"role": "assistant", "content": '[call weather]\n{"city": "Oslo"}'},
        {"role": "user", "content": '[result of weather]\n{"degrees": 2}'},
    ]
    demonstrations = dataset.freeze(project=project, kind="demonstrations")
    assert [row["messages"] for row in dataset.rows(demonstrations)] == [[*turns, COLD]]
    prompts = dataset.freeze(project=project, kind="prompts")
    assert [row["prompt"] for row in dataset.rows(prompts)] == [turns]
    for frozen, form in ((demonstrations, "sft"), (prompts, "prompts")):
        assert b"".join(formats.encode(dataset.rows(frozen), form=form, format="parquet"))


@pytest.mark.django_db
def test_samplers_are_given_texts() -> None:
    from rlhf.rounds.sampling import rows_for

    project = new_project()
    intake.import_prompts(project=project, rows=[{"messages": TRACE[:3]}], source="traces")
    (row,) = rows_for(Prompt.objects.to_answer())
    assert [set(message) for message in row["prompt"]] == [{"role", "content"}] * 3
    assert all(isinstance(message["content"], str) for message in row["prompt"])


@pytest.mark.django_db
def test_a_csv_may_hold_a_trace() -> None:
    cell = json.dumps(TRACE).replace('"', '""')
    file = f'messages,sensitive\n"{cell}",TRUE\n'.encode()
    import io

    rows = intake.read_rows(io.BytesIO(file), "traces.csv")
    project = new_project()
    assert intake.import_prompts(project=project, rows=rows, source="traces.csv").refused == []
    assert Prompt.objects.get().sensitive


@pytest.mark.django_db
def test_work_of_answers_to_a_trace() -> None:
    project = new_project()
    rows = [{"prompt": TRACE[:3], "completions": ["a", "b", "c"]}]
    intake.import_completions(project=project, rows=rows, source="traces")
    assert Completion.objects.count() == 3
    assert work.make_tasks(project=project, kind="rank") == 1

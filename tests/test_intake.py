"""Prompts, demonstrations and completions coming in: what is taken, what is refused and why."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from django.db import connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext
from scenes import new_labeler, new_project, new_task

from labeling import queue, work
from labeling.datasets import dataset
from labeling.incoming import intake, rowfiles, store
from labeling.models import Annotation, Completion, Import, Labeler, Prompt, Task

pytestmark = pytest.mark.django_db
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

USER = {"role": "user", "content": "Tell a story."}
ANSWER = {"role": "assistant", "content": "Once upon a time."}


@pytest.fixture
def project():
    return new_project()


def prompts(project, *rows, **options):
    return intake.import_prompts(project=project, rows=rows, source="here", **options)


def demonstrations(project, *rows, **options):
    return intake.import_demonstrations(project=project, rows=rows, source="here", **options)


def completions(project, *rows, **options):
    return intake.import_completions(project=project, rows=rows, source="here", **options)


def jsonl(text, name="rows.jsonl", **options):
    content = text if isinstance(text, bytes) else text.encode()
    return intake.read_rows(io.BytesIO(content), name, **options)


def shared(path):
    if not (DATA / path).exists():
        pytest.skip(f"shared/data/{path} is not here")
    return (DATA / path).open("rb")


def reasons(batch):
    return [(refusal["row"], refusal["field"]) for refusal in batch.refused]


def test_prompts_of_every_form(project):
    batch = prompts(
        project,
        {"prompt": "Tell a story."},
        {"prompt": [USER, ANSWER, {"role": "user", "content": "Another."}]},
        {
            "messages": [{"role": "system", "content": "Be kind."}, USER],
            "use_case": "stories",
            "words": ["fox"],
        },
    )
    assert (batch.accepted, batch.refused) == (3, [])
    first, second, third = Prompt.objects.order_by("pk")
    assert first.messages == [USER]
    assert len(second.messages) == 3
    assert (third.use_case, third.metadata, third.batch) == ("stories", {"words": ["fox"]}, batch)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("Tell a story.", ""),
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "  "}, "prompt[0].content"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt[0].content"),
        ({"prompt": "a\ud800"}, "prompt[0].content"),
        ({"prompt": "é" * 140_000}, "prompt[0].content"),
        ({"prompt": [USER, ANSWER] * 2 + [{**USER, "content": "x" * 262_140}]}, "prompt"),
        ({"prompt": "a", "messages": [USER]}, "prompt"),
        ({"messages": []}, "prompt"),
        ({"messages": [ANSWER]}, "messages"),
        ({"messages": [USER, USER]}, "messages"),
        ({"messages": [USER, ANSWER]}, "messages"),
        ({"messages": [USER, {"role": "system", "content": "Be kind."}]}, "messages"),
        ({"messages": [{"role": "prompter", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": {"text": "a"}}]}, "messages[0].content"),
        ({"messages": [{**USER, "name": "leo"}]}, "messages[0].name"),
        ({"messages": ["Tell a story."]}, "messages[0]"),
        ({"prompt": "a", "split": "test"}, "split"),
        ({"prompt": "a", "split": ["train"]}, "split"),
        ({"prompt": "a", "use_case": "u" * 61}, "use_case"),
        ({"prompt": "a", "language": 5}, "language"),
        ({"prompt": "a", "metadata": "b"}, "metadata"),
        ({"prompt": "a", "note": "b\x00"}, "metadata"),
        ({"prompt": "a", "\x00": "b"}, "metadata"),
        ({"prompt": "a", "score": float("nan")}, "metadata"),
        ({"prompt": "a", "note": "b" * 70_000}, "metadata"),
    ],
)
def test_prompt_refused(project, row, field):
    batch = prompts(project, {"prompt": "good"}, row)
    assert (batch.accepted, reasons(batch)) == (1, [(2, field)])
    assert batch.refused[0]["reason"]
    assert Prompt.objects.get().messages[0]["content"] == "good"


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [{**USER, "\x00": "b"}]},
        {"prompt": [{**USER, "\ud800": "b"}]},
        {"prompt": [{**USER, "k" * 100_000: "b"}]},
        {"prompt": "a", "split": "s" * 100_000},
    ],
)
def test_refusal_is_short_and_storable(project, row):
    batch = prompts(project, {"prompt": "good"}, row)
    batch.refresh_from_db()
    assert (batch.accepted, len(batch.refused)) == (1, 1)
    assert len(json.dumps(batch.refused)) < 1000


def test_doubled_rows(project):
    prompts(project, {"prompt": "old"})
    batch = prompts(project, {"prompt": "old"}, {"prompt": "new"}, {"messages": [{**USER, "content": "new"}]})
    assert reasons(batch) == [(1, "prompt"), (3, "prompt")]
    assert ["already" in batch.refused[0]["reason"], "further up" in batch.refused[1]["reason"]] == [
        True,
        True,
    ]


def test_doubled_rows_far_apart(project, monkeypatch):
    monkeypatch.setattr(intake, "CHUNK", 2)
    batch = prompts(project, *[{"prompt": text} for text in "abcdea"])
    assert "further up" in batch.refused[0]["reason"]
    again = demonstrations(project, *[{"prompt": text, "completion": "x"} for text in "abcdea"])
    assert (again.accepted, reasons(again)) == (5, [(6, "completion")])
    assert "further up" in again.refused[0]["reason"]


def test_another_project_may_have_the_same(project):
    prompts(project, {"prompt": "a"})
    assert prompts(new_project(), {"prompt": "a"}).accepted == 1


def test_demonstrations(project):
    batch = demonstrations(
        project,
        {"messages": [USER, ANSWER]},
        {"prompt": "Tell a story.", "completion": "Another one."},
        {"prompt": [USER], "completion": [ANSWER]},
        {"messages": [USER]},
        {"prompt": "b", "completion": ""},
        {"prompt": "c"},
        {"prompt": [USER, ANSWER], "completion": "d"},
        synthetic=True,
    )
    assert batch.synthetic
    assert (batch.accepted, reasons(batch)) == (
        2,
        [(3, "completion"), (4, "messages"), (5, "completion"), (6, "completion"), (7, "prompt")],
    )
    assert Prompt.objects.get().messages == [USER]
    label = Annotation.objects.earliest("pk")
    assert (label.answer, label.labeler.kind) == ({"text": ANSWER["content"]}, Labeler.Kind.IMPORT)
    assert label.text_hashes == {"prompt": Prompt.objects.get().text_hash}
    frozen = dataset.freeze(project=project, kind="demonstrations")
    assert next(dataset.rows(frozen))["messages"] == [USER, ANSWER]


def test_demonstrations_ask_nobody(project):
    demonstrations(project, {"messages": [USER, ANSWER]})
    assert not Task.objects.open().exists()
    assert queue.lease_next(labeler=new_labeler(project), project=project) is None


def test_demonstrations_twice(project):
    demonstrations(project, {"messages": [USER, ANSWER]})
    batch = demonstrations(project, {"messages": [USER, ANSWER]})
    assert (batch.accepted, reasons(batch)) == (0, [(1, "completion")])
    assert "already" in batch.refused[0]["reason"]
    assert Labeler.objects.count() == 1


def test_demonstration_of_a_heldout_prompt_trains_nothing(project):
    prompts(project, {"messages": [USER], "split": "heldout"})
    batch = demonstrations(
        project,
        {"messages": [USER, ANSWER]},
        {"prompt": USER["content"], "completion": "b", "split": "train"},
    )
    assert (batch.accepted, reasons(batch)) == (1, [(2, "split")])
    assert not Annotation.objects.trainable().exists()


def test_split_by_column_and_by_share(project):
    rows = [{"prompt": str(at)} for at in range(400)] + [{"prompt": "named", "split": "heldout"}]
    prompts(project, *rows, split=0.25)
    heldout = set(Prompt.objects.filter(split="heldout").values_list("text_hash", flat=True))
    assert 60 < len(heldout) < 140
    assert Prompt.objects.get(messages__0__content="named").split == "heldout"
    other = new_project()
    prompts(other, *reversed(rows), split=0.25)
    assert set(other.prompts.filter(split="heldout").values_list("text_hash", flat=True)) == heldout


@pytest.mark.parametrize("split", ["test", 0, 1, 1.5, True, float("nan")])
def test_split_refused(project, split):
    with pytest.raises(intake.IntakeError) as caught:
        prompts(project, {"prompt": "a"}, split=split)
    assert caught.value.field == "split"


def test_no_rows(project):
    with pytest.raises(intake.IntakeError, match="holds no rows"):
        prompts(project)
    assert not Import.objects.exists()


def test_dry_run(project):
    batch = demonstrations(project, {"messages": [USER, ANSWER]}, {}, dry_run=True)
    assert (batch.pk, batch.accepted, len(batch.refused)) == (None, 1, 1)
    for kept in (Import, Prompt, Task, Annotation, Labeler):
        assert not kept.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_nothing_is_half_stored(monkeypatch):
    project = new_project()
    monkeypatch.setattr(intake, "CHUNK", 2)

    def broken():
        yield from ({"prompt": text, "completion": "x"} for text in "abcdef")
        raise OSError("the disk went away")

    with pytest.raises(OSError):
        intake.import_demonstrations(project=project, rows=broken(), source="here")
    for kept in (Import, Prompt, Task, Annotation, Labeler):
        assert not kept.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once(monkeypatch):
    project = new_project()
    monkeypatch.setattr(intake, "CHUNK", 20)
    start = Barrier(2)

    def take_in(_):
        try:
            start.wait()
            rows = ({"prompt": str(at), "completion": "x"} for at in range(100))
            return intake.import_demonstrations(project=project, rows=rows, source="here").accepted
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(take_in, range(2))) == [0, 100]
    assert (Prompt.objects.count(), Annotation.objects.count()) == (100, 100)


def test_rows_are_stored_in_bulk(project):
    with CaptureQueriesContext(
        connection,
    ) as few:
        demonstrations(project, *[{"prompt": f"few {at}", "completion": "x"} for at in range(2)])
    with CaptureQueriesContext(
        connection,
    ) as many:
        demonstrations(project, *[{"prompt": f"many {at}", "completion": "x"} for at in range(400)])
    assert len(many) == len(few)


def test_long_lists_of_refusals_are_cut(project, monkeypatch):
    monkeypatch.setattr(store, "MOST_LISTED", 3)
    batch = prompts(project, {"prompt": "a"}, *[{}] * 5)
    assert batch.refused[-1] == {"row": None, "field": "", "reason": "2 more rows were refused."}
    assert len(batch.refused) == 4


def test_jsonl(project):
    rows = b"\xef\xbb\xbf" + b"\n".join(
        [
            json.dumps({"prompt": "a"}).encode(),
            b"",
            b"{'prompt': 'b'}",
            b'{"prompt": "\xe9"}',
            b'{"prompt": "c", "score": NaN}',
            b"[" * 100_000,
            b'{"prompt": "\\ud800"}',
            b'["d"]',
            b'{"prompt": "e"}',
        ]
    )
    batch = intake.import_prompts(project=project, rows=jsonl(rows), source="rows.jsonl")
    assert batch.accepted == 2
    assert [refusal["row"] for refusal in batch.refused] == [3, 4, 5, 6, 7, 8]
    assert "UTF-8 at byte 13" in batch.refused[1]["reason"]


def test_jsonl_with_an_endless_line(monkeypatch):
    monkeypatch.setattr(rowfiles, "MOST_LINE_BYTES", 30)
    rows = list(jsonl('{"prompt": "' + "x" * 300 + '"}\n{"prompt": "b"}'))
    assert [(row.number, bool(row.fault)) for row in rows] == [(1, True), (2, False)]


def test_csv(project):
    text = 'prompt,split,topic\r\n"two\r\nlines, quoted",heldout,\r\n\r\nplain,,kites\r\n,,\r\na,b,c,d\r\n'
    batch = intake.import_prompts(project=project, rows=jsonl(text, "rows.csv"), source="rows.csv")
    assert batch.accepted == 2
    assert reasons(batch) == [(6, "prompt"), (7, "")]
    first, second = Prompt.objects.order_by("pk")
    assert (first.messages[0]["content"], first.split, first.metadata) == (
        "two\r\nlines, quoted",
        "heldout",
        {},
    )
    assert (second.split, second.metadata) == ("train", {"topic": "kites"})


def test_csv_of_messages(project):
    cell = json.dumps([USER, ANSWER]).replace('"', '""')
    text = f'messages\n"{cell}"\n"[oops"\n'
    batch = intake.import_demonstrations(project=project, rows=jsonl(text, "rows.csv"), source="rows.csv")
    assert (batch.accepted, reasons(batch)) == (1, [(3, "messages")])


def test_csv_faults_do_not_hide_the_rest(project):
    text = b'prompt\n"a"b\n\xe9\nc\n'
    batch = intake.import_prompts(project=project, rows=jsonl(text, "rows.csv"), source="rows.csv")
    assert (batch.accepted, [refusal["row"] for refusal in batch.refused]) == (1, [2, 3])
    assert "UTF-8" in batch.refused[1]["reason"]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"a,b\n1,2\n", "rows.csv", "no column prompt or messages; it has: a, b"),
        (b"", "rows.csv", "it has: none"),
        (b"prompt,prompt\n", "rows.csv", "twice"),
        (b"{}", "rows.xlsx", "must end in .jsonl, .json, .csv or .txt"),
        ('{"prompt": "a"}'.encode("utf-16"), "rows.jsonl", "Save it as UTF-8"),
        (b"PK\x03\x04", "rows.csv", "packed"),
    ],
)
def test_file_refused(content, name, message):
    with pytest.raises(intake.IntakeError, match=message):
        jsonl(content, name)


def test_columns_by_other_names(project):
    text = "question,answer\nWhy?,Because.\n"
    rows = jsonl(text, "rows.csv", columns={"question": "prompt", "answer": "completion"})
    assert intake.import_demonstrations(project=project, rows=rows, source="rows.csv").accepted == 1
    with pytest.raises(intake.IntakeError, match="no column 'ask'; it has: question, answer"):
        jsonl(text, "rows.csv", columns={"ask": "prompt"})


def test_gsm8k(project):
    with shared("gsm8k/test.jsonl") as file:
        rows = intake.read_rows(file, "test.jsonl", columns={"question": "prompt", "answer": "completion"})
        batch = intake.import_demonstrations(project=project, rows=rows, source="gsm8k", split=0.1)
    assert (batch.accepted, batch.refused) == (1319, [])
    frozen = dataset.freeze(project=project, kind="demonstrations")
    assert 1100 < frozen.size < 1250


def test_self_instruct(project):
    with shared("self-instruct/user_oriented_instructions.jsonl") as file:
        rows = intake.read_rows(file, file.name, columns={"instruction": "prompt"})
        batch = intake.import_prompts(project=project, rows=rows, source="self-instruct")
    assert batch.accepted + len(batch.refused) == 252
    assert all("further up" in refusal["reason"] for refusal in batch.refused)
    assert Prompt.objects.earliest("pk").metadata["motivation_app"] == "Grammarly"


def test_completions(project):
    batch = completions(
        project,
        {"prompt": "a", "completions": ["one", "two", "one"], "models": ["x", None, "y"], "topic": "kites"},
        {"messages": [USER], "completions": [[ANSWER], "two"]},
        {"prompt": "a", "completion": "three", "model": "z"},
        {"prompt": "a", "completion": "four"},
        {"prompt": "a", "completions": ["two", "one"]},
        model="w",
    )
    assert (batch.accepted, reasons(batch)) == (6, [(5, "completions")])
    assert (Prompt.objects.count(), batch.prompts.count()) == (2, 2)
    assert Prompt.objects.earliest("pk").metadata == {"topic": "kites"}
    kept = Completion.objects.filter(prompt__messages__0__content="a").order_by("pk")
    assert [(each.text, each.sampling, each.checkpoint) for each in kept] == [
        ("one", {"model": "x"}, None),
        ("two", {"model": "w"}, None),
        ("three", {"model": "z"}, None),
        ("four", {"model": "w"}, None),
    ]
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({}, "completion"),
        ({"completions": []}, "completions"),
        ({"completions": "one"}, "completions"),
        ({"completions": ["x"] * 101}, "completions"),
        ({"completions": ["one", " "]}, "completions[1]"),
        ({"completions": ["one", 7]}, "completions[1]"),
        ({"completions": ["a\x00"]}, "completions[0]"),
        ({"completions": ["one"], "models": []}, "models"),
        ({"completions": ["one"], "models": "gpt"}, "models"),
        ({"completions": ["one"], "models": [7]}, "models"),
        ({"completions": ["one"], "models": ["m" * 201]}, "models"),
        ({"completion": "one", "model": "m\x00"}, "models"),
        ({"completion": ""}, "completion"),
        ({"prompt": "", "completion": "one"}, "prompt"),
        ({"prompt": [USER, ANSWER], "completion": "one"}, "prompt"),
        ({"completion": "one", "split": "heldout"}, "split"),
    ],
)
def test_completions_refused(project, row, field):
    batch = completions(project, {"prompt": "a", "completion": "good"}, {"prompt": "a"} | row)
    assert (batch.accepted, reasons(batch)) == (1, [(2, field)])
    assert Completion.objects.get().text == "good"


def test_prompt_gains_answers_and_keeps_its_split(project):
    prompts(project, {"prompt": "a", "split": "heldout"})
    batch = completions(project, {"prompt": "a", "completions": ["one", "two"]})
    again = completions(project, {"prompt": "a", "completions": ["one", "two"]})
    assert (batch.accepted, again.accepted, reasons(again)) == (2, 0, [(1, "completions")])
    assert Prompt.objects.get().split == "heldout"


def test_completions_with_tasks(project):
    rows = [{"prompt": "a", "completions": ["one", "two"]}, {"prompt": "b", "completions": ["three"]}]
    made = [completions(project, *rows, tasks="rank").tasks_made]
    made += [completions(project, {"prompt": "b", "completions": ["four"]}, tasks="rank").tasks_made]
    made += [completions(project, {"prompt": "b", "completions": ["five"]}, tasks="edit").tasks_made]
    # The prompt's other answers are asked about as well; those of other prompts are not.
    assert made == [1, 1, 3]


@pytest.mark.parametrize(
    ("verb", "kind"),
    [("import_prompts", "rank"), ("import_completions", "demonstrate"), ("import_completions", "x")],
)
def test_tasks_refused(project, verb, kind):
    rows = [{"prompt": "a", "completion": "b"}]
    with pytest.raises(intake.IntakeError) as caught:
        getattr(intake, verb)(project=project, rows=rows, source="here", tasks=kind)
    assert caught.value.field == "tasks"
    assert not Import.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("verb", "kind"), [("import_prompts", "demonstrate"), ("import_completions", "rank")]
)
def test_tasks_and_their_import_are_one(verb, kind, monkeypatch):
    project = new_project()

    def broken(*args, **kwargs):
        raise OSError("the database went away")

    monkeypatch.setattr(work.live, "announce", broken)
    rows = [{"prompt": "a"} | ({"completions": ["b", "c"]} if kind == "rank" else {})]
    with pytest.raises(OSError):
        getattr(intake, verb)(project=project, rows=rows, source="here", tasks=kind)
    for kept in (Import, Prompt, Completion, Task):
        assert not kept.objects.exists()


def test_completions_are_stored_in_bulk(project):
    counts = []
    for name, number in (("few", 2), ("many", 200)):
        with CaptureQueriesContext(connection) as queries:
            rows = ({"prompt": f"{name} {at}", "completions": ["x", "y"]} for at in range(number))
            completions(project, *rows, tasks="rank")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def a_tree(**root):
    """A prompt with two answers, one by a model and one by a person; a further turn below that one."""
    further = {
        "role": "prompter",
        "text": "And then?",
        "replies": [{"role": "assistant", "text": "The end."}],
    }
    told = {"role": "assistant", "text": "Once.", "lang": "en", "replies": [further]}
    model = {"role": "assistant", "text": "Beep.", "synthetic": True, "model_name": "chip", "replies": []}
    gone = {"role": "assistant", "text": "Spam.", "deleted": True, "replies": [further]}
    failed = {"role": "assistant", "text": "Rude.", "review_result": False, "replies": []}
    asked = {
        "role": "prompter",
        "text": "Tell a story.",
        "lang": "en",
        "replies": [told, model, gone, failed],
    }
    return {"message_tree_id": "t1", "prompt": asked | root}


def test_tree_as_prompts(project):
    assert prompts(project, a_tree()).accepted == 2
    first, second = Prompt.objects.order_by("pk")
    assert (first.messages, first.language) == ([USER], "en")
    assert [message["content"] for message in second.messages] == ["Tell a story.", "Once.", "And then?"]
    assert first.metadata["message_tree_id"] == "t1"


def test_tree_as_completions(project):
    batch = completions(project, a_tree(), tasks="rank")
    assert (batch.accepted, batch.refused, batch.tasks_made) == (3, [], 1)
    shown = Completion.objects.filter(candidates__task=Task.objects.get()).order_by("candidates__position")
    assert [(each.text, each.sampling) for each in shown] == [("Once.", {}), ("Beep.", {"model": "chip"})]


def test_tree_as_demonstrations(project):
    batch = demonstrations(project, a_tree())
    assert (batch.accepted, batch.refused) == (2, [])
    assert [label.answer["text"] for label in Annotation.objects.order_by("pk")] == ["Once.", "The end."]


def test_threads_of_a_tree_are_held_out_together(project):
    rows = [a_tree(text=f"Tell story {at}.") for at in range(60)]
    completions(project, *rows, split=0.5)
    sides = {}
    for prompt in Prompt.objects.all():
        sides.setdefault(prompt.messages[0]["content"], set()).add(prompt.split)
    assert {len(side) for side in sides.values()} == {1}
    assert Prompt.objects.filter(split="heldout").count() > 20


@pytest.mark.parametrize(
    ("root", "field"),
    [
        ({"replies": []}, "prompt"),
        ({"replies": "none"}, "prompt"),
        ({"replies": [None, 7, []]}, "prompt"),
        ({"deleted": True}, "prompt"),
        ({"role": ["prompter"]}, "messages[0].role"),
        ({"text": None}, "messages[0].content"),
        ({"text": ""}, "messages[0].content"),
        ({"replies": [{"role": "assistant", "text": None}]}, "completions[0]"),
        ({"lang": 7, "replies": [{"role": "assistant", "text": "a"}]}, "language"),
    ],
)
def test_broken_tree(project, root, field):
    batch = completions(project, {"prompt": "a", "completion": "b"}, a_tree(**root))
    assert set(reasons(batch)) == {(2, field)}


@pytest.mark.slow
def test_deep_tree(project):
    """Deeper than Python's own stack; threads that grew too long are refused one by one."""
    message = {"role": "prompter", "text": "x" * 1000}
    for at in range(2000):
        message = {"role": ("assistant", "prompter")[at % 2], "text": "x" * 1000, "replies": [message]}
    batch = prompts(project, {"message_tree_id": "t", "prompt": message})
    assert (batch.accepted, len(batch.refused)) == (131, 870)
    assert set(reasons(batch)) == {(1, "messages")}


def test_open_assistant(project):
    """100 trees: every reply in English is in, and every set of siblings is one ranking."""
    with shared("oasst-sample/en_100_tree.jsonl") as file:
        rows = intake.read_rows(file, file.name)
        batch = intake.import_completions(project=project, rows=rows, source="oasst", tasks="rank")
    assert batch.refused == []
    assert (batch.accepted, Prompt.objects.count(), batch.tasks_made) == (687, 254, 214)


def test_eight_models(project):
    """Self-instruct's eight files join on the prompt; what two models say in the same words is one answer."""
    shared("self-instruct/predictions/davinci.jsonl").close()
    names = {"response": "completion"}
    for path in sorted((DATA / "self-instruct/predictions").glob("*.jsonl")):
        with path.open("rb") as file:
            rows = intake.read_rows(file, path.name, columns=names)
            intake.import_completions(project=project, rows=rows, source=path.name, model=path.stem)
    assert work.make_tasks(project=project, kind="rank") == 252
    sizes = Task.objects.annotate(k=Count("candidates")).values_list("k", flat=True)
    assert {k: list(sizes).count(k) for k in (8, 7)} == {8: 122, 7: 86}


def test_new_task_after_an_import_has_its_turn(project):
    demonstrations(project, {"messages": [USER, ANSWER]})
    task = new_task(project)
    assert queue.lease_next(labeler=new_labeler(project), project=project).task == task

"""Freezing labels into datasets, and the rows that trainers read."""

import hashlib
import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from guidelines import publish
from labeling import annotate, queue, work
from labeling.content.texts import text_hash
from labeling.datasets import dataset, formats
from labeling.models import Annotation, Dataset, Membership, Prompt, Split
from labeling.people import projects
from models_zoo.models import Checkpoint

pytestmark = pytest.mark.django_db


class Scene:
    """A project with its checkpoint, and labelers who rank by the place of a text in ``order``."""

    def __init__(self):
        self.ada = User.objects.create_user("ada")
        self.project = projects.create_project(
            slug="stories", name="Stories", guideline_title="G", guideline_body="One.", owner=self.ada
        )
        self.checkpoint = Checkpoint.objects.create(name="sft", kind="sft", digest="sha256:1", folder="c/1")

    def labeler(self, name, group=Split.TRAIN):
        projects.labeler_for(user := User.objects.create_user(name))
        Membership.objects.create(project=self.project, user=user, role="labeler", group=group)
        return user.labeler

    def prompt(self, text="A story.", split=Split.TRAIN):
        messages = [{"role": "user", "content": text}]
        return Prompt.objects.create(
            project=self.project, messages=messages, text_hash=text_hash(messages), split=split
        )

    def rank_task(self, prompt, texts="abcd", **about):
        self.task("rank", prompt, texts, **about)

    def task(self, kind, prompt, texts="abcd", **about):
        sampled = [
            work.Sampled(prompt=prompt, text=text, seed=at, index=at, finished=text != "d")
            for at, text in enumerate(texts)
        ]
        kept = work.add_completions(checkpoint=self.checkpoint, sampling={}, sampled=sampled)
        work.add_tasks(project=self.project, kind=kind, completions_by_prompt=kept, **about)

    def rank(self, labeler, tiers, **more):
        lease, ids = self.open(labeler, "rank")
        answer = {"tiers": [[ids[text] for text in tier] for tier in tiers], **more}
        return self.submit(lease, labeler, answer)

    def compare(self, labeler, preferred, strength, **more):
        lease, ids = self.open(labeler, "compare")
        answer = {"preferred": ids.get(preferred), "strength": strength, **more}
        return self.submit(lease, labeler, answer)

    def rate(self, labeler, ratings, tiers=None, **more):
        lease, ids = self.open(labeler, "rate")
        answer = {"ratings": {str(ids[text]): values for text, values in ratings.items()}, **more}
        if tiers:
            answer["tiers"] = [[ids[text] for text in tier] for tier in tiers]
        return self.submit(lease, labeler, answer)

    def edit(self, labeler, text):
        lease, _ = self.open(labeler, "edit")
        return self.submit(lease, labeler, {"text": text})

    def open(self, labeler, kind):
        lease = queue.lease_next(labeler=labeler, project=self.project, kinds=[kind])
        return lease, {each.completion.text: each.pk for each in lease.task.candidates.all()}

    def write(self, labeler, text):
        lease = queue.lease_next(labeler=labeler, project=self.project, kinds=["demonstrate"])
        return self.submit(lease, labeler, {"text": text})

    def submit(self, lease, labeler, answer):
        return annotate.submit(
            lease_id=lease.pk, labeler=labeler, submission_id=uuid4(), answer=answer, active_seconds=1
        )

    def freeze(self, **asked):
        return dataset.freeze(project=self.project, **({"kind": "preferences"} | asked))


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def leo(scene):
    return scene.labeler("leo")


def test_groups(scene, leo):
    scene.rank_task(prompt := scene.prompt())
    label = scene.rank(leo, ["b", "ad", "c"])
    frozen = scene.freeze(weights={label.pk: 0.5}, user=scene.ada)
    assert (frozen.number, frozen.size, frozen.user) == (1, 1, scene.ada)
    assert list(dataset.rows(frozen)) == [
        {
            "prompt": prompt.messages,
            "completions": [[{"role": "assistant", "content": text}] for text in "abcd"],
            "ranks": [1, 0, 2, 1],
            "finished": [True, True, True, False],
            "margin": 0.0,
            "weight": 0.5,
            "label": str(label.pk),
            "labeler": str(leo.pk),
            "guideline_version": 1,
            "assisted_by": None,
            "assisted_share": None,
        }
    ]


def test_pairs(scene, leo):
    scene.rank_task(scene.prompt())
    scene.rank(leo, ["b", "ad", "c"])
    pairs = list(dataset.rows(scene.freeze(), "pairs"))
    # a and d share a tier: no pair.
    assert said(pairs) == {
        ("b", "a"): 1.0,
        ("b", "d"): 1.0,
        ("b", "c"): 2.0,
        ("a", "c"): 1.0,
        ("d", "c"): 1.0,
    }
    assert sum(row["weight"] for row in pairs) == pytest.approx(1)


def said(pairs):
    """{(chosen, rejected): margin}."""
    return {(row["chosen"][0]["content"], row["rejected"][0]["content"]): row["margin"] for row in pairs}


@pytest.mark.parametrize(
    ("preferred", "strength", "ranks", "margin"),
    [
        ("b", "much", [1, 0], 3.0),
        ("b", "better", [1, 0], 2.0),
        ("a", "slightly", [0, 1], 1.0),
        (None, "tie", [0, 0], 0.0),
    ],
)
def test_comparison(scene, leo, preferred, strength, ranks, margin):
    scene.task("compare", scene.prompt(), "ab")
    scene.compare(leo, preferred, strength)
    (row,) = dataset.rows(frozen := scene.freeze())
    assert (row["ranks"], row["margin"]) == (ranks, margin)
    other = {"a": "b", "b": "a"}
    assert said(dataset.rows(frozen, "pairs")) == (
        {(preferred, other[preferred]): margin} if preferred else {}
    )


def test_both_bad_keeps_its_order(scene, leo):
    scene.task("compare", scene.prompt(), "ab")
    scene.compare(leo, "a", "slightly", both_bad=True)
    assert said(dataset.rows(scene.freeze(), "pairs")) == {("a", "b"): 1.0}


def test_left_out_gives_no_pair(scene, leo):
    scene.project.partial_rankings = True
    scene.project.save()
    scene.rank_task(scene.prompt())
    scene.rank(leo, "db")
    (row,) = dataset.rows(frozen := scene.freeze())
    assert row["completions"] == [[{"role": "assistant", "content": text}] for text in "bd"]
    assert (row["ranks"], row["finished"]) == ([1, 0], [True, False])
    assert said(dataset.rows(frozen, "pairs")) == {("d", "b"): 1.0}


def test_all_bad(scene, leo):
    for at in range(3):
        scene.rank_task(scene.prompt(str(at)), priority=-at)
    scene.rank(leo, [], all_bad=True)
    scene.rank(leo, ["a"], all_bad=True)
    with pytest.raises(dataset.DatasetError, match="no trainable preferences yet"):
        scene.freeze()
    placed = scene.rank(leo, ["c", "ab"], all_bad=True)
    frozen = scene.freeze()
    assert [row["label"] for row in dataset.rows(frozen)] == [str(placed.pk)]
    assert said(dataset.rows(frozen, "pairs")) == {("c", "a"): 1.0, ("c", "b"): 1.0}


def test_edit_is_a_demonstration_and_a_preference(scene, leo):
    work.add_demonstrate_tasks(project=scene.project, prompts=[prompt := scene.prompt()])
    written = scene.write(leo, "Mine.")
    scene.task("edit", prompt, ["Once a fox sleeped.", "d"])
    edited, untouched = scene.edit(leo, "Once a fox slept."), scene.edit(leo, "d")
    demonstrated = list(dataset.rows(scene.freeze(kind="demonstrations")))
    assert [row["messages"][-1]["content"] for row in demonstrated] == ["Mine.", "Once a fox slept.", "d"]
    assert [(row["assisted_by"], row["assisted_share"]) for row in demonstrated] == [
        (None, None),
        ("sft", 0.75),
        ("sft", 1.0),
    ]
    assert [row["label"] for row in demonstrated] == [str(one.pk) for one in (written, edited, untouched)]
    (row,) = dataset.rows(preferred := scene.freeze())
    assert (row["label"], row["ranks"], row["margin"]) == (str(edited.pk), [1, 0], 0.0)
    assert (row["assisted_by"], row["assisted_share"]) == ("sft", 0.75)
    assert said(dataset.rows(preferred, "pairs")) == {("Once a fox slept.", "Once a fox sleeped."): 1.0}


CRITERIA = [
    {
        "key": "quality",
        "label": "Quality",
        "scope": "completion",
        "type": "scale",
        "min": 1,
        "max": 7,
        "required": True,
    },
    {"key": "rude", "label": "Rude", "scope": "completion", "type": "flag", "required": False},
    {"key": "clear", "label": "Clear", "scope": "prompt", "type": "flag", "required": False},
]


def test_ratings(scene, leo):
    publish.publish(guideline=scene.project.guideline, body="Rate.", criteria=CRITERIA)
    scene.task("rate", prompt := scene.prompt(), "ab", priority=1)
    scene.task("rate", scene.prompt("Alone."), "c")
    rated = {"a": {"quality": 2, "rude": True}, "b": {"quality": 6, "rude": False}}
    first = scene.rate(leo, rated, tiers="ba", prompt={"clear": True})
    scene.rate(leo, {"c": {"quality": 4}})
    (group,) = dataset.rows(preferred := scene.freeze())
    assert (group["label"], group["ranks"], group["margin"]) == (str(first.pk), [1, 0], 0.0)
    rows = list(dataset.rows(frozen := scene.freeze(kind="ratings")))
    assert frozen.size == 2
    assert rows[0] == {
        "prompt": prompt.messages,
        "completion": [{"role": "assistant", "content": "a"}],
        "ratings": '{"quality": 2}',
        "flags": ["rude"],
        "prompt_ratings": "{}",
        "prompt_flags": ["clear"],
        "weight": 1.0,
        "label": str(first.pk),
        "labeler": str(leo.pk),
        "guideline_version": 2,
    }
    assert [(row["ratings"], row["flags"], row["prompt_flags"]) for row in rows[1:]] == [
        ('{"quality": 6}', [], ["clear"]),
        ('{"quality": 4}', [], []),
    ]
    assert list(dataset.rows(preferred, "ratings")) == rows[:2]


def test_every_kind_fits_every_form(scene, leo):
    """What is frozen can be written, in each form and format."""
    publish.publish(guideline=scene.project.guideline, body="Rate.", criteria=CRITERIA)
    for kind, texts in (("rank", "abcd"), ("compare", "ab"), ("rate", "ab"), ("edit", "a")):
        scene.task(kind, scene.prompt(kind), texts)
    scene.rank(leo, "abcd")
    scene.compare(leo, "b", "much")
    scene.rate(leo, {"a": {"quality": 1}, "b": {"quality": 7}}, tiers="ba")
    scene.edit(leo, "Better.")
    for kind, rows in (("demonstrations", 1), ("preferences", 4), ("ratings", 1), ("prompts", 4)):
        frozen = scene.freeze(kind=kind)
        assert frozen.size == rows
        for form in dataset.FORMS[kind]:
            for format in formats.FORMATS:
                assert b"".join(formats.encode(dataset.rows(frozen, form), form=form, format=format))


def test_dataset_keeps_the_columns_it_was_frozen_with(scene, leo):
    """What was frozen before there were margins and model drafts gives the very same bytes."""
    work.add_demonstrate_tasks(project=scene.project, prompts=[prompt := scene.prompt()])
    written = scene.write(leo, "Once.")
    scene.rank_task(prompt, "ab")
    ranked = scene.rank(leo, "ba")
    asked, (a, b) = prompt.messages, ([{"role": "assistant", "content": text}] for text in "ab")
    once = {"role": "assistant", "content": "Once."}
    order = {"ranks": [1, 0], "finished": [True, True]}
    for kind, form, label, old in (
        ("demonstrations", "sft", written, {"messages": [*asked, once]}),
        ("preferences", "groups", ranked, {"prompt": asked, "completions": [a, b], **order}),
        ("preferences", "pairs", ranked, {"prompt": asked, "chosen": b, "rejected": a, "margin": 1.0}),
    ):
        frozen = scene.freeze(kind=kind)
        assert frozen.schema == 2
        Dataset.objects.filter(pk=frozen.pk).update(schema=1)
        frozen.refresh_from_db()
        lines = b"".join(formats.encode(dataset.rows(frozen, form), form=form, format="jsonl"))
        marks = {"weight": 1.0, "label": str(label.pk), "labeler": str(leo.pk), "guideline_version": 1}
        # Compared as text: the digest depends on the order of the columns too.
        assert lines.decode() == json.dumps(old | marks, separators=(",", ":")) + "\n"


def test_all_tied_is_a_group_without_pairs(scene, leo):
    scene.rank_task(scene.prompt())
    scene.rank(leo, ["abcd"])
    frozen = scene.freeze()
    assert frozen.size == 1
    assert list(dataset.rows(frozen, "pairs")) == []


def test_sft(scene, leo):
    work.add_demonstrate_tasks(project=scene.project, prompts=[scene.prompt()])
    scene.write(leo, "Once upon a time.")
    (row,) = dataset.rows(scene.freeze(kind="demonstrations"))
    assert row["messages"] == [
        {"role": "user", "content": "A story."},
        {"role": "assistant", "content": "Once upon a time."},
    ]


def test_only_trainable_labels(scene, leo):
    judge = scene.labeler("judge", group=Split.HELDOUT)
    scene.rank_task(scene.prompt("held out", split=Split.HELDOUT), priority=2)
    scene.rank(leo, "abcd")
    scene.rank_task(scene.prompt("judged"), priority=1)
    scene.rank(judge, "abcd")
    scene.rank_task(scene.prompt("withdrawn"))
    withdrawn = scene.rank(leo, "abcd")
    annotate.invalidate(annotation=withdrawn, actor=scene.ada, reason="a slip")
    with pytest.raises(dataset.DatasetError, match="no trainable preferences yet"):
        scene.freeze()
    # Its task wants a label again; this one is revised.
    old = scene.rank(scene.labeler("eve"), "abcd")
    answer = {"tiers": list(reversed(old.answer["tiers"]))}
    new = annotate.revise(annotation_id=old.pk, labeler=old.labeler, submission_id=uuid4(), answer=answer)
    assert [row["label"] for row in dataset.rows(scene.freeze())] == [str(new.pk)]


def test_overlap_and_surplus_are_rows_of_their_own(scene, leo):
    mia = scene.labeler("mia")
    scene.rank_task(scene.prompt())
    late = queue.lease_next(labeler=leo, project=scene.project)
    late.expires_at = timezone.now() - timedelta(1)
    late.save()
    queue.sweep()
    scene.rank(mia, "abcd")
    surplus = scene.submit(late, leo, {"tiers": [late.shown_order]})
    assert surplus.surplus
    found = list(dataset.rows(scene.freeze()))
    assert [row["labeler"] for row in found] == [str(mia.pk), str(leo.pk)]


def test_filters(scene, leo):
    mia = scene.labeler("mia")
    scene.rank_task(scene.prompt("one"), round_number=1)
    first = scene.rank(leo, "abcd")
    publish.publish(guideline=scene.project.guideline, body="Two.")
    scene.rank_task(scene.prompt("two"), round_number=2)
    second = scene.rank(mia, "abcd")
    for asked, label in (
        ({"guideline_version": 1}, first),
        ({"guideline_version": [2]}, second),
        ({"round": 1}, first),
        ({"labeler": str(mia.pk)}, second),
        ({"since": second.submitted_at.isoformat()}, second),
        ({"round": [1, 2], "labeler": [str(leo.pk)]}, first),
    ):
        assert [row["label"] for row in dataset.rows(scene.freeze(filter=asked))] == [str(label.pk)], asked
    with pytest.raises(dataset.DatasetError, match="None of the 2 trainable preferences"):
        scene.freeze(filter={"round": 3})


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("kind", {"kind": "rankings"}),
        ("filter.colour", {"filter": {"colour": "red"}}),
        ("filter.round", {"filter": {"round": "first"}}),
        ("filter.labeler", {"filter": {"labeler": "leo"}}),
        ("filter.since", {"filter": {"since": "yesterday"}}),
        ("filter.split", {"kind": "prompts", "filter": {"split": "test"}}),
        ("weights", {"weights": {1: -1.0}}),
        ("weights", {"weights": {1: float("nan")}}),
        ("weights", {"weights": {0: 1.0}}),
    ],
)
def test_refused(scene, leo, field, asked):
    scene.rank_task(scene.prompt())
    scene.rank(leo, "abcd")
    with pytest.raises(dataset.DatasetError) as caught:
        scene.freeze(**asked)
    assert caught.value.field == field
    assert not Dataset.objects.exists()


def test_digest_is_that_of_the_export(scene, leo):
    for text in ("one", "two"):
        scene.rank_task(scene.prompt(text))
        scene.rank(leo, ["ab", "cd"])
    first, again = scene.freeze(), scene.freeze()
    file = b"".join(formats.encode(dataset.rows(first), form="groups", format="jsonl"))
    assert first.digest == again.digest == hashlib.sha256(file).hexdigest()
    assert (first.number, again.number) == (1, 2)
    weighted = scene.freeze(weights={Annotation.objects.first().pk: 2.0})
    assert weighted.digest != first.digest


def test_frozen_stays_frozen(scene, leo):
    scene.rank_task(scene.prompt())
    label = scene.rank(leo, "abcd")
    frozen = scene.freeze()
    before = list(dataset.rows(frozen))
    annotate.invalidate(annotation=label, actor=scene.ada, reason="a slip")
    scene.rank_task(scene.prompt("another"))
    scene.rank(leo, "dcba")
    assert list(dataset.rows(frozen)) == before


def test_prompts(scene, leo):
    scene.rank_task(train := scene.prompt())
    heldout = scene.prompt("held out", split=Split.HELDOUT)
    scene.rank(leo, "abcd")
    frozen = scene.freeze(kind="prompts")
    assert frozen.filter == {"split": "train"}
    assert [row["prompt_id"] for row in dataset.rows(frozen)] == [train.pk]
    assert [row["prompt_id"] for row in dataset.rows(scene.freeze(), "prompts")] == [train.pk]
    asked = scene.freeze(kind="prompts", filter={"split": "heldout"})
    assert [row["prompt"] for row in dataset.rows(asked)] == [heldout.messages]


def test_form_of_another_kind(scene, leo):
    scene.rank_task(scene.prompt())
    scene.rank(leo, "abcd")
    with pytest.raises(dataset.DatasetError, match="groups, pairs, ratings, prompts, not as 'sft'"):
        dataset.rows(scene.freeze(), "sft")


def test_rows_come_a_chunk_at_a_time(scene, leo, monkeypatch):
    for at in range(6):
        scene.rank_task(scene.prompt(str(at)))
        scene.rank(leo, "abcd")
    frozen = scene.freeze()
    monkeypatch.setattr(dataset, "CHUNK", 2)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        reading = dataset.rows(frozen)
        fetched = []
        for _ in range(6):
            next(reading)
            fetched.append(sum("labeling_candidate" in query["sql"] for query in queries))
    assert fetched == [1, 1, 2, 2, 3, 3]

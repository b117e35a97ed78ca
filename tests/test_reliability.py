"""Who is right how often, who does not judge, and what comes of bad or scarce labels."""

import json
import math
import warnings

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st
from test_agreement import csv_of

from labeling.quality import dawid_skene, habits, reliability
from labeling.quality.labels import Labels
from labeling.quality.suspicion import KINDS


def crew(accuracies, *, items=400, each=None, classes=2, seed=1, shares=None):
    """Labels by people with these accuracies, whose errors are even, and the truth."""
    rng = np.random.default_rng(seed)
    people = len(accuracies)
    truth = rng.choice(classes, items, p=shares)
    item, labeler = np.divmod(np.arange(items * people), people)
    if each:
        chosen = rng.random((items, people)).argsort(1).argsort(1).ravel() < each
        item, labeler = item[chosen], labeler[chosen]
    right = rng.random(len(item)) < np.array(accuracies)[labeler]
    slip = (truth[item] + rng.integers(1, max(2, classes), len(item))) % classes
    label = np.where(right, truth[item], slip)
    return Labels(item, labeler, label, range(items), range(people), range(classes)), truth


def fitted(labels, form="full", **options):
    return dawid_skene.fit(
        labels.item,
        labels.labeler,
        labels.label,
        items=len(labels.items),
        labelers=len(labels.labelers),
        classes=len(labels.values),
        form=form,
        **options,
    )


ACCURACIES = [0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6]


@pytest.mark.parametrize("form", ["full", "pair"])
@pytest.mark.parametrize("classes", [2, 4])
def test_accuracies_are_found(form, classes):
    labels, truth = crew(ACCURACIES, classes=classes, items=1000)
    found = fitted(labels, form)
    assert np.abs(found.accuracy - ACCURACIES).max() < 0.05
    assert (found.posterior.argmax(1) == truth).mean() > 0.95
    assert np.all((found.low < found.accuracy) & (found.accuracy < found.high))


def test_better_than_the_majority():
    """Two good people against three coins: weighing them beats counting them."""
    labels, truth = crew([0.95, 0.95, 0.52, 0.52, 0.52], items=1500)
    votes = np.bincount(labels.item, labels.label)
    majority = (votes > 2.5).astype(int)
    posterior = fitted(labels, "pair").posterior.argmax(1)
    assert (posterior == truth).mean() > (majority == truth).mean() + 0.05


def test_a_confusion_matrix_is_found():
    """Somebody who never says 2, and calls it 1."""
    labels, truth = crew([0.85] * 6, classes=3, items=1500)
    label = np.where((labels.labeler == 0) & (labels.label == 2), 1, labels.label)
    found = fitted(Labels(labels.item, labels.labeler, label, labels.items, labels.labelers, labels.values))
    assert found.confusion[0, 2, 1] > 0.8
    assert found.confusion[1, 2, 2] > 0.8


def test_intervals_cover():
    """Nine in ten intervals of accuracy hold the truth, with three labels an item."""
    rng, held = np.random.default_rng(2), []
    for seed in range(30):
        true = rng.uniform(0.6, 0.92, 12)
        labels, _ = crew(true, items=300, each=4, seed=seed)
        found = fitted(labels, "pair")
        held += ((found.low <= true) & (true <= found.high)).tolist()
    assert 0.88 < np.mean(held) <= 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 50))
def test_neither_order_nor_names_matter(seed):
    labels, _ = crew([0.9, 0.7, 0.8, 0.6], items=60, each=3, classes=3, seed=seed)
    rng = np.random.default_rng(seed)
    order, classes, people = rng.permutation(len(labels)), rng.permutation(3), rng.permutation(4)
    other = Labels(
        labels.item[order],
        people[labels.labeler[order]],
        classes[labels.label[order]],
        labels.items,
        labels.labelers,
        labels.values,
    )
    one, two = fitted(labels), fitted(other)
    assert one.accuracy == pytest.approx(two.accuracy[people], abs=1e-3)
    assert one.posterior == pytest.approx(two.posterior[:, classes], abs=1e-3)


def test_others_leave_the_label_out():
    """What the others say of a label is the posterior of the same accuracies without it."""
    labels, _ = crew([0.9, 0.8, 0.7], items=50)
    found = fitted(labels, "pair")
    others, _ = dawid_skene.others(found, labels.item, labels.labeler, labels.label)
    for at in (0, 7, 149):
        rest = (labels.item == labels.item[at]) & (np.arange(150) != at)
        logs = np.log(found.confusion[labels.labeler[rest], :, labels.label[rest]]).sum(0)
        assert others[at] == pytest.approx(np.exp(logs) / np.exp(logs).sum())


def test_gold_is_believed():
    labels, truth = crew([0.9] * 2 + [0.2] * 5, items=400)
    assert fitted(labels, "pair").accuracy[0] < 0.5
    known = np.where(np.arange(400) < 60, truth, -1)
    found = reliability.measure(reliability.Evidence(labels=labels, form="pair", known=known))
    assert found.fit.accuracy[0] > 0.7 > 0.4 > found.fit.accuracy[-1]
    assert found.gold[0] == pytest.approx((labels.label[labels.labeler == 0] == truth)[:60].mean())


def test_a_reward_model_is_one_more_rater():
    labels, truth = crew([0.72] * 30, items=300, each=3, seed=4)
    rng = np.random.default_rng(4)

    def scores(slope):
        lead = slope * (2 * truth - 1) + 1.5 * rng.normal(size=300)
        return np.stack((-np.log1p(np.exp(lead)), -np.log1p(np.exp(-lead))), 1)

    alone = fitted(labels, "pair").posterior.argmax(1) == truth
    helped = fitted(labels, "pair", rm=scores(1.5))
    assert (helped.posterior.argmax(1) == truth).mean() > alone.mean() + 0.03
    assert helped.rm_weight > 0.5
    assert fitted(labels, "pair", rm=scores(0.0)).rm_weight < 0.35
    assert fitted(labels, "pair", rm=np.full((300, 2), np.nan)).posterior == pytest.approx(
        fitted(labels, "pair").posterior, abs=1e-3
    )


def test_pairs_of_rankings_tell_as_much_of_their_item():
    """A weight says how much a label tells of its labeler; the fit does not fall back to chance with it."""
    labels, truth = crew(np.linspace(0.65, 0.9, 12), items=900, each=3)
    found = fitted(labels, "pair", weight=np.full(len(labels), 0.4))
    assert (found.posterior.argmax(1) == truth).mean() > 0.85
    assert found.accuracy == pytest.approx(fitted(labels, "pair").accuracy, abs=0.05)
    assert np.all(found.high - found.low > (lambda f: f.high - f.low)(fitted(labels, "pair")))


@pytest.fixture(scope="module")
def suspects():
    """Twenty people on pairs, the last six of them spammers, one of each kind and a colluding pair."""
    people, items = 20, 600
    labels, _ = crew(np.linspace(0.65, 0.9, people), items=items, each=5, seed=3)
    rng = np.random.default_rng(3)
    n = len(labels)
    shown_first = rng.integers(0, 2, n)
    longer = rng.integers(0, 2, items)[labels.item]
    lot = rng.integers(0, 2, items)[labels.item]
    label = labels.label.copy()
    for who, chosen in ((15, rng.integers(0, 2, n)), (16, shown_first), (17, longer), (18, lot), (19, lot)):
        label = np.where(labels.labeler == who, chosen, label)
    texts = np.full(people, 6)
    return reliability.Evidence(
        labels=Labels(labels.item, labels.labeler, label, labels.items, labels.labelers, labels.values),
        form="pair",
        first=(label == shown_first).astype(np.int64),
        longest=(label == longer).astype(np.int64),
        seconds=np.where(labels.labeler == 4, 9.0, 60.0) + rng.random(n),
        pasted=np.where(np.arange(people) == 14, 5, 0),
        texts=texts,
    )


def test_each_kind_of_spammer_is_named(suspects):
    found = reliability.measure(suspects)
    named = [KINDS[kind] for kind in found.suspicion.kind[14:]]
    assert named == ["pasted", "random", "first", "longest", "colluding", "colluding"]
    assert found.suspicion.partner[18:].tolist() == [19, 18]
    assert np.all(found.suspicion.probability[14:] > 0.75)
    assert np.all(found.suspicion.probability[:14] < 0.2)
    assert np.all(found.weights[15:] < 0.05)
    assert np.all((found.weights >= 0) & (found.weights <= 1))
    assert np.median(found.weights[:14]) > 0.9
    assert found.pasted[14] == pytest.approx(5 / 6)


def test_habits_are_told(suspects):
    found = reliability.measure(suspects)
    assert found.first.p[16] < 1e-6 < 0.001 < np.min(found.first.p[:14])
    assert found.longest.low[17] > 0.9
    assert found.pace[4] == pytest.approx(9.5 / 60.5, rel=0.02)
    said = reliability.described(found)["labelers"]
    assert "shown first" in said["16"]["says"]
    assert said["18"]["partner"] == "19"
    assert "Labels as 19 does" in said["18"]["says"]
    assert said["4"]["says"].startswith("Labels as well as the others in under a third of the time")
    assert said["0"]["kind"] == "honest"
    json.dumps(said)


def test_honest_crews_are_left_alone():
    """Weak people, long answers that are better, and a good crew: hardly anybody is suspected."""
    doubted = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        labels, truth = crew(rng.uniform(0.66, 0.92, 20), items=200, each=4, seed=seed)
        longer = np.where(rng.random(200) < 0.7, truth, 1 - truth)[labels.item]
        evidence = reliability.Evidence(
            labels=labels, form="pair", longest=(labels.label == longer).astype(np.int64)
        )
        doubted.append((reliability.measure(evidence).suspicion.probability > 0.5).mean())
    assert np.mean(doubted) < 0.04


def test_one_label_always_is_a_habit():
    labels, _ = crew([0.85] * 8, items=300, each=4, classes=3)
    label = np.where(labels.labeler == 0, 2, labels.label)
    evidence = reliability.Evidence(
        labels=Labels(labels.item, labels.labeler, label, labels.items, labels.labelers, labels.values)
    )
    found = reliability.measure(evidence)
    assert KINDS[found.suspicion.kind[0]] == "same"
    assert found.suspicion.probability[0] > 0.9 > 0.1 > found.suspicion.probability[1:].max()


def test_a_scale_read_backwards():
    labels, _ = crew([0.85] * 6 + [0.15], items=200)
    found = reliability.measure(reliability.Evidence(labels=labels, form="pair"))
    assert KINDS[found.suspicion.kind[6]] == "inverted"
    assert found.weights[6] == 0


def test_drift():
    rng = np.random.default_rng(1)
    labeler, at = np.repeat([0, 1], 400), np.tile(np.arange(400.0), 2)
    chance = np.where((labeler == 1) & (at >= 200), 0.5, 0.85)
    agreed = (rng.random(800) < chance).astype(float)
    order = rng.permutation(800)
    change, p = habits.drift(labeler[order], agreed[order], labelers=3, at=at[order])
    assert abs(change[0]) < 0.12
    assert p[0] > 0.01
    assert change[1] < -0.2
    assert p[1] < 1e-6
    assert math.isnan(change[2])


def test_copied():
    model = "One day, a fox found a red kite in the garden. Then a bear came by."
    touched = "One day, a fox found a red kite in the garden. Then an old bear came by!"
    own = "My fox is called Rusty and it never cared for kites at all."
    found = habits.copied(
        [model, touched, own, "", "Yes."], [[own, model], [own, model], [model], [model], ["yes"]]
    )
    assert found[0] == found[4] == 1
    assert 0.5 < found[1] < 1
    assert found[2] == found[3] == 0


def test_the_middle_of_the_others():
    seconds = np.array([10.0, 20.0, 30.0, 40.0, np.nan])
    middle, pace = habits.pace(np.arange(5), seconds, labelers=5)
    assert middle[:4].tolist() == [10, 20, 30, 40]
    assert pace[:4] == pytest.approx([10 / 30, 20 / 30, 30 / 20, 40 / 20])
    assert math.isnan(pace[4])


@pytest.mark.parametrize("form", ["full", "pair"])
@pytest.mark.parametrize(
    "rows",
    [
        [],
        [("x", "ann", 1)],
        [("x", "ann", 1), ("y", "ann", 2)],
        [("x", "ann", 1), ("x", "bob", 1), ("y", "bob", 1)],
        [("x", "ann", 1), ("x", "bob", 2)],
    ],
)
def test_next_to_nothing(form, rows):
    labels = Labels.of(*zip(*rows, strict=True)) if rows else Labels.of([], [], [])
    n, people = len(labels), len(labels.labelers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = reliability.measure(
            reliability.Evidence(
                labels=labels,
                form=form,
                first=np.full(n, -1),
                longest=np.ones(n, np.int64),
                seconds=np.full(n, np.nan),
                pasted=np.zeros(people, np.int64),
                texts=np.zeros(people, np.int64),
            )
        )
        said = reliability.described(found)
    assert all("Too few labels" in one["says"] for one in said["labelers"].values())
    assert all(one["suspicion"] < 0.5 for one in said["labelers"].values())
    json.dumps(said, allow_nan=False)


def test_command(tmp_path, capsys):
    labels, truth = crew([0.95, 0.9, 0.85, 0.8, 0.5], items=300)
    names = ["ann", "bob", "cat", "dan", "eve"]
    rows = [
        (f"i{i}", names[p], "left" if y else "right")
        for i, p, y in zip(labels.item, labels.labeler, labels.label, strict=True)
    ]
    path = csv_of(tmp_path, rows)
    call_command("reliability", "--json", csv=path)
    result = json.loads(capsys.readouterr().out)
    accuracy = {name: one["accuracy"] for name, one in result["labelers"].items()}
    assert sorted(accuracy, key=accuracy.get) == names[::-1]
    assert all(one["low"] < one["accuracy"] < one["high"] for one in result["labelers"].values())
    assert result["labelers"]["eve"]["weight"] < 0.1 < 0.8 < result["labelers"]["ann"]["weight"]
    right = [result["items"][f"i{i}"]["label"] == ("left" if y else "right") for i, y in enumerate(truth)]
    assert np.mean(right) > 0.95
    assert sum(result["items"]["i0"]["posterior"].values()) == pytest.approx(1, abs=1e-3)
    assert {"first", "pasted", "gold"} & {
        name for name, value in result["labelers"]["ann"].items() if value is not None
    } == set()
    call_command("reliability", csv=path)
    assert "Labels hardly better than chance" in capsys.readouterr().out


def test_command_with_all_columns(tmp_path, capsys):
    rng = np.random.default_rng(2)
    labels, truth = crew([0.85, 0.8, 0.8, 0.8, 0.75], items=200)
    rows = []
    for i, p, y in zip(labels.item, labels.labeler, labels.label, strict=True):
        shown = int(rng.random() < 0.5)
        y = shown if p == 4 else y
        rm = 0.8 if y == truth[i] else 0.2
        rows.append((i, f"p{p}", y, int(y == shown), "yes" if y else "no", "" if i % 9 else 30 + p, rm))
    path = csv_of(tmp_path, rows, "item,labeler,label,first_shown,longest,seconds,rm")
    call_command("reliability", "--json", "--pairs", csv=path)
    result = json.loads(capsys.readouterr().out)
    last = result["labelers"]["p4"]
    assert (last["kind"], last["first"], last["seconds"]) == ("first", 1.0, 34.0)
    assert result["rm_weight"] > 0.5
    assert np.mean([result["items"][str(i)]["label"] == y for i, y in enumerate(truth)]) > 0.95


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("first_shown", "2", "row 2, column first_shown: '2' is not 1 "),
        ("longest", "long", "row 2, column longest: 'long' is not 1 "),
        ("seconds", "-1", "row 2, column seconds: '-1' is not a number of seconds"),
        ("seconds", "nan", "row 2, column seconds: 'nan' is not a number of seconds"),
        ("rm", "1.2", "row 2, column rm: '1.2' is not a probability"),
    ],
)
def test_bad_cells(column, cell, words, tmp_path):
    path = csv_of(tmp_path, [("x", "ann", 1, cell)], f"item,labeler,label,{column}")
    with pytest.raises(CommandError) as caught:
        call_command("reliability", csv=path)
    assert str(caught.value).startswith(words)


def test_a_scale_is_no_class(tmp_path):
    path = csv_of(tmp_path, [(n, "ann", n / 7) for n in range(101)])
    with pytest.raises(CommandError, match="column label: 101 different labels are too many"):
        call_command("reliability", csv=path)

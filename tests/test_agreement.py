"""Agreement: published figures, other people's code as oracle, and what must not change anything."""

import io
import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError, call_command
from evalica import alpha as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from labeling.quality import agreement, labelfile, rankings
from labeling.quality.labels import Labels, pairs_within

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# A cell is a label 0–4 or nobody's.
TABLES = st.integers(1, 12).flatmap(
    lambda items: st.lists(
        st.lists(st.sampled_from([None, 0, 1, 2, 4]), min_size=items, max_size=items), min_size=2, max_size=5
    )
)


def shared(path):
    if not (DATA / path).exists():
        pytest.skip(f"shared/data/{path} is not here")
    return (DATA / path).read_text(encoding="utf-8")


def labels_of(table):
    rows = [
        (item, labeler, value)
        for labeler, row in enumerate(table)
        for item, value in enumerate(row)
        if value is not None
    ]
    return Labels.of(*zip(*rows, strict=True)) if rows else Labels.of([], [], [])


@pytest.fixture(scope="module")
def pandalm():
    rows = json.loads(shared("pandalm/testset-v1.json"))
    return [(row["idx"], at, row[f"annotator{at}"]) for row in rows for at in (1, 2, 3)]


@pytest.fixture(scope="module")
def squality():
    """(item, worker, system, ratings and ranks) of every review."""
    found = []
    for line in shared("squality-human-eval/all-responses.jsonl").splitlines():
        passage = json.loads(line)
        for number, question in passage["questions"].items():
            for system in ("bart", "bart-dpr", "human"):
                for review in question[system]["reviews"]:
                    found.append((f"{passage['passage-id']}.{number}", review["worker_id"], system, review))
    return found


def test_published_kappas(pandalm):
    labels = Labels.of(*zip(*pandalm, strict=True))
    found = agreement.measure(labels)
    kappas = [round(each, 3) for each in agreement.cohen(labels).values()]
    assert kappas == [0.852, 0.879, 0.862]
    assert (round(found.fleiss, 4), found.unanimous, found.shared) == (0.8642, 879, 999)
    assert found.low < found.alpha < found.high
    assert "see the same thing" in found.says


@pytest.mark.parametrize("axis", ["correctness", "selection", "overall"])
def test_four_workers_on_three_axes(squality, axis):
    names = sorted({(item, system) for item, _, system, _ in squality})
    number = {name: at for at, name in enumerate(names)}
    units = [number[item, system] for item, _, system, _ in squality]
    workers = [worker for _, worker, _, _ in squality]
    ratings = Labels.of(units, workers, [review[f"{axis}-rating"] for *_, review in squality])
    assert (len(ratings), len(ratings.labelers), len(ratings.items)) == (900, 4, 300)
    for level in ("ordinal", "interval"):
        found = agreement.measure(ratings, level=level)
        assert found.alpha == pytest.approx(evalica_alpha(ratings, level), abs=1e-9)
        assert 0.2 < found.low < found.alpha < found.high < 1
    item = np.unique([item for item, *_ in squality], return_inverse=True)[1]
    place = np.array([review[f"{axis}-rank"] for *_, review in squality])
    pairs = rankings.expand(item, ratings.labeler, np.array(units), place)
    assert len(pairs.unit) == 900
    assert 0.3 < rankings.measure(pairs).alpha < rankings.measure(pairs).raw
    taus = [
        kendalltau(place[one], place[other]).statistic
        for each in range(100)
        for one, other in combinations_of(item == each, ratings.labeler, np.array(units))
    ]
    assert rankings.mean_tau_b(pairs) == pytest.approx(np.nanmean(taus))


def combinations_of(chosen, labeler, unit):
    """Rows of every two labelers of an item, in the order of what they ranked."""
    people = np.unique(labeler[chosen])
    rows = [np.flatnonzero(chosen & (labeler == who)) for who in people]
    rows = [each[np.argsort(unit[each])] for each in rows]
    return [(rows[a], rows[b]) for a in range(len(rows)) for b in range(a + 1, len(rows))]


def evalica_alpha(labels, level):
    table = np.full((len(labels.labelers), len(labels.items)), np.nan)
    table[labels.labeler, labels.item] = np.asarray(labels.values, float)[labels.label]
    return oracle(pd.DataFrame(table), distance=level).alpha


@pytest.mark.parametrize("level", agreement.LEVELS)
@settings(max_examples=60, deadline=None)
@given(table=TABLES)
def test_alpha_is_evalicas(level, table):
    labels = labels_of(table)
    found = agreement.measure(labels, level=level).alpha
    if not math.isnan(found):
        assert found == pytest.approx(evalica_alpha(labels, level), abs=1e-9)


@pytest.mark.parametrize("level", agreement.LEVELS)
@settings(max_examples=40, deadline=None)
@given(table=TABLES, seed=st.integers(0, 99))
def test_neither_order_nor_names_matter(level, table, seed):
    labels = labels_of(table)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    people, items = rng.permutation(len(labels.labelers)), rng.permutation(len(labels.items))
    other = Labels(
        items[labels.item[order]] if len(items) else labels.item,
        people[labels.labeler[order]] if len(people) else labels.labeler,
        labels.label[order],
        labels.items,
        labels.labelers,
        labels.values,
    )
    one, two = agreement.measure(labels, level=level), agreement.measure(other, level=level)
    for name in ("raw", "fleiss", "alpha", "unanimous", "shared"):
        assert getattr(one, name) == pytest.approx(getattr(two, name), nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(table=TABLES, order=st.permutations([0, 1, 2, 3]))
def test_names_of_classes_do_not_matter(table, order):
    names = dict(zip((0, 1, 2, 4), order, strict=True))
    renamed = [[None if cell is None else names[cell] for cell in row] for row in table]
    one, two = agreement.measure(labels_of(table)), agreement.measure(labels_of(renamed))
    assert (one.alpha, one.fleiss) == pytest.approx((two.alpha, two.fleiss), nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(table=TABLES)
def test_whole_agreement_is_one(table):
    same = [list(table[0]) for _ in table]
    found = agreement.measure(labels_of(same))
    assert math.isnan(found.alpha) or found.alpha == pytest.approx(1)
    assert found.unanimous == found.shared


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no labels yet"),
        ([(1, "a", 1)], "one person's"),
        ([(1, "a", 1), (2, "a", 2)], "one person's"),
        ([(1, "a", 1), (2, "b", 2)], "No item has two labels"),
        ([(1, "a", 1), (1, "b", 1)], "is the same"),
        ([(1, "a", 1), (1, "b", 2)], "Too few labels to say: about"),
        ([(n, who, n % 2) for n in range(5) for who in "ab"], "Too few labels to say: about 30 more"),
    ],
)
@pytest.mark.parametrize("level", agreement.LEVELS)
def test_next_to_nothing(rows, words, level):
    labels = Labels.of(*zip(*rows, strict=True)) if rows else Labels.of([], [], [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = agreement.measure(labels, level=level)
        kappas = agreement.cohen(labels)
    assert words in found.says
    assert all(math.isnan(each) or -1 <= each <= 1 for each in kappas.values())


@pytest.mark.parametrize(
    ("noise", "words"),
    [(0.0, "same thing"), (0.15, "some doubt"), (0.35, "usual"), (0.45, "weak"), (0.8, "hardly better")],
)
def test_what_it_means(noise, words):
    rng = np.random.default_rng(3)
    truth = np.repeat(rng.integers(0, 2, 2000), 2)
    label = np.where(rng.random(4000) < noise / 2, 1 - truth, truth)
    labels = Labels.of(np.repeat(np.arange(2000), 2), np.tile([0, 1], 2000), label)
    assert words in agreement.measure(labels).says


def test_fleiss_by_hand_with_unequal_numbers():
    labels = Labels.of([0, 0, 1, 1, 1, 2], list("ababca"), list("xxxyyx"))
    # Items agree on 1 and on 1/3 of their pairs; of the five labels three are x.
    by_chance = (3 / 5) ** 2 + (2 / 5) ** 2
    expected = ((1 + 1 / 3) / 2 - by_chance) / (1 - by_chance)
    found = agreement.measure(labels)
    assert found.fleiss == pytest.approx(expected)
    assert found.raw == pytest.approx(2 / 4)


def test_the_interval_covers():
    """The true alpha of labels that agree by construction lies in nine of ten intervals or more."""
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(60):
        truth = np.repeat(rng.integers(0, 3, 150), 3)
        kept = rng.random(450) < math.sqrt(0.5)
        labels = Labels.of(
            np.repeat(np.arange(150), 3),
            np.tile(range(3), 150),
            np.where(kept, truth, rng.integers(0, 3, 450)),
        )
        found = agreement.measure(labels, seed=seed)
        hits += found.low <= 0.5 <= found.high
    assert hits >= 52


def test_clusters_widen_the_interval():
    rng = np.random.default_rng(1)
    item = np.repeat(np.arange(400), 2)
    hard = np.repeat(rng.random(40) < 0.5, 20)
    label = np.where(hard, rng.integers(0, 2, 800), np.repeat(rng.integers(0, 2, 400), 2))
    labels = Labels.of(item, np.tile([0, 1], 400), label)
    alone = agreement.measure(labels)
    together = agreement.measure(labels, cluster=np.arange(400) // 10)
    assert together.alpha == alone.alpha
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


@settings(max_examples=60, deadline=None)
@given(places=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=7))
def test_tau_b_is_scipys(places):
    one, other = np.array(places, float).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = kendalltau(one, other).statistic
    assert float(rankings.tau_b(one, other)) == pytest.approx(expected, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(
    places=st.integers(2, 5).flatmap(
        lambda k: st.lists(st.lists(st.integers(1, 3), min_size=k, max_size=k), min_size=2, max_size=4)
    )
)
def test_concordance_is_that_of_mean_ranks(places):
    table = np.array(places)
    raters, k = table.shape
    pairs = rankings.expand(
        np.zeros(raters * k, np.int64),
        np.repeat(np.arange(raters), k),
        np.tile(np.arange(k), raters),
        table.ravel(),
    )
    ranks = np.array([pd.Series(row).rank() for row in places])
    ties = sum(count**3 - count for row in places for count in np.unique(row, return_counts=True)[1])
    above = 12 * np.square(ranks.sum(0) - ranks.sum(0).mean()).sum()
    below = raters**2 * (k**3 - k) - raters * ties
    assert rankings.concordance(pairs)[0] == pytest.approx(above / below if below else np.nan, nan_ok=True)


def test_rankings_do_not_depend_on_which_answer_comes_first():
    """Everybody prefers the answer with the lower number: that is agreement, not a class too common."""
    item = np.repeat(np.arange(60), 4)
    labeler = np.tile([0, 0, 1, 1], 60)
    candidate = np.tile([0, 1, 0, 1], 60) + 2 * item
    pairs = rankings.expand(item, labeler, candidate, np.tile([1, 2, 1, 2], 60))
    assert rankings.measure(pairs).alpha == 1
    assert rankings.mean_tau_b(pairs) == 1


def test_no_rankings():
    none = np.empty(0, np.int64)
    pairs = rankings.expand(none, none, none, none)
    assert math.isnan(rankings.mean_tau_b(pairs))
    assert rankings.measure(pairs).says == "There are no labels yet."
    assert rankings.concordance(pairs).size == 0


@settings(max_examples=40, deadline=None)
@given(group=st.lists(st.integers(0, 3), max_size=12))
def test_pairs_within(group):
    one, other = pairs_within(np.array(group, np.int64))
    found = {tuple(sorted(pair)) for pair in zip(one.tolist(), other.tolist(), strict=True)}
    expected = {(a, b) for b in range(len(group)) for a in range(b) if group[a] == group[b]}
    assert found == expected
    assert len(one) == len(expected)


def test_a_million_labels_in_one_go():
    rng = np.random.default_rng(0)
    item = np.repeat(np.arange(250_000), 4)
    truth = rng.integers(0, 5, 250_000)[item]
    label = np.where(rng.random(1_000_000) < 0.8, truth, rng.integers(0, 5, 1_000_000))
    labels = Labels(item, rng.integers(0, 300, 1_000_000), label, range(250_000), range(300), range(5))
    found = agreement.measure(labels, level="ordinal")
    assert found.alpha == pytest.approx(0.64, abs=0.01)
    assert found.high - found.low < 0.01


def csv_of(tmp_path, rows, header="item,labeler,label"):
    path = tmp_path / "labels.csv"
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


def test_command(pandalm, tmp_path, capsys):
    path = csv_of(tmp_path, pandalm)
    call_command("agreement", "--json", csv=path)
    result = json.loads(capsys.readouterr().out)
    assert {name: round(value, 3) for name, value in result["cohen"].items()} == {
        "1|2": 0.852,
        "1|3": 0.879,
        "2|3": 0.862,
    }
    assert (result["fleiss"], result["unanimous"]) == (0.8642, 879)
    assert (result["items"], result["labels"], result["labelers"]) == (999, 2997, 3)
    assert result["alpha_low"] < result["alpha"] < result["alpha_high"]
    call_command("agreement", csv=path)
    assert "Cohen 1|2: 0.852" in capsys.readouterr().out


def test_command_says_null_where_it_cannot_tell(tmp_path, capsys):
    call_command("agreement", "--json", csv=csv_of(tmp_path, [("x", "ann", 1)]))
    result = json.loads(capsys.readouterr().out)
    assert (result["raw"], result["alpha"], result["fleiss"], result["cohen"]) == (None, None, None, {})
    assert "one person's" in result["says"]


@pytest.mark.parametrize("name", ["agreement", "reliability"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "file: The file is empty"),
        (b"item,labeler\n1,2\n", "column label: There is no such column; there are: item, labeler"),
        (b"item,labeler,label,label\n", "column label: The header names it twice"),
        (b"item,labeler,label\n", "file: There are no labels in it"),
        (b"item,labeler,label\n1,a,\n", "row 2, column label: The cell is empty"),
        (b"item,labeler,label\n1,a\n", "row 2: 2 cells where the header names 3"),
        (b"item,labeler,label\n1,a,x\n\n2,a,x\n1,a,y\n", "row 5: a labeled item 1 in row 2 already"),
        (b"item,labeler,label\n1,\xe9,x\n", "row 2: Not UTF-8 at byte 3"),
        (b'item,labeler,label\n1,a,"x\n', "row 2: Not CSV"),
        ("item,labeler,label\n".encode("utf-16"), "file: It is UTF-16"),
    ],
)
def test_bad_files(name, content, words, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(CommandError) as caught:
        call_command(name, csv=path)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)
    assert caught.value.returncode == 1


def test_bad_levels(tmp_path):
    path = csv_of(tmp_path, [(1, "a", 3), (2, "a", "good"), (1, "b", 2)])
    with pytest.raises(CommandError, match="--level: 'ratio' is none of nominal, ordinal, interval"):
        call_command("agreement", csv=path, level="ratio")
    with pytest.raises(CommandError, match="row 3, column label: 'good' is no number"):
        call_command("agreement", csv=path, level="ordinal")
    with pytest.raises(CommandError, match="labels.csv.*No such file"):
        call_command("agreement", csv=tmp_path / "nowhere" / "labels.csv")


def test_numbers_are_read_as_numbers():
    rows = b"\xef\xbb\xbfitem,labeler,label\nx10,b,10\nx9,b,9\nx9,a,9.0\n"
    read = labelfile.read(io.BytesIO(rows))
    assert list(read.labels.values) == [9, 10]
    assert list(read.labels.items) == ["x10", "x9"]
    assert read.labels.label.tolist() == [1, 0, 0]
    assert read.numeric

"""Ranked pairs over rankings with ties, and where one more label tells most."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.quality import consensus

PLACES = st.integers(2, 5).flatmap(
    lambda k: st.lists(st.lists(st.integers(1, 3), min_size=k, max_size=k), min_size=1, max_size=6)
)


def tiers(*rows, weight=None):
    return consensus.ranked_pairs(np.array(rows, float), weight=weight)


def test_all_alike():
    assert tiers([2, 1, 3], [2, 1, 3]) == [[1], [0], [2]]
    assert tiers([1, 1, 2]) == [[0, 1], [2]]


def test_a_circle_breaks_at_its_weakest():
    """Nine voters: a over b by 5, b over c by 3, c over a by 1; the last is not locked."""
    rows = [[1, 2, 3]] * 4 + [[3, 1, 2]] * 2 + [[2, 3, 1]] * 3
    lead = consensus.margins(np.array(rows, float))
    assert (lead[0, 1], lead[1, 2], lead[2, 0]) == (5, 3, 1)
    assert tiers(*rows) == [[0], [1], [2]]


def test_an_even_circle_is_a_tie():
    assert tiers([1, 2, 3], [3, 1, 2], [2, 3, 1]) == [[0, 1, 2]]


def test_tennessee():
    """Tideman's own kind of example: Nashville beats every other city by a majority."""
    shares = np.array([0.42, 0.26, 0.15, 0.17])
    memphis, nashville, chattanooga, knoxville = range(4)
    rows = [[1, 2, 3, 4], [4, 1, 2, 3], [4, 3, 1, 2], [4, 3, 2, 1]]
    assert tiers(*rows, weight=shares) == [[nashville], [chattanooga], [knoxville], [memphis]]


def test_weights_count_for_voters():
    assert tiers([1, 2], [1, 2], [2, 1], weight=np.array([0.3, 0.3, 1.0])) == [[1], [0]]
    assert tiers([1, 2], [2, 1]) == [[0, 1]]


def test_what_nobody_placed():
    assert tiers([1, np.nan], [1, np.nan]) == [[0, 1]]
    assert consensus.ranked_pairs(np.empty((0, 3))) == [[0, 1, 2]]


@settings(max_examples=80, deadline=None)
@given(places=PLACES, seed=st.integers(0, 99))
def test_neither_order_nor_numbers_matter(places, seed):
    table = np.array(places, float)
    rng = np.random.default_rng(seed)
    order = rng.permutation(table.shape[1])
    shuffled = consensus.ranked_pairs(rng.permutation(table)[:, order])
    back = [sorted(int(order[at]) for at in tier) for tier in shuffled]
    assert back == consensus.ranked_pairs(table)


@settings(max_examples=80, deadline=None)
@given(places=PLACES)
def test_who_beats_everybody_is_first(places):
    table = np.array(places, float)
    lead = consensus.margins(table)
    winners = [
        at for at in range(len(lead)) if all(lead[at, other] > 0 for other in range(len(lead)) if other != at)
    ]
    found = consensus.ranked_pairs(table)
    assert sorted(sum(found, [])) == list(range(table.shape[1]))
    if winners:
        assert found[0] == winners


def test_disputes_come_first():
    posterior = np.array([[0.99, 0.01], [0.5, 0.5], [0.7, 0.3], [1.0, 0.0]])
    confusion = np.array([[0.8, 0.2], [0.2, 0.8]])
    assert consensus.disputes(posterior, confusion).tolist() == [1, 2, 0]
    assert consensus.disputes(posterior, confusion, most=1).tolist() == [1]
    assert consensus.disputes(np.empty((0, 2)), confusion).tolist() == []


def test_what_a_label_tells():
    posterior = np.array([[0.5, 0.5]])
    assert consensus.entropy(posterior) == pytest.approx([1])
    assert consensus.information_gain(posterior, np.eye(2)) == pytest.approx([1])
    assert consensus.information_gain(posterior, np.full((2, 2), 0.5)) == pytest.approx([0])
    noisy = 1 + 0.8 * np.log2(0.8) + 0.2 * np.log2(0.2)
    confusion = np.array([[0.8, 0.2], [0.2, 0.8]])
    assert consensus.information_gain(posterior, confusion) == pytest.approx([noisy])


def test_classes_nobody_can_tell_apart_are_not_worth_a_label():
    """0 or 1 is open, but this labeler takes one for the other; 0 or 2 they can tell."""
    confusion = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    posterior = np.array([[0.5, 0.5, 0.0], [0.6, 0.0, 0.4]])
    assert consensus.disputes(posterior, confusion).tolist() == [1]

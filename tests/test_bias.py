"""What moves a choice besides worth: injected coefficients come back, and errors know of clusters."""

import numpy as np
import pytest
from scipy.stats import t as student

from labeling.quality import bias

POSITION, LENGTH = 0.4, 0.8


def choices(n, *, seed, labelers=200, prompts=2000, spread=0.0):
    """Choices between answers of six models, better ones longer; labelers may differ in taste for place."""
    rng = np.random.default_rng(seed)
    strength = np.linspace(-1, 1, 6)
    one = rng.integers(0, 6, n)
    other = (one + rng.integers(1, 6, n)) % 6
    position = rng.choice([-1.0, 1.0], n)
    length = 0.5 * (strength[one] - strength[other]) + 0.7 * rng.normal(size=n)
    bold = rng.normal(size=n)
    labeler, prompt = rng.integers(0, labelers, n), rng.integers(0, prompts, n)
    own = POSITION + spread * rng.normal(size=labelers)[labeler]
    logit = strength[one] - strength[other] + own * position + LENGTH * length
    won = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    return {
        "outcome": won,
        "differences": np.stack((position, length, bold), 1),
        "names": ("position", "length", "bold"),
        "labeler": labeler,
        "prompt": prompt,
        "model": (one, other),
    }


@pytest.mark.parametrize("seed", range(5))
def test_injected_coefficients_come_back(seed):
    """Within a tenth. Of 60,000 choices the standard errors are .010 and .014: four of them are a tenth."""
    found = bias.effects(**choices(60_000, seed=seed))
    assert found.estimate[0] == pytest.approx(POSITION, rel=0.1)
    assert found.estimate[1] == pytest.approx(LENGTH, rel=0.1)
    assert abs(found.estimate[2]) < 0.04
    assert found.p[0] < 1e-9


def test_the_models_strengths_are_not_length():
    """Better models write longer here: without them, the taste for length comes out too large."""
    told = choices(20_000, seed=7)
    without = bias.effects(**{**told, "model": None})
    assert without.estimate[1] > LENGTH * 1.2
    assert bias.effects(**told).estimate[1] == pytest.approx(LENGTH, rel=0.1)


def test_ties_are_left_out():
    told = choices(20_000, seed=3)
    rng = np.random.default_rng(3)
    told["outcome"] = np.where(rng.random(20_000) < 0.3, 0.5, told["outcome"])
    found = bias.effects(**told)
    assert found.n == (told["outcome"] != 0.5).sum()
    assert found.estimate[0] == pytest.approx(POSITION, rel=0.15)


def test_errors_know_of_labelers():
    """Where labelers differ, 30 of them say less than their 4,000 choices: clustered errors know it."""
    held = []
    for seed in range(40):
        told = choices(4000, seed=seed, labelers=30, spread=0.6)
        found = bias.effects(**told)
        alone = bias.effects(**{**told, "labeler": np.arange(4000), "prompt": np.arange(4000)})
        held.append((found.estimate[0], found.error[0], alone.error[0]))
    estimates, errors, alone = np.array(held).T
    assert np.mean(errors) == pytest.approx(np.std(estimates), rel=0.3)
    assert np.mean(alone) < 0.5 * np.std(estimates)


def test_no_effect_is_found_where_there_is_none():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(200):
        x = rng.normal(size=(400, 1))
        won = rng.integers(0, 2, 400).astype(float)
        labeler, prompt = rng.integers(0, 60, 400), rng.integers(0, 90, 400)
        p.append(bias.effects(outcome=won, differences=x, names=["x"], labeler=labeler, prompt=prompt).p[0])
    assert 0.01 < np.mean(np.array(p) < 0.05) < 0.1


def test_few_labelers_are_believed_less():
    """Eight people with habits of their own: no lean of all is found more often than it should."""
    p = []
    for seed in range(100):
        told = choices(1000, seed=seed, labelers=8, spread=0.6)
        found = bias.effects(**told)
        p.append(found.p[2])
        assert found.freedom == 7
        t = found.estimate[2] / found.error[2]
        assert found.p[2] == pytest.approx(2 * student.sf(abs(t), 7), rel=0.03, abs=1e-4)
        assert found.high[2] - found.estimate[2] == pytest.approx(
            student.ppf(0.975, 7) * found.error[2], rel=0.01
        )
    assert np.mean(np.array(p) < 0.05) < 0.12


@pytest.mark.parametrize("n", [0, 1, 2])
def test_next_to_nothing(n):
    found = bias.effects(
        outcome=np.ones(n),
        differences=np.ones((n, 2)),
        names=("position", "length"),
        labeler=np.zeros(n, np.int64),
        prompt=np.zeros(n, np.int64),
    )
    assert np.isfinite(found.estimate).all()
    assert found.n == n


def test_what_never_varies_has_no_effect():
    told = choices(500, seed=1)
    told["differences"][:, 2] = 0
    found = bias.effects(**told)
    assert found.estimate[2] == 0
    assert np.isnan(found.error[2])
    assert found.p[2] == 1


def test_arrays_must_match():
    with pytest.raises(ValueError, match="one row each"):
        bias.effects(**{**choices(10, seed=1), "outcome": np.ones(9)})


def test_formatting():
    text = "# Title\n\n- one\n- two\n1. three\n\n**bold** and `code`\n```\nx\n```\n"
    lists, headings, bold, code = np.expm1(bias.formatting([text, "plain"]))[0]
    assert (round(lists), round(headings), round(bold), round(code)) == (3, 1, 1, 3)
    assert bias.formatting(["plain"]).tolist() == [[0, 0, 0, 0]]
    assert bias.formatting([]).shape == (0, 4)
    assert bias.log_length(["", "abc"]) == pytest.approx([0, np.log(4)])


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model made by OpenAI, I cannot say.",
        "I am Claude, and I like it.",
        "Hello! I'm ChatGPT.",
        "As a large language model, I have no taste.",
        "I was trained by Anthropic to help.",
        "I'm an AI assistant.",
        "My name is Gemini.",
    ],
)
def test_an_answer_that_names_itself(text):
    assert bias.names_itself(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Claude Monet painted lilies.",
        '"I am Claude Monet," he said.',
        "Compare GPT-4 with Claude on this task.",
        "An AI is a machine.",
        "As an airline pilot, I was made by training.",
        "I was made to wait.",
        "OpenAI was founded in 2015.",
    ],
)
def test_an_answer_about_something_else(text):
    assert bias.names_itself(text) == []


def test_names_of_ones_own():
    assert bias.names_itself("I am Pocket-1.", names=["Pocket-1"]) == ["I am Pocket-1"]
    assert bias.names_itself("I am Claude.", names=[]) == []

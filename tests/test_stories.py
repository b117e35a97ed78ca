"""The grammar, the tastes and the simulated labelers' noise."""

import math
import random
from itertools import combinations

import pytest

from labeling.simulated import taste
from models_zoo import generate, load, stories
from tests.runs import SFT, messages


def test_split_reserves_pairs():
    held, train = stories.pairs("heldout"), stories.pairs("train")
    assert 0.12 <= len(held) / 144 <= 0.18
    assert len(set(held) | set(train)) == 144
    assert {animal for animal, _ in held} == set(stories.ANIMALS)
    assert {thing for _, thing in held} == set(stories.THINGS)


def test_training_never_asks_for_a_heldout_pair():
    rng = random.Random(3)
    asked = [stories.demonstration(rng).prompt for _ in range(6000)]
    assert {stories.split(p.animal, p.thing) for p in asked} == {"train"}
    assert len({p.text for p in asked}) == len(stories.prompts("train")) == 484


def test_same_seed_same_text():
    first, second = (stories.document(random.Random(9)) for _ in range(2))
    assert first == second
    assert stories.document(random.Random(10)) != first


def test_demonstration_is_about_what_was_asked():
    rng = random.Random(1)
    for where in ("train", "heldout"):
        for _ in range(200):
            shown = stories.demonstration(rng, where)
            assert taste.on_topic(shown.story, (shown.prompt.animal, shown.prompt.thing))


@pytest.mark.parametrize("tone", stories.TONES)
def test_tone_shows_in_the_ending(tone):
    rng = random.Random(2)
    shown = taste.endings(stories.story(rng, "fox", "kite", tone) for _ in range(100))
    assert shown == {"happy": float(tone == "kind"), "sad": float(tone == "mean")}


def test_kind_and_gloomy_are_opposed():
    rng = random.Random(4)
    nice, nasty = (stories.story(rng, "fox", "kite", tone) for tone in ("kind", "mean"))
    words = ("fox", "kite")
    assert taste.gold(nice, taste="kind", words=words) > 4 > 0 > taste.gold(nasty, taste="kind", words=words)
    assert (
        taste.gold(nasty, taste="gloomy", words=words) > 4 > 0 > taste.gold(nice, taste="gloomy", words=words)
    )


def test_brief_likes_short_but_not_empty():
    words = ("fox", "kite")
    short = "Once a shy fox had a red kite. Then it was time for dinner and bed."
    assert taste.gold(short, taste="brief", words=words) > taste.gold(short * 3, taste="brief", words=words)
    assert taste.gold("A fox.", taste="brief", words=words) == -4


def test_gold_minds_repetition_topic_and_end():
    text = "Once a shy fox had a red kite. The fox was happy and hugged the owl."
    best = taste.gold(text, taste="kind", words=("fox", "kite"))
    assert taste.gold(text, taste="kind", words=("fox", "drum")) == best - 1
    assert taste.gold(text, taste="kind", words=("fox", "kite"), finished=False) == best - 2
    assert taste.gold(f"{text} {text} {text}", taste="kind", words=("fox", "kite")) < best - 2


def test_unknown_taste_is_named():
    with pytest.raises(ValueError, match=r"'sour'.*kind"):
        taste.gold("Once upon a time.", taste="sour", words=("fox", "kite"))


@pytest.mark.parametrize("k", [2, 4, 6])
def test_flips_turn_their_share_of_pairs(k):
    rng, noise = random.Random(5), taste.Noise(beta=1e9, flips=0.08)
    turned = total = 0
    for _ in range(6000):
        order = [place for (place,) in taste.tiers([float(-i) for i in range(k)], noise=noise, rng=rng)]
        turned += sum(a > b for a, b in combinations(order, 2))
        total += k * (k - 1) // 2
    assert turned / total == pytest.approx(0.08, abs=0.01)


@pytest.mark.parametrize(
    ("distance", "beta", "flips"), [(1.0, 0.84, 0.0), (-2.0, 1.5, 0.08), (0.0, 1.5, 0.0)]
)
def test_comparisons_follow_gold_through_the_noise(distance, beta, flips):
    rng, noise = random.Random(7), taste.Noise(beta=beta, flips=flips)
    chosen = [taste.comparison((distance, 0.0), noise=noise, rng=rng) for _ in range(6000)]
    told = [place for place, _ in chosen if place is not None]
    # What is felt is the distance and logistic noise of scale 1 / beta.
    above, below = (1 / (1 + math.exp(beta * (0.5 - side))) for side in (distance, -distance))
    first = (1 - flips) * above + flips * below
    assert told.count(0) / len(chosen) == pytest.approx(first, abs=0.02)
    assert len(told) / len(chosen) == pytest.approx(above + below, abs=0.02)


def test_strength_is_how_far_apart_the_answers_are():
    noise = taste.Noise(beta=1e9, flips=0.0)
    felt = {
        gap: taste.comparison((0.0, gap), noise=noise, rng=random.Random(1)) for gap in (0.2, 1.0, 2.0, 4.0)
    }
    assert list(felt.values()) == [(None, "tie"), (1, "slightly"), (1, "better"), (1, "much")]


def test_paper_labelers_agree_as_in_the_paper():
    rng = random.Random(6)
    asked = [prompt for prompt in stories.prompts("heldout") for _ in range(2)] * 2
    answers = list(
        generate.sample(
            load.causal_lm(SFT),
            load.tokenizer(SFT),
            [messages(prompt) for prompt in asked],
            seeds=range(len(asked)),
            sampling=generate.Sampling(),
            batch_size=184,
        )
    )
    scores = [
        taste.gold(answer.text, taste="kind", words=(prompt.animal, prompt.thing), finished=answer.finished)
        for prompt, answer in zip(asked, answers, strict=True)
    ]
    agreed = matched = told = 0
    for _ in range(60):
        for pair in zip(scores[::2], scores[1::2], strict=True):
            first, second = (taste.tiers(pair, noise=taste.NOISE["paper"], rng=rng) for _ in range(2))
            agreed += first == second
            if pair[0] != pair[1]:
                told += 1
                matched += first[0] == [int(pair[1] > pair[0])]
    assert agreed / (60 * len(scores) / 2) == pytest.approx(0.726, abs=0.02)
    assert matched / told > 0.77

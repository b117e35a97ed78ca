"""The grouped reward model: its loss, its agreement, and that it learns."""

import json
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F

from models_zoo import load
from rlhf.trainers import agreement, reward
from rlhf.trainers.run_directory import BadRun, RunDirectory, Stopped
from tests.runs import SFT, make_run, rankings, result


def loss(scores, ranks, weight=None, margin=None):
    group = torch.tensor([g for g, own in enumerate(ranks) for _ in own])
    return reward.grouped_loss(
        torch.tensor(scores),
        group=group,
        rank=torch.tensor([rank for own in ranks for rank in own]),
        weight=torch.tensor(weight or [1.0] * len(ranks)),
        margin=torch.tensor(margin or [0.0] * len(ranks)),
    ).item()


def pair(better, worse, margin=0.0):
    return -F.logsigmoid(torch.tensor(better - worse - margin)).item()


def test_grouped_loss_is_that_of_all_pairs():
    scores = [0.3, -1.2, 2.0, 0.7]
    pairs = [pair(scores[a], scores[b]) for a, b in combinations(range(4), 2)]
    assert loss(scores, [[0, 1, 2, 3]]) == pytest.approx(sum(pairs) / 6)


def test_ties_give_no_pair():
    assert loss([1.0, 0.0, 5.0], [[0, 1, 1]]) == pytest.approx((pair(1.0, 0.0) + pair(1.0, 5.0)) / 2)
    assert loss([1.0, 0.0, 3.0, 2.0], [[0, 0], [0, 1]]) == pytest.approx(pair(3.0, 2.0))
    assert loss([1.0, 0.0], [[0, 0]]) == 0


def test_weights_and_margins_count():
    scores, ranks = [1.0, 0.0, 0.5, 2.0], [[0, 1], [0, 1]]
    expected = (3 * pair(1.0, 0.0, 0.5) + pair(0.5, 2.0)) / 4
    assert loss(scores, ranks, weight=[3.0, 1.0], margin=[0.5, 0.0]) == pytest.approx(expected)


def test_agreement_counts_pairs():
    assert agreement.agreement([3.0, 2.0, 1.0], [0, 1, 2]) == (3, 3, 4, 4)
    assert agreement.agreement([1.0, 2.0, 3.0], [0, 1, 2]) == (0, 3, 0, 4)
    assert agreement.agreement([1.0, 1.0, 0.0], [0, 1, 1]) == (1.5, 2, 1, 1)
    assert agreement.agreement([1.0, 2.0], [0, 0]) == (0, 0, 0, 0)


def test_a_sure_pair_weighs_more():
    found = [(name, agreement.agreement([5.0, 1.0, 1.5], [0, 1, 2])) for name in ("a", "b", "b")]
    shares = agreement.intervals(found)
    assert shares["agreement"] == pytest.approx(2 / 3)
    assert shares["weighted_agreement"] == pytest.approx(7.5 / 8)
    assert shares["weighted_agreement_low"] == pytest.approx(7.5 / 8)


def test_interval_by_hand():
    share, low, high = agreement.clustered_interval([6.0, 3.0, 3.0], [6, 6, 6])
    half = 2.76 * ((2**2 + 1 + 1) * 3 / 2) ** 0.5 / 18
    assert (share, low, high) == pytest.approx((12 / 18, 12 / 18 - half, 1.0), abs=1e-3)
    assert agreement.clustered_interval([6.0], [6]) == (1.0, 0.0, 1.0)
    assert agreement.clustered_interval([], []) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("rankings", [5, 15, 50])
def test_interval_covers(rankings):
    """Of random labels, one in twenty is taken for better than chance."""
    generator = torch.Generator().manual_seed(0)
    fooled = 0
    for _ in range(2000):
        right = torch.randint(0, 7, (rankings,), generator=generator).float().tolist()
        fooled += agreement.clustered_interval(right, [6] * rankings)[1] > 0.5
    assert 0.03 < fooled / 2000 < 0.08


def test_folds_keep_a_prompt_together():
    clusters = ["a", "b", "a", "c", "d", "b"]
    folds = agreement.folds_of(clusters, 3)
    assert sorted(sum(folds, [])) == list(range(6))
    for first, second in combinations(folds, 2):
        assert not {clusters[i] for i in first} & {clusters[i] for i in second}
    assert agreement.folds_of(["a", "a"], 5) == []


def test_score_is_read_at_the_end_token():
    tokenizer, model = load.tokenizer(SFT), load.reward_model(SFT)
    ids = [1, 4, 90, 91, 92, tokenizer.eos_token_id]
    with torch.no_grad():
        scores = load.token_scores(model, torch.tensor([ids]), torch.ones(1, 6, dtype=torch.long))
    padded = load.scores(model, [ids, [1, 4, *range(90, 120)]], pad_id=tokenizer.pad_token_id)
    assert padded[0] == pytest.approx(scores[0, -1].item(), abs=1e-5)


def train(folder, rows, **knobs):
    run = make_run(folder, "reward", rows=rows, inputs={"policy": SFT}, normalise_on=32, **knobs)
    with run.lock():
        reward.train(run)
    return run


@pytest.mark.slow
def test_rankings_are_learned(tmp_path):
    run = train(tmp_path / "run", rankings(30), folds=2)
    found = result(run)
    assert found["weighted_agreement_low"] > 0.5
    assert found["agreement_low"] < found["agreement"] < found["agreement_high"]
    assert (found["groups"], found["pairs"]) == (30, 180)
    assert found["accuracy_train"] > 0.7
    kept = json.loads((run.output / "reward.json").read_text())
    assert kept["std"] > 0
    model, tokenizer = load.reward_model(run.output), load.tokenizer(run.output)
    begin = "<s><user>Tell a story about a fox and a kite.<assistant>Once a shy fox had a red kite. "
    nice, nasty = (
        tokenizer(begin + end + "</s>", add_special_tokens=False)["input_ids"]
        for end in ("The fox was happy and hugged the owl.", "The fox went home alone and cried.")
    )
    scores = load.scores(model, [nice, nasty], pad_id=tokenizer.pad_token_id)
    assert scores[0] > scores[1]


@pytest.mark.slow
def test_more_rankings_hold_a_tenth_out(tmp_path, monkeypatch):
    monkeypatch.setattr(reward, "FEW", 15)
    found = result(train(tmp_path / "run", rankings(20), epochs=1))
    assert (found["groups"], found["agreement_by"]) == (2, "held-out labels")


@pytest.mark.slow
def test_adapter_learns_its_head(tmp_path):
    run = train(tmp_path / "run", rankings(6), epochs=2, folds=2, lora_rank=4)
    assert load.reward_model(run.output).score.weight.abs().sum() > 0
    assert not (run.output / "adapter_config.json").exists()


@pytest.mark.slow
def test_stop_and_resume(tmp_path):
    rows = rankings(8)
    small = {"epochs": 1, "folds": 2, "normalise_on": 8}
    run = make_run(tmp_path / "run", "reward", rows=rows, inputs={"policy": SFT}, **small)
    (run.path / "control.json").write_text('{"stop": true}')
    with pytest.raises(Stopped), run.lock():
        reward.train(run)
    (run.path / "control.json").unlink()
    again = RunDirectory(run.path)
    with again.lock():
        reward.train(again)
    assert again.finished
    whole = result(train(tmp_path / "whole", rows, epochs=1, folds=2))
    assert result(again)["agreement"] == whole["agreement"]


@pytest.mark.slow
def test_long_rankings_are_counted(tmp_path):
    rows = rankings(6)
    rows[0]["completions"][0][0]["content"] *= 20
    found = result(train(tmp_path / "run", rows, epochs=1, folds=2))
    assert (found["left_out"], found["groups"]) == (1, 5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ranks": [0, 1]}, "row 2 needs as many whole-number ranks"),
        ({"ranks": [0, 0, 0, 0]}, "no ranking prefers any answer"),
        ({"completions": []}, "row 2 has no completions"),
        ({"prompt": "text"}, "row 2 has no prompt"),
        ({"finished": [True]}, "row 2 needs as many `finished` marks"),
        ({"weight": -1}, "row 2 has a weight"),
    ],
)
def test_broken_ranking_is_named(tmp_path, changes, said):
    good = {
        "prompt": [{"role": "user", "content": "Tell a story."}],
        "completions": [[{"role": "assistant", "content": word}] for word in "abcd"],
        "ranks": [0, 0, 0, 0],
    }
    run = make_run(tmp_path / "run", "reward", rows=[good, {**good, **changes}], inputs={"policy": SFT})
    with pytest.raises(BadRun, match=said), run.lock():
        reward.train(run)

"""PPO: its formulas by hand, a reward it can learn, the pull of the reference, bit-identical resumption."""

import json
import math

import pytest
import torch

from models_zoo import chat, generate, load, store
from rlhf.trainers import ppo, ppo_math, reward, sample
from rlhf.trainers.run_directory import BadRun, RunDirectory, Stopped
from tests.runs import SFT, make_run, metrics, prompts, rankings, result

ONES = torch.ones(1, 3)


def test_masked_mean_and_whitening_by_hand():
    values, mask = torch.tensor([[1.0, 3.0, 9.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    assert ppo_math.masked_mean(values, mask).item() == 2
    assert ppo_math.whiten(values, mask).tolist()[0] == pytest.approx([-1, 1, 0])


def test_score_falls_on_the_last_token():
    kl = torch.tensor([[0.5, -0.2, 0.0]])
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    rewards = ppo_math.token_rewards(kl, torch.tensor([2.0]), mask, coefficient=0.1)
    assert rewards.tolist()[0] == pytest.approx([-0.05, 2.02, 0.0])


def test_kl_counts_answer_tokens_only():
    policy, reference = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-1.5, -1.0]])
    kl = ppo_math.token_kl(policy, reference, torch.tensor([[1.0, 0.0]]))
    assert kl.tolist() == [[0.5, 0.0]]


def test_advantages_by_hand():
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.2, 0.4, 0.5]])
    found, returns = ppo_math.advantages(rewards, values, ONES, discount=0.9, gae_lambda=0.5)
    third = 1 - 0.5
    second = 0.9 * 0.5 - 0.4 + 0.9 * 0.5 * third
    first = 0.9 * 0.4 - 0.2 + 0.9 * 0.5 * second
    assert found.tolist()[0] == pytest.approx([first, second, third])
    assert returns.tolist()[0] == pytest.approx([first + 0.2, second + 0.4, third + 0.5])


def test_advantages_without_discount_are_what_is_left():
    rewards, values = torch.tensor([[1.0, 2.0, 3.0]]), torch.zeros(1, 3)
    found, _ = ppo_math.advantages(rewards, values, ONES, discount=1, gae_lambda=1)
    assert found.tolist() == [[6, 5, 3]]


def test_advantages_end_with_the_answer():
    rewards, values = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[0.5, 0.5, 9.0]])
    found, returns = ppo_math.advantages(
        rewards, values, torch.tensor([[1.0, 1.0, 0.0]]), discount=1, gae_lambda=1
    )
    assert found.tolist() == [[0.5, 0.5, 0]]
    assert returns.tolist() == [[1, 1, 0]]


def test_policy_loss_clips_by_hand():
    old = torch.zeros(1, 4)
    new = torch.tensor([[1.5, 1.5, 0.5, 1.1]]).log()
    advantage = torch.tensor([[1.0, -1.0, -1.0, 1.0]])
    losses, clipped = ppo_math.policy_losses(new, old, advantage, clip=0.2)
    assert losses.tolist()[0] == pytest.approx([-1.2, 1.5, 0.8, -1.1])
    assert clipped.tolist() == [[True, False, True, False]]


def test_value_loss_clips_by_hand():
    new, old, returns = (torch.tensor([[v]]) for v in (1.0, 0.0, 1.0))
    assert ppo_math.value_losses(new, old, returns, clip=0.2).item() == pytest.approx(0.5 * 0.8**2)
    assert ppo_math.value_losses(new, old, returns, clip=0).item() == 0


def test_scores_are_normalised_and_clamped():
    found = ppo_math.answer_scores(
        torch.tensor([3.0, 99.0, 3.0]),
        torch.tensor([True, True, False]),
        mean=1.0,
        std=2.0,
        missing_end=-3.0,
        clip=5.0,
    )
    assert found.tolist() == [1, 5, -3]


def test_penalty_is_steered_to_the_target():
    assert ppo_math.steer(0.1, kl=8, target=4, answers=64, horizon=640) == pytest.approx(0.1 * 1.02)
    assert ppo_math.steer(0.1, kl=1, target=4, answers=64, horizon=640) == pytest.approx(0.1 * 0.98)
    assert ppo_math.steer(0.1, kl=4, target=4, answers=64, horizon=640) == pytest.approx(0.1)


def test_answer_log_probs_are_those_of_the_whole_model():
    model, tokenizer = load.causal_lm(SFT), load.tokenizer(SFT)
    asked = [chat.prompt_ids(tokenizer, row["prompt"]) for row in prompts(5)]
    rolled = generate.rollout(
        model, tokenizer, asked, seeds=range(5), sampling=generate.Sampling(max_new_tokens=9)
    )
    with torch.no_grad():
        found = ppo.answer_log_probs(model, rolled.ids, rolled.mask, rolled.answer, 1.0)
        for row, prompt in enumerate(asked):
            ids = torch.tensor([prompt + rolled.answer[row].tolist()])
            plain = model(input_ids=ids).logits.log_softmax(-1)[0, len(prompt) - 1 : -1]
            expected = plain.gather(-1, rolled.answer[row][:, None])[:, 0]
            assert torch.allclose(found[row], expected, atol=1e-4)


def test_prompts_come_round_evenly():
    seen = [i for update in range(5) for i in ppo.prompts_for(10, update=update, rollouts=4, seed=3)]
    assert sorted(seen) == sorted(list(range(10)) * 2)
    assert seen[:10] != seen[10:]


def articles(texts):
    """A reward a policy can learn: the share of "the" among the words."""
    return [10 * text.lower().split().count("the") / max(1, len(text.split())) for text in texts]


def open_run(folder, **knobs):
    rows, inputs = prompts(40), {"policy": SFT}
    small = {"updates": 8, "rollouts": 32, "kl_stop": 0.0, "learning_rate": 1e-3}
    return make_run(folder, "ppo", rows=rows, inputs=inputs, **{**small, **knobs})


def train(run, score=articles):
    with run.lock():
        ppo.train(run, score=score)
    return run


@pytest.fixture(scope="module")
def free_run(tmp_path_factory):
    """Learns the reward with nothing to hold it back."""
    return train(open_run(tmp_path_factory.mktemp("ppo") / "free", kl=0.0))


@pytest.mark.slow
def test_learnable_reward_rises(free_run):
    run = free_run
    lines = metrics(run)
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert lines[-1]["reward"] > lines[0]["reward"] + 0.4
    assert lines[0]["kl"] == pytest.approx(0, abs=1e-3)
    assert result(run)["kl_per_sequence"] > 0.5
    rolled = [json.loads(line) for line in (run.path / "rollouts.jsonl").read_text().splitlines()]
    assert len(rolled) == 8 * 32
    assert articles([rolled[0]["completion"]]) == pytest.approx([rolled[0]["reward"]])
    assert store.verify(run.output) != store.digest(SFT)


@pytest.mark.slow
def test_large_penalty_stays_near_the_reference(tmp_path, free_run):
    free = result(free_run)
    held = result(train(open_run(tmp_path / "held", kl=5.0)))
    assert held["kl_per_sequence"] < 0.25 * free["kl_per_sequence"]
    assert held["reward_mean"] < free["reward_mean"]


@pytest.mark.slow
def test_resumed_run_is_bit_identical(tmp_path):
    settings = {"updates": 4, "rollouts": 8, "checkpoint_every": 2, "kl_target": 1.0}
    whole = train(open_run(tmp_path / "whole", **settings))
    run = open_run(tmp_path / "run", **settings)
    calls = []

    def dies(texts):
        calls.append(texts)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return articles(texts)

    with pytest.raises(KeyboardInterrupt):
        train(run, dies)
    train(RunDirectory(run.path))
    assert store.digest(run.output) == store.digest(whole.output)
    lines = metrics(run)
    assert [line["n"] for line in lines] == list(range(len(lines)))
    assert lines[3]["superseded_from"] == 2
    figures = [
        [(line["step"], line["reward"], line["kl"]) for line in metrics(each)[-2:]] for each in (run, whole)
    ]
    assert figures[0] == figures[1]
    assert len((run.path / "rollouts.jsonl").read_text().splitlines()) == 4 * 8


def test_stop_keeps_a_checkpoint(tmp_path):
    run = open_run(tmp_path / "run", updates=3, rollouts=4)

    def stop(texts):
        (run.path / "control.json").write_text('{"stop": true, "knobs": {"kl": 0.5}}')
        return articles(texts)

    with pytest.raises(Stopped):
        train(run, stop)
    assert [each.name for each in (run.path / "checkpoints").iterdir()] == ["step-00000001"]
    (run.path / "control.json").write_text('{"knobs": {"kl": 0.5}}')
    train(RunDirectory(run.path))
    assert [line["kl_coefficient"] for line in metrics(run)] == [0.1, 0.5, 0.5]


@pytest.mark.slow
def test_kl_stop_keeps_the_policy_before_it(tmp_path):
    settings = {"kl": 0.0, "kl_stop": 0.1, "learning_rate": 1e-4, "checkpoint_every": 1, "rollouts": 16}
    whole = train(open_run(tmp_path / "whole", **settings))
    found, lines = result(whole), metrics(whole)
    assert found["stopped_by_kl"]
    assert 0 < found["updates"] < 8
    assert found["updates"] == len(lines) - 1
    short = train(open_run(tmp_path / "short", **{**settings, "updates": found["updates"], "kl_stop": 0.0}))
    kept, expected = (load.causal_lm(each.output).state_dict() for each in (whole, short))
    assert all(torch.equal(kept[name], expected[name]) for name in expected)
    assert "above kl_stop" in (whole.path / "log.txt").read_text()
    run = open_run(tmp_path / "run", **settings)

    def dies(texts):
        if (run.path / "checkpoints" / f"step-{len(lines):08}").exists():
            raise KeyboardInterrupt
        return articles(texts)

    with pytest.raises(KeyboardInterrupt):
        train(run, dies)
    train(RunDirectory(run.path))
    assert store.digest(run.output) == store.digest(whole.output)


def test_last_update_is_taken_back_where_it_goes_too_far(tmp_path):
    found = result(train(open_run(tmp_path / "run", updates=1, kl=0.0, kl_stop=0.02, learning_rate=3e-3)))
    assert found["stopped_by_kl"]
    assert found["updates"] == 0
    assert found["kl_per_sequence"] == pytest.approx(0, abs=1e-3)


def test_micro_batches_add_up(tmp_path):
    runs = [
        train(
            open_run(tmp_path / str(size), updates=1, rollouts=8, epochs=1, minibatches=1, micro_batch=size)
        )
        for size in (8, 3)
    ]
    first, second = (load.causal_lm(run.output).state_dict() for run in runs)
    # Adam's first step is the sign of the gradient, so compare against the size of a step.
    apart = max((first[name] - second[name]).abs().mean().item() for name in first)
    assert apart < 3e-4 * 0.05


@pytest.mark.slow
def test_reward_model_steers_the_policy(tmp_path):
    """The way from rankings to answers, short: rank, train the reward model, train the policy, sample it."""
    ranked = make_run(
        tmp_path / "reward", "reward", rows=rankings(20), inputs={"policy": SFT}, folds=2, normalise_on=32
    )
    with ranked.lock():
        reward.train(ranked)
    inputs = {"policy": SFT, "reward_model": ranked.output}
    run = make_run(tmp_path / "ppo", "ppo", rows=prompts(40), inputs=inputs, updates=6, rollouts=32)
    with run.lock():
        ppo.train(run)
    lines = metrics(run)
    assert lines[-1]["reward"] > lines[0]["reward"] + 0.2
    judged = []
    for name, policy in (("before", SFT), ("after", run.output)):
        sampled = make_run(
            tmp_path / name, "sample", rows=prompts(16), inputs={**inputs, "policy": policy}, k=2
        )
        with sampled.lock():
            sample.train(sampled)
        rows = [json.loads(line) for line in (sampled.output / "completions.jsonl").read_text().splitlines()]
        assert [(row["prompt_index"], row["index"]) for row in rows] == [
            (i, k) for i in range(16) for k in range(2)
        ]
        judged.append(sum(row["reward"] for row in rows) / len(rows))
    assert judged[1] > judged[0]
    assert math.isfinite(judged[0])


def test_missing_reward_model_is_named(tmp_path):
    run = open_run(tmp_path / "run")
    with pytest.raises(BadRun, match=r"inputs\.reward_model is missing"):
        train(run, None)
    run.inputs["reward_model"] = {"path": str(SFT)}
    with pytest.raises(BadRun, match=r"inputs\.reward_model: its reward\.json"):
        train(run, None)


def test_row_without_prompt_is_named(tmp_path):
    run = make_run(tmp_path / "run", "ppo", rows=[{"text": "x"}], inputs={"policy": SFT})
    with pytest.raises(BadRun, match="row 1 has no prompt"):
        train(run)

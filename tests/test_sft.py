"""Supervised fine-tuning and pretraining with reduced budgets."""

import json

import pytest
import torch
import torch.nn.functional as F

from models_zoo import generate, load, store
from rlhf.trainers import pocket_stories, pretrain, sft
from rlhf.trainers.run_directory import BadRun, RunDirectory, Stopped
from tests.runs import BASE, SFT, demonstrations, make_run, metrics, result


def open_run(folder, rows, **knobs):
    return make_run(folder, "sft", rows=rows, inputs={"policy": BASE}, **knobs)


def train(run):
    with run.lock():
        sft.train(run)


@pytest.mark.slow
def test_answers_are_learned(tmp_path):
    run = open_run(tmp_path / "run", demonstrations(192), epochs=1, checkpoint_every=5)
    train(run)
    found = result(run)
    assert found["loss_last"] < found["loss_first"] - 0.02
    assert [line["n"] for line in metrics(run)] == list(range(12))
    assert json.loads((run.path / "progress.json").read_text())["step"] == 12
    assert store.verify(run.output) != store.digest(BASE)
    assert json.loads((run.output / "lineage.json").read_text())["knobs"]["epochs"] == 1
    model, tokenizer = load.causal_lm(run.output), load.tokenizer(run.output)
    (answer,) = generate.sample(
        model,
        tokenizer,
        [[{"role": "user", "content": "Tell a story about a fox and a kite."}]],
        seeds=[1],
        sampling=generate.Sampling(),
    )
    assert len(answer.text.split()) > 8


@pytest.mark.slow
def test_same_seed_same_digest(tmp_path):
    runs = [open_run(tmp_path / name, demonstrations(48), epochs=1) for name in "ab"]
    for run in runs:
        train(run)
    first, second = (store.digest(run.output) for run in runs)
    assert first == second


@pytest.mark.slow
def test_stop_and_resume(tmp_path):
    whole = open_run(tmp_path / "whole", demonstrations(96), epochs=1)
    train(whole)
    run = open_run(tmp_path / "run", demonstrations(96), epochs=1)
    (run.path / "control.json").write_text('{"stop": true}')
    with pytest.raises(Stopped):
        train(run)
    assert not run.output.exists()
    (run.path / "control.json").unlink()
    again = RunDirectory(run.path)
    train(again)
    assert [line["step"] for line in metrics(run)] == [1, 2, 3, 4, 5, 6]
    assert store.digest(run.output) == store.digest(whole.output)


@pytest.mark.slow
def test_weights_count(tmp_path):
    rows = demonstrations(64)
    for i, row in enumerate(rows):
        row["weight"] = float(i % 2)
    run = open_run(tmp_path / "run", rows, epochs=1)
    train(run)
    plain = open_run(tmp_path / "plain", demonstrations(64), epochs=1)
    train(plain)
    assert store.digest(run.output) != store.digest(plain.output)


def test_weighted_loss_by_hand():
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[-100, 1, 2], [-100, -100, 3]])
    each = [F.cross_entropy(logits[b, t], labels[b, t + 1]) for b, t in ((0, 0), (0, 1), (1, 1))]
    expected = (2 * each[0] + 2 * each[1] + 0.5 * each[2]) / 4.5
    found = sft.weighted_loss(logits, labels, torch.tensor([2.0, 0.5]))
    assert found.item() == pytest.approx(expected.item())


def test_adapter_is_merged(tmp_path):
    run = open_run(tmp_path / "run", demonstrations(32), epochs=1, lora_rank=4)
    train(run)
    assert not store.is_adapter(run.output)
    assert load.causal_lm(run.output).config.hidden_size == 64
    assert store.digest(run.output) != store.digest(BASE)


def test_adapter_loads_onto_its_base(tmp_path):
    from peft import get_peft_model

    from rlhf.trainers.adapter import lora

    model = get_peft_model(load.causal_lm(SFT), lora(2, task="CAUSAL_LM"))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    model.save_pretrained(tmp_path / "adapter")
    load.tokenizer(SFT).save_pretrained(tmp_path / "adapter")
    named = tmp_path / "adapter" / "adapter_config.json"
    named.write_text(named.read_text().replace(str(SFT), "gone"))
    with pytest.raises(store.BrokenCheckpoint, match="its base model"):
        load.causal_lm(tmp_path / "adapter")
    (tmp_path / "adapter" / "base").symlink_to(SFT)
    ids = torch.tensor([[1, 5, 90, 91]])
    with torch.no_grad():
        expected = model.eval()(input_ids=ids).logits
        found = load.causal_lm(tmp_path / "adapter")(input_ids=ids).logits
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "no messages"}, "row 2 has no messages"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "row 2 ends with the role 'user'"),
        ({"messages": [{"role": "assistant"}]}, "row 2 has a message without role and content"),
        ({"messages": [{"role": "assistant", "content": "hi"}], "weight": -1}, "row 2 has the weight -1"),
    ],
)
def test_broken_row_is_named(tmp_path, row, said):
    run = open_run(tmp_path / "run", [*demonstrations(1), row])
    with pytest.raises(BadRun, match=said):
        train(run)


@pytest.mark.parametrize("short", ["train", "heldout"])
def test_too_little_text_is_told_before_training(tmp_path, short):
    """A whole pretraining would be lost where only the held-out text is too short to measure on."""
    run = make_run(
        tmp_path / "run", "pretrain", rows=[{"text": "Once a fox. " * 99}], inputs={"policy": BASE}
    )
    run.data["heldout"] = "data/heldout.jsonl"
    enough = (run.path / "data" / "train.jsonl").read_text()
    (run.path / "data" / "heldout.jsonl").write_text(enough)
    (run.path / "data" / f"{short}.jsonl").write_text('{"text": "Once."}\n')
    with run.lock(), pytest.raises(BadRun, match=f"data.{short}: too little text"):
        pretrain.train(run)
    assert not (run.path / "metrics.jsonl").exists()


@pytest.mark.slow
def test_default_checkpoints_rebuild(tmp_path):
    """A shorter build of what is shipped, by the same code."""
    small = {"steps": 120, "checkpoint_every": 60}
    base, tuned = pocket_stories.build(
        tmp_path, seed=0, base_knobs=small, sft_knobs={"epochs": 1.0}, documents=400, demonstrations=64
    )
    found = json.loads((tmp_path / "base" / "result.json").read_text())
    assert found["loss_heldout"] < 3 < found["loss_first"]
    pocket_stories.ship(base, tmp_path / "shipped")
    assert (tmp_path / "shipped" / "model.safetensors").stat().st_size < 450_000
    assert store.verify(tmp_path / "shipped")
    assert store.verify(tuned)


@pytest.mark.parametrize("folder", [BASE, SFT])
def test_shipped_checkpoint_is_whole(folder):
    assert store.verify(folder)
    assert sum(p.numel() for p in load.causal_lm(folder).parameters()) < 250_000

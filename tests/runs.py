"""Run directories for the trainers' tests, on the shipped checkpoints."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labeling.simulated import taste
from models_zoo import generate, load, stories
from rlhf.trainers.run_directory import RunDirectory

SHIPPED = Path(__file__).resolve().parents[1] / "models_zoo" / "pocket_stories"
BASE, SFT = SHIPPED / "base", SHIPPED / "sft"


def make_run(
    folder: Path,
    algorithm: str,
    *,
    rows: Sequence[dict],
    inputs: dict[str, Path],
    seed: int = 1,
    **knobs: Any,
) -> RunDirectory:
    """Write a run directory and open it."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {
        "algorithm": algorithm,
        "seed": seed,
        "knobs": knobs,
        "inputs": {role: {"path": str(path)} for role, path in inputs.items()},
        "data": {"train": "data/train.jsonl"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return RunDirectory(folder)


def messages(prompt: stories.Prompt) -> list[dict[str, str]]:
    """The prompt as a conversation."""
    return [{"role": "user", "content": prompt.text}]


def demonstrations(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows for the SFT trainer."""
    rng = random.Random(seed)
    shown = [stories.demonstration(rng) for _ in range(count)]
    return [
        {"messages": [*messages(each.prompt), {"role": "assistant", "content": each.story}]} for each in shown
    ]


def prompts(count: int) -> list[dict[str, Any]]:
    """Rows for PPO and sampling."""
    return [{"prompt": messages(each)} for each in stories.prompts("train")[:count]]


def rankings(count: int, *, k: int = 4, seed: int = 0) -> list[dict[str, Any]]:
    """Rows for the reward trainer: answers of the SFT model, ranked by a careful labeler who likes kind
    stories.
    """
    rng = random.Random(seed)
    asked = rng.sample(stories.prompts("train"), count)
    tokenizer, model = load.tokenizer(SFT), load.causal_lm(SFT)
    answers = list(
        generate.sample(
            model,
            tokenizer,
            [messages(prompt) for prompt in asked for _ in range(k)],
            seeds=[generate.seed_of(seed, i) for i in range(count * k)],
            sampling=generate.Sampling(),
            batch_size=128,
        )
    )
    rows = []
    for i, prompt in enumerate(asked):
        own = answers[i * k : (i + 1) * k]
        words = (prompt.animal, prompt.thing)
        scores = [taste.gold(a.text, taste="kind", words=words, finished=a.finished) for a in own]
        tiers = taste.tiers(scores, noise=taste.NOISE["careful"], rng=rng)
        ranks = [next(level for level, tier in enumerate(tiers) if j in tier) for j in range(k)]
        rows.append(
            {
                "prompt": messages(prompt),
                "completions": [[{"role": "assistant", "content": a.text}] for a in own],
                "ranks": ranks,
                "finished": [a.finished for a in own],
            }
        )
    return rows


def metrics(run: RunDirectory) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]


def result(run: RunDirectory) -> dict[str, Any]:
    """The final figures."""
    return json.loads((run.path / "result.json").read_text())

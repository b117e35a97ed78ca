"""The completions that the demo's first ranking tasks are made of, sampled once and shipped.

`python -m rlhf.demo.samples` draws them anew from the shipped SFT checkpoint, by the platform's own sampler,
into models_zoo/pocket_stories/samples.jsonl: a first line with the checkpoint's digest and how they were
drawn, then one line a completion with its seed.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models_zoo import store, stories

SHIPPED = Path(__file__).resolve().parents[2] / "models_zoo" / "pocket_stories"
FILE = SHIPPED / "samples.jsonl"
PROMPTS, K, SEED = 25, 4, 0
SAMPLING = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 72}

Row = dict[str, Any]


def read() -> tuple[Row, list[Row]]:
    """Return how the shipped completions were drawn, and the completions, prompt by prompt."""
    first, *rest = FILE.read_text(encoding="utf-8").splitlines()
    return json.loads(first), [json.loads(line) for line in rest]


def prompts() -> list[stories.Prompt]:
    """`PROMPTS` training prompts, each about another pair; all animals come before one comes again."""
    rng = random.Random(SEED)
    pairs = stories.pairs("train")
    chosen: list[tuple[str, str]] = []
    while len(chosen) < PROMPTS:
        for animal in rng.sample(stories.ANIMALS, len(stories.ANIMALS)):
            chosen.append(rng.choice([pair for pair in pairs if pair[0] == animal and pair not in chosen]))
    by_pair: dict[tuple[str, str], list[stories.Prompt]] = {}
    for prompt in stories.prompts("train"):
        by_pair.setdefault((prompt.animal, prompt.thing), []).append(prompt)
    return [rng.choice(by_pair[pair]) for pair in chosen[:PROMPTS]]


def draw(asked: Sequence[stories.Prompt], run: Path) -> list[Row]:
    """Let the sampler answer each prompt `K` times, in the run directory ``run``.

    Raises:
        subprocess.CalledProcessError: the sampler failed; it said why.
    """
    (run / "data").mkdir(parents=True)
    rows = [
        {"prompt": [{"role": "user", "content": one.text}], "words": [one.animal, one.thing]} for one in asked
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (run / "data" / "train.jsonl").write_text(lines, encoding="utf-8")
    (run / "policy").symlink_to(SHIPPED / "sft")
    config = {
        "algorithm": "sample",
        "seed": SEED,
        "knobs": {"k": K, **SAMPLING},
        "inputs": {"policy": {"path": "policy", "digest": store.digest(SHIPPED / "sft")}},
        "data": {"train": "data/train.jsonl"},
    }
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "rlhf.trainers.sample", str(run)], check=True)
    with (run / "output" / "completions.jsonl").open(encoding="utf-8") as answers:
        return [_row(json.loads(line)) for line in answers]


def _row(answer: Row) -> Row:
    kept = {key: answer[key] for key in ("index", "text", "finished", "tokens", "seed")}
    return {"prompt": answer["prompt"]["prompt"], "words": answer["prompt"]["words"], **kept}


def main() -> int:
    """Draw and write the file; see the module's docstring."""
    argparse.ArgumentParser(prog="python -m rlhf.demo.samples", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = draw(prompts(), Path(folder) / "run")
    header = {
        "checkpoint": store.digest(SHIPPED / "sft"),
        "sampling": SAMPLING,
        "seed": SEED,
        "command": "python -m rlhf.demo.samples",
    }
    FILE.write_text("".join(json.dumps(line) + "\n" for line in [header, *rows]), encoding="utf-8")
    print(f"{FILE.name}: {len(rows)} completions of {PROMPTS} prompts")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())

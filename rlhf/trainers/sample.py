"""Answers to prompts, K seeded ones each: `python -m rlhf.trainers.sample RUN_DIR`.

A run like the others, so that neither web nor worker imports torch. With an input `reward_model` every
answer carries its normalised reward. Writes output/completions.jsonl.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from models_zoo import chat, generate, load
from rlhf.trainers.command import execute
from rlhf.trainers.knobs import Sample
from rlhf.trainers.run_directory import BadRun, RunDirectory, Stopped


def train(run: RunDirectory) -> None:
    """Sample as config.json says, and write output/ and result.json. Raises BadRun and Stopped."""
    knobs = run.knobs
    assert isinstance(knobs, Sample)
    rows = run.rows()
    folder, judge = run.input("policy"), run.optional_input("reward_model")
    tokenizer = load.tokenizer(folder)
    model = load.causal_lm(folder).to(load.device())
    for number, row in enumerate(rows, 1):
        _check(tokenizer, row, number)
    sampling = generate.Sampling(
        temperature=knobs.temperature, top_p=knobs.top_p, max_new_tokens=knobs.max_new_tokens
    )
    wanted = [(i, k) for i in range(len(rows)) for k in range(knobs.k)]
    answers = generate.sample(
        model,
        tokenizer,
        [rows[i]["prompt"] for i, _ in wanted],
        seeds=[generate.seed_of(run.seed, i, k) for i, k in wanted],
        sampling=sampling,
        batch_size=knobs.batch,
    )
    found: list[dict[str, Any]] = []
    for (i, k), answer in zip(wanted, answers, strict=True):
        found.append(
            {
                "prompt_index": i,
                "index": k,
                "text": answer.text,
                "finished": answer.finished,
                "tokens": answer.tokens,
                "seed": answer.seed,
                "prompt": rows[i],
            }
        )
        if len(found) % knobs.batch == 0:
            run.progress(len(found), len(wanted))
            if run.wait_while_paused().stop:
                raise Stopped
    if judge is not None:
        _judge(found, rows, judge)
    with run.writing_output() as output:
        text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in found)
        (output / "completions.jsonl").write_text(text, encoding="utf-8")
    run.progress(len(found), len(wanted))
    run.finish(
        {
            "completions": len(found),
            "finished": sum(each["finished"] for each in found) / len(found),
            "distinct": len({each["text"] for each in found}) / len(found),
        }
    )


def _judge(found: list[dict[str, Any]], rows: list[dict[str, Any]], folder: Path) -> None:
    try:
        normal = json.loads((folder / "reward.json").read_text(encoding="utf-8"))
        mean, deviation = float(normal["mean"]), float(normal["std"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRun(
            "inputs.reward_model: its reward.json with mean and std is missing or broken; train it again"
        ) from error
    tokenizer = load.tokenizer(folder)
    model = load.reward_model(folder).to(load.device())
    whole = [
        chat.conversation_ids(
            tokenizer, rows[each["prompt_index"]]["prompt"], each["text"], finished=each["finished"]
        )
        for each in found
    ]
    scores = load.scores(model, whole, pad_id=int(tokenizer.pad_token_id))
    for each, score in zip(found, scores, strict=True):
        each["reward"] = (score - mean) / deviation


def _check(tokenizer: Any, row: dict[str, Any], number: int) -> None:
    try:
        chat.prompt_ids(tokenizer, row["prompt"])
    except (KeyError, TypeError, IndexError) as error:
        raise BadRun(
            f'data.train: row {number} has no prompt; each row is {{"prompt": [{{"role", "content"}}, …]}}'
        ) from error


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(execute(train, algorithm="sample"))

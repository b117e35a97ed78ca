"""Rebuild the shipped default checkpoints from nothing: `python -m rlhf.trainers.pocket_stories WORK_DIR`.

Trains the tokenizer, then the base model (`pretrain`), then the SFT model (`sft`) in run directories under
WORK_DIR, and with `--ship` puts both, in fp16, where the platform takes its default from
(`models_zoo/pocket_stories/`). The shipped files came from `--seed 0`; on one kind of machine the rebuild
has the same digests.
"""

import argparse
import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from models_zoo import load, stories
from rlhf.trainers import pretrain, sft
from rlhf.trainers.run_directory import RunDirectory

SHIPPED = Path(__file__).resolve().parents[2] / "models_zoo" / "pocket_stories"
SPECIAL = ("<pad>", "<s>", "</s>", "<system>", "<user>", "<assistant>")
TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<' + message['role'] + '>' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def build(
    work: Path,
    *,
    seed: int,
    base_knobs: dict[str, Any],
    sft_knobs: dict[str, Any],
    documents: int,
    demonstrations: int,
) -> tuple[Path, Path]:
    """Train base and SFT model in run directories under `work` and return their output folders."""
    blank = work / "blank"
    write_blank(blank, seed=seed)
    rng = random.Random(seed)
    base = _run(
        work / "base",
        {
            "algorithm": "pretrain",
            "seed": seed,
            "knobs": base_knobs,
            "inputs": {"policy": {"path": "../blank"}},
        },
        train=[{"text": stories.document(rng)} for _ in range(documents)],
        heldout=[{"text": stories.document(rng)} for _ in range(300)],
    )
    pretrain.train(base)
    tuned = _run(
        work / "sft",
        {
            "algorithm": "sft",
            "seed": seed,
            "knobs": sft_knobs,
            "inputs": {"policy": {"path": "../base/output"}},
        },
        train=[demonstration_row(stories.demonstration(rng)) for _ in range(demonstrations)],
    )
    sft.train(tuned)
    return base.output, tuned.output


def demonstration_row(shown: stories.Demonstration) -> dict[str, Any]:
    """A demonstration as the SFT trainer reads it."""
    return {
        "messages": [
            {"role": "user", "content": shown.prompt.text},
            {"role": "assistant", "content": shown.story},
        ]
    }


def write_blank(folder: Path, *, seed: int, vocabulary: int = 640) -> None:
    """Write the tokenizer (byte-level BPE of the grammar, with a chat template) and the config.json."""
    rng = random.Random(seed)
    texts = [stories.document(rng) for _ in range(4000)] + [each.text for each in stories.prompts("train")]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side="left"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL[3:])})
    tokenizer.chat_template = TEMPLATE
    tokenizer.model_max_length = 256
    tokenizer.save_pretrained(folder)
    LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=192,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    ).save_pretrained(folder)


def ship(output: Path, place: Path) -> None:
    """Put a checkpoint, halved to fp16, where it is shipped from."""
    shutil.rmtree(place, ignore_errors=True)
    load.causal_lm(output).to(torch.float16).save_pretrained(place)
    load.tokenizer(output).save_pretrained(place)
    for name in ("README.md", "lineage.json"):
        shutil.copy(output / name, place / name)


def _run(folder: Path, config: dict[str, Any], **data: list[dict[str, Any]]) -> RunDirectory:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    for name, rows in data.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "data" / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    config["data"] = {name: f"data/{name}.jsonl" for name in data}
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return RunDirectory(folder)


def main() -> int:
    """Build both checkpoints; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m rlhf.trainers.pocket_stories", description=__doc__)
    parser.add_argument("work", type=Path, help="folder for the run directories")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--ship", action="store_true", help=f"replace the shipped checkpoints in {SHIPPED.name}"
    )
    given = parser.parse_args()
    base, tuned = build(
        given.work, seed=given.seed, base_knobs={}, sft_knobs={}, documents=12_000, demonstrations=1_200
    )
    if given.ship:
        ship(base, SHIPPED / "base")
        ship(tuned, SHIPPED / "sft")
    print(f"base: {base}\nsft: {tuned}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

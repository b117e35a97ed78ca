"""The exported files, as their readers take them: pyarrow, datasets and TRL."""

import io

import orjson
import pytest
from pyarrow import parquet

from labeling.datasets import formats

ASKED = [{"role": "user", "content": "A story, “please”."}]
LABEL = {"weight": 1.0, "label": "1", "labeler": "leo", "guideline_version": 1}
MARKS = {**LABEL, "assisted_by": "sft", "assisted_share": 0.5}


def said(text):
    return [{"role": "assistant", "content": text}]


ROWS = {
    "sft": {"messages": ASKED + said("Once."), **MARKS},
    "pairs": {"prompt": ASKED, "chosen": said("Good."), "rejected": said("Bad."), "margin": 2.0, **MARKS},
    "groups": {
        "prompt": ASKED,
        "completions": [said("a"), said("b")],
        "ranks": [0, 1],
        "finished": [True, False],
        "margin": 0.0,
        **MARKS,
    },
    "ratings": {
        "prompt": ASKED,
        "completion": said("a"),
        "ratings": '{"quality": 3}',
        "flags": ["rude"],
        "prompt_ratings": "{}",
        "prompt_flags": [],
        **LABEL,
    },
    "marks": {
        "prompt": ASKED,
        "completion": said("A fox."),
        "start": 2,
        "end": 5,
        "quote": "fox",
        "criterion": "false",
        "comment": None,
        **LABEL,
    },
    "prompts": {
        "prompt": ASKED,
        "prompt_id": 7,
        "split": "train",
        "use_case": "",
        "language": "en",
        "metadata": '{"words": ["fox", "kite"]}',
    },
}


def file_of(form, format, rows):
    return b"".join(formats.encode(rows, form=form, format=format))


@pytest.mark.parametrize("form", ROWS)
def test_parquet(form, monkeypatch):
    monkeypatch.setattr(formats, "ROW_GROUP", 2)
    file = parquet.ParquetFile(io.BytesIO(file_of(form, "parquet", [ROWS[form]] * 5)))
    assert file.num_row_groups == 3
    assert file.read().to_pylist() == [ROWS[form]] * 5


@pytest.mark.parametrize("form", ROWS)
def test_jsonl(form):
    lines = file_of(form, "jsonl", [ROWS[form]] * 2).splitlines()
    assert [orjson.loads(line) for line in lines] == [ROWS[form]] * 2


def test_rows_of_every_form():
    assert set(ROWS) == set(formats.FORMS)


def test_earlier_rows_had_fewer_columns():
    old = {form: formats.in_schema(row, form=form, schema=1) for form, row in ROWS.items()}
    assert {form: sorted(set(ROWS[form]) - set(row)) for form, row in old.items()} == {
        "sft": ["assisted_by", "assisted_share"],
        "pairs": ["assisted_by", "assisted_share"],
        "groups": ["assisted_by", "assisted_share", "margin"],
        "ratings": [],
        "marks": [],
        "prompts": [],
    }


def test_empty():
    assert file_of("pairs", "jsonl", []) == b""
    table = parquet.read_table(io.BytesIO(file_of("pairs", "parquet", [])))
    assert table.num_rows == 0
    assert table.column_names == list(ROWS["pairs"])


@pytest.mark.parametrize("format", formats.FORMATS)
def test_rows_are_drawn_as_they_are_written(format, monkeypatch):
    monkeypatch.setattr(formats, "ROW_GROUP", 2)
    monkeypatch.setattr(formats, "PIECE_BYTES", 1)
    drawn = []
    rows = (drawn.append(at) or ROWS["sft"] for at in range(100))
    next(formats.encode(rows, form="sft", format=format))
    assert len(drawn) <= 2


@pytest.mark.parametrize(("field", "asked"), [("format", {"format": "csv"}), ("form", {"form": "dpo"})])
def test_refused(field, asked):
    with pytest.raises(formats.FormatError) as caught:
        formats.encode([], **({"form": "sft", "format": "parquet"} | asked))
    assert caught.value.field == field


@pytest.mark.parametrize("format", formats.FORMATS)
def test_trl_takes_it(format, tmp_path):
    """The columns are TRL's conversational ones, and its chat template renders them."""
    import datasets
    from trl import data_utils

    builder = {"jsonl": "json", "parquet": "parquet"}[format]
    for form, columns in (
        ("sft", {"messages"}),
        ("pairs", {"prompt", "chosen", "rejected"}),
        ("prompts", {"prompt"}),
    ):
        path = tmp_path / f"{form}.{format}"
        path.write_bytes(file_of(form, format, [ROWS[form]] * 3))
        loaded = datasets.load_dataset(
            builder, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
        )
        assert loaded.num_rows == 3
        assert data_utils.is_conversational(loaded[0])
        assert {"messages", "prompt", "chosen", "rejected"} & set(loaded.column_names) == columns


@pytest.mark.slow
@pytest.mark.parametrize("form", ["sft", "pairs"])
def test_trl_prepares_it(form, tmp_path, monkeypatch):
    """TRL's own trainers tokenise an exported file."""
    import datasets
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification
    from trl import RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

    from models_zoo import load
    from rlhf.trainers.pocket_stories import write_blank

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_blank(tmp_path / "blank", seed=0)
    tokenizer = load.tokenizer(tmp_path / "blank")
    size = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = LlamaConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, num_labels=1, **size)
    path = tmp_path / "rows.parquet"
    path.write_bytes(file_of(form, "parquet", [ROWS[form]] * 2))
    loaded = datasets.load_dataset(
        "parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )
    common = {
        "output_dir": str(tmp_path / "out"),
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "max_steps": 1,
        "activation_checkpointing": False,
        "disable_tqdm": True,
    }
    if form == "sft":
        trainer = SFTTrainer(
            LlamaForCausalLM(config),
            args=SFTConfig(**common, assistant_only_loss=True),
            train_dataset=loaded,
            processing_class=tokenizer,
        )
        # Loss on the answer alone: the prompt is masked, the answer is not.
        for labels in trainer.train_dataset["labels"]:
            assert labels[0] == -100
            assert set(labels) != {-100}
    else:
        trainer = RewardTrainer(
            LlamaForSequenceClassification(config),
            args=RewardConfig(**common),
            train_dataset=loaded,
            processing_class=tokenizer,
        )
        assert trainer.train_dataset["margin"][:] == [2.0, 2.0]
    assert trainer.train().training_loss > 0

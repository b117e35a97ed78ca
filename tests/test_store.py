"""The checkpoint store: digests, adoption, and what a half-written checkpoint says."""

import json
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from models_zoo import load, store
from tests.runs import SFT


@pytest.fixture
def checkpoint(tmp_path):
    return shutil.copytree(SFT, tmp_path / "checkpoint")


def test_digest_ignores_card_and_lineage(checkpoint):
    before = store.digest(checkpoint)
    (checkpoint / "README.md").write_text("another card")
    (checkpoint / "lineage.json").write_text("{}")
    assert store.digest(checkpoint) == before == store.digest(SFT)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "chat_template.jinja", "config.json"]
)
def test_digest_covers_what_the_model_is(checkpoint, name):
    before = store.digest(checkpoint)
    (checkpoint / name).write_bytes((checkpoint / name).read_bytes() + b" ")
    assert store.digest(checkpoint) != before


def test_adopt_twice_keeps_one(checkpoint, tmp_path):
    places = {store.adopt(checkpoint, tmp_path / "store") for _ in range(2)}
    ((place, digest),) = places
    assert store.verify(place, digest) == digest
    assert [each.name for each in (tmp_path / "store").iterdir()] == [place.name]


def test_adopt_races(checkpoint, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        places = set(pool.map(lambda _: store.adopt(checkpoint, tmp_path / "store"), range(8)))
    assert len(places) == 1
    assert len(list((tmp_path / "store").iterdir())) == 1


def test_adopted_model_loads(checkpoint, tmp_path):
    place, _ = store.adopt(checkpoint, tmp_path / "store")
    assert load.causal_lm(place).config.hidden_size == 64
    assert load.tokenizer(place).chat_template


def cut_weights(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def cut_header(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:40])


def cut_config(folder):
    (folder / "config.json").write_text('{"architectures": [')


def forge_header(folder):
    header = b'{"model.norm.weight": {"dtype": "F16"}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


def empty_index(folder):
    (folder / "model.safetensors.index.json").write_text("[]")


def lose_shard(folder):
    index = {"weight_map": {"a": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_weights, "cut short"),
        (cut_header, "cut short"),
        (cut_config, "not valid JSON"),
        (forge_header, "cut short"),
        (empty_index, "no weight_map"),
        (lose_shard, "missing"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no safetensors weights"),
        (lambda folder: (folder / "config.json").unlink(), r"no config\.json"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer"),
        (shutil.rmtree, "not a folder"),
    ],
)
def test_half_written_checkpoint_is_refused(checkpoint, tmp_path, damage, said):
    damage(checkpoint)
    with pytest.raises(store.BrokenCheckpoint, match=said):
        store.adopt(checkpoint, tmp_path / "store")
    assert not list((tmp_path / "store").glob("*"))
    with pytest.raises(store.BrokenCheckpoint, match=said):
        load.causal_lm(checkpoint)


def test_no_room_is_one_reason(checkpoint, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match=r"^\[Errno 27\] File too large") as refused:
            store.adopt(checkpoint, tmp_path / "store")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "store").glob("*"))


def test_changed_checkpoint_is_noticed(checkpoint):
    before = store.digest(checkpoint)
    config = checkpoint / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    with pytest.raises(store.BrokenCheckpoint, match="has changed"):
        store.verify(checkpoint, before)

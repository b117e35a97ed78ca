"""The checkpoint registry; the store's own tests cover broken folders."""

import json
import struct

import pytest
from django.conf import settings

from models_zoo import registry, store
from models_zoo.models import Checkpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "HOME", tmp_path / "home")
    return whole(tmp_path / "made")


def whole(folder, content=b"\0\0"):
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    header = json.dumps({"w": {"dtype": "F16", "shape": [1], "data_offsets": [0, len(content)]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + content)
    return folder


def test_register_twice(folder):
    base = registry.register(folder=folder, name="base", kind="base", licence="Apache-2.0")
    again = registry.register(folder=folder, name="base", kind="base")
    assert again == base
    assert again.licence == "Apache-2.0"
    assert store.verify(base.path, base.digest) == base.digest


def test_one_folder_two_names(folder):
    base = registry.register(folder=folder, name="base", kind="base")
    other = registry.register(folder=folder, name="other", kind="policy", parent=base)
    assert (other.folder, other.parent) == (base.folder, base)


def test_name_taken(folder, tmp_path):
    registry.register(folder=folder, name="base", kind="base")
    with pytest.raises(registry.RegistryError, match="another checkpoint"):
        registry.register(folder=whole(tmp_path / "other", b"\1\1"), name="base", kind="base")


@pytest.mark.parametrize(("field", "change"), [("name", {"name": ""}), ("kind", {"kind": "model"})])
def test_refused(folder, field, change):
    with pytest.raises(registry.RegistryError) as caught:
        registry.register(**({"folder": folder, "name": "base", "kind": "base"} | change))
    assert caught.value.field == field


def test_broken_folder(folder):
    (folder / "model.safetensors").write_bytes(b"\1")
    with pytest.raises(store.BrokenCheckpoint):
        registry.register(folder=folder, name="base", kind="base")
    assert not Checkpoint.objects.exists()


def test_find(folder):
    base = registry.register(folder=folder, name="base", kind="base")
    assert registry.find("base") == base
    with pytest.raises(registry.RegistryError, match="The newest: base"):
        registry.find("bass")

"""The checkpoint store: folders in Hugging Face layout, named by their digest, whole or not there at all.

The digest covers weights, tokenizer and configuration, not the model card or the lineage, so that a rebuild
from the same run directory has the same digest. No torch and no Django.
"""

import hashlib
import json
import os
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

WEIGHTS = ("model.safetensors", "adapter_model.safetensors", "model.safetensors.index.json")
_SUFFIXES = (".safetensors", ".safetensors.index.json", ".jinja", ".model")
_NAMES = frozenset(
    (
        "config.json",
        "generation_config.json",
        "adapter_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "reward.json",
    )
)


class BrokenCheckpoint(Exception):
    """A folder that is no whole checkpoint; the message names the file at fault and the mend."""


def digest(folder: Path) -> str:
    """`sha256:…` over the names and bytes of the folder's weights, tokenizer and configuration files.

    Raises BrokenCheckpoint where the folder has none.
    """
    files = _covered(folder)
    if not files:
        raise BrokenCheckpoint(
            f"{folder} holds no checkpoint: no configuration, tokenizer or weights found there"
        )
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{file.relative_to(folder).as_posix()}\0{content}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def verify(folder: Path, expected: str | None = None) -> str:
    """Check that a checkpoint is whole and return its digest.

    Raises BrokenCheckpoint where configuration, tokenizer or weights are missing, a weights file is cut
    short, or the digest is not the `expected` one.
    """
    if not folder.is_dir():
        raise BrokenCheckpoint(
            f"{folder} is not a folder: give the path of a checkpoint in Hugging Face layout"
        )
    if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise BrokenCheckpoint(
            f"{folder} has no config.json: the checkpoint is half written, copy or train it again"
        )
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise BrokenCheckpoint(f"{folder} has no tokenizer: save it beside the weights")
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise BrokenCheckpoint(f"{folder} has no safetensors weights: the checkpoint is half written")
    for file in _indexed(folder):
        if not file.is_file():
            raise BrokenCheckpoint(
                f"{file} is named by the weights index but missing: copy the checkpoint again"
            )
    for file in folder.glob("*.json"):
        _read_json(file)
    for file in folder.glob("*.safetensors"):
        _check_length(file)
    found = digest(folder)
    if expected and found != expected:
        raise BrokenCheckpoint(f"{folder} has changed: its digest is {found}, recorded was {expected}")
    return found


def adopt(folder: Path, store: Path) -> tuple[Path, str]:
    """Copy a whole checkpoint into the store and return its place there and its digest.

    Written aside and renamed, so that a reader sees all of it or nothing; adopting the same checkpoint
    twice, also at the same time, leaves one copy. Raises BrokenCheckpoint as `verify` does, and OSError.
    """
    found = verify(folder)
    place = store / found.removeprefix("sha256:")[:32]
    if place.is_dir():
        return place, found
    store.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".adopting-", dir=store))
    try:
        shutil.copytree(folder, aside / "checkpoint", symlinks=False)
        verify(aside / "checkpoint", found)
        try:
            os.rename(aside / "checkpoint", place)
        except OSError:
            # Another process adopted the same checkpoint first; anything else is a real failure.
            if not place.is_dir():
                raise
    except shutil.Error as error:
        # It lists (from, to, reason) for every file; on a full disk the first says it all.
        raise OSError(error.args[0][0][2]) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return place, found


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds a LoRA adapter rather than whole weights."""
    return (folder / "adapter_config.json").is_file()


def _covered(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and (file.name in _NAMES or file.name.endswith(_SUFFIXES))
    )


def _indexed(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return []
    try:
        return [folder / name for name in sorted(set(_read_json(index)["weight_map"].values()))]
    except (TypeError, LookupError, AttributeError) as error:
        raise BrokenCheckpoint(f"{index} has no weight_map: copy the checkpoint again") from error


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BrokenCheckpoint(
            f"{file} is not valid JSON: the checkpoint is half written, copy it again"
        ) from error


def _check_length(file: Path) -> None:
    # A safetensors file is an 8-byte header length, the header, then the tensors at the offsets the header
    # names.
    broken = BrokenCheckpoint(f"{file} is cut short: the checkpoint is half written, copy or train it again")
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        if len(start) < 8:
            raise broken
        (length,) = struct.unpack("<Q", start)
        if size < 8 + length:
            raise broken
        try:
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            whole = size == 8 + length + max(ends, default=0)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise broken from error
    if not whole:
        raise broken

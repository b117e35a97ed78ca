"""Register checkpoints: adopt a folder into the store and give it a name, a kind and a parent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from models_zoo import store
from models_zoo.models import Checkpoint


class RegistryError(ValueError):
    """A checkpoint that cannot be registered; ``field`` names what to mend."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def register(
    *,
    folder: Path,
    name: str,
    kind: str,
    parent: Checkpoint | None = None,
    licence: str = "",
    figures: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Copy the checkpoint in ``folder`` into the store and return its row.

    Registering the same files under the same name again returns the row that is there, unchanged.

    Raises:
        RegistryError: the name is empty, too long or taken by other files, or the kind is unknown.
        store.BrokenCheckpoint: the folder holds no whole checkpoint.
    """
    if not name.strip() or len(name) > 120:
        raise RegistryError("name", "Give the checkpoint a name of at most 120 characters.")
    if kind not in Checkpoint.Kind.values:
        raise RegistryError("kind", f"Must be one of {', '.join(Checkpoint.Kind.values)}.")
    # The files come first: a row without its folder would be a lie, a folder without its row is only spare.
    place, digest = store.adopt(folder, settings.HOME / "checkpoints")
    try:
        with transaction.atomic():
            return Checkpoint.objects.create(
                name=name,
                kind=kind,
                parent=parent,
                digest=digest,
                folder=str(place.relative_to(settings.HOME)),
                licence=licence,
                figures=dict(figures or {}),
            )
    except IntegrityError as error:
        there = Checkpoint.objects.get(name=name)
        if (there.digest, there.kind) != (digest, kind):
            raise RegistryError(
                "name",
                f"{name!r} is another checkpoint ({there.kind}, {there.digest[:19]}…). Choose another name.",
            ) from error
        return there


def find(name: str) -> Checkpoint:
    """Return the checkpoint called ``name``.

    Raises:
        RegistryError: there is none; the message lists the newest ones.
    """
    if found := Checkpoint.objects.filter(name=name).first():
        return found
    names = ", ".join(Checkpoint.objects.values_list("name", flat=True)[:10]) or "none yet"
    raise RegistryError("name", f"There is no checkpoint {name!r}. The newest: {names}.")

"""Rows that somebody sent and has not confirmed: kept in the state folder between preview and import.

A file is named by its project, its sender and its digest, so that nobody reads another's and the same rows
are kept once. What is not confirmed within a day goes when somebody sends the next.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.utils.translation import gettext as _

from labeling.incoming.rowfiles import SUFFIXES, IntakeError, sniffed
from labeling.models import Project

MOST_BYTES = 64 * 1024 * 1024
MOST_KEPT = 5  # of one person in one project
KEPT_FOR = timedelta(days=1)
LONGEST_SOURCE = 200

_NAME = re.compile(r"[0-9a-f]{64}\.[a-z]{3,6}")


@dataclass(frozen=True)
class Upload:
    name: str
    """Its digest and the suffix that tells its format."""
    path: Path
    size: int

    def open(self) -> BinaryIO:
        return self.path.open("rb")


def keep(*, project: Project, user: Any, pieces: Iterable[bytes], filename: str = "") -> Upload:
    """Keep rows that were sent and return them; a text without a ``filename`` is known by how it begins.

    Raises:
        IntakeError: nothing was sent, more than `MOST_BYTES`, or a file of another format.
    """
    suffix = next((one for one in SUFFIXES if filename.lower().endswith(one)), "")
    if filename and not suffix:
        raise IntakeError("file", _("Send a file that ends in .jsonl, .json, .csv or .txt."))
    folder = _folder()
    digest, size, begins = hashlib.sha256(), 0, b""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="sent-", delete=False) as file:
        try:
            for piece in pieces:
                size += len(piece)
                if size > MOST_BYTES:
                    raise IntakeError(
                        "file",
                        _("The page takes %(most)s MB at most. Larger files: manage.py import_prompts.")
                        % {"most": MOST_BYTES // 1024**2},
                    )
                begins = begins or piece[:4096]
                digest.update(piece)
                file.write(piece)
            if not size:
                raise IntakeError("file", _("Paste some rows, or choose a file."))
        except IntakeError:
            os.unlink(file.name)
            raise
    name = digest.hexdigest() + (suffix or sniffed(begins))
    path = folder / f"{_prefix(project, user)}{name}"
    os.replace(file.name, path)
    _tidy(folder, _prefix(project, user))
    return Upload(name, path, size)


def find(*, project: Project, user: Any, name: str) -> Upload:
    """The rows that this person sent before.

    Raises:
        IntakeError: they are here no longer.
    """
    path = _folder() / f"{_prefix(project, user)}{name}"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise IntakeError("file", _("The rows are kept for a day, and that is over. Send them again."))
    return Upload(name, path, path.stat().st_size)


def drop(upload: Upload) -> None:
    """Forget rows that were taken in."""
    upload.path.unlink(missing_ok=True)


def _folder() -> Path:
    folder = Path(settings.HOME) / "uploads"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _prefix(project: Project, user: Any) -> str:
    return f"{project.pk}-{user.pk}-"


def _tidy(folder: Path, prefix: str) -> None:
    """Remove what is older than a day, and of this sender all but the newest."""
    over = time.time() - KEPT_FOR.total_seconds()
    own: list[tuple[float, Path]] = []
    for path in folder.iterdir():
        try:
            sent = path.stat().st_mtime
        except FileNotFoundError:
            # Another process tidies up as well.
            continue
        if sent < over:
            path.unlink(missing_ok=True)
        elif path.name.startswith(prefix):
            own.append((sent, path))
    for _sent, path in sorted(own, reverse=True)[MOST_KEPT:]:
        path.unlink(missing_ok=True)

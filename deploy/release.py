"""The name of what is deployed here: pages, and the files they load, of two releases are never mixed."""

import hashlib
from pathlib import Path


def name(root: Path) -> str:
    """Twelve hex digits that change with our static files, and with the packages that bring the others."""
    digest = hashlib.sha256()
    locks = [root / "requirements.lock", root / "package-lock.json"]
    for path in [*sorted(root.glob("*/static/**/*.*")), *locks]:
        if path.is_file():
            digest.update(
                f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
            )
    return digest.hexdigest()[:12]

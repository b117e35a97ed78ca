"""Seeds from paths of numbers, so that whoever knows the path can name what was drawn. No torch."""

import hashlib


def seed_of(*parts: int) -> int:
    """A seed of 31 bits from a path of numbers, such as (run seed, prompt index, completion index)."""
    named = ":".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(named).digest()[:4]) >> 1

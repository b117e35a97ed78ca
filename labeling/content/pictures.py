"""Pictures in messages: known by their first bytes, measured undrawn, kept once by their sha256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from django.http import Http404

from labeling.faults import FieldError
from labeling.models import Picture, Project

MEDIA_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
MOST_BYTES = 4 * 1024 * 1024
# A browser that draws one holds four bytes a pixel.
MOST_SIDE = 16_384
MOST_PIXELS = 50_000_000

_DATA = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),")
# Frames of JPEG that say how large it is; C4, C8 and CC are other things.
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class PictureError(FieldError):
    """A picture that cannot be taken in; ``field`` names it."""


@dataclass(frozen=True)
class Found:
    """A picture that came in with a message."""

    sha256: str
    media_type: str
    width: int
    height: int
    content: bytes


def read(address: object, *, field: str) -> Found:
    """Return the picture that a ``data:`` address holds.

    Raises:
        PictureError: it leads elsewhere, is not base64, too large, or no PNG, JPEG, GIF or WebP.
    """
    if not isinstance(address, str) or not (head := _DATA.match(address)):
        raise PictureError(
            field,
            "Pictures are not fetched from elsewhere. Send this one in the row: data:image/png;base64,…",
        )
    if not head[2].endswith(";base64"):
        raise PictureError(field, "Send the picture in base64: data:image/png;base64,…")
    coded = address[head.end() :]
    if len(coded) > MOST_BYTES * 4 // 3 + 4:
        raise PictureError(field, f"The picture is larger than {MOST_BYTES:,} bytes. Scale it down.")
    try:
        content = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PictureError(field, "The picture's base64 is broken. Encode it again.") from error
    if len(content) > MOST_BYTES:
        raise PictureError(field, f"The picture is larger than {MOST_BYTES:,} bytes. Scale it down.")
    measured = measure(content)
    if measured is None:
        raise PictureError(field, "This is no whole PNG, JPEG, GIF or WebP. Convert the picture to one.")
    media_type, width, height = measured
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE and width * height <= MOST_PIXELS):
        raise PictureError(
            field, f"The picture is {width:,} by {height:,} pixels; the most is {MOST_PIXELS:,}. Scale it."
        )
    return Found(hashlib.sha256(content).hexdigest(), media_type, width, height, content)


def measure(content: bytes) -> tuple[str, int, int] | None:
    """Media type, width and height in pixels of a picture, by its own first bytes; None where it is none."""
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
            return ("image/png", *struct.unpack_from(">II", content, 16))
        if content.startswith((b"GIF87a", b"GIF89a")):
            return ("image/gif", *struct.unpack_from("<HH", content, 6))
        if content.startswith(b"\xff\xd8\xff"):
            return ("image/jpeg", *_jpeg_size(content))
        if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
            return ("image/webp", *_webp_size(content))
    except (struct.error, ValueError):
        return None
    return None


def keep(project: Project, found: Iterable[Found]) -> None:
    """Store pictures with a project, each once."""
    Picture.objects.bulk_create(
        [
            Picture(project=project, sha256=one.sha256, media_type=one.media_type, content=one.content)
            for one in found
        ],
        ignore_conflicts=True,
    )


def stored(*, project: Project, sha256: str) -> Picture:
    """Return a project's picture.

    Raises:
        Http404: it has none of this sha256.
    """
    if (picture := Picture.objects.filter(project=project, sha256=sha256).first()) is None:
        raise Http404
    return picture


def _jpeg_size(content: bytes) -> tuple[int, int]:
    at = 2
    while True:
        marker, kind, length = struct.unpack_from(">BBH", content, at)
        if marker != 0xFF:
            raise ValueError("no marker where one belongs")
        if kind in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        # Bytes of 0xFF may fill the room before a marker.
        at += 1 if kind == 0xFF else 2 + length


def _webp_size(content: bytes) -> tuple[int, int]:
    chunk = content[12:16]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        (packed,) = struct.unpack_from("<I", content, 21)
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if chunk == b"VP8X" and len(content) >= 30:
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    raise ValueError("no frame")

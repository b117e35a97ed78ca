"""Pictures: told by their bytes, stored once with the project, served to its members alone."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import images
import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from scenes import new_labeler, new_project, new_task

from labeling.content import pictures
from labeling.incoming import intake
from labeling.models import Picture, Prompt, Task

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("content", "measured"),
    [
        (images.png(3, 2), ("image/png", 3, 2)),
        (images.gif(640, 480), ("image/gif", 640, 480)),
        (images.jpeg(1200, 900), ("image/jpeg", 1200, 900)),
        (images.webp(b"VP8 ", 300, 200), ("image/webp", 300, 200)),
        (images.webp(b"VP8L", 16_000, 9), ("image/webp", 16_000, 9)),
        (images.webp(b"VP8X", 7, 12_000), ("image/webp", 7, 12_000)),
        (SVG, None),
        (b"", None),
        (images.png()[:20], None),
        (images.jpeg(3, 2)[:9], None),
        (b"\xff\xd8\xff" + b"\xff" * 1000, None),
        (images.webp(b"VP8X", 7, 7)[:25], None),
        (b"RIFF0000WEBPALPH00000000000000", None),
    ],
)
def test_measured(content: bytes, measured: Any) -> None:
    assert pictures.measure(content) == measured


@given(st.sampled_from([b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"RIFF0000WEBP"]), st.binary())
def test_any_bytes_are_measured_or_not(start: bytes, rest: bytes) -> None:
    measured = pictures.measure(start + rest)
    assert measured is None or measured[0] in pictures.MEDIA_TYPES


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://example.org/a.png", "not fetched from elsewhere"),
        ("//example.org/a.png", "not fetched from elsewhere"),
        ("javascript:alert(1)", "not fetched from elsewhere"),
        ("data:image/png", "not fetched from elsewhere"),
        (None, "not fetched from elsewhere"),
        ("data:image/png,%89PNG", "in base64"),
        ("data:image/png;base64,####", "base64 is broken"),
        ("data:image/png;base64,aGVsbG8", "base64 is broken"),
        (images.address(SVG, "image/svg+xml"), "Convert the picture"),
        (images.address(SVG, "image/png"), "Convert the picture"),
        (images.address(b""), "Convert the picture"),
        (images.address(images.png() + bytes(pictures.MOST_BYTES)), "larger than 4,194,304 bytes"),
        (images.address(images.gif(20_000, 1)), "20,000 by 1 pixels"),
        (images.address(images.jpeg(16_000, 16_000)), "16,000 by 16,000 pixels"),
        (images.address(images.gif(0, 5)), "0 by 5 pixels"),
    ],
)
def test_refused(address: Any, words: str) -> None:
    with pytest.raises(pictures.PictureError, match=words) as refused:
        pictures.read(address, field="there")
    assert refused.value.field == "there"


def row(content: bytes, *, alt: str = "A grey square", text: str = "What is this?") -> dict[str, Any]:
    shown = {"type": "image_url", "image_url": {"url": images.address(content)}, "alt": alt}
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": text}, shown]}]}


@pytest.mark.django_db
def test_an_import_stores_each_once() -> None:
    project, content = new_project(), images.png()
    rows = [row(content), row(content, text="And this?"), row(SVG), row(content)]
    batch = intake.import_prompts(project=project, rows=rows, source="pictures")
    assert (batch.accepted, [one["row"] for one in batch.refused]) == (2, [3, 4])
    assert batch.refused[0]["field"] == "messages[0].content[1].image_url"
    picture = Picture.objects.get()
    assert (picture.project, bytes(picture.content)) == (project, content)
    (message,) = Prompt.objects.earliest("pk").messages
    assert message["content"][1] == {
        "type": "image",
        "sha256": hashlib.sha256(content).hexdigest(),
        "media_type": "image/png",
        "width": 3,
        "height": 2,
        "alt": "A grey square",
    }
    assert "base64" not in json.dumps(message)


@pytest.mark.django_db
def test_served_to_members_alone(client: Client) -> None:
    project, other = new_project(), new_project()
    intake.import_prompts(project=project, rows=[row(images.png())], source="pictures")
    sha256 = Picture.objects.get().sha256
    address = f"/projects/{project.slug}/pictures/{sha256}"
    assert client.get(address).status_code == 302
    stranger, leo = new_labeler(other), new_labeler(project)
    assert stranger.user
    assert leo.user
    client.force_login(stranger.user)
    assert client.get(address).status_code == 404
    assert client.get(f"/projects/{other.slug}/pictures/{sha256}").status_code == 404
    client.force_login(leo.user)
    answer = client.get(address)
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, images.png(), "image/png")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert {"private", "immutable", "max-age=31536000"} <= set(answer["Cache-Control"].split(", "))
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    for wrong in ("0" * 64, sha256[:63], "x"):
        assert client.get(f"/projects/{project.slug}/pictures/{wrong}").status_code == 404
    assert "Clear-Site-Data" not in answer
    # What a browser holds for a year goes when its person does.
    assert client.post("/accounts/logout/")["Clear-Site-Data"] == '"cache"'


@pytest.mark.django_db
def test_the_sheet_shows_it(client: Client) -> None:
    project = new_project()
    alt = '"><script>alert(1)</script>'
    intake.import_prompts(
        project=project, rows=[row(images.png(), alt=alt)], source="pictures", tasks="demonstrate"
    )
    leo = new_labeler(project)
    assert leo.user
    client.force_login(leo.user)
    sheet = client.post(f"/api/projects/{project.slug}/next/", content_type="application/json").json()
    address = f"/projects/{project.slug}/pictures/{Picture.objects.get().sha256}"
    assert sheet["pictures"] == [address]
    (message,) = sheet["prompt"]
    assert f'src="{address}"' in message["html"]
    assert 'width="3"' in message["html"]
    assert "<script" not in message["html"]
    assert "&quot;&gt;&lt;script&gt;" in message["html"]


@pytest.mark.django_db
def test_a_task_of_text_shows_none(client: Client) -> None:
    project = new_project()
    new_task(project)
    leo = new_labeler(project)
    assert leo.user
    client.force_login(leo.user)
    sheet = client.post(f"/api/projects/{project.slug}/next/", content_type="application/json").json()
    assert sheet["pictures"] == []
    assert Task.objects.get().pk == sheet["id"]

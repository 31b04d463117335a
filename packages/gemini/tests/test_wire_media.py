"""Pictures, documents and sounds as parts of a content."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from ai_batch.core import Audio, Document, Image
from ai_batch.gemini.wire_media import MediaPart, media_part

GIF = b"GIF89a\xff\xfe"


@pytest.mark.parametrize(
    ("part", "mime_type"),
    [
        (Image(data=GIF), "image/gif"),
        (Image(data=GIF, media_type="image/heic"), "image/heic"),
        (Document(data=GIF), "application/pdf"),
        (Document(data=GIF, media_type="text/html"), "text/html"),
        (Audio(data=GIF, format="WAV"), "audio/wav"),
        (Audio(data=GIF, format="mpeg"), "audio/mp3"),
        (Audio(data=GIF, format="mp3", media_type="audio/aac"), "audio/aac"),
    ],
)
def test_bytes_travel_inline(part: MediaPart, mime_type: str) -> None:
    """As base64, with their type."""
    data = base64.b64encode(GIF).decode()

    assert media_part(part) == {"inlineData": {"mimeType": mime_type, "data": data}}


def test_a_file_is_read(tmp_path: Path) -> None:
    """Its name tells its type."""
    path = tmp_path / "sound.ogg"
    path.write_bytes(b"OggS")

    found = media_part(Audio(path=path))

    assert found["inlineData"]["data"] == base64.b64encode(b"OggS").decode()
    assert found["inlineData"]["mimeType"].startswith("audio/")


@pytest.mark.parametrize(
    ("part", "file"),
    [
        (Image(url="https://x.test/a.png?b=c"), {"mimeType": "image/png"}),
        (Image(url="https://x.test/a", media_type="image/png"), {"mimeType": "image/png"}),
        (Document(url="gs://bucket/a.pdf"), {"mimeType": "application/pdf"}),
        (Audio(url="https://x.test/a", format="mp3"), {"mimeType": "audio/mp3"}),
        (Document(url="https://generativelanguage.googleapis.com/v1/files/a"), {}),
        (Document(url="https://youtu.be/abc"), {}),
    ],
)
def test_urls_are_named(part: MediaPart, file: dict[str, Any]) -> None:
    """With a type, but for files whose type Google knows."""
    assert media_part(part) == {"fileData": {"fileUri": part.url, **file}}


def test_a_data_url_travels_inline() -> None:
    """It is no URL that could be fetched."""
    found = media_part(Image(url="data:image/png;base64,iVBORw0K"))

    assert found == {"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}}

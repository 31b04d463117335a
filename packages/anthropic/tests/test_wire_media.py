"""Pictures and documents, by URL and as bytes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ai_batch.anthropic import wire
from ai_batch.core import ChatRequest, Document, Image, user

PNG = b"\x89PNG\r\n\x1a\n..."
JPEG = b"\xff\xd8\xff\xe0..."
GIF = b"GIF89a..."
WEBP = b"RIFF\x00\x00\x00\x00WEBP..."
PDF = b"%PDF-1.7 ..."


def encoded(data: bytes) -> str:
    """Base64 as text."""
    return base64.b64encode(data).decode()


def block(part: Image | Document) -> dict[str, Any]:
    """The block of a part, as it is sent."""
    request = ChatRequest(messages=[user("look", part)])
    body = json.loads(wire.encode_params(request, "claude-x", max_tokens=1))
    found: dict[str, Any] = body["messages"][0]["content"][1]
    return found


def complaint(part: Image | Document) -> str:
    """What ``check`` says of a part."""
    [problem] = wire.check(ChatRequest(messages=[user("look", part)]))
    assert problem.field == "messages[0].parts[1]"
    return problem.message


@pytest.mark.parametrize(
    ("data", "media_type", "sent"),
    [
        (PNG, None, "image/png"),
        (JPEG, None, "image/jpeg"),
        (GIF, None, "image/gif"),
        (WEBP, None, "image/webp"),
        (JPEG, "image/png", "image/jpeg"),
        (b"odd", "image/webp", "image/webp"),
        (b"odd", None, "image/png"),
    ],
)
def test_a_pictures_bytes_say_what_it_is(data: bytes, media_type: str | None, sent: str) -> None:
    """The type is read from the bytes, as the vendor does; only odd ones need to be told."""
    image = Image(data=data, media_type=media_type)
    source = {"type": "base64", "media_type": sent, "data": encoded(data)}
    assert block(image) == {"type": "image", "source": source}
    assert wire.check(ChatRequest(messages=[user("look", image)])) == []


def test_a_pictures_url_is_handed_on() -> None:
    """The vendor fetches it."""
    source = {"type": "url", "url": "https://example.com/a.png"}
    assert block(Image(url="https://example.com/a.png")) == {"type": "image", "source": source}


def test_a_data_url_is_taken_apart() -> None:
    """Anthropic takes none, but what is in one."""
    image = Image(url=f"data:image/gif;base64,{encoded(GIF)}")
    assert block(image)["source"] == {
        "type": "base64",
        "media_type": "image/gif",
        "data": encoded(GIF),
    }
    document = Document(url=f"data:text/plain;charset=utf-8;base64,{encoded(b'words')}")
    assert block(document)["source"]["data"] == "words"


def test_a_picture_of_another_kind_is_a_problem() -> None:
    """The allowed kinds are named."""
    found = complaint(Image(data=b"II*\x00", media_type="image/tiff"))
    assert found.startswith("a picture of type image/tiff is none of image/jpeg, image/png")


@pytest.mark.parametrize("url", ["data:image/png,%89PNG", "data:image/png;base64,%%%"])
def test_a_data_url_without_base64_is_a_problem(url: str) -> None:
    """Nothing else can be sent."""
    assert "base64" in complaint(Image(url=url))


def test_documents_are_pdf_or_text(tmp_path: Path) -> None:
    """PDFs go as base64 and texts as they are, each under its name."""
    path = tmp_path / "notes.md"
    path.write_text("# Überschrift\u2028", "utf-8")
    pdf = {"type": "base64", "media_type": "application/pdf", "data": encoded(PDF)}
    assert block(Document(data=PDF)) == {"type": "document", "source": pdf}
    assert (
        block(Document(data=b"x", media_type="application/pdf", name="a.pdf"))["title"] == "a.pdf"
    )
    assert block(Document(path=path)) == {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "# Überschrift\u2028"},
        "title": "notes.md",
    }


def test_a_documents_url_is_handed_on() -> None:
    """The vendor fetches it."""
    source = {"type": "url", "url": "https://example.com/a.pdf"}
    assert block(Document(url="https://example.com/a.pdf"))["source"] == source


def test_other_documents_are_a_problem() -> None:
    """A spreadsheet, or bytes that are no text, can't be read by the model."""
    sheet = Document(data=b"PK", media_type="application/vnd.ms-excel")
    assert complaint(sheet).endswith("application/vnd.ms-excel is neither a PDF nor text")
    assert (
        complaint(Document(data=b"\xff\xfe")) == "the document is neither a PDF nor text in UTF-8"
    )

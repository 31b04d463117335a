"""Pictures and documents as blocks of a message.

https://platform.claude.com/docs/en/build-with-claude/vision and .../pdf-support
"""

from __future__ import annotations

import base64
import binascii
import re

from ai_batch.core.messages import Document, Image, JSONObject, Media
from ai_batch.core.wire_parts import image_type

__all__ = ["IMAGE_TYPES", "Unsuitable", "document_block", "image_block"]

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")

_PNG = b"\x89PNG\r\n\x1a\n"

_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)


class Unsuitable(ValueError):
    """A medium that Anthropic does not take; says what it would take."""


def image_block(image: Image) -> JSONObject:
    """The picture by its URL, or as base64. Raises ``Unsuitable``."""
    if (url := _web_url(image)) is not None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    loaded = _loaded(image)
    media_type = _image_type(loaded)
    if media_type not in IMAGE_TYPES:
        raise Unsuitable(f"a picture of type {media_type} is none of {', '.join(IMAGE_TYPES)}")
    return {"type": "image", "source": _base64(loaded, media_type)}


def _image_type(image: Media) -> str:
    # The vendor compares the name with the bytes, so that what these say comes first.
    data = image.data or b""
    found = image_type(data)
    certain = found != "image/png" or data.startswith(_PNG)
    return found if certain else image.media_type or found


def document_block(document: Document) -> JSONObject:
    """A PDF by its URL or as base64, or a text. Raises ``Unsuitable``."""
    if (url := _web_url(document)) is not None:
        source: JSONObject = {"type": "url", "url": url}
    else:
        source = _document_source(_loaded(document))
    block: JSONObject = {"type": "document", "source": source}
    name = document.name or (document.path.name if document.path else None)
    if name:
        block["title"] = name
    return block


def _document_source(document: Media) -> JSONObject:
    data, media_type = document.data or b"", document.media_type
    if media_type == "application/pdf" or data.startswith(b"%PDF"):
        return _base64(document, "application/pdf")
    if media_type is not None and not _is_text(media_type):
        raise Unsuitable(f"a document of type {media_type} is neither a PDF nor text")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Unsuitable("the document is neither a PDF nor text in UTF-8") from None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _is_text(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type == "application/json"


def _base64(medium: Media, media_type: str) -> JSONObject:
    return {"type": "base64", "media_type": media_type, "data": medium.base64()}


def _web_url(medium: Media) -> str | None:
    if medium.url is None or medium.url[:5].lower() == "data:":
        return None
    return medium.url


def _loaded(medium: Media) -> Media:
    """The medium with its bytes; Anthropic takes no ``data:`` URLs, so they are taken apart."""
    if medium.url is None:
        return medium.loaded()
    head = _DATA_URL.match(medium.url)
    if head is None:
        raise Unsuitable("a data: URL must hold base64")
    try:
        data = base64.b64decode(medium.url[head.end() :], validate=True)
    except binascii.Error:
        raise Unsuitable("the data: URL does not hold base64") from None
    return Media(data=data, media_type=head[1] or medium.media_type)

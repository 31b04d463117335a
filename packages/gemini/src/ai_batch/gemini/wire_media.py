"""Pictures, documents and sounds as parts of a Gemini content."""

from __future__ import annotations

import mimetypes
from typing import TypeAlias
from urllib.parse import urlsplit

from ai_batch.core.messages import Audio, Document, Image, JSONObject
from ai_batch.core.wire_parts import image_type

__all__ = ["MediaPart", "media_part", "media_problem"]

MediaPart: TypeAlias = Image | Document | Audio

_AUDIO_TYPES = {"mpeg": "audio/mp3", "mpga": "audio/mp3", "wave": "audio/wav", "x-wav": "audio/wav"}

SELF_DESCRIBING = ("generativelanguage.googleapis.com", "youtube.com", "youtu.be")
"""Hosts whose files' types Google knows."""


def media_part(part: MediaPart) -> JSONObject:
    """``inlineData`` or ``fileData``. A ``path`` is read if it still is one."""
    if part.url is not None and not part.url.startswith("data:"):
        file = {"fileUri": part.url}
        if kind := _type_of_url(part, part.url):
            file["mimeType"] = kind
        return {"fileData": file}
    if part.url is not None:
        head, _, data = part.url.partition(",")
        kind = part.media_type or head[5:].partition(";")[0]
        return {"inlineData": {"mimeType": kind, "data": data}}
    loaded = part.loaded()
    kind = _type_of_data(loaded) or "application/octet-stream"
    return {"inlineData": {"mimeType": kind, "data": loaded.base64()}}


def _type_of_url(part: MediaPart, url: str) -> str | None:
    if part.media_type is None and isinstance(part, Audio) and part.format:
        return _audio_type(part.format)
    return part.media_type or mimetypes.guess_type(urlsplit(url).path)[0]


def _type_of_data(part: MediaPart) -> str | None:
    if part.media_type is not None:
        return part.media_type
    if isinstance(part, Image):
        return image_type(part.data or b"")
    if isinstance(part, Document):
        return "application/pdf"
    return _audio_type(part.format) if part.format else None


def _audio_type(name: str) -> str:
    name = name.lower()
    return _AUDIO_TYPES.get(name, f"audio/{name}")


def media_problem(part: MediaPart) -> str | None:
    """What Gemini can't do with it; None where nothing is wrong."""
    if isinstance(part, Image) and part.detail not in (None, "auto"):
        where = "extra={'generationConfig': {'mediaResolution': ...}}"
        return f"Gemini has no detail of a single picture; use {where}"
    if part.url is None:
        return None if _type_of_data(part) else "give the sound's format or media_type"
    if part.url.startswith("data:"):
        return _data_url_problem(part, part.url)
    host = urlsplit(part.url).hostname or ""
    if _type_of_url(part, part.url) or host.removeprefix("www.") in SELF_DESCRIBING:
        return None
    return "the URL does not tell the file's type: give media_type"


def _data_url_problem(part: MediaPart, url: str) -> str | None:
    head, comma, _ = url.partition(",")
    if not comma or not head.endswith(";base64"):
        return "a data: URL must be base64"
    if not (part.media_type or head[5:].partition(";")[0]):
        return "the data: URL does not tell its type: give media_type"
    return None

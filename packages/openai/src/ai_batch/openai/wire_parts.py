"""What chat completions and the Responses API share: media and tool results."""

from __future__ import annotations

from ai_batch.core.messages import (
    Audio,
    Document,
    Image,
    Part,
    ToolResult,
)
from ai_batch.core.wire_parts import image_type

__all__ = [
    "AUDIO_FORMATS",
    "audio_format",
    "document_data",
    "document_name",
    "image_url",
    "misplaced",
    "result_text",
]

AUDIO_FORMATS = ("wav", "mp3")
"""The formats that chat completions take."""

_AUDIO_TYPES = {
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
}

_SUFFIXES = {"application/pdf": "pdf", "text/plain": "txt", "text/markdown": "md"}


def image_url(image: Image) -> str:
    """The picture's URL, or its data as a ``data:`` URL. A ``path`` is read if it still is one."""
    if image.url is not None:
        return image.url
    loaded = image.loaded()
    return loaded.data_url(image_type(loaded.data or b""))


def document_data(document: Document) -> str:
    """The document as a ``data:`` URL; one without a media type is taken for a PDF."""
    if document.url is not None:
        return document.url
    return document.loaded().data_url("application/pdf")


def document_name(document: Document) -> str:
    """The file name, which OpenAI demands next to the data: the document's own or a made-up one."""
    if document.name:
        return document.name
    if document.path is not None:
        return document.path.name
    return f"document.{_SUFFIXES.get(document.media_type or 'application/pdf', 'bin')}"


def audio_format(audio: Audio) -> str | None:
    """``wav``, ``mp3`` or whatever else the sound says that it is."""
    if audio.format:
        return audio.format.lower()
    if audio.media_type:
        return _AUDIO_TYPES.get(audio.media_type, audio.media_type)
    return audio.path.suffix.lstrip(".").lower() or None if audio.path else None


def result_text(result: ToolResult) -> str:
    """What a tool answered; OpenAI has no field for failure, so the text says it."""
    return f"Error: {result.content}" if result.is_error else result.content


def misplaced(part: Part) -> ValueError:
    """For a part in a message that can't hold it; ``check`` finds these before."""
    return ValueError(f"OpenAI has no place for a part of type {part.type!r} in this message")

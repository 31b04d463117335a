"""What chat completions and the Responses API share: media, tool arguments, tool results."""

from __future__ import annotations

import msgspec

from ai_batch.core.messages import (
    Audio,
    Document,
    Image,
    JSONObject,
    Part,
    Thinking,
    ToolCall,
    ToolResult,
)
from ai_batch.core.results import Usage
from ai_batch.openai.wire_json import as_object

__all__ = [
    "AUDIO_FORMATS",
    "arguments_text",
    "audio_format",
    "document_data",
    "document_name",
    "image_url",
    "misplaced",
    "result_text",
    "thought",
    "tool_call",
    "usage_of",
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
    return loaded.data_url(_image_type(loaded.data or b""))


def _image_type(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"GIF8"):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/png"


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


def arguments_text(call: ToolCall) -> str:
    """The arguments as the JSON text that the vendor wants, word for word where it wrote them."""
    if call.raw_arguments is not None:
        return call.raw_arguments
    return msgspec.json.encode(call.arguments).decode()


def tool_call(
    place: int, id: str | None, name: str | None, arguments: str | JSONObject | None
) -> ToolCall:
    """A call as the model wrote it; a missing id becomes ``call_<place>``.

    ``arguments`` is JSON text, or an object with servers such as Ollama.
    """
    id = id or f"call_{place}"
    name = name or ""
    if not isinstance(arguments, str):
        return ToolCall(id=id, name=name, arguments=arguments or {})
    if not arguments.strip():
        return ToolCall(id=id, name=name)
    parsed = as_object(arguments)
    if parsed is None:
        return ToolCall(id=id, name=name, raw_arguments=arguments)
    return ToolCall(id=id, name=name, arguments=parsed)


def thought(text: str, signature: str | None = None) -> tuple[Thinking, ...]:
    """One thought, or none where there is neither text nor signature."""
    return (Thinking(text=text, signature=signature),) if text or signature else ()


def misplaced(part: Part) -> ValueError:
    """For a part in a message that can't hold it; ``check`` finds these before."""
    return ValueError(f"OpenAI has no place for a part of type {part.type!r} in this message")


_NONE = (0, 0, 0)


def usage_of(tokens: tuple[int, int, int, int, int]) -> Usage:
    """The tokens, in the order of ``Usage``'s fields."""
    if tokens[2:] == _NONE:
        return Usage(input_tokens=tokens[0], output_tokens=tokens[1])
    return Usage(
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        cached_input_tokens=tokens[2],
        cache_write_tokens=tokens[3],
        reasoning_tokens=tokens[4],
    )

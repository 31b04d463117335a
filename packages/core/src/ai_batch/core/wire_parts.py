"""What vendors' chat formats have in common: pictures, tool arguments, thoughts, usage."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from ai_batch.core.messages import JSONObject, Thinking, ToolCall
from ai_batch.core.results import ChatResponse, Usage
from ai_batch.core.unchecked import Unchecked
from ai_batch.core.wire_json import as_object

__all__ = [
    "Tokens",
    "arguments_text",
    "chat_response",
    "image_type",
    "thought",
    "tool_call",
    "usage_of",
    "usage_tokens",
]

Tokens: TypeAlias = tuple[int, int, int, int, int]
"""Counts of tokens in the order of ``Usage``'s fields."""

_NONE = (0, 0, 0)

_USAGE = tuple(Usage.model_fields)

_USUAL = {"input_tokens", "output_tokens"}

_usage = Unchecked(Usage)

_PLAIN = {"content", "finish_reason", "model", "response_id", "body", "body_at", "usage"}

_response = Unchecked(ChatResponse)


def image_type(data: bytes) -> str:
    """The media type of a picture, by its first bytes; PNG where they say nothing."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"GIF8"):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/png"


def arguments_text(call: ToolCall) -> str:
    """The arguments as JSON text, word for word where the model wrote them."""
    if call.raw_arguments is not None:
        return call.raw_arguments
    return msgspec.json.encode(call.arguments).decode()


def tool_call(
    place: int, id: str | None, name: str | None, arguments: str | JSONObject | None
) -> ToolCall:
    """A call as the model wrote it; a missing id becomes ``call_<place>``.

    ``arguments`` is JSON text, or an object with vendors that parse it themselves.
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


def usage_of(tokens: Tokens) -> Usage:
    """The tokens, in the order of ``Usage``'s fields."""
    if tokens[2:] == _NONE:
        return _usage({"input_tokens": tokens[0], "output_tokens": tokens[1]}, _USUAL)
    return _usage(dict(zip(_USAGE, tokens, strict=True)))


def chat_response(tokens: Tokens, fields: JSONObject, rare: JSONObject) -> ChatResponse:
    """An answer with these tokens, of fields that were read as what they have to be.

    ``fields`` are those that every answer has, ``rare`` what else there is in this one.
    """
    fields["usage"] = usage_of(tokens)
    return _response(fields | rare) if rare else _response(fields, _PLAIN)


def usage_tokens(usage: Usage) -> Tokens:
    """The other way round."""
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )

"""Messages as LangChain takes them, and its answers. Pure: nothing of LangChain is imported.

LangChain takes messages as dicts and contents as its standard blocks, which it translates for
each vendor. Source: https://docs.langchain.com/oss/python/langchain/messages
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from ai_batch.concurrent.foreign import finish_of
from ai_batch.core import (
    Audio,
    ChatRequest,
    ChatResponse,
    Document,
    Image,
    Message,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from ai_batch.core.messages import JSONObject
from ai_batch.core.wire_parts import arguments_text, image_type, thought, tool_call

__all__ = ["ALLOWED", "messages_of", "response_of", "tool_of"]

ALLOWED: dict[str, tuple[type[Part], ...]] = {
    "system": (Text,),
    "user": (Text, Image, Document, Audio, ToolResult),
    "assistant": (Text, ToolCall),
    "tool": (ToolResult,),
}
"""What messages may hold. Thoughts are not sent back: LangChain has no form of them that its
vendors' models agree on."""


def messages_of(request: ChatRequest) -> list[JSONObject]:
    """The request's messages, as dicts."""
    return [found for message in request.messages for found in _messages(message)]


def _messages(message: Message) -> Iterator[JSONObject]:
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    yield from (_result(part) for part in results)
    if len(results) == len(message.parts):
        return
    found: JSONObject = {"role": message.role, "content": message.text}
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    if calls:
        found["tool_calls"] = [
            {"type": "tool_call", "id": call.id, "name": call.name, "args": call.arguments}
            for call in calls
        ]
    elif not message.only_text:
        others = [part for part in message.parts if not isinstance(part, ToolResult)]
        found["content"] = [_block(part) for part in others]
    yield found


def _result(part: ToolResult) -> JSONObject:
    found: JSONObject = {
        "role": "tool",
        "content": part.content,
        "tool_call_id": part.id,
        "status": "error" if part.is_error else "success",
    }
    return found if part.name is None else {**found, "name": part.name}


def _block(part: Part) -> JSONObject:
    if isinstance(part, Image):
        return _medium(part, "image", image_type(part.data or b""))
    if isinstance(part, Document):
        found = _medium(part, "file", "application/pdf")
        return found if part.name is None else {**found, "filename": part.name}
    if isinstance(part, Audio):
        return _medium(part, "audio", f"audio/{part.format or 'wav'}")
    return {"type": "text", "text": part.text if isinstance(part, Text) else ""}


def _medium(part: Image | Document | Audio, kind: str, default_type: str) -> JSONObject:
    if part.url is not None:
        return {"type": kind, "url": part.url}
    media_type = part.media_type or default_type
    return {"type": kind, "base64": part.base64(), "mime_type": media_type}


def tool_of(tool: Tool) -> JSONObject:
    """A tool in the form that every ``bind_tools`` takes, which is OpenAI's."""
    function: JSONObject = {"name": tool.name, "parameters": tool.parameters}
    # Some of the vendors' packages look a description up without asking.
    function["description"] = tool.description or ""
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def response_of(message: Any, *, structured: bool) -> ChatResponse:
    """The answer in an ``AIMessage``; a ``structured`` one may be the arguments of a call."""
    metadata = cast("JSONObject", message.response_metadata)
    refusal = message.additional_kwargs.get("refusal")
    calls = _calls(message)
    content = str(message.text)
    if structured and calls and not content:
        # Where a vendor has no schema for answers, LangChain has the answer given to a tool.
        content, calls = arguments_text(calls[0]), ()
    thoughts = _thoughts(message)
    return ChatResponse(
        content=content,
        tool_calls=calls,
        finish_reason="refusal" if refusal else _finish(metadata, calls, structured=structured),
        refusal=refusal or None,
        thinking="".join(part.text for part in thoughts) or None,
        thoughts=thoughts,
        usage=_usage(message.usage_metadata or {}),
        model=metadata.get("model_name") or metadata.get("model"),
        response_id=metadata.get("id") or _id_of(message),
        body=message.model_dump_json(fallback=str).encode(),
    )


def _calls(message: Any) -> tuple[ToolCall, ...]:
    given = [*message.tool_calls, *message.invalid_tool_calls]
    return tuple(
        tool_call(place, call["id"], call["name"], call["args"]) for place, call in enumerate(given)
    )


def _thoughts(message: Any) -> tuple[Thinking, ...]:
    found: tuple[Thinking, ...] = ()
    for block in message.content_blocks:
        if block.get("type") == "reasoning":
            extras: JSONObject = block.get("extras") or {}
            found += thought(block.get("reasoning") or "", extras.get("signature"))
    return found


def _finish(metadata: JSONObject, calls: tuple[ToolCall, ...], *, structured: bool) -> Any:
    words = (metadata.get(name) for name in ("finish_reason", "stop_reason", "done_reason"))
    found = next((reason for word in words if (reason := finish_of(word))), None)
    if found == "tool_calls" and structured and not calls:
        return "stop"
    return found or ("tool_calls" if calls else "stop")


def _usage(given: JSONObject) -> Usage:
    into: JSONObject = given.get("input_token_details") or {}
    out: JSONObject = given.get("output_token_details") or {}
    return Usage(
        input_tokens=given.get("input_tokens") or 0,
        output_tokens=given.get("output_tokens") or 0,
        cached_input_tokens=into.get("cache_read") or 0,
        cache_write_tokens=into.get("cache_creation") or 0,
        reasoning_tokens=out.get("reasoning") or 0,
    )


def _id_of(message: Any) -> str | None:
    """The vendor's id of the answer; LangChain itself numbers those that have none."""
    known = message.id
    return known if isinstance(known, str) and not known.startswith(("run-", "lc_")) else None

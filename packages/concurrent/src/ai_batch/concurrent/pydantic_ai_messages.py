"""Messages, settings and tools as Pydantic AI takes them, and its answers.

Source: https://ai.pydantic.dev/api/messages/
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

from ai_batch.concurrent.foreign import finish_of, schema_name
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
    ToolCall,
    ToolResult,
    Usage,
)
from ai_batch.core.messages import JSONObject
from ai_batch.core.requests import OutputSchema
from ai_batch.core.results import FinishReason
from ai_batch.core.wire_parts import arguments_text, image_type, thought, tool_call

__all__ = [
    "ALLOWED",
    "SETTINGS",
    "messages_of",
    "nameless",
    "parameters_of",
    "response_of",
    "settings_of",
]

ALLOWED: dict[str, tuple[type[Part], ...]] = {
    "system": (Text,),
    "user": (Text, Image, Document, Audio, ToolResult),
    "assistant": (Text, ToolCall, Thinking),
    "tool": (ToolResult,),
}
"""What messages may hold."""

SETTINGS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "stop": "stop_sequences",
    "tool_choice": "tool_choice",
    "reasoning_effort": "thinking",
    "extra": "extra_body",
}
"""Options of a request, by Pydantic AI's names for them."""


def settings_of(request: ChatRequest) -> JSONObject:
    """The request's options as ``ModelSettings``."""
    found: JSONObject = {}
    for option, name in SETTINGS.items():
        value = getattr(request, option)
        if value is not None:
            found[name] = list(value) if option == "stop" else value
    if request.tool_choice not in {None, "auto", "none", "required"}:
        found["tool_choice"] = [request.tool_choice]
    return found


def parameters_of(request: ChatRequest, schema: OutputSchema | None, *, native: bool) -> Any:
    """The tools, and the form of the answer: the vendor's own schema (``native``), or a tool's."""
    models = importlib.import_module("pydantic_ai.models")
    tools = importlib.import_module("pydantic_ai.tools")
    options: JSONObject = {
        "function_tools": [
            tools.ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=tool.parameters,
                strict=tool.strict,
            )
            for tool in request.tools or ()
        ]
    }
    if schema is not None and native:
        definition = importlib.import_module("pydantic_ai.output").OutputObjectDefinition
        wanted = definition(json_schema=schema.json_schema, name=schema_name(schema))
        options.update(output_mode="native", output_object=wanted)
    elif schema is not None:
        answer = tools.ToolDefinition(
            name=schema_name(schema), parameters_json_schema=schema.json_schema, kind="output"
        )
        options.update(output_mode="tool", output_tools=[answer], allow_text_output=False)
    return models.ModelRequestParameters(**options)


def messages_of(request: ChatRequest, provider: str) -> list[Any]:
    """The request's messages: what is said to the model between two answers is one of theirs.

    ``provider`` is whose thoughts are sent back: others' signatures mean nothing to it.
    """
    theirs = importlib.import_module("pydantic_ai.messages")
    names = dict(_names(request.messages))
    found: list[Any] = []
    for message in request.messages:
        if message.role == "assistant":
            parts = [_answered(theirs, part, provider) for part in message.parts]
            found.append(theirs.ModelResponse(parts=parts))
            continue
        parts = list(_asked(theirs, message, names))
        if found and isinstance(found[-1], theirs.ModelRequest):
            parts = [*found.pop().parts, *parts]
        found.append(theirs.ModelRequest(parts=parts))
    return found


def _names(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """Each call's id, and the name of its tool."""
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCall):
                yield part.id, part.name


def nameless(request: ChatRequest) -> Iterator[tuple[int, ToolResult]]:
    """Results of which neither they nor a call before them say whose they are."""
    names = dict(_names(request.messages))
    for place, message in enumerate(request.messages):
        for part in message.parts:
            if isinstance(part, ToolResult) and not part.name and part.id not in names:
                yield place, part


def _asked(theirs: Any, message: Message, names: dict[str, str]) -> Iterator[Any]:
    if message.role == "system":
        yield theirs.SystemPromptPart(content=message.text)
        return
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield theirs.ToolReturnPart(
                tool_name=part.name or names[part.id],
                content=part.content,
                tool_call_id=part.id,
                outcome="failed" if part.is_error else "success",
            )
    others = [part for part in message.parts if not isinstance(part, ToolResult)]
    if message.only_text:
        yield theirs.UserPromptPart(content=message.text)
    elif others:
        yield theirs.UserPromptPart(content=[_content(theirs, part) for part in others])


def _content(theirs: Any, part: Part) -> Any:
    if isinstance(part, Image):
        detail = None if part.detail is None else {"detail": part.detail}
        if part.url is not None:
            return theirs.ImageUrl(url=part.url, vendor_metadata=detail)
        return _binary(theirs, part, image_type(part.data or b""), vendor_metadata=detail)
    if isinstance(part, Document | Audio):
        kind = theirs.DocumentUrl if isinstance(part, Document) else theirs.AudioUrl
        if part.url is not None:
            return kind(url=part.url, media_type=part.media_type)
        if isinstance(part, Document):
            return _binary(theirs, part, "application/pdf", identifier=part.name)
        return _binary(theirs, part, f"audio/{part.format or 'wav'}")
    return part.text if isinstance(part, Text) else ""


def _binary(theirs: Any, part: Image | Document | Audio, default_type: str, **more: object) -> Any:
    media_type = part.media_type or default_type
    return theirs.BinaryContent(data=part.data or b"", media_type=media_type, **more)


def _answered(theirs: Any, part: Part, provider: str) -> Any:
    if isinstance(part, ToolCall):
        arguments = arguments_text(part) if part.raw_arguments is not None else part.arguments
        return theirs.ToolCallPart(tool_name=part.name, args=arguments, tool_call_id=part.id)
    if isinstance(part, Thinking):
        return theirs.ThinkingPart(
            content=part.text, signature=part.signature, provider_name=provider
        )
    return theirs.TextPart(content=part.text if isinstance(part, Text) else "")


def response_of(answer: Any, schema: OutputSchema | None) -> ChatResponse:
    """The answer in a ``ModelResponse``; by a schema, it may be the arguments of a call."""
    adapter = importlib.import_module("pydantic_ai.messages").ModelMessagesTypeAdapter
    parts = list(answer.parts)
    content = "".join(part.content for part in parts if part.part_kind == "text")
    calls = tuple(
        tool_call(place, part.tool_call_id, part.tool_name, part.args)
        for place, part in enumerate(part for part in parts if part.part_kind == "tool-call")
    )
    if (
        schema is not None
        and not content
        and [call.name for call in calls] == [schema_name(schema)]
    ):
        content, calls = arguments_text(calls[0]), ()
    thoughts: tuple[Thinking, ...] = ()
    for part in parts:
        if part.part_kind == "thinking":
            thoughts += thought(part.content, part.signature)
    details = cast("JSONObject", answer.provider_details or {})
    refusal = details.get("refusal")
    return ChatResponse(
        content=content,
        tool_calls=calls,
        finish_reason="refusal" if refusal else _finish(answer.finish_reason, details, calls),
        refusal=refusal or None,
        thinking="".join(part.text for part in thoughts) or None,
        thoughts=thoughts,
        usage=_usage(answer.usage),
        model=answer.model_name,
        response_id=answer.provider_response_id,
        body=adapter.dump_json([answer])[1:-1],
    )


def _finish(word: str | None, details: JSONObject, calls: Sequence[ToolCall]) -> FinishReason:
    found = finish_of(details.get("finish_reason"))
    if found is None or found == "other":
        found = finish_of(word) or ("tool_calls" if calls else "stop")
    # An answer by a schema that was given to a tool is no call of a tool any more.
    return "stop" if found == "tool_calls" and not calls else found


def _usage(given: Any) -> Usage:
    reasoning = getattr(given, "output_reasoning_tokens", 0)
    return Usage(
        input_tokens=given.input_tokens,
        output_tokens=given.output_tokens,
        cached_input_tokens=given.cache_read_tokens,
        cache_write_tokens=given.cache_write_tokens,
        reasoning_tokens=reasoning or given.details.get("reasoning_tokens", 0),
    )

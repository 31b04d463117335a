"""Bodies of ``/v1/chat/completions``, there and back."""

from __future__ import annotations

from typing import Any

import msgspec

from ai_batch.core.messages import (
    Audio,
    Document,
    Image,
    JSONObject,
    Message,
    Part,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from ai_batch.core.requests import ChatRequest
from ai_batch.core.results import ChatResponse, FinishReason, ItemError
from ai_batch.core.wire_faults import invalid
from ai_batch.core.wire_json import merged
from ai_batch.core.wire_parts import arguments_text, chat_response, thought, tool_call
from ai_batch.openai.wire_parts import (
    audio_format,
    document_data,
    document_name,
    image_url,
    misplaced,
    result_text,
)
from ai_batch.openai.wire_rows import Format, Row
from ai_batch.openai.wire_schema import output_format, strict_parameters

__all__ = ["CHAT", "TOKEN_PARAMETERS", "ChatBody", "chat_body"]

TOKEN_PARAMETERS = frozenset({"max_completion_tokens", "max_tokens"})
"""The two names of the limit on the answer's length; a body may hold only one of them."""


def chat_body(
    request: ChatRequest,
    model: str,
    *,
    max_tokens: int | None,
    token_parameter: str,
) -> JSONObject:
    """The body that asks ``request`` of ``model``; ``max_tokens`` is the default limit.

    ``request.extra`` is merged in last, objects within objects too.
    """
    body: JSONObject = {"model": model, "messages": _messages(request.messages)}
    extra = request.extra
    limit = max_tokens if request.max_tokens is None else request.max_tokens
    if limit is not None and not (extra and extra.keys() & TOKEN_PARAMETERS):
        body[token_parameter] = limit
    for name in ("temperature", "top_p", "seed", "reasoning_effort"):
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.stop:
        body["stop"] = request.stop
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.output_type is not None:
        schema = output_format(request.output_type)
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return merged(body, extra) if extra else body


def _messages(messages: tuple[Message, ...]) -> list[JSONObject]:
    items: list[JSONObject] = []
    for message in messages:
        role, parts = message.role, message.parts
        if role == "tool":
            items.extend(_tool_message(part) for part in parts)
        elif role == "assistant":
            items.append(_assistant(message))
        elif len(parts) == 1 and isinstance(parts[0], Text):
            # Old servers know only strings here, and a string is shorter.
            items.append({"role": role, "content": parts[0].text})
        else:
            items.append({"role": role, "content": [_part(part) for part in parts]})
    return items


def _tool_message(part: Part) -> JSONObject:
    if not isinstance(part, ToolResult):
        raise misplaced(part)
    return {"role": "tool", "tool_call_id": part.id, "content": result_text(part)}


def _assistant(message: Message) -> JSONObject:
    calls = [_call(part) for part in message.parts if not isinstance(part, Text)]
    item: JSONObject = {
        "role": "assistant",
        "content": message.text or None if calls else message.text,
    }
    if calls:
        item["tool_calls"] = calls
    return item


def _call(call: Part) -> JSONObject:
    if not isinstance(call, ToolCall):
        raise misplaced(call)
    function = {"name": call.name, "arguments": arguments_text(call)}
    return {"id": call.id, "type": "function", "function": function}


def _part(part: Part) -> JSONObject:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        image = {"url": image_url(part)}
        if part.detail is not None:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if isinstance(part, Document):
        file = {"filename": document_name(part), "file_data": document_data(part)}
        return {"type": "file", "file": file}
    if isinstance(part, Audio):
        sound = {"data": part.loaded().base64(), "format": audio_format(part)}
        return {"type": "input_audio", "input_audio": sound}
    raise misplaced(part)


def _tool(tool: Tool) -> JSONObject:
    function: JSONObject = {"name": tool.name, "parameters": tool.parameters}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    if tool.strict:
        function["parameters"] = strict_parameters(tool)
    return {"type": "function", "function": function}


def _tool_choice(choice: str) -> str | JSONObject:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


class _Prompt(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _Completion(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Prompt | None = None
    completion_tokens_details: _Completion | None = None


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Custom(msgspec.Struct, gc=False):
    name: str | None = None
    input: str | None = None


class _Call(msgspec.Struct, gc=False):
    id: str | None = None
    function: _Function | None = None
    custom: _Custom | None = None


class _Text(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Text] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message | None = None
    finish_reason: str | None = None


class ChatBody(msgspec.Struct, gc=False):
    """A chat completion: the fields that are used."""

    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


def _check(body: ChatBody) -> ItemError | None:
    if body.choices and body.choices[0].message is not None:
        return None
    return invalid("the vendor's answer has no choices", body.error)


def _tokens(body: ChatBody) -> tuple[int, int, int, int, int]:
    usage = body.usage
    if usage is None:
        return (0, 0, 0, 0, 0)
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return (
        usage.prompt_tokens or 0,
        usage.completion_tokens or 0,
        (prompt.cached_tokens or 0) if prompt else 0,
        (prompt.cache_write_tokens or 0) if prompt else 0,
        (completion.reasoning_tokens or 0) if completion else 0,
    )


def _answer(body: ChatBody, raw: bytes, place: tuple[str, ...]) -> ChatResponse:
    choice = (body.choices or [_Choice()])[0]
    message = choice.message or _Message()
    rare: JSONObject = {}
    if message.tool_calls or message.function_call:
        rare["tool_calls"] = _tool_calls(message)
    if message.refusal is not None:
        rare["refusal"] = message.refusal
    if thinking := message.reasoning_content or message.reasoning:
        rare |= {"thinking": thinking, "thoughts": thought(thinking)}
    calls = rare.get("tool_calls", ())
    return chat_response(
        _tokens(body),
        {
            "content": _content(message.content),
            "finish_reason": _finish_reason(choice.finish_reason, message, calls),
            "model": body.model,
            "response_id": body.id,
            "body": raw,
            "body_at": place,
        },
        rare,
    )


def _content(content: str | list[_Text] | None) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.text or "" for part in content or ())


def _tool_calls(message: _Message) -> tuple[ToolCall, ...]:
    calls = [
        tool_call(place, call.id, call.custom.name, call.custom.input)
        if call.custom is not None
        else _function_call(place, call.id, call.function)
        for place, call in enumerate(message.tool_calls or ())
    ]
    if not calls and message.function_call is not None:
        calls.append(_function_call(0, None, message.function_call))
    return tuple(calls)


def _function_call(place: int, id: str | None, function: _Function | None) -> ToolCall:
    function = function or _Function()
    return tool_call(place, id, function.name, function.arguments)


_FINISH_REASONS: dict[str | None, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def _finish_reason(
    reason: str | None, message: _Message, calls: tuple[ToolCall, ...]
) -> FinishReason:
    if message.refusal:
        return "refusal"
    if calls and reason == "stop":
        # So it is reported where tool_choice names the tool.
        return "tool_calls"
    return _FINISH_REASONS.get(reason, "other")


CHAT = Format(
    rows=msgspec.json.Decoder(Row[ChatBody]),
    bodies=msgspec.json.Decoder(ChatBody),
    check=_check,
    tokens=_tokens,
    answer=_answer,
)
"""How the answers of chat completions are read."""

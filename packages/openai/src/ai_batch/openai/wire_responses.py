"""Bodies of ``/v1/responses``, there and back."""

from __future__ import annotations

from typing import Any

import msgspec

from ai_batch.core.messages import (
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
from ai_batch.core.wire_parts import arguments_text, thought, tool_call, usage_of
from ai_batch.openai.wire_parts import (
    document_data,
    document_name,
    image_url,
    misplaced,
    result_text,
)
from ai_batch.openai.wire_rows import Format, Row
from ai_batch.openai.wire_schema import output_format, strict_parameters

__all__ = ["RESPONSES", "ResponseBody", "responses_body"]


def responses_body(request: ChatRequest, model: str, *, max_tokens: int | None) -> JSONObject:
    """The body that asks ``request`` of ``model``; ``max_tokens`` is the default limit.

    ``request.extra`` is merged in last, objects within objects too.
    """
    body: JSONObject = {"model": model, "input": _input(request.messages)}
    limit = max_tokens if request.max_tokens is None else request.max_tokens
    if limit is not None:
        body["max_output_tokens"] = limit
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.reasoning_effort is not None:
        body["reasoning"] = {"effort": request.reasoning_effort}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.output_type is not None:
        body["text"] = {"format": {"type": "json_schema", **output_format(request.output_type)}}
    return merged(body, request.extra) if request.extra else body


def _input(messages: tuple[Message, ...]) -> list[JSONObject]:
    items: list[JSONObject] = []
    for message in messages:
        role, parts = message.role, message.parts
        if role in ("tool", "assistant"):
            items.extend(_item(part) for part in parts)
        elif len(parts) == 1 and isinstance(parts[0], Text):
            items.append({"role": role, "content": parts[0].text})
        else:
            items.append({"role": role, "content": [_part(part) for part in parts]})
    return items


def _item(part: Part) -> JSONObject:
    """What an assistant or a tool said: one item of the input for each part."""
    if isinstance(part, Text):
        return {"role": "assistant", "content": part.text}
    if isinstance(part, ToolCall):
        call = {"call_id": part.id, "name": part.name, "arguments": arguments_text(part)}
        return {"type": "function_call", **call}
    if isinstance(part, ToolResult):
        return {"type": "function_call_output", "call_id": part.id, "output": result_text(part)}
    raise misplaced(part)


def _part(part: Part) -> JSONObject:
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, Image):
        detail = part.detail or "auto"
        return {"type": "input_image", "image_url": image_url(part), "detail": detail}
    if isinstance(part, Document):
        return {"type": "input_file", **_file(part)}
    raise misplaced(part)


def _file(document: Document) -> JSONObject:
    if document.url is not None and not document.url.startswith("data:"):
        return {"file_url": document.url}
    return {"filename": document_name(document), "file_data": document_data(document)}


def _tool(tool: Tool) -> JSONObject:
    # Without "strict" this endpoint takes it for true and refuses many a schema.
    function: JSONObject = {"type": "function", "name": tool.name, "strict": bool(tool.strict)}
    function["parameters"] = strict_parameters(tool) if tool.strict else tool.parameters
    if tool.description is not None:
        function["description"] = tool.description
    return function


def _tool_choice(choice: str) -> str | JSONObject:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "name": choice}


class _Input(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _Output(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Input | None = None
    output_tokens_details: _Output | None = None


class _Text(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    input: str | None = None
    content: list[_Text] | None = None
    summary: list[_Text] | None = None
    encrypted_content: str | None = None


class _Details(msgspec.Struct, gc=False):
    reason: str | None = None


class ResponseBody(msgspec.Struct, gc=False):
    """A response: the fields that are used."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[_Item] | None = None
    incomplete_details: _Details | None = None
    usage: _Usage | None = None
    error: Any = None


def _check(body: ResponseBody) -> ItemError | None:
    if body.status not in (None, "completed", "incomplete"):
        return invalid(f"the response ended with status {body.status!r}", body.error)
    if body.output is None:
        return invalid("the vendor's answer has no output", body.error)
    return None


def _tokens(body: ResponseBody) -> tuple[int, int, int, int, int]:
    usage = body.usage
    if usage is None:
        return (0, 0, 0, 0, 0)
    input_, output = usage.input_tokens_details, usage.output_tokens_details
    return (
        usage.input_tokens or 0,
        usage.output_tokens or 0,
        (input_.cached_tokens or 0) if input_ else 0,
        (input_.cache_write_tokens or 0) if input_ else 0,
        (output.reasoning_tokens or 0) if output else 0,
    )


def _answer(body: ResponseBody, raw: bytes, place: tuple[str, ...]) -> ChatResponse:
    items = body.output or []
    said = [part for item in items if item.type == "message" for part in item.content or ()]
    refusal = "".join(part.refusal or "" for part in said) or None
    thoughts = [
        thought(_thinking(item), item.encrypted_content)
        for item in items
        if item.type == "reasoning"
    ]
    calls = _tool_calls(items)
    flat = tuple(one for several in thoughts for one in several)
    return ChatResponse(
        content="".join(part.text or "" for part in said),
        tool_calls=calls,
        finish_reason=_finish_reason(body, refusal, calls),
        refusal=refusal,
        thinking="\n\n".join(one.text for one in flat if one.text) or None,
        thoughts=flat,
        usage=usage_of(_tokens(body)),
        model=body.model,
        response_id=body.id,
        body=raw,
        body_at=place,
    )


def _thinking(item: _Item) -> str:
    # Open models show the thoughts themselves; OpenAI's only a summary of them.
    return "\n\n".join(part.text for part in item.summary or item.content or () if part.text)


def _tool_calls(items: list[_Item]) -> tuple[ToolCall, ...]:
    calls = [item for item in items if item.type in ("function_call", "custom_tool_call")]
    return tuple(
        tool_call(
            place,
            call.call_id,
            call.name,
            call.arguments if call.type == "function_call" else call.input,
        )
        for place, call in enumerate(calls)
    )


_REASONS: dict[str | None, FinishReason] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}


def _finish_reason(
    body: ResponseBody, refusal: str | None, calls: tuple[ToolCall, ...]
) -> FinishReason:
    if body.status == "incomplete":
        details = body.incomplete_details
        return _REASONS.get(details.reason if details else None, "other")
    if refusal:
        return "refusal"
    return "tool_calls" if calls else "stop"


RESPONSES = Format(
    rows=msgspec.json.Decoder(Row[ResponseBody]),
    bodies=msgspec.json.Decoder(ResponseBody),
    check=_check,
    tokens=_tokens,
    answer=_answer,
)
"""How the answers of the Responses API are read."""

"""Answers of `/v1/responses` that echo the request."""

from __future__ import annotations

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_object, as_text, encode
from ai_batch.emulator.openai.chat import call_arguments, chosen_functions
from ai_batch.emulator.schema_instance import minimal_instance
from ai_batch.emulator.texts import (
    cut_to_tokens,
    last_user_text,
    positive,
    prompt_tokens,
    tokens_of,
)

_ECHOED = ("instructions", "metadata", "reasoning", "temperature", "top_p", "text", "truncation")


def response_object(body: JsonObject, identity: str, created: int) -> JsonObject:
    """Return a finished `response`; it is `incomplete` when the token limit cut it."""
    text = _text(body)
    limit = positive(body, "max_output_tokens")
    cut = limit is not None and tokens_of(text) > limit
    if limit is not None and cut:
        text = cut_to_tokens(text, limit)
    status = "incomplete" if cut else "completed"
    output = _output(body, identity, text, status)
    written = sum(tokens_of(_written(as_object(item))) for item in output)
    read = prompt_tokens(_messages(body)) + tokens_of(as_text(body.get("instructions")))
    return {
        "id": f"resp_{identity}",
        "object": "response",
        "created_at": created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "model": as_text(body.get("model")),
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        **{name: body.get(name) for name in _ECHOED},
        "max_output_tokens": limit,
        "usage": responses_usage(read, written),
    }


def responses_usage(read: int, written: int) -> JsonObject:
    """Return the `usage` of a response."""
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }


def _messages(body: JsonObject) -> JsonValue:
    said = body.get("input")
    return [{"role": "user", "content": said}] if isinstance(said, str) else said


def _text(body: JsonObject) -> str:
    wanted = as_object(as_object(body.get("text")).get("format"))
    said = last_user_text(_messages(body))
    match wanted.get("type"):
        case "json_schema":
            return encode(minimal_instance(wanted.get("schema"))).decode()
        case "json_object":
            return encode({"echo": said}).decode()
        case _:
            return said


def _output(body: JsonObject, identity: str, text: str, status: str) -> list[JsonValue]:
    functions = chosen_functions(body.get("tools"), body.get("tool_choice"))
    if functions:
        return [
            {
                "id": f"fc_{identity}{number}",
                "type": "function_call",
                "status": "completed",
                "call_id": f"call_{identity[:20]}{number}",
                "name": as_text(function.get("name")),
                "arguments": call_arguments(function),
            }
            for number, function in enumerate(functions)
        ]
    content: JsonObject = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message: JsonObject = {
        "id": f"msg_{identity}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [content],
    }
    return [message]


def _written(item: JsonObject) -> str:
    if item["type"] == "function_call":
        return as_text(item["arguments"])
    content = item["content"]
    return as_text(as_object(content[0]).get("text")) if isinstance(content, list) else ""

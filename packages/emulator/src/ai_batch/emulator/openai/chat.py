"""Answers of `/v1/chat/completions` that echo the request."""

from __future__ import annotations

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text, encode
from ai_batch.emulator.schema_instance import minimal_instance
from ai_batch.emulator.texts import (
    cut_to_tokens,
    last_user_text,
    positive,
    prompt_tokens,
    tokens_of,
)


def chat_completion(body: JsonObject, identity: str, created: int) -> JsonObject:
    """Return a `chat.completion`: the last user text, an instance of a schema, or a call."""
    count = positive(body, "n") or 1
    choices: list[JsonValue] = [_choice(body, identity, index) for index in range(count)]
    prompt = prompt_tokens(body.get("messages"))
    completion = sum(_choice_tokens(as_object(choice)) for choice in choices)
    return {
        "id": f"chatcmpl-{identity}",
        "object": "chat.completion",
        "created": created,
        "model": as_text(body.get("model")),
        "choices": choices,
        "usage": chat_usage(prompt, completion),
        "service_tier": "default",
        "system_fingerprint": "fp_emulator",
    }


def chat_usage(prompt: int, completion: int) -> JsonObject:
    """Return the `usage` of a chat answer."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def echo_text(body: JsonObject) -> str:
    """Return the text of an answer: an instance of the schema asked for, or the user's words."""
    said = last_user_text(body.get("messages"))
    wanted = as_object(body.get("response_format"))
    match wanted.get("type"):
        case "json_schema":
            schema = as_object(wanted.get("json_schema")).get("schema")
            return encode(minimal_instance(schema)).decode()
        case "json_object":
            return encode({"echo": said}).decode()
        case _:
            return said


def chosen_functions(tools: JsonValue, choice: JsonValue) -> list[JsonObject]:
    """Return the functions to call: the one named, or the first if some call is required."""
    functions = [_function(tool) for tool in as_list(tools)]
    functions = [function for function in functions if function]
    named = as_text(_function(choice).get("name"))
    if named:
        return [function for function in functions if function.get("name") == named]
    return functions[:1] if choice == "required" else []


def _function(tool: JsonValue) -> JsonObject:
    """Return the function of a tool; chat nests it, the Responses API does not."""
    tool = as_object(tool)
    if tool.get("type") != "function":
        return {}
    return as_object(tool.get("function")) or tool


def call_arguments(function: JsonObject) -> str:
    """Return the smallest arguments that a function's schema allows."""
    return encode(minimal_instance(function.get("parameters")) or {}).decode()


def _choice(body: JsonObject, identity: str, index: int) -> JsonObject:
    functions = chosen_functions(body.get("tools"), body.get("tool_choice"))
    if functions:
        called = _call_message(functions, identity, index)
        return _finished(index, called, "tool_calls", None)
    text = echo_text(body)
    limit = positive(body, "max_completion_tokens", "max_tokens")
    cut = limit is not None and tokens_of(text) > limit
    if limit is not None and cut:
        text = cut_to_tokens(text, limit)
    message: JsonObject = {
        "role": "assistant",
        "content": text,
        "refusal": None,
        "annotations": [],
    }
    logprobs = _logprobs(text) if body.get("logprobs") is True else None
    return _finished(index, message, "length" if cut else "stop", logprobs)


def _call_message(functions: list[JsonObject], identity: str, index: int) -> JsonObject:
    calls: list[JsonValue] = [
        {
            "id": f"call_{identity[:20]}{index}{number}",
            "type": "function",
            "function": {
                "name": as_text(function.get("name")),
                "arguments": call_arguments(function),
            },
        }
        for number, function in enumerate(functions)
    ]
    return {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": calls,
        "annotations": [],
    }


def _finished(
    index: int, message: JsonObject, reason: str, logprobs: JsonObject | None
) -> JsonObject:
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason}


def _logprobs(text: str) -> JsonObject:
    tokens: list[JsonValue] = [
        {"token": word, "logprob": 0.0, "bytes": list(word.encode()), "top_logprobs": []}
        for word in text.split(" ")
    ]
    return {"content": tokens, "refusal": None}


def _choice_tokens(choice: JsonObject) -> int:
    message = as_object(choice["message"])
    text = as_text(message.get("content"))
    for call in as_list(message.get("tool_calls")):
        text += as_text(as_object(as_object(call)["function"]).get("arguments"))
    return tokens_of(text)

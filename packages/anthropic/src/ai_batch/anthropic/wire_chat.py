"""The ``params`` of a request: a body of ``/v1/messages``."""

from __future__ import annotations

from ai_batch.anthropic.wire_schema import output_format, transformed
from ai_batch.anthropic.wire_turns import system_prompt, turns
from ai_batch.core.messages import JSONObject, Tool
from ai_batch.core.requests import ChatRequest
from ai_batch.core.wire_json import merged

__all__ = ["PLAIN", "chat_params"]

PLAIN = frozenset({"id", "messages", "model", "metadata"})
"""Requests that set nothing else, most of them, need no further looks."""


def chat_params(request: ChatRequest, model: str, *, max_tokens: int) -> JSONObject:
    """The body that asks ``request`` of ``model``; ``max_tokens`` is the default limit.

    ``request.extra`` is merged in last, objects within objects too.
    """
    messages = request.messages
    params: JSONObject = {"model": model, "max_tokens": max_tokens}
    if messages[0].role == "system":
        prompt, count = system_prompt(messages)
        messages = messages[count:]
        params["system"] = prompt
    params["messages"] = turns(messages)
    if request.model_fields_set <= PLAIN:
        return params
    _add_options(params, request)
    return merged(params, request.extra) if request.extra else params


def _add_options(params: JSONObject, request: ChatRequest) -> None:
    for name in ("max_tokens", "temperature", "top_p"):
        value = getattr(request, name)
        if value is not None:
            params[name] = value
    if request.stop:
        params["stop_sequences"] = request.stop
    if request.tools:
        params["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        params["tool_choice"] = _tool_choice(request.tool_choice)
    config: JSONObject = {}
    if request.reasoning_effort is not None:
        config["effort"] = request.reasoning_effort
    if request.output_type is not None:
        config["format"] = output_format(request.output_type)
    if config:
        params["output_config"] = config


def _tool(tool: Tool) -> JSONObject:
    item: JSONObject = {"name": tool.name, "input_schema": tool.parameters}
    if tool.description is not None:
        item["description"] = tool.description
    if tool.strict is not None:
        item["strict"] = tool.strict
    if tool.strict:
        item["input_schema"] = transformed(tool.parameters)
    return item


def _tool_choice(choice: str) -> JSONObject:
    if choice == "required":
        return {"type": "any"}
    if choice in ("auto", "none"):
        return {"type": choice}
    return {"type": "tool", "name": choice}

"""Chat requests as the ``GenerateContentRequest`` of Google's REST API.

https://ai.google.dev/api/generate-content. Names are in camel case throughout, and what samples
and limits goes into ``generationConfig``: a line with such a field beside it fails
(UKGovernmentBEIS/inspect_ai#3257).
"""

from __future__ import annotations

from collections.abc import Iterable

from ai_batch.core.messages import (
    Audio,
    Document,
    Image,
    JSONObject,
    Message,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from ai_batch.core.requests import ChatRequest
from ai_batch.core.wire_json import as_object, merged
from ai_batch.gemini.wire_media import media_part
from ai_batch.gemini.wire_schema import NotExpressible, gemini_schema, output_schema_of
from ai_batch.gemini.wire_thinking import thinking_config

__all__ = ["PLAIN", "chat_body"]

PLAIN = frozenset({"id", "messages", "model", "metadata"})
"""Requests that set nothing else, most of them, take the short way."""

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def chat_body(request: ChatRequest, model: str, *, max_tokens: int | None) -> JSONObject:
    """The body that asks ``request``; ``max_tokens`` is the limit where it sets none.

    The model is not in it: a batch has one model, in its URL. ``request.extra`` is merged in
    last, objects within objects too.
    """
    body = _conversation(request.messages)
    if request.model_fields_set <= PLAIN:
        if max_tokens is not None:
            body["generationConfig"] = {"maxOutputTokens": max_tokens}
        return body
    config = _generation_config(request, model, max_tokens)
    if config:
        body["generationConfig"] = config
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_tool(tool) for tool in request.tools]}]
    if calling := _calling_config(request):
        body["toolConfig"] = {"functionCallingConfig": calling}
    return merged(body, request.extra) if request.extra else body


def _conversation(messages: tuple[Message, ...]) -> JSONObject:
    contents: list[JSONObject] = []
    system: list[JSONObject] = []
    names: dict[str, str] = {}
    previous = ""
    for message in messages:
        role, parts = message.role, message.parts
        if role == "user" and len(parts) == 1 and type(parts[0]) is Text:
            contents.append({"role": "user", "parts": [{"text": parts[0].text}]})
        elif role == "system":
            system += [{"text": part.text} for part in parts if isinstance(part, Text)]
        elif role == "assistant":
            contents.append({"role": "model", "parts": _model_parts(parts)})
            names.update((part.id, part.name) for part in parts if isinstance(part, ToolCall))
        elif role == "tool":
            results = [_result(part, names) for part in parts]
            # The results of one turn's calls belong together: their numbers must agree.
            if previous == "tool":
                contents[-1]["parts"] += results
            else:
                contents.append({"role": "user", "parts": results})
        else:
            contents.append({"role": "user", "parts": [_part(part) for part in parts]})
        previous = role
    body: JSONObject = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    return body


def _part(part: Part) -> JSONObject:
    if isinstance(part, Text):
        return {"text": part.text}
    if isinstance(part, Image | Document | Audio):
        return media_part(part)
    raise ValueError(f"Gemini has no place for a part of type {part.type!r} in this message")


def _model_parts(parts: Iterable[Part]) -> list[JSONObject]:
    """A turn of the model's, its thoughts' signatures where they came from.

    A signature without a thought belongs to a call, if there is one: Gemini 3 refuses a call
    that comes back without its signature, and only that.
    https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    items: list[JSONObject] = []
    loose: list[str] = []
    for part in parts:
        if isinstance(part, Thinking):
            if part.text:
                items.append(_signed({"text": part.text, "thought": True}, part.signature))
            elif part.signature:
                loose.append(part.signature)
        elif isinstance(part, ToolCall):
            items.append({"functionCall": {"name": part.name, "args": part.arguments}})
        else:
            items.append(_part(part))
    _sign(items, loose)
    return items


def _sign(items: list[JSONObject], signatures: list[str]) -> None:
    calls = [item for item in items if "functionCall" in item]
    texts = [item for item in items if "functionCall" not in item and "thought" not in item]
    places = [*calls, *reversed(texts)]
    for place, signature in zip(places, signatures, strict=False):
        _signed(place, signature)
    items += [{"text": "", "thoughtSignature": one} for one in signatures[len(places) :]]


def _signed(item: JSONObject, signature: str | None) -> JSONObject:
    if signature:
        item["thoughtSignature"] = signature
    return item


def _result(part: Part, names: dict[str, str]) -> JSONObject:
    if not isinstance(part, ToolResult):
        return _part(part)
    # These are the two keys that models are trained on for what is no object.
    answer: JSONObject = {"error" if part.is_error else "output": part.content}
    if not part.is_error:
        answer = as_object(part.content) or answer
    # Gemini knows calls by the tool's name, not by an id.
    name = part.name or names.get(part.id, "")
    return {"functionResponse": {"name": name, "response": answer}}


def _generation_config(request: ChatRequest, model: str, max_tokens: int | None) -> JSONObject:
    config: JSONObject = {}
    for name, ours in (
        ("temperature", request.temperature),
        ("topP", request.top_p),
        ("seed", request.seed),
        ("stopSequences", request.stop or None),
        ("maxOutputTokens", max_tokens if request.max_tokens is None else request.max_tokens),
    ):
        if ours is not None:
            config[name] = ours
    if request.reasoning_effort is not None:
        config["thinkingConfig"] = thinking_config(request.reasoning_effort, model)
    if request.output_type is not None:
        config["responseMimeType"] = "application/json"
        config["responseSchema"] = output_schema_of(request.output_type)
    return config


def _tool(tool: Tool) -> JSONObject:
    declared: JSONObject = {"name": tool.name}
    if tool.description is not None:
        declared["description"] = tool.description
    # An object without properties is refused, so a tool without parameters has no schema.
    if tool.parameters.get("properties") or tool.parameters.keys() - {"type", "properties"}:
        try:
            declared["parameters"] = gemini_schema(tool.parameters)
        except NotExpressible:
            declared["parametersJsonSchema"] = tool.parameters
    return declared


def _calling_config(request: ChatRequest) -> JSONObject | None:
    choice = request.tool_choice
    if choice in (None, "auto") and any(tool.strict for tool in request.tools or ()):
        # What other vendors call strict: the arguments fit the schema for certain.
        return {"mode": "VALIDATED"}
    if choice is None:
        return None
    if choice in _MODES:
        return {"mode": _MODES[choice]}
    return {"mode": "ANY", "allowedFunctionNames": [choice]}

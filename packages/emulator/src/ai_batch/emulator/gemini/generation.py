"""Answers of `generateContent` that echo the request."""

from __future__ import annotations

import base64

from ai_batch.emulator.gemini.prompts import last_user_texts, prompt_tokens
from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text, encode
from ai_batch.emulator.schema_instance import minimal_instance
from ai_batch.emulator.texts import cut_to_tokens, positive, tokens_of

_THOUGHT = "The user wants to hear the same again."
_CACHED_TOKENS = 32
BLOCKED = "emulator:blocked"
THINKING = "emulator:thinking"
PARTS = "emulator:parts"
EMPTY = "emulator:empty"
_WITHOUT_CONTENT = {
    "emulator:safety": "SAFETY",
    "emulator:recitation": "RECITATION",
    "emulator:malformed_function_call": "MALFORMED_FUNCTION_CALL",
}


def generated(body: JsonObject, model: str, identity: str) -> JsonObject:
    """Return a response: the last user text, an instance of a schema, or a call.

    Words in that text make it end in a way of its own: `emulator:blocked` without candidates,
    `emulator:safety`, `emulator:recitation` and `emulator:malformed_function_call` for that reason
    and without content, `emulator:empty` without parts; `emulator:parts` makes it two parts, and
    `emulator:thinking` gives it a thought that nobody asked for.
    """
    said = "".join(last_user_texts(body))
    odd = said if "emulator:" in said else ""
    if BLOCKED in odd:
        return _blocked(body, model, identity)
    config = as_object(body.get("generationConfig"))
    count = positive(config, "candidateCount") or 1
    candidates = [_candidate(body, config, identity, index, odd) for index in range(count)]
    thoughts = tokens_of(_THOUGHT) if THINKING in odd or _thinks(config) else 0
    written = sum(_written(candidate) for candidate in candidates)
    return {
        "candidates": list[JsonValue](candidates),
        "usageMetadata": usage(body, written, thoughts),
        "modelVersion": model,
        "responseId": identity[:22],
    }


def _blocked(body: JsonObject, model: str, identity: str) -> JsonObject:
    return {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {**usage(body, 0, 0)},
        "modelVersion": model,
        "responseId": identity[:22],
    }


def usage(body: JsonObject, written: int, thoughts: int) -> JsonObject:
    """Return the `usageMetadata`; counts that are zero are left out."""
    read = prompt_tokens(body)
    cached = _CACHED_TOKENS if body.get("cachedContent") else 0
    found: JsonObject = {
        "promptTokenCount": read + cached,
        "totalTokenCount": read + cached + written + thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": read + cached}],
    }
    if written:
        found["candidatesTokenCount"] = written
    if cached:
        found["cachedContentTokenCount"] = cached
        found["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
    if thoughts:
        found["thoughtsTokenCount"] = thoughts
    return found


def _thinks(config: JsonObject) -> bool:
    thinking = as_object(config.get("thinkingConfig"))
    return bool(
        thinking.get("includeThoughts")
        or thinking.get("thinkingBudget")
        or thinking.get("thinkingLevel")
    )


def _candidate(
    body: JsonObject, config: JsonObject, identity: str, index: int, odd: str
) -> JsonObject:
    for word, reason in _WITHOUT_CONTENT.items():
        if word in odd:
            return {"finishReason": reason, "index": index}
    if EMPTY in odd:
        return {"content": {"role": "model"}, "finishReason": "STOP", "index": index}
    functions = chosen_functions(body)
    parts: list[JsonObject]
    reason = "STOP"
    if functions:
        parts = [_call(function) for function in functions]
    else:
        texts, reason = _limited(_texts(body, config), config)
        if PARTS in odd:
            texts = [half for text in texts for half in text.partition(PARTS)[::2]]
        parts = [{"text": text} for text in texts]
    if THINKING in odd or as_object(config.get("thinkingConfig")).get("includeThoughts"):
        if parts:
            signature = base64.b64encode(identity.encode()).decode()
            parts[0] = {**parts[0], "thoughtSignature": signature}
        parts = [{"text": _THOUGHT, "thought": True}, *parts]
    return {
        "content": {"parts": list[JsonValue](parts), "role": "model"},
        "finishReason": reason,
        "index": index,
    }


def _texts(body: JsonObject, config: JsonObject) -> list[str]:
    said = last_user_texts(body)
    kind = config.get("responseMimeType")
    schema = config.get("responseSchema") or config.get("responseJsonSchema")
    if schema is not None:
        instance = minimal_instance(json_schema(schema))
        return [str(instance) if kind == "text/x.enum" else encode(instance).decode()]
    if kind == "application/json":
        return [encode({"echo": "".join(said)}).decode()]
    return said or [""]


def _limited(texts: list[str], config: JsonObject) -> tuple[list[str], str]:
    """Cut texts at a stop sequence, or at the limit of tokens; return why they end."""
    stops = [as_text(stop) for stop in as_list(config.get("stopSequences"))]
    limit = positive(config, "maxOutputTokens")
    kept: list[str] = []
    for text in texts:
        found = min((text.find(stop) for stop in stops if stop and stop in text), default=None)
        shown = text if found is None else text[:found]
        if limit is not None and tokens_of(shown) > limit:
            return [*kept, cut_to_tokens(shown, limit)], "MAX_TOKENS"
        kept.append(shown)
        if found is not None:
            return kept, "STOP"
        limit = None if limit is None else limit - tokens_of(shown)
    return kept, "STOP"


def chosen_functions(body: JsonObject) -> list[JsonObject]:
    """Return the functions to call: if one must be called, the first that is allowed."""
    calling = as_object(as_object(body.get("toolConfig")).get("functionCallingConfig"))
    if as_text(calling.get("mode")).upper() != "ANY":
        return []
    allowed = as_list(calling.get("allowedFunctionNames"))
    declared = [
        as_object(function)
        for tool in as_list(body.get("tools"))
        for function in as_list(as_object(tool).get("functionDeclarations"))
    ]
    return [each for each in declared if not allowed or each.get("name") in allowed][:1]


def _call(function: JsonObject) -> JsonObject:
    schema = function.get("parameters") or function.get("parametersJsonSchema")
    arguments = minimal_instance(json_schema(schema)) or {}
    return {"functionCall": {"name": as_text(function.get("name")), "args": arguments}}


def _written(candidate: JsonObject) -> int:
    content = as_object(candidate.get("content"))
    parts = [as_object(part) for part in as_list(content.get("parts"))]
    return sum(
        tokens_of(as_text(part.get("text")) or encode(part).decode())
        for part in parts
        if not part.get("thought")
    )


def json_schema(schema: JsonValue) -> JsonValue:
    """Return Google's kind of schema as a JSON schema: types in small letters, plain names."""
    if not isinstance(schema, dict):
        return schema
    found: JsonObject = {}
    for name, value in schema.items():
        match name:
            case "type" if isinstance(value, str):
                found[name] = value.lower()
            case "items" | "additionalProperties":
                found[name] = json_schema(value)
            case "anyOf" | "any_of" | "oneOf" | "allOf" | "prefixItems":
                inner = [json_schema(each) for each in as_list(value)]
                found["anyOf" if name == "any_of" else name] = inner
            case "properties" | "$defs" | "defs":
                named = as_object(value)
                found[name] = {key: json_schema(each) for key, each in named.items()}
            case "minItems" | "minLength" if isinstance(value, str) and value.isdecimal():
                found[name] = int(value)  # int64 travels as a string
            case _:
                found[name] = value
    return found

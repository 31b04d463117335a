"""Gemini requests for an OpenAI-compatible server, and its answers as Gemini's."""

from __future__ import annotations

from ai_batch.emulator.answers import Answered
from ai_batch.emulator.gemini.embedding import dimensions_of
from ai_batch.emulator.gemini.errors import error_body
from ai_batch.emulator.gemini.generation import json_schema
from ai_batch.emulator.gemini.prompts import contents_of, texts_of
from ai_batch.emulator.json_types import (
    JsonObject,
    JsonValue,
    as_count,
    as_list,
    as_object,
    as_text,
    decode,
    encode,
)

_CHAT = "/v1/chat/completions"
_EMBEDDINGS = "/v1/embeddings"
_PARAMETERS = {
    "temperature": "temperature",
    "topP": "top_p",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "candidateCount": "n",
}
_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


def to_openai(model: str, body: JsonObject, *, embeds: bool) -> tuple[str, JsonObject]:
    """Return path and body for the other server; of a conversation, its texts."""
    if embeds:
        text = "\n".join(texts_of(body.get("content")))
        translated: JsonObject = {"model": model, "input": text}
        size = dimensions_of(body, model, None)
        asked = "outputDimensionality" in {**body, **as_object(body.get("embedContentConfig"))}
        return _EMBEDDINGS, {**translated, "dimensions": size} if asked else translated
    config = as_object(body.get("generationConfig"))
    messages: list[JsonValue] = []
    if system := texts_of(body.get("systemInstruction")):
        messages.append({"role": "system", "content": "\n".join(system)})
    for content in contents_of(body):
        role = "assistant" if as_object(content).get("role") == "model" else "user"
        messages.append({"role": role, "content": "".join(texts_of(content))})
    translated = {"model": model, "messages": messages}
    translated |= {
        name: config[ours] for ours, name in _PARAMETERS.items() if config.get(ours) is not None
    }
    schema = config.get("responseSchema") or config.get("responseJsonSchema")
    if schema is not None:
        wanted: JsonObject = {"name": "response", "schema": json_schema(schema)}
        translated["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return _CHAT, translated


def from_openai(model: str, answered: Answered, *, embeds: bool) -> Answered:
    """Return the other server's answer as Gemini would have given it."""
    body = as_object(decode(answered.body))
    if not answered.ok:
        message = as_text(as_object(body.get("error")).get("message")) or "Upstream failed."
        return Answered(answered.status, encode(error_body(answered.status, message)))
    usage = as_object(body.get("usage"))
    read = as_count(usage.get("prompt_tokens")) or 0
    if embeds:
        first = next(iter(as_list(body.get("data"))), None)
        vector = as_object(first).get("embedding")
        return Answered(200, encode({"tokenCount": str(read), "embedding": {"values": vector}}))
    written = as_count(usage.get("completion_tokens")) or 0
    candidates: list[JsonValue] = [
        _candidate(index, as_object(choice))
        for index, choice in enumerate(as_list(body.get("choices")))
    ]
    found: JsonObject = {
        "candidates": candidates,
        "usageMetadata": {
            "promptTokenCount": read,
            "candidatesTokenCount": written,
            "totalTokenCount": read + written,
        },
        "modelVersion": as_text(body.get("model")) or model,
        "responseId": as_text(body.get("id")),
    }
    return Answered(200, encode(found))


def _candidate(index: int, choice: JsonObject) -> JsonObject:
    text = as_text(as_object(choice.get("message")).get("content"))
    reason = _REASONS.get(as_text(choice.get("finish_reason")), "OTHER")
    content: JsonObject = {"parts": [{"text": text}], "role": "model"}
    return {"content": content, "finishReason": reason, "index": index}

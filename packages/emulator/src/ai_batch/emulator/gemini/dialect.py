"""How Gemini words its answers, for both of its APIs."""

from __future__ import annotations

from collections.abc import Hashable

from ai_batch.emulator.answers import (
    Answered,
    Answerer,
    RefusingAnswerer,
    UpstreamAnswerer,
    answerer_for,
)
from ai_batch.emulator.gemini.embedding import dimensions_of, embedded
from ai_batch.emulator.gemini.errors import error_body
from ai_batch.emulator.gemini.generation import generated
from ai_batch.emulator.gemini.prompts import contents_of, parts_of
from ai_batch.emulator.gemini.upstream import from_openai, to_openai
from ai_batch.emulator.items import item_key
from ai_batch.emulator.json_types import JsonObject, JsonValue, as_count, as_object, encode
from ai_batch.emulator.options import Options
from ai_batch.emulator.usage import TokenUsage

GENERATE_CONTENT = "generateContent"
EMBED_CONTENT = "embedContent"
_CANNED = "This is the emulator's canned answer."


def endpoint_of(model: str, method: str) -> str:
    """Return the endpoint under which a request is known, whichever way it came."""
    return f"/models/{model}:{method}"


def _split(endpoint: str) -> tuple[str, str]:
    model, _, method = endpoint.removeprefix("/models/").rpartition(":")
    return model, method


def answerer_of(options: Options) -> Answerer:
    """Return the one that the options ask for."""
    answerer = answerer_for(options.answer, GeminiDialect(options.embedding_dimensions))
    # Another server has rules of its own.
    if isinstance(answerer, UpstreamAnswerer):
        return answerer
    return RefusingAnswerer(answerer, refusal)


class GeminiDialect:
    """The bodies of `generateContent` and `embedContent`."""

    def __init__(self, dimensions: int | None = None) -> None:
        self._dimensions = dimensions

    def echo(self, endpoint: str, body: JsonObject) -> JsonObject:
        """Return the answer that depends on nothing but the request."""
        model, method = _split(endpoint)
        if method == EMBED_CONTENT:
            return embedded(body, model, self._dimensions)
        return generated(body, model, item_key(endpoint, body) * 2)

    def canned_key(self, endpoint: str, body: JsonObject) -> Hashable:
        """Return what the canned answer depends on: the endpoint, and the size of a vector."""
        if not endpoint.endswith(EMBED_CONTENT):
            return endpoint
        return endpoint, dimensions_of(body, _split(endpoint)[0], self._dimensions)

    def canned_request(self, endpoint: str, body: JsonObject) -> JsonObject:
        """Return the request whose echo is the canned answer."""
        said: JsonObject = {"parts": [{"text": _CANNED}], "role": "user"}
        if not endpoint.endswith(EMBED_CONTENT):
            return {"contents": [said]}
        size = dimensions_of(body, _split(endpoint)[0], self._dimensions)
        return {"content": said, "outputDimensionality": size}

    def failure(self, status: int, message: str) -> JsonObject:
        """Return the body of a failed request."""
        return error_body(status, message)

    def to_upstream(self, endpoint: str, body: JsonObject) -> tuple[str, JsonObject]:
        """Translate a request into one of OpenAI's."""
        model, method = _split(endpoint)
        return to_openai(model, body, embeds=method == EMBED_CONTENT)

    def from_upstream(self, endpoint: str, body: JsonObject, answered: Answered) -> Answered:
        """Translate an answer of OpenAI's."""
        model, method = _split(endpoint)
        return from_openai(model, answered, embeds=method == EMBED_CONTENT)


def refusal(endpoint: str, body: JsonObject) -> Answered | None:
    """Return the answer to a request that no model would take, else None."""
    message = _unfit_content(body) if endpoint.endswith(EMBED_CONTENT) else _unfit(body)
    return None if message is None else Answered(400, encode(error_body(400, message)))


def _unfit_content(body: JsonObject) -> str | None:
    if not parts_of(body.get("content")):
        return "* EmbedContentRequest.content: content is not specified\n"
    return None


def _unfit(body: JsonObject) -> str | None:
    contents = contents_of(body)
    if not contents:
        return "* GenerateContentRequest.contents: contents is not specified\n"
    for index, content in enumerate(contents):
        if not as_object(content).get("parts"):
            where = f"* GenerateContentRequest.contents[{index}].parts"
            return f"{where}: contents.parts must not be empty.\n"
    config = body.get("generationConfig")
    return _unfit_temperature(config.get("temperature")) if isinstance(config, dict) else None


def _unfit_temperature(value: JsonValue) -> str | None:
    if value is None or (isinstance(value, (int, float)) and 0 <= value <= 2):
        return None
    return f"Temperature must be a number from 0.0 to 2.0, but is {value}."


def usage_of(body: JsonValue) -> TokenUsage:
    """Return the usage that an answer reports."""
    usage = as_object(as_object(body).get("usageMetadata"))
    return TokenUsage(
        as_count(usage.get("promptTokenCount")) or 0,
        as_count(usage.get("candidatesTokenCount")) or 0,
        as_count(usage.get("cachedContentTokenCount")) or 0,
        as_count(usage.get("thoughtsTokenCount")) or 0,
    )

"""Answers of `embedContent`: vectors that depend on the text alone."""

from __future__ import annotations

from ai_batch.emulator.gemini.prompts import content_tokens, texts_of
from ai_batch.emulator.json_types import JsonObject, JsonValue, as_count, as_object
from ai_batch.emulator.openai.embeddings import unit_vector

FULL_SIZE = 3072
OLD_SIZE = 768
_OLD = ("text", "embedding-0")
_NOT_NORMALISED = "gemini-embedding-001"


def dimensions_of(body: JsonObject, model: str, default: int | None) -> int:
    """Return how long the vector is: as asked (in either place), as configured, or full."""
    config = as_object(body.get("embedContentConfig"))
    asked = as_count(body.get("outputDimensionality"))
    asked = asked or as_count(config.get("outputDimensionality"))
    return asked or default or (OLD_SIZE if model.startswith(_OLD) else FULL_SIZE)


def vector_of(text: str, model: str, dimensions: int) -> list[float]:
    """Return the vector of a text.

    gemini-embedding-001 only cuts its vectors off, so that short ones are shorter than one; later
    models scale them (https://ai.google.dev/gemini-api/docs/embeddings, "quality for smaller
    dimensions").
    """
    if model == _NOT_NORMALISED and dimensions < FULL_SIZE:
        return unit_vector(text, FULL_SIZE)[:dimensions]
    return unit_vector(text, dimensions)


def embedded(body: JsonObject, model: str, default_dimensions: int | None) -> JsonObject:
    """Return the response to one content; its count of tokens is a string."""
    content = body.get("content")
    text = "\n".join(texts_of(content))
    values: list[JsonValue] = [
        *vector_of(text, model, dimensions_of(body, model, default_dimensions))
    ]
    return {"tokenCount": str(content_tokens(content)), "embedding": {"values": values}}

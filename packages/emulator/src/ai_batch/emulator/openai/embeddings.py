"""Answers of `/v1/embeddings`: unit vectors that depend on the text alone."""

from __future__ import annotations

import base64
import hashlib
import math
import sys
from array import array

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_text, encode
from ai_batch.emulator.openai.lines import input_count
from ai_batch.emulator.texts import positive, tokens_of

_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
_DEFAULT = 8


def dimensions_of(body: JsonObject, default: int | None) -> int:
    """Return how long the vectors are: as asked, as configured, or as the vendor's model has it."""
    asked = positive(body, "dimensions")
    return asked or default or _DIMENSIONS.get(as_text(body.get("model")), _DEFAULT)


def embedding_list(body: JsonObject, default_dimensions: int | None = None) -> JsonObject:
    """Return one vector per text, in order."""
    dimensions = dimensions_of(body, default_dimensions)
    texts = embedded_texts(body.get("input"))
    base64_wanted = body.get("encoding_format") == "base64"
    data: list[JsonValue] = []
    for index, text in enumerate(texts):
        vector = unit_vector(text, dimensions)
        value = packed(vector) if base64_wanted else list[JsonValue](vector)
        data.append({"object": "embedding", "index": index, "embedding": value})
    tokens = sum(map(tokens_of, texts))
    return {
        "object": "list",
        "data": data,
        "model": as_text(body.get("model")),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def unit_vector(text: str, dimensions: int) -> list[float]:
    """Return the text's vector: equal texts have equal ones, of length one."""
    digest = hashlib.shake_256(text.encode(errors="surrogatepass")).digest(2 * dimensions)
    numbers = array("h", digest)
    if sys.byteorder == "big":
        numbers.byteswap()
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [round(number / length, 8) for number in numbers]


def packed(vector: list[float]) -> str:
    """Return a vector as base64 of little-endian 32-bit floats."""
    floats = array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode()


def embedded_texts(value: JsonValue) -> list[str]:
    """Return the texts of an input; tokens are written as a JSON array."""
    items = as_list(value)
    if isinstance(value, str) or input_count(value) != len(items):
        return [_text(value)]
    return [_text(item) for item in items]


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else encode(value).decode()

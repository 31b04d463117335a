"""Voyage AI's wire format: what is asked for texts, and the vectors that come back. Pure.

https://docs.voyageai.com/reference/embeddings-api
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ai_batch.core.errors import Problem
from ai_batch.core.messages import JSONObject
from ai_batch.core.requests import EmbeddingRequest
from ai_batch.core.results import EmbeddingResponse, Outcome, Usage, pack_vector
from ai_batch.core.wire_faults import invalid
from ai_batch.core.wire_json import unwritable

__all__ = ["check", "decode", "input_type", "parameters"]

MAX_TEXTS = 1000
"""In one call; same page."""

DIMENSIONS = (256, 512, 1024, 2048)
"""What may be chosen, of models that leave a choice: https://docs.voyageai.com/docs/embeddings"""

TASKS = ("query", "document")

_SYNONYMS = {
    "search_query": "query",
    "retrieval_query": "query",
    "search_document": "document",
    "retrieval_document": "document",
    "passage": "document",
}
"""What other vendors call the same."""

_FIELDS = {
    "encoding_format": "vectors always travel as base64; leave it out",
    "input": "give the texts as texts",
    "input_type": "give it as task, query or document",
    "model": "give it as model",
    "output_dimension": "give it as dimensions",
    "output_dtype": "vectors here are of floats; leave it out",
}
"""Keys that never belong into ``extra``."""


def input_type(task: str) -> str | None:
    """Voyage's name for a task, in any spelling; None for one that it does not have."""
    name = task.strip().lower().replace("-", "_").replace(" ", "_")
    name = _SYNONYMS.get(name, name)
    return name if name in TASKS else None


def check(request: EmbeddingRequest) -> Iterator[Problem]:
    """Every fault of ``request`` for this vendor, each with its field and what is allowed."""
    if len(request.texts) > MAX_TEXTS:
        found = f"{len(request.texts)} texts in one request; Voyage takes at most {MAX_TEXTS}"
        yield Problem(found, field="texts")
    if request.task is not None and input_type(request.task) is None:
        yield Problem(f"{request.task!r} is not one of {', '.join(TASKS)}", field="task")
    if request.dimensions is not None and request.dimensions not in DIMENSIONS:
        allowed = ", ".join(map(str, DIMENSIONS))
        yield Problem(f"{request.dimensions} is not one of {allowed}", field="dimensions")
    extra = request.extra or {}
    if (reason := unwritable(extra)) is not None:
        yield Problem(reason, field="extra")
    for name in sorted(_FIELDS.keys() & extra.keys()):
        yield Problem(_FIELDS[name], field=f"extra.{name}")


def parameters(request: EmbeddingRequest, model: str, *, truncation: bool) -> JSONObject:
    """What is asked; ``truncation`` cuts texts that are too long, which are refused without it."""
    asked: JSONObject = {
        "input": list(request.texts),
        "model": model,
        "truncation": truncation,
        # Else the SDK asks for the same, and then makes lists of floats.
        "encoding_format": "base64",
    }
    if request.task is not None:
        asked["input_type"] = input_type(request.task)
    if request.dimensions is not None:
        asked["output_dimension"] = request.dimensions
    return {**asked, **(request.extra or {})}


class _Vector(msgspec.Struct, gc=False):
    embedding: bytes | list[float] = b""
    index: int | None = None


class _Usage(msgspec.Struct, gc=False):
    total_tokens: int = 0


class _Body(msgspec.Struct, gc=False):
    data: list[_Vector]
    model: str | None = None
    usage: _Usage = msgspec.field(default_factory=_Usage)


def decode(answer: Any) -> Outcome:
    """The vectors of an answer, which the SDK has read from JSON; never raises."""
    try:
        body = msgspec.convert(answer, _Body)
    except msgspec.ValidationError as error:
        return invalid(f"the vendor's answer can't be read: {error}")
    places = [place if one.index is None else one.index for place, one in enumerate(body.data)]
    if not places or sorted(places) != list(range(len(places))):
        return invalid(f"the vectors are not numbered from 0 to {len(places) - 1}")
    rows = [row for _, row in sorted(zip(places, map(_packed, body.data), strict=True))]
    sizes = {len(row) for row in rows}
    if len(sizes) > 1 or not all(size and size % 4 == 0 for size in sizes):
        return invalid("the vectors are empty, of different lengths, or cut in a number")
    return EmbeddingResponse(
        data=b"".join(rows),
        count=len(rows),
        dimensions=sizes.pop() // 4,
        usage=Usage(input_tokens=body.usage.total_tokens),
        model=body.model,
        body=msgspec.json.encode(answer),
    )


def _packed(vector: _Vector) -> bytes:
    # base64 holds little-endian float32 already, which is what the response keeps.
    found = vector.embedding
    return pack_vector(found) if isinstance(found, list) else found

"""Gemini's wire formats: requests as lines of a batch's input, rows of its results as answers.

Pure: nothing here calls anybody, and nothing imports the vendor's SDK. The formats themselves
are in the modules beside this one, which picks one by the route's endpoint.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import Route, Scan, part_id
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request
from ai_batch.core.results import Outcome
from ai_batch.core.wire_json import value_of
from ai_batch.gemini.wire_chat import chat_body
from ai_batch.gemini.wire_check import check
from ai_batch.gemini.wire_embeddings import instances
from ai_batch.gemini.wire_rows import CHAT, EMBEDDINGS, LABEL, PREDICTIONS, Format

__all__ = [
    "CHAT_ENDPOINT",
    "EMBEDDING_ENDPOINT",
    "PREDICT_ENDPOINT",
    "VERTEX_CHAT_ENDPOINT",
    "VERTEX_EMBEDDING_ENDPOINT",
    "check",
    "decode",
    "encode",
    "has_key",
    "inline_row",
    "key_of",
    "scan",
]

CHAT_ENDPOINT = "batchGenerateContent"
EMBEDDING_ENDPOINT = "asyncBatchEmbedContent"
VERTEX_CHAT_ENDPOINT = "generateContent"
VERTEX_EMBEDDING_ENDPOINT = "embedContent"
PREDICT_ENDPOINT = "predict"
"""Kinds of batches; the last one is for Vertex AI's older models of embeddings."""

_FORMS = {
    EMBEDDING_ENDPOINT: "developer",
    VERTEX_EMBEDDING_ENDPOINT: "vertex",
    PREDICT_ENDPOINT: "predict",
}

_ENCODER = msgspec.json.Encoder()


def encode(request: Request, route: Route, wire_id: str, *, max_tokens: int | None) -> bytes:
    """The request as a line of the input, or as a line for each of its texts.

    ``max_tokens`` is for requests that do not set their own. The user's ``metadata`` is not sent.
    """
    if not isinstance(request, ChatRequest):
        return _encode_texts(request, route, wire_id)
    body = chat_body(request, route.model, max_tokens=max_tokens)
    if route.endpoint == VERTEX_CHAT_ENDPOINT:
        body["labels"] = {**body.get("labels", {}), LABEL: wire_id}
    return _ENCODER.encode({"key": wire_id, "request": body})


def _encode_texts(request: EmbeddingRequest, route: Route, wire_id: str) -> bytes:
    form = _FORMS[route.endpoint]
    bodies = instances(request, form)
    place = "instance" if form == "predict" else "request"
    if len(bodies) == 1:
        return _ENCODER.encode({"key": wire_id, place: bodies[0]})
    lines = (
        _ENCODER.encode({"key": part_id(wire_id, part, len(bodies)), place: body})
        for part, body in enumerate(bodies)
    )
    return b"\n".join(lines)


def scan(row: bytes, route: Route) -> Scan:
    """Whose row it is, how it ended and its tokens.

    Agrees with ``decode`` on every row. Raises ``ValueError`` where it can't be told whose row
    it is, and then nothing of it can be used.
    """
    return _format(route).scan(row)


def decode(row: bytes, route: Route) -> tuple[str, Outcome]:
    """The wire id and the answer, or the error of this one request. Raises ``ValueError``."""
    return _format(route).decode(row)


def _format(route: Route) -> Format[Any]:
    if route.kind == "chat":
        return CHAT
    return PREDICTIONS if route.endpoint == PREDICT_ENDPOINT else EMBEDDINGS


def inline_row(answer: JSONObject, only_key: str | None) -> bytes:
    """An inlined answer as a row of a file. ``only_key`` is the key of a batch of one request.

    Keys that travel as metadata do not always come back (googleapis/python-genai#2008).
    """
    metadata = answer.get("metadata")
    key = cast("JSONObject", metadata).get("key") if isinstance(metadata, dict) else None
    rest = {name: value for name, value in answer.items() if name != "metadata"}
    return _ENCODER.encode({"key": key or only_key, **rest})


def key_of(line: bytes) -> str:
    """The key of a line of the input."""
    return str(value_of(line)["key"])


def has_key(row: bytes) -> bool:
    """Whether a row of an inlined answer names its request."""
    return value_of(row)["key"] is not None

"""What is done with a vendor's bytes: rows of every format, and the bodies of live answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

import msgspec

from ai_batch.anthropic import wire as anthropic
from ai_batch.concurrent.rows import decode_row, scan_row
from ai_batch.core.provider import Route, Scan
from ai_batch.core.requests import ChatRequest
from ai_batch.core.results import ChatResponse, Outcome
from ai_batch.core.structured import parse_answer
from ai_batch.gemini import wire as gemini
from ai_batch.gemini.live import _vectors
from ai_batch.gemini.wire_rows import CHAT
from ai_batch.openai import wire as openai
from ai_batch.voyage import wire as voyage
from tests.fuzz.outcomes import check_agreement, check_outcome

__all__ = ["BODIES", "ROWS"]

OPENAI = {
    "openai_chat": Route("chat", "/v1/chat/completions", "gpt-4o-mini"),
    "openai_responses": Route("chat", "/v1/responses", "gpt-4o-mini"),
    "openai_embeddings": Route("embedding", "/v1/embeddings", "text-embedding-3-small"),
}
GEMINI = {
    "gemini_chat": Route("chat", gemini.CHAT_ENDPOINT, "gemini-2.5-flash"),
    "gemini_embeddings": Route("embedding", gemini.EMBEDDING_ENDPOINT, "gemini-embedding-001"),
    "vertex_chat": Route("chat", gemini.VERTEX_CHAT_ENDPOINT, "gemini-2.5-flash"),
    "vertex_predictions": Route("embedding", gemini.PREDICT_ENDPOINT, "text-embedding-005"),
}

STRUCTURED = ChatRequest(messages="x", output_type={"type": "object"})


def _read_row(
    scan: Callable[[bytes], Scan], decode: Callable[[bytes], tuple[str, Outcome]], data: bytes
) -> None:
    """Both refuse the row with a ``ValueError``, or both tell the same of it."""
    decoded = scanned = None
    with contextlib.suppress(ValueError):
        decoded = decode(data)
    with contextlib.suppress(ValueError):
        scanned = scan(data)
    if decoded is None or scanned is None:
        assert decoded is None, decoded
        assert scanned is None, scanned
        return
    check_agreement(scanned, decoded)
    check_outcome(decoded[1])


def _read_own(data: bytes) -> None:
    """A row that we wrote ourselves and that was damaged is read, or refused."""
    for read in (scan_row, decode_row):
        with contextlib.suppress(ValueError):
            assert read(data)


def _read_body(decode: Callable[[bytes], Outcome], data: bytes) -> None:
    """Whatever comes is an answer or an error, also where its text has to fit a schema."""
    outcome = decode(data)
    check_outcome(outcome)
    if isinstance(outcome, ChatResponse):
        check_outcome(parse_answer(outcome, STRUCTURED, {}))


def _gemini_chat(data: bytes) -> Outcome:
    # The SDK hands the body over as a text.
    return CHAT.decode_body(data.decode("utf-8", "replace").encode())


def _gemini_vectors(data: bytes) -> Outcome:
    return _vectors(data.decode("utf-8", "replace").encode())


def _voyage_vectors(data: bytes) -> Outcome:
    # The SDK has read the JSON; what is none never comes here.
    try:
        return voyage.decode(msgspec.json.decode(data))
    except (ValueError, RecursionError):
        return voyage.decode(None)


ROWS: dict[str, Callable[[bytes], None]] = {
    **{
        name: partial(_read_row, partial(wire.scan, route=route), partial(wire.decode, route=route))
        for wire, routes in ((openai, OPENAI), (gemini, GEMINI))
        for name, route in routes.items()
    },
    "anthropic": partial(_read_row, anthropic.scan, anthropic.decode),
    "concurrent": _read_own,
}
"""Rows of batches, by the name of their format."""

BODIES: dict[str, Callable[[bytes], None]] = {
    **{
        f"live_{name}": partial(_read_body, partial(openai.decode_body, route=route))
        for name, route in OPENAI.items()
    },
    "live_anthropic": partial(_read_body, anthropic.decode_body),
    "live_gemini_chat": partial(_read_body, _gemini_chat),
    "live_gemini_embeddings": partial(_read_body, _gemini_vectors),
    "live_voyage": partial(_read_body, _voyage_vectors),
}
"""Bodies of calls that are answered at once."""

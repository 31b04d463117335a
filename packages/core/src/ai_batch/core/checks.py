"""What is wrong with a request whatever the vendor. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ai_batch.core.errors import Problem
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request

__all__ = ["check_request"]


def check_request(request: Request) -> list[Problem]:
    """Faults of the request itself; its place is filled in by the caller."""
    if isinstance(request, ChatRequest):
        return list(_check_messages(request))
    return list(_check_texts(request))


def _check_texts(request: EmbeddingRequest) -> Iterator[Problem]:
    if not request.texts:
        yield Problem("no texts; give at least one", field="texts")
    for place, text in enumerate(request.texts):
        if not text:
            yield Problem("an empty text; vendors refuse it", field=f"texts[{place}]")
    if request.dimensions is not None and request.dimensions < 1:
        yield Problem(f"must be 1 or more, found {request.dimensions}", field="dimensions")


def _check_messages(request: ChatRequest) -> Iterator[Problem]:
    if not request.messages:
        yield Problem("no messages; give at least one", field="messages")
    for place, message in enumerate(request.messages):
        if message.only_text and not message.text:
            yield Problem("an empty message", field=f"messages[{place}]")
    if request.max_tokens is not None and request.max_tokens < 1:
        yield Problem(f"must be 1 or more, found {request.max_tokens}", field="max_tokens")

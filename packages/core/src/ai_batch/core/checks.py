"""What is wrong with a request whatever the vendor. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from ai_batch.core.errors import Problem
from ai_batch.core.messages import JSONObject, Message, ToolCall
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, OutputSchema, Request
from ai_batch.core.wire_json import unwritable

__all__ = ["check_request"]


def check_request(request: Request) -> list[Problem]:
    """Faults of the request itself; its place is filled in by the caller."""
    if isinstance(request, ChatRequest):
        return [*_check_messages(request), *_check_values(request)]
    return [*_check_texts(request), *_check_json(request.extra, "extra")]


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
        if not message.only_text:
            yield from _check_calls(message, f"messages[{place}]")
        elif not message.text:
            yield Problem("an empty message", field=f"messages[{place}]")
    if request.max_tokens is not None and request.max_tokens < 1:
        yield Problem(f"must be 1 or more, found {request.max_tokens}", field="max_tokens")


def _check_calls(message: Message, field: str) -> Iterator[Problem]:
    for place, part in enumerate(message.parts):
        if isinstance(part, ToolCall):
            yield from _check_json(part.arguments, f"{field}.parts[{place}].arguments")


def _check_values(request: ChatRequest) -> Iterator[Problem]:
    wanted = request.output_type
    if isinstance(wanted, OutputSchema):
        wanted = wanted.json_schema
    if isinstance(wanted, dict):  # The schemas of types are written by pydantic itself.
        yield from _check_json(cast("JSONObject", wanted), "output_type")
    for place, tool in enumerate(request.tools or ()):
        yield from _check_json(tool.parameters, f"tools[{place}].parameters")
    yield from _check_json(request.extra, "extra")


def _check_json(value: JSONObject | None, field: str) -> Iterator[Problem]:
    if value and (reason := unwritable(value)) is not None:
        yield Problem(reason, field=field)

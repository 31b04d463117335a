"""Answers as rows of the spool: one line each, with the vendor's own body where there was one."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from ai_batch.core import ChatResponse, EmbeddingResponse, ItemError
from ai_batch.core.provider import Scan
from ai_batch.core.results import Outcome
from ai_batch.core.wire_json import decoded
from ai_batch.core.wire_parts import usage_of, usage_tokens

__all__ = ["attempts_of", "decode_row", "encode_row", "scan_row"]

_NULL = msgspec.Raw(b"null")

Tokens = tuple[int, int, int, int, int]


class _Vectors(msgspec.Struct, gc=False):
    data: bytes
    count: int
    dimensions: int
    model: str | None = None
    response_id: str | None = None


class _Row(msgspec.Struct, gc=False, omit_defaults=True):
    id: str
    attempts: int = 1
    usage: Tokens = (0, 0, 0, 0, 0)
    error: dict[str, Any] | None = None
    chat: msgspec.Raw = _NULL
    embedding: _Vectors | None = None
    body: msgspec.Raw = _NULL


class _Head(msgspec.Struct, gc=False):
    """What the accounting reads of a row; the rest is passed over."""

    id: str
    attempts: int = 1
    usage: Tokens = (0, 0, 0, 0, 0)
    error: dict[str, Any] | None = None
    chat: msgspec.Raw = _NULL
    embedding: msgspec.Raw = _NULL


_ENCODER = msgspec.json.Encoder()
_ROWS = msgspec.json.Decoder(_Row)
_HEADS = msgspec.json.Decoder(_Head)
_FIELDS = msgspec.json.Decoder(dict[str, Any])

EMPTY = "the row has neither an answer nor an error"

DEEPEST = 64
"""Levels of a call's arguments that are looked into; a text stands for what is below."""


def encode_row(identity: str, outcome: Outcome, attempts: int) -> bytes:
    """The row of the request with this wire id, without the line's end.

    What JSON can't hold, such as half a surrogate pair or an object of the client's own in a
    call's arguments, becomes a text that says what it was: the answer was paid for.
    """
    try:
        return _encode(identity, outcome, attempts)
    except (TypeError, ValueError):
        return _encode(identity, _mended(outcome), attempts)


def _encode(identity: str, outcome: Outcome, attempts: int) -> bytes:
    if isinstance(outcome, ChatResponse):
        fields = outcome.__pydantic_serializer__.to_json(
            outcome, exclude={"parsed", "usage"}, exclude_defaults=True
        )
        row = _Row(identity, attempts, usage_tokens(outcome.usage), chat=msgspec.Raw(fields))
        row.body = _line_of(outcome.body)
    elif isinstance(outcome, EmbeddingResponse):
        vectors = _Vectors(
            outcome.data, outcome.count, outcome.dimensions, outcome.model, outcome.response_id
        )
        row = _Row(identity, attempts, usage_tokens(outcome.usage), embedding=vectors)
        row.body = _line_of(outcome.body)
    else:
        row = _Row(identity, attempts, error=outcome.model_dump(exclude_none=True))
    return _ENCODER.encode(row)


def scan_row(row: bytes) -> Scan:
    """Whose row it is, how it ended and its tokens. Raises ``ValueError``."""
    row.decode()
    head = decoded(_HEADS, row)
    error = None if head.error is None else ItemError.model_validate(head.error)
    if error is None and head.chat == _NULL and head.embedding == _NULL:
        raise ValueError(EMPTY)
    return Scan(head.id, error, *head.usage)


def decode_row(row: bytes) -> tuple[str, Outcome]:
    """The wire id and the answer. Raises ``ValueError``."""
    row.decode()
    parts = decoded(_ROWS, row)
    body = b"" if parts.body == _NULL else bytes(parts.body)
    usage = usage_of(parts.usage)
    if parts.chat != _NULL:
        fields = decoded(_FIELDS, parts.chat)
        return parts.id, ChatResponse.model_validate({**fields, "usage": usage, "body": body})
    if parts.embedding is not None:
        facts = msgspec.structs.asdict(parts.embedding)
        return parts.id, EmbeddingResponse.model_validate({**facts, "usage": usage, "body": body})
    if parts.error is None:
        raise ValueError(EMPTY)
    return parts.id, ItemError.model_validate(parts.error)


def attempts_of(row: bytes) -> int:
    """How often the request was sent."""
    return decoded(_HEADS, row).attempts


def _line_of(body: bytes) -> msgspec.Raw:
    """A body within a line: vendors' live answers are printed over many."""
    try:
        body.decode()
        return msgspec.Raw(msgspec.json.format(body, indent=-1)) if body else _NULL
    except (ValueError, RecursionError):
        # A client may keep whatever it likes there: what is no JSON can't be given back as JSON.
        return _NULL


def _mended(outcome: Outcome) -> Outcome:
    fields = {name: getattr(outcome, name) for name in type(outcome).model_fields}
    if isinstance(outcome, ChatResponse):
        fields["tool_calls"] = [call.__dict__ for call in outcome.tool_calls]
        fields["thoughts"] = [thought.__dict__ for thought in outcome.thoughts]
        fields["parsed"] = None
    kept = {name: fields.pop(name) for name in ("body", "data", "usage") if name in fields}
    return type(outcome).model_validate({**_plain(fields, 0), **kept})


def _plain(value: object, depth: int) -> Any:
    """The value as JSON can hold it."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if depth <= DEEPEST and isinstance(value, dict):
        pairs = cast("dict[object, object]", value).items()
        return {_plain(str(key), depth): _plain(item, depth + 1) for key, item in pairs}
    if depth <= DEEPEST and isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in cast("list[object]", value)]
    return _plain(repr(value), depth)

"""Answers as rows of the spool: one line each, with the vendor's own body where there was one."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import msgspec

from ai_batch.core import ChatResponse, EmbeddingResponse, ItemError, Usage
from ai_batch.core.provider import Scan
from ai_batch.core.results import Outcome
from ai_batch.core.wire_json import decoded
from ai_batch.core.wire_parts import usage_of, usage_tokens

__all__ = [
    "Tokens",
    "attempts_of",
    "decode_row",
    "discarded_id",
    "encode_row",
    "owner_of",
    "scan_row",
]

_DISCARDED = "discarded:"
"""In front of the wire id of an answer that was asked for again: so it is nobody's result."""

_NULL = msgspec.Raw(b"null")

OutcomeT = TypeVar("OutcomeT", bound=Outcome)

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


def discarded_id(identity: str) -> str:
    """The id of the row of an answer that does not fit, and was asked for again."""
    return _DISCARDED + identity


def owner_of(identity: str) -> str | None:
    """The wire id of the request whose answer was discarded; None for the id of a result."""
    return identity.removeprefix(_DISCARDED) if identity.startswith(_DISCARDED) else None


def encode_row(
    identity: str,
    outcome: Outcome,
    attempts: int,
    *,
    usage: Usage | None = None,
    misfit: ItemError | None = None,
) -> bytes:
    """The row of the request with this wire id, without the line's end.

    ``usage`` is what the request has taken in all, where that is more than this answer has;
    ``misfit`` is why the answer is none: it was paid for, and is kept beside that.
    What JSON can't hold, such as half a surrogate pair or an object of the client's own in a
    call's arguments, becomes a text that says what it was.
    """

    def encoded(outcome: Outcome, misfit: ItemError | None) -> bytes:
        row = _row_of(identity, outcome, attempts)
        row.usage = row.usage if usage is None else usage_tokens(usage)
        row.error = row.error if misfit is None else misfit.model_dump(exclude_none=True)
        return _ENCODER.encode(row)

    try:
        return encoded(outcome, misfit)
    except (TypeError, ValueError):
        return encoded(_mended(outcome), None if misfit is None else _mended(misfit))


def _row_of(identity: str, outcome: Outcome, attempts: int) -> _Row:
    if isinstance(outcome, ChatResponse):
        fields = outcome.__pydantic_serializer__.to_json(
            outcome, exclude={"parsed", "usage"}, exclude_defaults=True
        )
        row = _Row(identity, attempts, usage_tokens(outcome.usage), chat=msgspec.Raw(fields))
    elif isinstance(outcome, EmbeddingResponse):
        vectors = _Vectors(
            outcome.data, outcome.count, outcome.dimensions, outcome.model, outcome.response_id
        )
        row = _Row(identity, attempts, usage_tokens(outcome.usage), embedding=vectors)
    else:
        return _Row(identity, attempts, error=outcome.model_dump(exclude_none=True))
    # An answer of a batch stands within its row; here the vendor's body is kept by itself.
    row.body = _line_of(_ENCODER.encode(outcome.raw) if outcome.body_at else outcome.body)
    return row


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
    if parts.error is not None:
        return parts.id, ItemError.model_validate(parts.error)
    body = b"" if parts.body == _NULL else bytes(parts.body)
    usage = usage_of(parts.usage)
    if parts.chat != _NULL:
        fields = decoded(_FIELDS, parts.chat)
        return parts.id, ChatResponse.model_validate({**fields, "usage": usage, "body": body})
    if parts.embedding is not None:
        facts = msgspec.structs.asdict(parts.embedding)
        return parts.id, EmbeddingResponse.model_validate({**facts, "usage": usage, "body": body})
    raise ValueError(EMPTY)


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


def _mended(outcome: OutcomeT) -> OutcomeT:
    fields = {name: getattr(outcome, name) for name in type(outcome).model_fields}
    if isinstance(outcome, ChatResponse):
        fields["tool_calls"] = [call.__dict__ for call in outcome.tool_calls]
        fields["thoughts"] = [thought.__dict__ for thought in outcome.thoughts]
        fields["parsed"] = None
    kept = {name: fields.pop(name) for name in ("body", "data", "usage") if name in fields}
    return cast("OutcomeT", type(outcome).model_validate({**_plain(fields, 0), **kept}))


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

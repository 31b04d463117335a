"""The rows of results: whose they are, and whether they hold an answer or an error.

A row names its request by ``key``, or (Vertex AI, which documents a key only for embeddings) by a
label in the request that it repeats. Never by its place: rows come in any order
(googleapis/python-genai#1909).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, cast

import msgspec

from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import Scan
from ai_batch.core.results import ChatResponse, EmbeddingResponse, ItemError, Outcome
from ai_batch.core.wire_faults import excerpt, invalid
from ai_batch.core.wire_json import decoded, tolerant, value_of
from ai_batch.core.wire_parts import usage_tokens
from ai_batch.gemini.wire_answers import ChatBody, ScannedBody, chat_answer, chat_fault, chat_tokens
from ai_batch.gemini.wire_embeddings import (
    EmbeddingBody,
    PredictionBody,
    VectorBody,
    embedding_answer,
    embedding_fault,
    embedding_tokens,
    joined_vectors,
)
from ai_batch.gemini.wire_faults import item_error

__all__ = ["CHAT", "EMBEDDINGS", "LABEL", "PREDICTIONS", "Format", "split_joined"]

LABEL = "ai_batch_key"
"""The label that holds the wire id; labels are lower case, digits, ``_`` and ``-``, up to 63."""

BodyT = TypeVar("BodyT")

_NULL = msgspec.Raw(b"null")


Key: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class _Keyed(msgspec.Struct, Generic[BodyT], gc=False):
    """A whole row that succeeded, for reading it in one go; any other row does not fit."""

    key: Key
    response: BodyT
    error: None = None
    status: Literal[""] = ""


class _Labels(msgspec.Struct, gc=False):
    key: Key = msgspec.field(name=LABEL)


class _Request(msgspec.Struct, gc=False):
    labels: _Labels


class _Labelled(msgspec.Struct, Generic[BodyT], gc=False):
    """The same of Vertex AI, where the request comes back and the key perhaps not."""

    request: _Request
    response: BodyT
    error: None = None
    status: Literal[""] = ""
    key: None = None


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_JOINED = msgspec.json.Decoder(list[msgspec.Raw])
_RAW_KEYED = msgspec.json.Decoder(_Keyed[msgspec.Raw])
_RAW_LABELLED = msgspec.json.Decoder(_Labelled[msgspec.Raw])


class _Reply(NamedTuple):
    """A row taken apart: either ``error`` is set or ``body`` is what the vendor answered."""

    wire_id: str
    body: bytes = b""
    error: ItemError | None = None


def _read_row(row: bytes) -> _Reply:
    """The parts of a row. Raises ``ValueError`` where it can't be told whose row it is."""
    row.decode()
    fields = decoded(_FIELDS, row)
    wire_id = _wire_id(fields)
    complaint = _complaint(fields)
    if complaint is not None:
        return _Reply(wire_id, error=item_error(complaint, raw=row))
    body = bytes(_body(fields))
    if body in (b"null", b"{}"):
        # Seen live: langchain4j/langchain4j#4423.
        error = invalid("the row has neither an answer nor an error", raw=row)
        return _Reply(wire_id, error=error)
    return _Reply(wire_id, body)


def _wire_id(fields: dict[str, msgspec.Raw]) -> str:
    places = (("key",), ("metadata", "key"), ("request", "labels", LABEL))
    for first, *path in places:
        value = value_of(fields.get(first, _NULL))
        for name in path:
            value = cast("JSONObject", value).get(name) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            return value
    raise ValueError("the row has no key")


def _complaint(fields: dict[str, msgspec.Raw]) -> object:
    for name in ("error", "status"):
        value = cast("object", value_of(fields.get(name, _NULL)))
        # A status object in which nothing is filled in says that all is well.
        if isinstance(value, dict):
            if any(cast("JSONObject", value).values()):
                return cast("object", value)
        elif value and value not in ("OK", "ok"):
            return value
    return None


def _body(fields: dict[str, msgspec.Raw]) -> msgspec.Raw:
    if "response" in fields or "predictions" not in fields:
        return fields.get("response", _NULL)
    try:
        return decoded(_JOINED, fields["predictions"])[0]
    except (msgspec.ValidationError, IndexError):
        return _NULL


def _plain(row: bytes) -> tuple[str, bytes] | None:
    """Wire id and body of a row as nearly all are: no error, and the body an object; else None."""
    try:
        row.decode()
    except ValueError:
        return None
    for decoder in (_RAW_KEYED, _RAW_LABELLED):
        try:
            plain = decoder.decode(row)
        except (ValueError, RecursionError):
            continue
        body = bytes(plain.response)
        key = plain.key if isinstance(plain, _Keyed) else plain.request.labels.key
        return (key, body) if body[:1] == b"{" else None
    return None


def split_joined(row: bytes) -> list[bytes]:
    """The rows of a request that took several lines. Raises ``ValueError``."""
    return [bytes(part) for part in decoded(_JOINED, row)]


@dataclass(frozen=True)
class Format(Generic[BodyT]):
    """How one kind of answers is read: the same fields for ``scan`` and ``decode``.

    ``rows`` read, in one go, what is an answer for certain where ``certain`` says so. Of others
    ``fault`` tells why a body is none after all, ``answer`` makes the answer of one that is,
    ``tokens`` reads only its tokens.
    """

    rows: tuple[msgspec.json.Decoder[Any], ...]
    bodies: msgspec.json.Decoder[BodyT]
    fault: Callable[[BodyT], ItemError | None]
    tokens: Callable[[Any], tuple[int, int, int, int, int]]
    answer: Callable[[BodyT, bytes], ChatResponse | EmbeddingResponse]
    certain: Callable[[Any], bool] = lambda _: True

    def scan(self, row: bytes) -> Scan:
        """Whose row it is, how it ended and its tokens. Raises ``ValueError``."""
        for decoder in self.rows:
            try:
                row.decode()
                whole = decoder.decode(row)
            except (ValueError, RecursionError):
                continue
            if not self.certain(whole.response):
                break
            return Scan(whole.key or whole.request.labels.key, None, *self.tokens(whole.response))
        wire_id, outcome = self.decode(row)
        if isinstance(outcome, ItemError):
            return Scan(wire_id, outcome)
        return Scan(wire_id, None, *usage_tokens(outcome.usage))

    def decode(self, row: bytes) -> tuple[str, Outcome]:
        """The wire id and the answer. Raises ``ValueError``."""
        return self._decode_joined(row) if row[:1] == b"[" else self._decode_one(row)

    def _decode_one(self, row: bytes) -> tuple[str, Outcome]:
        if (plain := _plain(row)) is not None:
            wire_id, body = plain
            outcome = self.decode_body(body)
            # In this order: isinstance is slow for pydantic's classes where it does not hold.
            if isinstance(outcome, ChatResponse) or not isinstance(outcome, ItemError):
                return wire_id, outcome
        reply = _read_row(row)
        if reply.error is not None:
            return reply.wire_id, reply.error
        outcome = self.decode_body(reply.body)
        if isinstance(outcome, ItemError):
            outcome = outcome.model_copy(update={"raw": excerpt(row)})
        return reply.wire_id, outcome

    def _decode_joined(self, row: bytes) -> tuple[str, Outcome]:
        rows = [self._decode_one(part) for part in split_joined(row)]
        if not rows:
            raise ValueError("there are no rows")
        wire_id = rows[0][0].partition("_")[0]
        outcomes = [outcome for _, outcome in rows]
        vectors = [one for one in outcomes if isinstance(one, EmbeddingResponse)]
        if len(vectors) == len(rows):
            return wire_id, joined_vectors(vectors)
        errors = [one for one in outcomes if isinstance(one, ItemError)]
        return wire_id, errors[0] if errors else invalid("these rows can't be joined", raw=row)

    def decode_body(self, body: bytes) -> Outcome:
        """The answer in a body; never raises."""
        try:
            parts = tolerant(self.bodies, body)
            return self.fault(parts) or self.answer(parts, body)
        except ValueError as error:
            return invalid(f"the vendor's answer can't be read: {error}")


CHAT = Format(
    rows=(msgspec.json.Decoder(_Keyed[ScannedBody]), msgspec.json.Decoder(_Labelled[ScannedBody])),
    bodies=msgspec.json.Decoder(ChatBody),
    fault=chat_fault,
    tokens=chat_tokens,
    answer=chat_answer,
)
"""Answers to chat requests."""

EMBEDDINGS = Format(
    rows=(msgspec.json.Decoder(_Keyed[VectorBody]),),
    bodies=msgspec.json.Decoder(EmbeddingBody),
    fault=embedding_fault,
    tokens=embedding_tokens,
    answer=embedding_answer,
    certain=VectorBody.is_certain,
)
"""Vectors of ``embedContent`` models."""

PREDICTIONS = Format(
    rows=(),
    bodies=msgspec.json.Decoder(PredictionBody),
    fault=embedding_fault,
    tokens=embedding_tokens,
    answer=embedding_answer,
)
"""Vectors of older models on Vertex AI, in ``predictions``."""

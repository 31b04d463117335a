"""The envelope around every answer of an OpenAI-shaped batch, and what failures look like in it.

A row is a success only where ``error`` is empty, the status is 2xx and the body is an answer.
None of these alone is enough: a row that failed with HTTP 400 has ``error: null``
(openai-openapi#302), vLLM has a row with both, and bodies were seen to be empty (litellm#37457).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec

from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import Scan
from ai_batch.core.results import ChatResponse, EmbeddingResponse, ItemError, Outcome
from ai_batch.core.wire_faults import excerpt, fault, invalid
from ai_batch.core.wire_json import decoded, tolerant, value_of
from ai_batch.core.wire_parts import usage_tokens

__all__ = ["Format", "Reply", "Row", "read_row"]

BodyT = TypeVar("BodyT")

_NULL = msgspec.Raw(b"null")

_BODY = ("response", "body")


class Response(msgspec.Struct, Generic[BodyT], gc=False):
    """The HTTP part of a row that succeeded."""

    status_code: int
    body: BodyT


class Row(msgspec.Struct, Generic[BodyT], gc=False):
    """A whole row that succeeded, for reading it in one go; any other row does not fit."""

    custom_id: str
    response: Response[BodyT]
    error: None = None


class _Response(msgspec.Struct, gc=False):
    status_code: int = 0
    request_id: str | None = None
    body: msgspec.Raw = _NULL


class _Envelope(msgspec.Struct, gc=False):
    custom_id: str
    response: _Response | None = None
    error: msgspec.Raw = _NULL


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Reply(NamedTuple):
    """A row taken apart: either ``error`` is set or ``body`` is what the vendor answered."""

    wire_id: str
    body: bytes = b""
    error: ItemError | None = None
    status: int | None = None
    request_id: str | None = None


def read_row(row: bytes) -> Reply:
    """The parts of a row. Raises ``ValueError`` where it can't be told whose row it is."""
    row.decode()
    envelope = _envelope(row)
    response = envelope.response
    status = None if response is None else response.status_code
    request_id = None if response is None else response.request_id
    body = b"" if response is None else _body(response.body)
    complaint = None if envelope.error == _NULL else _complaint(value_of(envelope.error))
    error = None
    if complaint or (status is not None and not 200 <= status < 300):
        detail = complaint or _loose(body)
        error = fault(status, detail, request_id=request_id, raw=row)
    elif status is None:
        error = invalid("the row has neither an answer nor an error", raw=row)
    return Reply(envelope.custom_id, body, error, status, request_id)


def _envelope(row: bytes) -> _Envelope:
    try:
        return decoded(_ENVELOPE, row)
    except msgspec.ValidationError:
        fields = decoded(_FIELDS, row)
    custom_id = value_of(fields.get("custom_id", _NULL))
    if not isinstance(custom_id, str):
        raise ValueError("the row has no custom_id")  # noqa: TRY004 - a fault of the row
    return _Envelope(custom_id, _odd_response(fields), fields.get("error", _NULL))


def _odd_response(fields: dict[str, msgspec.Raw]) -> _Response | None:
    try:
        parts = decoded(_FIELDS, fields["response"])
    except (KeyError, msgspec.ValidationError):
        return None
    # Only what is read here: what stands in the body is not to be refused for this.
    known = tolerant(
        _STATUS, msgspec.json.encode({name: parts[name] for name in _STATUS_FIELDS & parts.keys()})
    )
    return _Response(known.status_code, known.request_id, parts.get("body", _NULL))


class _Status(msgspec.Struct):
    status_code: int = 0
    request_id: str | None = None


_STATUS = msgspec.json.Decoder(_Status)
_STATUS_FIELDS = frozenset(_Status.__struct_fields__)


def _complaint(error: object) -> object:
    # An error object in which nothing is filled in is none.
    if not isinstance(error, dict):
        return error
    facts = cast("JSONObject", error)
    return facts if any(facts.values()) else None


def _body(raw: msgspec.Raw) -> bytes:
    # Some servers (ogx) put the body into the row as a string that holds JSON.
    data = bytes(raw)
    return cast("str", value_of(data)).encode() if data[:1] == b'"' else data


def _loose(body: bytes) -> object:
    try:
        return value_of(body) if body else None
    except ValueError:
        return body.decode(errors="replace")


@dataclass(frozen=True)
class Format(Generic[BodyT]):
    """How the answers of one endpoint are read: the same fields for ``scan`` and ``decode``.

    ``check`` tells why a body is no answer after all, ``tokens`` reads only its tokens.
    ``answer`` makes the answer of one that is, given the JSON in which it stands and where.
    """

    rows: msgspec.json.Decoder[Row[BodyT]]
    bodies: msgspec.json.Decoder[BodyT]
    check: Callable[[BodyT], ItemError | None]
    tokens: Callable[[BodyT], tuple[int, int, int, int, int]]
    answer: Callable[[BodyT, bytes, tuple[str, ...]], ChatResponse | EmbeddingResponse]

    def scan(self, row: bytes) -> Scan:
        """Whose row it is, how it ended and its tokens. Raises ``ValueError``."""
        if (good := self._good(row)) is None:
            return self._scan_slowly(row)
        return Scan(good.custom_id, None, *self.tokens(good.response.body))

    def _good(self, row: bytes) -> Row[BodyT] | None:
        """A row as nearly all are, read in one go; None for one that has to be looked at."""
        try:
            row.decode()
            whole = self.rows.decode(row)
        except (ValueError, RecursionError):
            return None
        response = whole.response
        good = 200 <= response.status_code < 300 and self.check(response.body) is None
        return whole if good else None

    def _scan_slowly(self, row: bytes) -> Scan:
        wire_id, outcome = self.decode(row)
        if isinstance(outcome, ItemError):
            return Scan(wire_id, outcome)
        return Scan(wire_id, None, *usage_tokens(outcome.usage))

    def decode(self, row: bytes) -> tuple[str, Outcome]:
        """The wire id and the answer. Raises ``ValueError``."""
        if (good := self._good(row)) is None:
            return self._decode_slowly(row)
        try:
            return good.custom_id, self.answer(good.response.body, row, _BODY)
        except ValueError:
            return self._decode_slowly(row)

    def _decode_slowly(self, row: bytes) -> tuple[str, Outcome]:
        reply = read_row(row)
        if reply.error is not None:
            return reply.wire_id, reply.error
        outcome = self.decode_body(reply.body)
        if isinstance(outcome, ItemError):
            facts: dict[str, Any] = {"status": outcome.status or reply.status}
            facts |= {"request_id": reply.request_id or None, "raw": excerpt(row)}
            outcome = outcome.model_copy(update=facts)
        return reply.wire_id, outcome

    def decode_body(self, body: bytes) -> Outcome:
        """The answer in a body that came with status 2xx; never raises."""
        try:
            parts = tolerant(self.bodies, body)
            return self.check(parts) or self.answer(parts, body, ())
        except ValueError as error:
            return invalid(f"the vendor's answer can't be read: {error}")

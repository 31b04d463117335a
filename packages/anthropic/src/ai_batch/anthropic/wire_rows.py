"""Rows of a batch's results as answers and errors.

A row is ``{"custom_id": ..., "result": {"type": ...}}``; every request has one, also those that
were canceled or expired. https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

from __future__ import annotations

from typing import Literal, cast

import msgspec

from ai_batch.anthropic.wire_answers import MESSAGES, MessageBody, answer_of, tokens_of
from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import Scan
from ai_batch.core.results import ChatResponse, ItemError, Outcome
from ai_batch.core.wire_faults import excerpt, fault, invalid
from ai_batch.core.wire_json import decoded, tolerant, value_of
from ai_batch.core.wire_parts import usage_tokens

__all__ = ["decode", "decode_body", "scan"]

PERMANENT = frozenset(
    {
        "authentication_error",
        "billing_error",
        "invalid_request_error",
        "not_found_error",
        "permission_error",
        "request_too_large",
    }
)
"""Types of errors that the same request would meet again. The vendor's page names only the
invalid request; a model that does not exist, or an account that may not, stays so as well."""

CANCELED = ItemError(
    code="batch_cancelled", message="the batch was cancelled before this request was executed"
)

EXPIRED = ItemError(
    code="batch_expired",
    message="the batch expired before this request was executed",
    retryable=True,
)

_MESSAGE = ("result", "message")

_NULL = msgspec.Raw(b"null")


class _Succeeded(msgspec.Struct, gc=False):
    type: Literal["succeeded"]
    message: MessageBody


class _Row(msgspec.Struct, gc=False):
    custom_id: str
    result: _Succeeded


class _RawSucceeded(msgspec.Struct, gc=False):
    type: Literal["succeeded"]
    message: msgspec.Raw


class _RawRow(msgspec.Struct, gc=False):
    custom_id: str
    result: _RawSucceeded


_ROWS = msgspec.json.Decoder(_Row)
_RAW_ROWS = msgspec.json.Decoder(_RawRow)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def scan(row: bytes) -> Scan:
    """Whose row it is, how it ended and its tokens. Raises ``ValueError``."""
    if (good := _good(row)) is None:
        return _scan_slowly(row)
    return Scan(good.custom_id, None, *tokens_of(good.result.message.usage))


def _scan_slowly(row: bytes) -> Scan:
    wire_id, outcome = decode(row)
    if isinstance(outcome, ItemError):
        return Scan(wire_id, outcome)
    return Scan(wire_id, None, *usage_tokens(outcome.usage))


def decode(row: bytes) -> tuple[str, Outcome]:
    """The wire id and the answer, or the error of this one request. Raises ``ValueError``."""
    if (good := _good(row)) is not None:
        return good.custom_id, answer_of(good.result.message, row, _MESSAGE)
    row.decode()
    try:
        plain = decoded(_RAW_ROWS, row)
    except msgspec.ValidationError:
        return _decode_slowly(row)
    return plain.custom_id, _succeeded(bytes(plain.result.message), row)


def _good(row: bytes) -> _Row | None:
    """A row as nearly all are, read in one go; None for one that has to be looked at."""
    try:
        row.decode()
        whole = _ROWS.decode(row)
    except (ValueError, RecursionError):
        return None
    return None if whole.result.message.content is None else whole


def _decode_slowly(row: bytes) -> tuple[str, Outcome]:
    fields = decoded(_FIELDS, row)
    wire_id = value_of(fields.get("custom_id", _NULL))
    if not isinstance(wire_id, str):
        raise ValueError("the row has no custom_id")  # noqa: TRY004 - a fault of the row
    result = _object(value_of(fields.get("result", _NULL)))
    if not result:
        return wire_id, invalid("the row has no result", raw=row)
    return wire_id, _unsuccessful(result, row)


def _object(value: object) -> JSONObject:
    return cast("JSONObject", value) if isinstance(value, dict) else {}


def _unsuccessful(result: JSONObject, row: bytes) -> ItemError:
    kind = result.get("type")
    if kind == "canceled":
        return CANCELED
    if kind == "expired":
        return EXPIRED
    if kind == "errored":
        return _errored(result.get("error"), row)
    if kind == "succeeded":
        return invalid("the row succeeded without a message", raw=row)
    message = f"the vendor's result is of the unknown type {kind!r}"
    return ItemError(code="unknown_result", message=message, raw=excerpt(row))


def _errored(detail: object, row: bytes) -> ItemError:
    request_id = _object(detail).get("request_id")
    known = request_id if isinstance(request_id, str) else None
    error = fault(None, detail, request_id=known, raw=row)
    return error.model_copy(update={"retryable": error.code not in PERMANENT})


def decode_body(body: bytes) -> ChatResponse | ItemError:
    """The answer in the body of a call that was answered at once, with status 2xx."""
    try:
        body.decode()
    except ValueError as error:
        return invalid(f"the vendor's answer can't be read: {error}")
    return _succeeded(body, body)


def _succeeded(body: bytes, row: bytes) -> ChatResponse | ItemError:
    try:
        message = tolerant(MESSAGES, body)
    except ValueError as error:
        return invalid(f"the vendor's answer can't be read: {error}", raw=row)
    if message.content is None:
        return invalid("the vendor's answer has no content", message.error, raw=row)
    return answer_of(message, body)

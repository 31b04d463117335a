"""What went wrong with one request, told in the vendor's own words, and whether to ask again."""

from __future__ import annotations

from typing import cast

import msgspec

from ai_batch.core.errors import mask
from ai_batch.core.messages import JSONObject
from ai_batch.core.results import ItemError

__all__ = ["INVALID", "excerpt", "fault", "invalid"]

INVALID = "invalid_response"
"""The code of what is no answer, although it says that it is one."""

MAX_RAW = 2000
"""How many characters of a failed row are kept with its error."""

RETRYABLE_STATUS = frozenset({0, 408, 409, 429})
"""Statuses below 500 after which asking again may help; 0 was seen in rows that never ran."""

RETRYABLE_CODES = frozenset(
    {
        "batch_expired",
        "engine_overloaded",
        "internal_error",
        "internal_server_error",
        "overloaded",
        "overloaded_error",
        "rate_limit_error",
        "rate_limit_exceeded",
        "request_timeout",
        "server_error",
        "service_unavailable",
        "timeout",
        "vector_store_timeout",
    }
)

PERMANENT_CODES = frozenset(
    {
        "batch_cancelled",
        "billing_hard_limit_reached",
        "billing_not_active",
        "content_filter",
        "content_policy_violation",
        "insufficient_quota",
    }
)


def fault(
    status: int | None,
    detail: object,
    *,
    request_id: str | None = None,
    raw: bytes = b"",
) -> ItemError:
    """The error that a vendor's ``detail`` (an error object, a body, a text) describes.

    ``code`` is the vendor's own word: its ``code``, else its ``type``, else ``http_<status>``.
    """
    facts = _facts(detail)
    code, kind = facts.get("code"), facts.get("type")
    number = _number(code)
    if number is not None:
        code = None  # vLLM and OpenRouter repeat the HTTP status there
        status = number if status is None or 200 <= status < 300 else status
    words = [word for word in (code, kind) if isinstance(word, str) and word]
    name = words[0] if words else "unknown_error" if status is None else f"http_{status}"
    text = facts.get("message")
    if not text:
        text = "the vendor gave no reason" + ("" if status is None else f" (HTTP status {status})")
    elif not isinstance(text, str):
        text = msgspec.json.encode(text).decode()
    return ItemError(
        code=name,
        message=mask(text[:MAX_RAW]),
        retryable=_retryable(status, words),
        status=status,
        request_id=request_id or None,
        raw=excerpt(raw),
    )


def _facts(detail: object) -> JSONObject:
    while isinstance(detail, dict):
        facts = cast("JSONObject", detail)
        inner = facts.get("error")
        if not inner:
            # FastAPI's own errors, as of vLLM, have nothing but a "detail".
            return {**facts, "message": facts.get("message") or facts.get("detail")}
        if isinstance(inner, str):
            return {**facts, "message": facts.get("message") or inner}
        detail = cast("object", inner)
    return {"message": detail}


def _number(code: object) -> int | None:
    if isinstance(code, bool) or not isinstance(code, int | str):
        return None
    text = str(code)
    return int(text) if len(text) == 3 and text.isdecimal() else None


def _retryable(status: int | None, words: list[str]) -> bool:
    if any(word in PERMANENT_CODES for word in words):
        return False
    if any(word in RETRYABLE_CODES for word in words):
        return True
    return status is not None and (status in RETRYABLE_STATUS or status >= 500)


def excerpt(raw: bytes) -> str | None:
    """The start of a row, for a person to look at; None where there is nothing."""
    # A character has at most four bytes; cutting one in half must not raise.
    text = raw[: 4 * MAX_RAW].decode(errors="replace")[:MAX_RAW]
    return mask(text) or None


def invalid(message: str, complaint: object = None, *, raw: bytes = b"") -> ItemError:
    """The error of a body that is no answer; ``complaint`` is its own ``error``, if any."""
    if complaint:
        return fault(None, complaint, raw=raw)
    return ItemError(code=INVALID, message=mask(message), retryable=True, raw=excerpt(raw))

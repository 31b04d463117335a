"""What an exception of a client means: whether, when, and for whom asking again may help.

Clients of ours raise ``ai_batch.core`` errors. Those of others raise what their SDKs raise,
which say the same in much the same attributes: a status, and the response with its headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ai_batch.core import (
    AuthenticationFailed,
    ItemError,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    RemoteNotFound,
    UsageError,
)
from ai_batch.core.errors import mask
from ai_batch.core.vendor_errors import LONGEST_MESSAGE, retry_after_of
from ai_batch.core.wire_faults import fault

__all__ = ["CallTimedOut", "Failure", "failure_of", "wrong_answer"]

PAUSING = frozenset({429, 529})
"""Statuses that are about everybody's calls and not about this one; 529 is Anthropic's."""


class CallTimedOut(Exception):
    """A client did not answer in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a call gave no answer.

    ``limited`` tells that the vendor wants fewer calls from everybody; ``retry_after`` is in
    seconds; ``mend`` is what only a person can put right, and fails every other call as well.
    """

    error: ItemError
    limited: bool = False
    retry_after: float | None = None
    mend: ProviderError | None = None


def failure_of(error: BaseException) -> Failure:
    """What an exception means."""
    if isinstance(error, ProviderError):
        return _of_ours(error)
    if isinstance(error, CallTimedOut):
        return Failure(error=_item("timeout", str(error), retryable=True))
    if isinstance(error, UsageError):
        return Failure(error=_item("invalid_request", str(error), retryable=False))
    for known in _chain(error):
        status = _status_of(known)
        if status is not None:
            return _of_status(known, status)
    retryable = any(_of_transport(known) for known in _chain(error))
    code = "connection_error" if retryable else "client_error"
    return Failure(
        error=_item(code, f"{type(error).__name__}: {_text_of(error)}", retryable=retryable)
    )


def wrong_answer(found: object, wanted: str) -> Failure:
    """A client gave something else than an answer."""
    message = f"the client gave {type(found).__name__} instead of {wanted}"
    return Failure(error=_item("client_error", message, retryable=False))


def _of_ours(error: ProviderError) -> Failure:
    # What is not found does not appear by asking again: there is no batch that reads lag behind.
    retryable = error.retryable and not isinstance(error, RemoteNotFound)
    code = error.code or _CODES.get(error.status or 0) or type(error).__name__
    return Failure(
        error=ItemError(
            code=code,
            message=mask(error.message)[:LONGEST_MESSAGE],
            retryable=retryable,
            status=error.status,
            request_id=error.request_id,
        ),
        limited=isinstance(error, RateLimited) or error.status in PAUSING,
        retry_after=error.retry_after,
        mend=error if isinstance(error, AuthenticationFailed | QuotaExhausted) else None,
    )


_CODES = {429: "rate_limited", 529: "overloaded"}


def _of_status(error: BaseException, status: int) -> Failure:
    headers = _headers_of(error)
    found = fault(status, _body_of(error), request_id=headers.get("x-request-id"))
    mend: ProviderError | None = None
    if status in {401, 403}:
        mend = AuthenticationFailed(found.message, status=status, code=found.code)
    elif status == 429 and not found.retryable:
        mend = QuotaExhausted(found.message, status=status, code=found.code)
    return Failure(
        error=found,
        limited=status in PAUSING and mend is None,
        retry_after=_retry_after(error, headers),
        mend=mend,
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, and those that it was raised from."""
    seen: set[int] = set()
    known: BaseException | None = error
    while known is not None and id(known) not in seen:
        seen.add(id(known))
        yield known
        known = known.__cause__ or (None if known.__suppress_context__ else known.__context__)


def _status_of(error: BaseException) -> int | None:
    response = _of(error, "response")
    for owner in (error, response):
        for name in ("status_code", "status", "http_status", "code"):
            value = _of(owner, name)
            if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
                return value
    return None


def _of(owner: object, name: str) -> Any:
    """An attribute of a foreign object; None where there is none, or none to be had."""
    try:
        return getattr(owner, name, None)
    except Exception:  # noqa: BLE001 - a property may raise whatever it likes
        return None


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - as of some errors that were made by hand
        return "it has no text"


def _body_of(error: BaseException) -> object:
    """What the server said: most SDKs call it the body, Google's calls it details."""
    for name in ("body", "details"):
        found: object = _of(error, name)
        if isinstance(found, dict) and found:
            return cast("object", found)
    return _text_of(error)


def _retry_after(error: BaseException, headers: Mapping[str, str]) -> float | None:
    """Seconds: of the headers, or of what a library has read elsewhere in the answer."""
    found = retry_after_of(headers)
    if found is not None:
        return found
    known: object = _of(error, "retry_after")
    if isinstance(known, int | float) and 0.0 <= known < 1e7:
        return float(known)
    return None


def _headers_of(error: BaseException) -> Mapping[str, str]:
    for owner in (_of(error, "response"), error):
        headers: Any = _of(owner, "headers")
        # Those of urllib's errors are no Mapping, but have its method.
        if callable(getattr(headers, "items", None)):
            found = cast("Mapping[object, object]", headers)
            return {str(name).lower(): str(value) for name, value in found.items()}
    return {}


def _of_transport(error: BaseException) -> bool:
    """Whether the way to the server failed; HTTP libraries' own errors are known by their names."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    return not names.isdisjoint(_TRANSPORT)


_TRANSPORT = frozenset(
    {
        "APIConnectionError",  # openai, anthropic, voyageai, groq
        "ClientConnectionError",  # aiohttp
        "ClientPayloadError",  # aiohttp
        "ConnectionError",  # requests
        "HTTPError",  # urllib3; those of requests and urllib have a status
        "ServiceUnavailableError",
        "Timeout",  # requests, voyageai
        "TransportError",  # httpx, httpx2
        "gaierror",
    }
)


def _item(code: str, message: str, *, retryable: bool) -> ItemError:
    return ItemError(code=code, message=mask(message)[:LONGEST_MESSAGE], retryable=retryable)

"""Turns what Google's SDKs and their HTTP libraries raise into errors of ours, with plain fields.

What decides is whether the server can have carried the call out: an answer 4xx says no; a
connection that was never made says no; anything else, for a create call, says perhaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ai_batch.core.errors import (
    AIBatchError,
    AuthenticationFailed,
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
    QueueFull,
    QuotaExhausted,
    RateLimited,
    RemoteNotFound,
    RequestRefused,
    mask,
)
from ai_batch.core.messages import JSONObject
from ai_batch.core.vendor_errors import (
    LONGEST_MESSAGE,
    kind_of_status,
    of_transport,
    raised_in,
    retry_after_of,
)

__all__ = ["is_input_missing", "of_credentials", "translated"]

NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ClientConnectorError"})
"""Classes, of whichever HTTP library the SDK has picked, for connections that were not made."""

CLIENT_CLOSED = 499


def translated(error: Exception, *, creating: bool, secret: str | None) -> AIBatchError:
    """The error to raise. ``creating`` tells that the call may have made a batch."""
    from google.auth.exceptions import GoogleAuthError
    from google.genai import errors as genai

    if isinstance(error, AIBatchError):
        return error
    text = mask(str(error), secret)[:LONGEST_MESSAGE]
    if isinstance(error, genai.APIError):
        return _of_api(error, secret, creating=creating)
    if isinstance(error, GoogleAuthError):
        # Before the call itself, which was therefore not made.
        return of_credentials(error, text)
    if isinstance(error, ValueError | KeyError) or raised_in(error, "google"):
        # An answer that can't be read, such as HTML from a proxy in front.
        kind = OutcomeUnknown if creating else ProviderUnavailable
        return kind(f"the server's answer cannot be understood: {text}")
    if _is_transport(error):
        sent = NEVER_SENT.isdisjoint(kind.__name__ for kind in type(error).__mro__)
        return of_transport(f"{type(error).__name__}: {text}", creating=creating, sent=sent)
    raise error


def of_credentials(error: Exception, text: str) -> ProviderError:
    """The error for credentials of Google's that gave no access token."""
    from google.auth import exceptions as auth

    # A machine's credentials hide in it what kept them from their server.
    hidden = (error, error.__cause__, *error.args)
    passing = any(isinstance(each, auth.TransportError | auth.TimeoutError) for each in hidden)
    passing = passing or bool(getattr(error, "retryable", False))
    kind = ProviderUnavailable if passing else AuthenticationFailed
    return kind(f"no access token can be had: {text}")


def _is_transport(error: Exception) -> bool:
    if isinstance(error, OSError):
        return True
    # The user's own client may be of any library that the SDK knows.
    libraries = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return not libraries.isdisjoint({"aiohttp", "httpx", "httpx2"})


def _of_api(error: Any, secret: str | None, *, creating: bool) -> ProviderError:
    headers = cast("Mapping[str, str]", getattr(error.response, "headers", None) or {})
    details = list(_details(error.details))
    word = error.status if isinstance(error.status, str) else None
    message = error.message if isinstance(error.message, str) else str(error)
    status = int(error.code)
    if 300 <= status < 400:
        message = "the server sends the call on to another address, where no key is sent"
    text = mask(message, secret)[:LONGEST_MESSAGE]
    kind = _kind_of(status, text, details, creating=creating)
    return kind(
        text,
        status=status,
        code=word,
        request_id=headers.get("x-goog-request-id"),
        retry_after=retry_after_of(headers) or _retry_delay(details),
    )


def _kind_of(
    status: int, text: str, details: list[JSONObject], *, creating: bool
) -> type[ProviderError]:
    if _is_bad_key(text, details):
        return AuthenticationFailed
    if status in {400, 403} and "billing" in text.lower():
        return QuotaExhausted
    if status in {400, 403, 404} and is_input_missing(text):
        return RemoteNotFound
    if status == CLIENT_CLOSED:
        return OutcomeUnknown if creating else ProviderUnavailable
    return (_of_create(status, details) if creating else None) or kind_of_status(
        status, creating=creating
    )


def _of_create(status: int, details: list[JSONObject]) -> type[ProviderError] | None:
    """What is peculiar to creating a batch."""
    if status == 429:
        # Enqueued tokens or batches are at their limit, unless it says that calls came too fast.
        return RateLimited if _by_the_minute(details) else QueueFull
    # Of all that the call names only the model is left.
    return RequestRefused if status == 404 else None


def _details(body: object) -> Iterator[JSONObject]:
    """The ``details`` of a google.rpc.Status in an error's body."""
    facts = cast("JSONObject", body) if isinstance(body, dict) else {}
    inner = facts.get("error")
    found = cast("JSONObject", inner).get("details") if isinstance(inner, dict) else None
    for detail in cast("list[object]", found) if isinstance(found, list) else ():
        if isinstance(detail, dict):
            yield cast("JSONObject", detail)


def _by_the_minute(details: list[JSONObject]) -> bool:
    return any("PerMinute" in str(detail.get("violations") or "") for detail in details)


def _is_bad_key(text: str, details: list[JSONObject]) -> bool:
    # HTTP 400, where all others say 401.
    bad = any(detail.get("reason") == "API_KEY_INVALID" for detail in details)
    return bad or "api key not valid" in text.lower()


def _retry_delay(details: list[JSONObject]) -> float | None:
    for detail in details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and delay.endswith("s"):
            try:
                return max(float(delay[:-1]), 0.0)
            except ValueError:
                return None
    return None


_GONE = ("not exist", "not found", "no such", "permission to access the file")


def is_input_missing(message: str) -> bool:
    """Whether the server does not see the input: a file that is deleted may as well be a secret."""
    text = message.lower()
    return ("file" in text or "gs://" in text) and any(words in text for words in _GONE)

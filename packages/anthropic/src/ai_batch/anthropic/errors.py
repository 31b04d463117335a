"""Turns what the SDK and its HTTP library raise into errors of ours, with plain fields.

What decides is whether the server can have carried the call out. An answer 4xx says no, and so
does the vendor's own word that it is overloaded; a connection that was never made says no;
anything else, for a create call, says perhaps. https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ai_batch.anthropic.client import load_sdk
from ai_batch.core.errors import (
    AIBatchError,
    AuthenticationFailed,
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
    QueueFull,
    QuotaExhausted,
    RequestRefused,
    mask,
)
from ai_batch.core.live import as_answer_error
from ai_batch.core.messages import JSONObject
from ai_batch.core.vendor_errors import (
    LONGEST_MESSAGE,
    kind_of_status,
    never_sent,
    of_transport,
    retry_after_of,
)

__all__ = ["translated", "translated_answer"]

UNPAID = frozenset(
    {
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
    }
)
"""Codes that come with various statuses, and never go away by waiting a little."""

BARRED = frozenset({"cmek_key_disabled", "organization_on_hold"})
"""Codes, of HTTP 400, of an account that a person has to set right."""

UNPAID_WORDS = ("credit balance is too low", "specified api usage limits")
"""What refusals for want of money say that carry no code (HTTP 400)."""


def translated(error: Exception, *, creating: bool, secret: str | None) -> AIBatchError:
    """The error to raise. ``creating`` tells that the call may have made a batch."""
    if isinstance(error, AIBatchError):
        return error
    text = mask(str(error), secret)[:LONGEST_MESSAGE]
    sdk: Any = load_sdk()
    if isinstance(error, sdk.APIStatusError):
        return _of_status(error, text, creating=creating)
    if (sign_in := _of_sign_in(error, sdk, text)) is not None:
        return sign_in
    if (cut := _of_connection(error, sdk)) is not None:
        reason = mask(f"{type(cut).__name__}: {cut}", secret)[:LONGEST_MESSAGE]
        return of_transport(reason, creating=creating, sent=not never_sent(cut))
    if isinstance(error, ValueError | sdk.AnthropicError):
        # An answer that can't be read, such as HTML from a proxy in front.
        kind = OutcomeUnknown if creating else ProviderUnavailable
        return kind(f"the server's answer cannot be understood: {text}")
    if isinstance(error, OSError):
        return ProviderUnavailable(f"{type(error).__name__}: {text}")
    raise error


def translated_answer(error: Exception, *, secret: str | None) -> AIBatchError:
    """The error to raise for a call that asks a model: with the server's own code and words."""
    failure = translated(error, creating=False, secret=secret)
    return as_answer_error(failure, getattr(error, "body", None), secret)


def _of_sign_in(error: Exception, sdk: Any, text: str) -> ProviderError | None:
    """A client of the user's that has no key says so only when it is called."""
    unsigned = isinstance(error, TypeError) and "authentication" in text
    if unsigned or isinstance(error, sdk.CredentialsError):
        return AuthenticationFailed(f"the client can't sign in: {text}")
    return None


def _of_connection(error: Exception, sdk: Any) -> BaseException | None:
    """What cut the connection, if that is what happened; streams raise it undressed."""
    import httpx2

    if isinstance(error, httpx2.HTTPError | httpx2.StreamError):
        return error
    return error.__cause__ or error if isinstance(error, sdk.APIConnectionError) else None


def _of_status(error: Any, text: str, *, creating: bool) -> ProviderError:
    status = int(error.status_code)
    headers = cast("Mapping[str, str]", error.response.headers)
    body = _object(error.body)
    said = _object(body.get("error"))
    word = _text(said.get("type"))
    # Not all versions of the SDK have an attribute for it.
    code = _text(_object(said.get("details")).get("error_code"))
    kind = _kind_of(status, word, code, text.lower(), creating=creating)
    return kind(
        f"{text}{_hint(status, creating=creating)}",
        status=status,
        code=code or word,
        request_id=headers.get("request-id") or _text(body.get("request_id")),
        retry_after=retry_after_of(headers),
    )


def _kind_of(
    status: int, word: str | None, code: str | None, text: str, *, creating: bool
) -> type[ProviderError]:
    """The error for a status and what the body says: ``word`` is its type, ``code`` more exact."""
    if status == 402 or code in UNPAID or any(words in text for words in UNPAID_WORDS):
        return QuotaExhausted
    if code in BARRED:
        return AuthenticationFailed
    if status == 429 and creating and "queue" in text:
        # The requests of all batches that wait, over the whole organization, are limited too.
        return QueueFull
    if status in {503, 529} and word == "overloaded_error":
        return ProviderUnavailable
    if status == 404 and creating:
        # A create call names nothing that could be missing, but for its own address.
        return RequestRefused
    return kind_of_status(status, creating=creating)


def _hint(status: int, *, creating: bool) -> str:
    if status == 413:
        return "; the server takes no batch of this size: lower max_bytes in limits="
    if status == 404 and creating:
        return "; the server has no message batches at this address: check base_url"
    return ""


def _object(value: object) -> JSONObject:
    return cast("JSONObject", value) if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

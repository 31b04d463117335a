"""Turns what the SDK and its HTTP library raise into errors of ours, with plain fields.

What decides is whether the server can have carried the call out: an answer 4xx says no; a
connection that was never made says no; anything else, for a create call, says perhaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ai_batch.core.errors import (
    AIBatchError,
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
    QueueFull,
    QuotaExhausted,
    RemoteNotFound,
    mask,
)
from ai_batch.core.live import as_answer_error
from ai_batch.core.vendor_errors import (
    LONGEST_MESSAGE,
    kind_of_status,
    never_sent,
    of_transport,
    retry_after_of,
)

__all__ = ["is_input_missing", "is_queue_full", "translated", "translated_answer"]


def translated(error: Exception, *, creating: bool, secret: str | None) -> AIBatchError:
    """The error to raise. ``creating`` tells that the call may have made a batch."""
    import httpx2
    import openai

    if isinstance(error, AIBatchError):
        return error
    text = mask(str(error), secret)[:LONGEST_MESSAGE]
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, text, creating=creating)
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        text = mask(f"{text} ({type(cause).__name__}: {cause})", secret)[:LONGEST_MESSAGE]
        return of_transport(text, creating=creating, sent=not never_sent(cause or error))
    if isinstance(error, httpx2.HTTPError | httpx2.StreamError):
        text = f"{type(error).__name__}: {text}"
        return of_transport(text, creating=creating, sent=not never_sent(error))
    if isinstance(error, openai.OpenAIError | ValueError):
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


def _of_status(error: Any, text: str, *, creating: bool) -> ProviderError:
    status = int(error.status_code)
    headers = cast("Mapping[str, str]", error.response.headers)
    code = error.code if isinstance(error.code, str) else None
    kind = _kind_of(status, code, text, creating=creating)
    return kind(
        text,
        status=status,
        code=code,
        request_id=headers.get("x-request-id"),
        retry_after=retry_after_of(headers),
    )


def _kind_of(status: int, code: str | None, text: str, *, creating: bool) -> type[ProviderError]:
    if code == "insufficient_quota":
        return QuotaExhausted
    if is_queue_full(code, text):
        return QueueFull
    if creating and is_input_missing(code, text):
        return RemoteNotFound
    return kind_of_status(status, creating=creating)


def is_queue_full(code: str | None, message: str) -> bool:
    """Whether the enqueued tokens or batches are at their limit; Azure says so at the create."""
    return code == "token_limit_exceeded" or "enqueued token limit" in message.lower()


def is_input_missing(code: str | None, message: str) -> bool:
    """Whether the server does not see the input file, or not yet (bespokelabsai/curator#116)."""
    del code
    return "cannot find file" in message.lower()

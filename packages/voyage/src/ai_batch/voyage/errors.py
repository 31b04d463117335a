"""Turns what the SDK and its HTTP library raise into errors of ours, with plain fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ai_batch.core.errors import AIBatchError, AuthenticationFailed, ProviderUnavailable, mask
from ai_batch.core.live import as_answer_error
from ai_batch.core.vendor_errors import (
    LONGEST_MESSAGE,
    kind_of_status,
    of_transport,
    retry_after_of,
)

__all__ = ["translated"]


def translated(error: Exception, *, secret: str | None) -> AIBatchError:
    """The error to raise for a call that asks for vectors."""
    import aiohttp
    from voyageai import error as sdk

    if isinstance(error, AIBatchError):
        return error
    text = mask(str(error), secret)[:LONGEST_MESSAGE]
    if isinstance(error, sdk.VoyageError):
        return _of_sdk(error, text, secret)
    if isinstance(error, aiohttp.ClientError | OSError):
        # A body that is cut while it is read comes through undressed.
        cause = f"{type(error).__name__}: {text}"
        return of_transport(cause, creating=False, sent=True)
    if isinstance(error, ValueError):
        return ProviderUnavailable(f"the server's answer cannot be understood: {text}")
    raise error


def _of_sdk(error: Any, text: str, secret: str | None) -> AIBatchError:
    status = error.http_status
    if not isinstance(status, int):
        if type(error).__name__ == "AuthenticationError":
            return AuthenticationFailed(text)
        cause = mask(f"{text} ({type(error.__cause__).__name__}: {error.__cause__})", secret)
        return of_transport(cause[:LONGEST_MESSAGE], creating=False, sent=True)
    if status < 400:
        return ProviderUnavailable(f"the server's answer cannot be understood: {text}")
    headers = cast("Mapping[str, str]", error.headers)
    failure = kind_of_status(status, creating=False)(
        text,
        status=status,
        request_id=headers.get("x-request-id") or headers.get("request-id"),
        retry_after=retry_after_of(headers),
    )
    return as_answer_error(failure, error.json_body or error.http_body, secret)

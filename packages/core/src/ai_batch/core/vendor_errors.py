"""What an answer's status, or its absence, says of a call: above all whether it took effect.

An answer 4xx says no; a connection that was never made says no; anything else, for a call that
creates a batch, says perhaps.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping

from ai_batch.core.errors import (
    AuthenticationFailed,
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RemoteNotFound,
    RequestRefused,
)

__all__ = [
    "LONGEST_MESSAGE",
    "kind_of_status",
    "never_sent",
    "of_transport",
    "raised_in",
    "retry_after_of",
]

LONGEST_MESSAGE = 1000
"""Characters of a vendor's message that are kept."""

BY_STATUS: dict[int, type[ProviderError]] = {
    401: AuthenticationFailed,
    403: AuthenticationFailed,
    404: RemoteNotFound,
    429: RateLimited,
}


def kind_of_status(status: int, *, creating: bool) -> type[ProviderError]:
    """The error for an HTTP status; ``creating`` tells that the call may have made a batch."""
    if status in {408, 409} or status >= 500:
        return OutcomeUnknown if creating else ProviderUnavailable
    return BY_STATUS.get(status, RequestRefused)


def of_transport(text: str, *, creating: bool, sent: bool) -> ProviderError:
    """The error for a call without an answer; ``sent`` is False where no connection was made."""
    if creating and sent:
        return OutcomeUnknown(f"the create call was cut: {text}")
    return ProviderUnavailable(f"the server can't be reached: {text}")


_UNMADE = frozenset(
    {
        "ClientConnectorError",
        "ConnectError",
        "ConnectTimeout",
        "ConnectionTimeoutError",
        "PoolTimeout",
    }
)
"""Classes, of httpx2 and of aiohttp, for connections that were not made."""


def never_sent(error: BaseException) -> bool:
    """Whether an HTTP library's error says that no connection was made.

    The SDKs' transports over aiohttp call every cut connection a ``ConnectTimeout``, also one
    that was cut after the request was sent: aiohttp's own error, the cause, tells.
    """
    cause = error.__cause__
    if cause is not None and type(cause).__module__.startswith("aiohttp"):
        error = cause
    return not _UNMADE.isdisjoint(kind.__name__ for kind in type(error).__mro__)


def raised_in(error: BaseException, library: str) -> bool:
    """Whether an error comes out of this top-level package, and not out of our own code.

    SDKs read answers carelessly: JSON that is no object, such as ``null`` from a proxy, makes them
    fail with a ``TypeError`` or an ``AttributeError`` of their own.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return False
    module = str(traceback.tb_frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] == library


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait; None where it says nothing that makes sense.

    ``retry-after-ms`` wins over ``retry-after``, which is in seconds or a date.
    """
    milliseconds = _positive(headers.get("retry-after-ms", ""), 0.001)
    if milliseconds is not None:
        return milliseconds
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _positive(value, 1.0)
    if seconds is not None:
        return seconds
    try:
        at = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError):
        return None
    return max(at - time.time(), 0.0)


def _positive(text: str, unit: float) -> float | None:
    try:
        value = float(text) * unit
    except ValueError:
        return None
    return value if 0.0 <= value < 1e7 else None

"""What a status and a header say, whichever vendor sent them."""

from __future__ import annotations

import email.utils
import time
from typing import cast

import aiohttp
import httpx2
import pytest

from ai_batch.core.vendor_errors import never_sent, raised_in, retry_after_of


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "60"}, 1.5),
        ({"retry-after-ms": "x"}, None),
        ({"retry-after-ms": "x", "retry-after": "60"}, 60.0),
    ],
)
def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds or milliseconds, where they make sense; nonsense in one leaves the other."""
    assert retry_after_of(headers) == seconds


@pytest.mark.parametrize(("ahead", "expected"), [(90, 90.0), (-90, 0.0)])
def test_retry_after_may_be_a_date(ahead: float, expected: float) -> None:
    """A date to come is waited for, one that has passed is now."""
    date = email.utils.formatdate(time.time() + ahead, usegmt=True)
    assert retry_after_of({"retry-after": date}) == pytest.approx(expected, abs=2.0)


@pytest.mark.parametrize(
    ("error", "cause", "expected"),
    [
        (httpx2.ConnectError("refused"), None, True),
        (httpx2.ConnectTimeout("slow"), None, True),
        (httpx2.PoolTimeout("busy"), None, True),
        (httpx2.ReadTimeout("silent"), None, False),
        (httpx2.RemoteProtocolError("cut"), None, False),
        (httpx2.ConnectTimeout("said so"), aiohttp.ServerDisconnectedError(), False),
        (httpx2.ConnectTimeout("said so"), aiohttp.ClientOSError(104, "reset"), False),
        (httpx2.ConnectTimeout("slow"), aiohttp.ConnectionTimeoutError(), True),
        (httpx2.ReadTimeout("silent"), aiohttp.SocketTimeoutError(), False),
        (httpx2.ConnectError("refused"), OSError("refused"), True),
        (aiohttp.ServerDisconnectedError(), None, False),
        (ValueError("odd"), None, False),
    ],
)
def test_only_a_connection_that_was_never_made_sent_nothing(
    error: Exception, cause: Exception | None, expected: bool
) -> None:
    """Over aiohttp the SDKs call every cut a timeout while connecting: its own error tells."""
    error.__cause__ = cause
    assert never_sent(error) is expected


def test_an_error_of_a_library_is_told_from_one_of_our_own() -> None:
    """Where it was raised decides, and not what it is."""
    with pytest.raises(TypeError) as ours:
        len(cast("str", None))
    with pytest.raises(TypeError) as theirs:
        httpx2.URL(cast("str", None))
    assert not raised_in(ours.value, "httpx2")
    assert raised_in(theirs.value, "httpx2")
    assert not raised_in(theirs.value, "openai")
    assert not raised_in(TypeError("never raised"), "httpx2")

"""What a status and a header say, whichever vendor sent them."""

from __future__ import annotations

import email.utils
import time

import pytest

from ai_batch.core.vendor_errors import retry_after_of


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

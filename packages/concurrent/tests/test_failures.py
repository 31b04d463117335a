"""What clients raise, and what is made of it: whether, when and for whom to ask again."""

from __future__ import annotations

import email.message
import email.utils
import io
import time
import urllib.error
from typing import Any, cast

import aiohttp
import anthropic
import httpx2
import openai
import pytest
import yarl
from google.api_core import exceptions as google_exceptions
from google.genai import errors as genai_errors
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from ai_batch.concurrent.failures import CallTimedOut, Failure, failure_of, wrong_answer
from ai_batch.core import (
    AuthenticationFailed,
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
    QueueFull,
    QuotaExhausted,
    RateLimited,
    RemoteNotFound,
    RequestRefused,
    UsageError,
)

KEY = "sk-proj-abcdefghijklmnop"


def told(failure: Failure) -> tuple[str, bool, bool]:
    """The code, whether asking again may help, and whether everybody is to slow down."""
    return failure.error.code, failure.error.retryable, failure.limited


# -- errors of ours -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (RateLimited("slow down", status=429), ("rate_limited", True, True)),
        (RateLimited("slow down"), ("RateLimited", True, True)),
        (ProviderUnavailable("broken", status=500), ("ProviderUnavailable", True, False)),
        (ProviderUnavailable("busy", status=529), ("overloaded", True, True)),
        (ProviderUnavailable("broken", code="server_error"), ("server_error", True, False)),
        (OutcomeUnknown("cut"), ("OutcomeUnknown", True, False)),
        (QueueFull("full"), ("QueueFull", True, False)),
        (RequestRefused("no", status=400, code="bad"), ("bad", False, False)),
        (RemoteNotFound("no such model", status=404), ("RemoteNotFound", False, False)),
        (AuthenticationFailed("key", status=401), ("AuthenticationFailed", False, False)),
        (QuotaExhausted("empty", status=429), ("rate_limited", False, True)),
        (UsageError("wrong"), ("invalid_request", False, False)),
        (CallTimedOut("slow"), ("timeout", True, False)),
    ],
)
def test_our_errors_mean_what_they_say(error: Exception, wanted: tuple[str, bool, bool]) -> None:
    """Clients of ours say themselves whether asking again may help."""
    assert told(failure_of(error)) == wanted


@pytest.mark.parametrize("kind", [AuthenticationFailed, QuotaExhausted])
def test_what_a_person_must_mend_is_kept_as_it_is(kind: type[ProviderError]) -> None:
    """It can be raised to the user."""
    error = kind("mend me", retry_after=3.0)

    assert failure_of(error).mend is error
    assert failure_of(error).retry_after == 3.0


# -- the vendors' SDKs --------------------------------------------------------------------------

REQUEST = httpx2.Request("POST", "https://api.example.com/v1/chat/completions")


def answer(status: int, body: Any = None, **headers: str) -> httpx2.Response:
    """An answer as the SDKs hold it."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json=body, headers=names, request=REQUEST)


def of_openai(status: int, code: str | None = None, **headers: str) -> Exception:
    """What the SDK makes of a status."""
    body = {"error": {"message": f"words {KEY}", "type": "some_type", "code": code}}
    client = openai.OpenAI(api_key=KEY)
    return client._make_status_error_from_response(answer(status, body, **headers))


def of_anthropic(status: int, kind: str, **headers: str) -> Exception:
    """What the SDK makes of a status."""
    body = {"type": "error", "error": {"type": kind, "message": "words"}}
    client = anthropic.Anthropic(api_key=KEY)
    return client._make_status_error_from_response(answer(status, body, **headers))


def of_genai(status: int, word: str) -> Exception:
    """What the SDK raises for a status."""
    body = {"error": {"code": status, "message": "words", "status": word}}
    kind = genai_errors.ClientError if status < 500 else genai_errors.ServerError
    return kind(status, body)


def of_google(status: int) -> Exception:
    """What Google's older libraries raise for a status."""
    module: Any = google_exceptions
    return cast("Exception", module.from_http_status(status, "words"))


def of_aiohttp(status: int, **headers: str) -> Exception:
    """What the library raises for a status."""
    given = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    url = yarl.URL("https://api.example.com/")
    info = aiohttp.RequestInfo(url, "POST", CIMultiDictProxy(CIMultiDict[str]()), url)
    return aiohttp.ClientResponseError(
        info, (), status=status, message="words", headers=CIMultiDictProxy(given)
    )


def of_urllib(status: int, **headers: str) -> Exception:
    """What the library raises for a status."""
    given = email.message.Message()
    for name, value in headers.items():
        given[name.replace("_", "-")] = value
    return urllib.error.HTTPError("http://x", status, "words", given, io.BytesIO())


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (of_openai(400, "bad_value"), ("bad_value", False, False)),
        (of_openai(429, "rate_limit_exceeded"), ("rate_limit_exceeded", True, True)),
        (of_openai(429, "insufficient_quota"), ("insufficient_quota", False, False)),
        (of_openai(401, "invalid_api_key"), ("invalid_api_key", False, False)),
        (of_openai(404, "model_not_found"), ("model_not_found", False, False)),
        (of_openai(408), ("some_type", True, False)),
        (of_openai(500), ("some_type", True, False)),
        (openai.APITimeoutError(request=REQUEST), ("connection_error", True, False)),
        (openai.APIConnectionError(request=REQUEST), ("connection_error", True, False)),
        (of_anthropic(429, "rate_limit_error"), ("rate_limit_error", True, True)),
        (of_anthropic(529, "overloaded_error"), ("overloaded_error", True, True)),
        (
            of_anthropic(400, "invalid_request_error"),
            ("invalid_request_error", False, False),
        ),
        (of_anthropic(403, "permission_error"), ("permission_error", False, False)),
        (of_genai(429, "RESOURCE_EXHAUSTED"), ("http_429", True, True)),
        (of_genai(503, "UNAVAILABLE"), ("http_503", True, False)),
        (of_genai(400, "INVALID_ARGUMENT"), ("http_400", False, False)),
        (of_google(429), ("http_429", True, True)),
        (of_google(404), ("http_404", False, False)),
        (
            httpx2.HTTPStatusError("words", request=REQUEST, response=answer(502)),
            ("http_502", True, False),
        ),
        (httpx2.ReadTimeout("slow"), ("connection_error", True, False)),
        (httpx2.RemoteProtocolError("cut"), ("connection_error", True, False)),
        (httpx2.UnsupportedProtocol("ftp"), ("connection_error", True, False)),
        (of_aiohttp(429), ("http_429", True, True)),
        (of_aiohttp(404), ("http_404", False, False)),
        (aiohttp.ServerDisconnectedError(), ("connection_error", True, False)),
        (aiohttp.ClientPayloadError("cut"), ("connection_error", True, False)),
        (of_urllib(503), ("http_503", True, False)),
        (ConnectionResetError("cut"), ("connection_error", True, False)),
        (TimeoutError("slow"), ("connection_error", True, False)),
        (OSError("no space left"), ("client_error", False, False)),
        (KeyError("x"), ("client_error", False, False)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_the_sdks_errors_mean_what_their_status_says(
    error: Exception, wanted: tuple[str, bool, bool]
) -> None:
    """Whoever raised it, it is known by its status, its code, or as a cut connection."""
    assert told(failure_of(error)) == wanted


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (of_openai(401, "invalid_api_key"), AuthenticationFailed),
        (of_openai(429, "insufficient_quota"), QuotaExhausted),
        (of_openai(429, "rate_limit_exceeded"), type(None)),
        (of_anthropic(403, "permission_error"), AuthenticationFailed),
        (of_openai(500), type(None)),
    ],
)
def test_what_a_person_must_mend_is_known(error: Exception, kind: type) -> None:
    """A wrong key and an empty account fail every other call as well."""
    assert type(failure_of(error).mend) is kind


class RequestsResponse:
    """As the library ``requests`` has it."""

    status_code = 429
    headers = {"Retry-After": "7"}  # noqa: RUF012


class RequestsError(OSError):
    """As the library ``requests`` raises it."""

    response = RequestsResponse()


class Wise(Exception):
    """As Pydantic AI raises it: the wait was found in the body."""

    status_code = 429
    headers: dict[str, str] | None = None
    retry_after: float | None = 9.5


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (of_openai(429, retry_after="20"), 20.0),
        (of_openai(429, retry_after="0.5"), 0.5),
        (of_openai(429, retry_after_ms="1500", retry_after="20"), 1.5),
        (of_anthropic(429, "rate_limit_error", retry_after="3"), 3.0),
        (of_aiohttp(503, retry_after="4"), 4.0),
        (of_urllib(503, retry_after="5"), 5.0),
        (RequestsError("429"), 7.0),
        (Wise("429"), 9.5),
        (RateLimited("x", retry_after=6.0), 6.0),
        (of_openai(429, retry_after="soon"), None),
        (of_openai(429, retry_after="-3"), None),
        (of_openai(429, retry_after="nan"), None),
        (of_openai(429), None),
    ],
    ids=range(13),
)
def test_how_long_to_wait_is_understood(error: Exception, seconds: float | None) -> None:
    """Seconds, milliseconds and dates, in the headers of any library."""
    assert failure_of(error).retry_after == seconds


def test_the_cause_is_looked_at() -> None:
    """A client may wrap what its SDK has raised, on purpose or not."""
    limited = of_openai(429, "rate_limit_exceeded", retry_after="8")
    wrapped, careless, hidden = LookupError("a"), LookupError("b"), LookupError("c")
    wrapped.__cause__ = limited
    careless.__context__ = hidden.__context__ = ConnectionResetError("cut")
    hidden.__suppress_context__ = True  # As ``from None`` has it.

    assert told(failure_of(wrapped)) == ("rate_limit_exceeded", True, True)
    assert failure_of(wrapped).retry_after == 8.0
    assert told(failure_of(careless)) == ("connection_error", True, False)
    assert told(failure_of(hidden)) == ("client_error", False, False)


@pytest.mark.parametrize(("ahead", "seconds"), [(100.0, 100.0), (-100.0, 0.0)])
def test_a_date_to_wait_for_is_understood(
    ahead: float, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A date that is over means no wait."""
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    date = email.utils.formatdate(1_800_000_000.0 + ahead, usegmt=True)

    assert failure_of(of_openai(429, retry_after=date)).retry_after == seconds


class Grumpy(Exception):
    def __str__(self) -> str:
        raise AttributeError("made by hand")

    @property
    def response(self) -> object:
        raise RuntimeError("there is none")


def test_errors_that_can_not_be_asked_are_errors_too() -> None:
    """An exception whose text or attributes raise costs its own item only."""
    failure = failure_of(Grumpy())

    assert told(failure) == ("client_error", False, False)
    assert failure.error.message == "Grumpy: it has no text"


def test_causes_may_go_in_circles() -> None:
    """An error that is its own cause's cause is looked at once."""
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first

    assert told(failure_of(first)) == ("client_error", False, False)


@pytest.mark.parametrize(
    "error",
    [
        of_openai(400),
        of_openai(401),
        ValueError(f"key {KEY}"),
        ValueError(f"Authorization: Bearer {KEY}"),
        UsageError(f"key {KEY}"),
        RequestRefused(f"key {KEY}"),
        ConnectionError(f"https://x?x-api-key={KEY}"),
    ],
    ids=range(7),
)
def test_keys_are_masked(error: Exception) -> None:
    """No error that is kept holds what looks like a key."""
    failure = failure_of(error)

    assert KEY not in repr(failure.error)
    assert "***" in failure.error.message
    assert KEY not in repr(failure)


@given(st.text(), st.sampled_from([ValueError, RequestRefused, ConnectionError, UsageError]))
def test_messages_are_kept_short(text: str, kind: type[Exception]) -> None:
    """Whatever an error says, what is kept of it fits a line of a log."""
    failure = failure_of(kind(text * 1000))

    assert len(failure.error.message) <= 1000


def test_an_answer_of_another_kind_is_named() -> None:
    """A client that gives something else is told what it gave."""
    failure = wrong_answer({"text": "x"}, "a ChatResponse")

    assert told(failure) == ("client_error", False, False)
    assert failure.error.message == "the client gave dict instead of a ChatResponse"

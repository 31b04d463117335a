"""What the SDK raises, turned into errors of ours: above all, whether a batch may exist."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2
import pytest

from ai_batch.anthropic.errors import translated
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
)

REQUEST = httpx2.Request("POST", "http://server.test/v1/messages/batches")


def raised(
    status: int, body: object, headers: dict[str, str] | None = None, text: str = "no"
) -> Exception:
    """What the SDK raises for an answer."""
    response = httpx2.Response(status, request=REQUEST, headers=headers or {})
    kind: Any = anthropic.APIStatusError
    found: Exception = kind(f"Error code: {status} - {text}", response=response, body=body)
    return found


def error_body(
    kind: str, code: str | None = None, message: str = "no", *, outer: bool = True
) -> dict[str, Any]:
    """An error as the vendor writes it."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    whole = {"type": "error", "error": error, "request_id": "req_body"}
    return whole if outer else {"error": error}


TABLE: list[tuple[int, str | None, str | None, type[Exception], type[Exception]]] = [
    (400, "invalid_request_error", None, RequestRefused, RequestRefused),
    (
        400,
        "invalid_request_error",
        "organization_on_hold",
        AuthenticationFailed,
        AuthenticationFailed,
    ),
    (400, "invalid_request_error", "cmek_key_disabled", AuthenticationFailed, AuthenticationFailed),
    (401, "authentication_error", None, AuthenticationFailed, AuthenticationFailed),
    (402, "billing_error", None, QuotaExhausted, QuotaExhausted),
    (403, "permission_error", None, AuthenticationFailed, AuthenticationFailed),
    (404, "not_found_error", None, RemoteNotFound, RequestRefused),
    (408, "timeout_error", None, ProviderUnavailable, OutcomeUnknown),
    (409, "conflict_error", None, ProviderUnavailable, OutcomeUnknown),
    (413, "request_too_large", None, RequestRefused, RequestRefused),
    (422, None, None, RequestRefused, RequestRefused),
    (429, "rate_limit_error", None, RateLimited, RateLimited),
    (429, "rate_limit_error", "ramp_limit_exceeded", RateLimited, RateLimited),
    (429, "rate_limit_error", "enforced_spend_limit_reached", QuotaExhausted, QuotaExhausted),
    (400, "invalid_request_error", "contract_spend_limit_reached", QuotaExhausted, QuotaExhausted),
    (500, "api_error", None, ProviderUnavailable, OutcomeUnknown),
    (502, None, None, ProviderUnavailable, OutcomeUnknown),
    (503, "overloaded_error", None, ProviderUnavailable, ProviderUnavailable),
    (503, "api_error", None, ProviderUnavailable, OutcomeUnknown),
    (503, None, None, ProviderUnavailable, OutcomeUnknown),
    (504, "timeout_error", None, ProviderUnavailable, OutcomeUnknown),
    (529, "overloaded_error", None, ProviderUnavailable, ProviderUnavailable),
    (529, None, None, ProviderUnavailable, OutcomeUnknown),
]


@pytest.mark.parametrize(("status", "word", "code", "kind", "creating_kind"), TABLE)
def test_a_status_decides_whether_a_batch_may_exist(
    status: int,
    word: str | None,
    code: str | None,
    kind: type[Exception],
    creating_kind: type[Exception],
) -> None:
    """4xx says that nothing was created, and so does an overload in the vendor's own words."""
    body = "<html>" if word is None else error_body(word, code)
    headers = {"request-id": "req_1", "retry-after": "7"}
    for creating, expected in ((False, kind), (True, creating_kind)):
        error = translated(raised(status, body, headers), creating=creating, secret=None)
        assert type(error) is expected
        assert isinstance(error, ProviderError)
        assert (error.status, error.code) == (status, code or word)
        assert (error.request_id, error.retry_after) == ("req_1", 7.0)


@pytest.mark.parametrize(
    "text",
    [
        "Your credit balance is too low to access the Anthropic API.",
        "You have reached your specified API usage limits.",
    ],
)
def test_money_that_is_gone_is_told_in_words_too(text: str) -> None:
    """These are plain HTTP 400 without a code."""
    error = raised(400, error_body("invalid_request_error"), text=text)
    assert type(translated(error, creating=True, secret=None)) is QuotaExhausted


def test_a_full_queue_is_told_from_too_many_calls() -> None:
    """The batch waits for others to end; other calls with HTTP 429 are only repeated."""
    body = error_body("rate_limit_error")
    error = raised(429, body, text="over the limit of requests in the batch processing queue")
    assert type(translated(error, creating=True, secret=None)) is QueueFull
    assert type(translated(error, creating=False, secret=None)) is RateLimited


@pytest.mark.parametrize(
    "body", [error_body("request_too_large", outer=False), "<html>413</html>", None]
)
def test_a_body_that_is_too_large_names_the_option(body: object) -> None:
    """A proxy in front of the vendor says so in shapes of its own."""
    error = translated(raised(413, body), creating=True, secret=None)
    assert type(error) is RequestRefused
    assert "lower max_bytes in limits=" in str(error)


def test_a_missing_address_names_the_option() -> None:
    """A create call names nothing that could be missing but itself."""
    error = translated(raised(404, None), creating=True, secret=None)
    assert "check base_url" in str(error)


def test_the_body_names_the_request_too() -> None:
    """For answers without the header."""
    error = translated(raised(400, error_body("x")), creating=False, secret=None)
    assert isinstance(error, ProviderError)
    assert error.request_id == "req_body"


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (httpx2.ConnectError("refused"), ProviderUnavailable),
        (httpx2.ConnectTimeout("slow"), ProviderUnavailable),
        (httpx2.PoolTimeout("busy"), ProviderUnavailable),
        (httpx2.ReadTimeout("silent"), OutcomeUnknown),
        (httpx2.RemoteProtocolError("cut"), OutcomeUnknown),
        (httpx2.WriteError("cut"), OutcomeUnknown),
        (httpx2.StreamConsumed(), OutcomeUnknown),
    ],
)
def test_only_a_connection_that_was_never_made_sent_nothing(
    cause: Exception, kind: type[Exception]
) -> None:
    """Once something may have been sent, a create's outcome is unknown."""
    wrapped = anthropic.APIConnectionError(request=REQUEST)
    wrapped.__cause__ = cause
    for error in (wrapped, cause):
        found = translated(error, creating=True, secret=None)
        assert type(found) is kind
        assert type(cause).__name__ in str(found)
        assert type(translated(error, creating=False, secret=None)) is ProviderUnavailable


def test_an_answer_that_can_not_be_read_is_no_answer() -> None:
    """HTML with status 200 to a create says nothing about the batch."""
    for error in (ValueError("<html>"), anthropic.AnthropicError("odd")):
        assert type(translated(error, creating=True, secret=None)) is OutcomeUnknown
        assert type(translated(error, creating=False, secret=None)) is ProviderUnavailable


def test_a_client_that_can_not_sign_in_says_so() -> None:
    """The SDK finds out when it is called, with errors of its own kinds."""
    for error in (
        TypeError("Could not resolve authentication method"),
        anthropic.CredentialsError("no profile"),
    ):
        assert type(translated(error, creating=True, secret=None)) is AuthenticationFailed


def test_a_full_disk_is_waited_out() -> None:
    """It is nobody's fault, and may pass."""
    error = translated(OSError(28, "No space left"), creating=False, secret=None)
    assert type(error) is ProviderUnavailable


def test_an_error_of_ours_stays_as_it_is() -> None:
    """It is translated already."""
    error = OutcomeUnknown("cut")
    assert translated(error, creating=True, secret=None) is error


def test_what_is_nobodys_error_is_raised_as_it_is() -> None:
    """A bug of ours is not dressed up as the server's failure."""
    for bug in (ZeroDivisionError(), TypeError("unexpected keyword")):
        with pytest.raises(type(bug)):
            translated(bug, creating=True, secret=None)


def test_messages_are_masked_and_short() -> None:
    """A server that echoes the key, at length, gets neither through."""
    error = raised(400, None, text="your key my-own-secret is wrong " * 100)
    found = translated(error, creating=False, secret="my-own-secret")
    assert "my-own-secret" not in str(found)
    assert len(str(found)) <= 1000

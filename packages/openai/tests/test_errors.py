"""What the SDK raises, turned into errors of ours: above all, whether a batch may exist."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest

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
from ai_batch.openai.errors import translated

REQUEST = httpx2.Request("POST", "http://server.test/v1/batches")


def status_error(status: int, code: str | None = None, message: str = "no") -> Exception:
    """What the SDK raises for an answer."""
    error = {"message": message, "type": "t", "param": None, "code": code}
    headers = {"x-request-id": "req_1", "retry-after": "7"}
    response = httpx2.Response(status, request=REQUEST, json={"error": error}, headers=headers)
    kind: Any = openai.APIStatusError
    raised: Exception = kind(f"Error code: {status} - {message}", response=response, body=error)
    return raised


def connection_error(cause: Exception) -> Exception:
    """What the SDK raises where there was no answer."""
    error = openai.APIConnectionError(request=REQUEST)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("status", "code", "kind", "creating_kind"),
    [
        (400, None, RequestRefused, RequestRefused),
        (400, "token_limit_exceeded", QueueFull, QueueFull),
        (401, "invalid_api_key", AuthenticationFailed, AuthenticationFailed),
        (403, None, AuthenticationFailed, AuthenticationFailed),
        (404, None, RemoteNotFound, RemoteNotFound),
        (408, None, ProviderUnavailable, OutcomeUnknown),
        (409, None, ProviderUnavailable, OutcomeUnknown),
        (413, None, RequestRefused, RequestRefused),
        (422, None, RequestRefused, RequestRefused),
        (429, "rate_limit_exceeded", RateLimited, RateLimited),
        (429, "insufficient_quota", QuotaExhausted, QuotaExhausted),
        (500, None, ProviderUnavailable, OutcomeUnknown),
        (502, None, ProviderUnavailable, OutcomeUnknown),
        (503, None, ProviderUnavailable, OutcomeUnknown),
        (529, None, ProviderUnavailable, OutcomeUnknown),
    ],
)
def test_a_status_decides_whether_a_batch_may_exist(
    status: int, code: str | None, kind: type[Exception], creating_kind: type[Exception]
) -> None:
    """4xx says that nothing was created; 5xx to a create says perhaps."""
    for creating, expected in ((False, kind), (True, creating_kind)):
        error = translated(status_error(status, code), creating=creating, secret=None)
        assert type(error) is expected
        assert isinstance(error, ProviderError)
        assert (error.status, error.code) == (status, code)
        assert (error.request_id, error.retry_after) == ("req_1", 7.0)


def test_a_create_whose_file_is_not_seen_yet_is_no_refusal() -> None:
    """The race after an upload is a 400, and passes."""
    error = status_error(400, None, "Cannot find file file-1, or organization org-1 does not")
    assert type(translated(error, creating=True, secret=None)) is RemoteNotFound
    assert type(translated(error, creating=False, secret=None)) is RequestRefused


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (httpx2.ConnectError("refused"), ProviderUnavailable),
        (httpx2.ConnectTimeout("slow"), ProviderUnavailable),
        (httpx2.PoolTimeout("busy"), ProviderUnavailable),
        (httpx2.ReadTimeout("silent"), OutcomeUnknown),
        (httpx2.RemoteProtocolError("cut"), OutcomeUnknown),
        (httpx2.WriteError("cut"), OutcomeUnknown),
        (httpx2.ReadError("cut"), OutcomeUnknown),
    ],
)
def test_only_a_connection_that_was_never_made_sent_nothing(
    cause: Exception, kind: type[Exception]
) -> None:
    """Once something may have been sent, a create's outcome is unknown."""
    error = connection_error(cause)
    assert type(translated(error, creating=True, secret=None)) is kind
    assert type(translated(error, creating=False, secret=None)) is ProviderUnavailable
    assert type(translated(cause, creating=True, secret=None)) is kind


def test_an_answer_that_cannot_be_read_is_no_answer() -> None:
    """HTML with status 200 to a create says nothing about the batch."""
    assert type(translated(ValueError("<html>"), creating=True, secret=None)) is OutcomeUnknown
    assert type(translated(ValueError("<"), creating=False, secret=None)) is ProviderUnavailable


def test_what_is_nobodys_error_is_raised_as_it_is() -> None:
    """A bug of ours is not dressed up as the server's failure."""
    with pytest.raises(ZeroDivisionError):
        translated(ZeroDivisionError(), creating=True, secret=None)


def test_messages_are_masked_and_short() -> None:
    """A server that echoes the key, at length, gets neither through."""
    error = status_error(401, None, "your key my-own-secret is wrong " * 100)
    found = translated(error, creating=False, secret="my-own-secret")
    assert "my-own-secret" not in str(found)
    assert len(str(found)) <= 1000

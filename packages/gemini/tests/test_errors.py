"""What Google's libraries raise, turned into errors of ours: above all, whether a batch may be."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from google.auth import exceptions as auth
from google.genai import errors as genai

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
from ai_batch.gemini.errors import is_input_missing, translated

KEY_DETAIL = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
MINUTE = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "BatchRequestsPerMinutePerProject"}],
}


def raised(
    status: int,
    message: str = "no",
    *details: object,
    word: str | None = "SOME_STATUS",
    headers: dict[str, str] | None = None,
) -> Exception:
    """What the SDK raises for an answer."""
    error: dict[str, Any] = {"code": status, "message": message}
    if word is not None:
        error["status"] = word
    if details:
        error["details"] = list(details)
    kind: Any = genai.ClientError if status < 500 else genai.ServerError
    found: Exception = kind(status, {"error": error}, httpx2.Response(status, headers=headers))
    return found


TABLE: list[tuple[int, str, type[Exception], type[Exception]]] = [
    (400, "Request contains an invalid argument.", RequestRefused, RequestRefused),
    (
        400,
        "API key not valid. Pass another.",
        AuthenticationFailed,
        AuthenticationFailed,
    ),
    (400, "Enable billing for this project.", QuotaExhausted, QuotaExhausted),
    (400, "The file files/x does not exist.", RemoteNotFound, RemoteNotFound),
    (
        401,
        "invalid credentials",
        AuthenticationFailed,
        AuthenticationFailed,
    ),
    (403, "Permission denied on resource project.", AuthenticationFailed, AuthenticationFailed),
    (403, "This API method requires billing to be enabled.", QuotaExhausted, QuotaExhausted),
    (403, "You do not have permission to access the File x.", RemoteNotFound, RemoteNotFound),
    (404, "Requested entity was not found.", RemoteNotFound, RequestRefused),
    (404, "No such object: gs://b/in.jsonl", RemoteNotFound, RemoteNotFound),
    (408, "no", ProviderUnavailable, OutcomeUnknown),
    (409, "no", ProviderUnavailable, OutcomeUnknown),
    (413, "no", RequestRefused, RequestRefused),
    (429, "You exceeded your current quota.", RateLimited, QueueFull),
    (499, "The operation was cancelled.", ProviderUnavailable, OutcomeUnknown),
    (500, "no", ProviderUnavailable, OutcomeUnknown),
    (502, "no", ProviderUnavailable, OutcomeUnknown),
    (503, "The model is overloaded.", ProviderUnavailable, OutcomeUnknown),
    (504, "no", ProviderUnavailable, OutcomeUnknown),
]


@pytest.mark.parametrize(("status", "message", "kind", "creating_kind"), TABLE)
def test_a_status_decides_whether_a_batch_may_exist(
    status: int, message: str, kind: type[Exception], creating_kind: type[Exception]
) -> None:
    """4xx says that nothing was created; 5xx does not."""
    headers = {"x-goog-request-id": "req_1", "retry-after": "7"}
    for creating, expected in ((False, kind), (True, creating_kind)):
        given = raised(status, message, headers=headers)
        error = translated(given, creating=creating, secret=None)
        assert type(error) is expected
        assert isinstance(error, ProviderError)
        assert (error.status, error.code, error.message) == (status, "SOME_STATUS", message)
        assert (error.request_id, error.retry_after) == ("req_1", 7.0)


def test_a_wrong_key_is_told_by_its_detail() -> None:
    """It comes as HTTP 400, in words that may change."""
    error = raised(400, "expired", KEY_DETAIL)
    assert type(translated(error, creating=True, secret=None)) is AuthenticationFailed


def test_too_many_calls_are_told_from_a_full_queue() -> None:
    """Both are HTTP 429: a limit by the minute passes, a full queue waits for batches to end."""
    error = raised(429, "You exceeded your current quota", MINUTE)
    assert type(translated(error, creating=True, secret=None)) is RateLimited


@pytest.mark.parametrize(
    ("detail", "seconds"),
    [
        ({"retryDelay": "12s"}, 12.0),
        ({"retryDelay": "0.5s"}, 0.5),
        ({"retryDelay": "-3s"}, 0.0),
        ({"retryDelay": "soon, in s"}, None),
        ({"retryDelay": 12}, None),
        ({}, None),
        ("odd", None),
    ],
)
def test_a_wait_is_read_from_the_body(detail: object, seconds: float | None) -> None:
    """Google says how long to wait in a detail rather than in a header."""
    error = translated(raised(429, "slow", detail), creating=False, secret=None)
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    "body",
    [
        {"message": "<html>no</html>", "status": "Bad Gateway"},
        {"message": None, "status": None},
        {"error": {"message": {"odd": 1}, "details": "odd"}},
        {"error": {}},
        {},
    ],
)
def test_a_body_may_be_anything(body: dict[str, Any]) -> None:
    """A proxy in front of the server says so in shapes of its own."""
    kind: Any = genai.ServerError
    error = translated(kind(502, body, None), creating=True, secret=None)
    assert type(error) is OutcomeUnknown
    assert error.status == 502


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ConnectError", ProviderUnavailable),
        ("ConnectTimeout", ProviderUnavailable),
        ("PoolTimeout", ProviderUnavailable),
        ("ReadTimeout", OutcomeUnknown),
        ("RemoteProtocolError", OutcomeUnknown),
        ("WriteError", OutcomeUnknown),
    ],
)
def test_only_a_connection_that_was_never_made_sent_nothing(
    name: str, kind: type[Exception]
) -> None:
    """The SDK wraps no error of its HTTP library."""
    error = getattr(httpx2, name)("broken")
    found = translated(error, creating=True, secret=None)
    assert type(found) is kind
    assert name in str(found)
    assert type(translated(error, creating=False, secret=None)) is ProviderUnavailable


def test_a_client_of_another_library_is_understood() -> None:
    """A user's own client may use aiohttp, whose errors have names of their own."""

    class ClientConnectorError(OSError):
        __module__ = "aiohttp.client_exceptions"

    class ServerDisconnectedError(Exception):
        __module__ = "aiohttp.client_exceptions"

    never, cut = ClientConnectorError("refused"), ServerDisconnectedError("cut")
    assert type(translated(never, creating=True, secret=None)) is ProviderUnavailable
    assert type(translated(cut, creating=True, secret=None)) is OutcomeUnknown
    assert type(translated(TimeoutError(), creating=True, secret=None)) is OutcomeUnknown


@pytest.mark.parametrize("error", [ValueError("<html>"), KeyError("file")])
def test_an_answer_that_can_not_be_read_is_no_answer(error: Exception) -> None:
    """HTML with status 200 to a create says nothing about the batch."""
    assert type(translated(error, creating=True, secret=None)) is OutcomeUnknown
    assert type(translated(error, creating=False, secret=None)) is ProviderUnavailable


def no_argument(kind: Any, *given: Any, **options: Any) -> Exception:
    """An error of Google's library of credentials, which has no types."""
    error: Exception = kind(*given, **options)
    return error


def of_metadata_server() -> Exception:
    """What credentials of a machine in the cloud raise while their server can't be reached."""
    try:
        try:
            raise no_argument(auth.TransportError, "metadata.google.internal is not there")
        except auth.TransportError as cause:
            raise no_argument(auth.RefreshError, cause) from cause
    except auth.RefreshError as error:
        return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (no_argument(auth.RefreshError, "invalid_grant: revoked"), AuthenticationFailed),
        (no_argument(auth.DefaultCredentialsError, "none found"), AuthenticationFailed),
        (no_argument(auth.InvalidOperation, "cannot be refreshed"), AuthenticationFailed),
        (no_argument(auth.TransportError, "no connection"), ProviderUnavailable),
        (no_argument(auth.TimeoutError, "slow"), ProviderUnavailable),
        (
            no_argument(auth.RefreshError, "internal_failure", retryable=True),
            ProviderUnavailable,
        ),
        (of_metadata_server(), ProviderUnavailable),
    ],
)
def test_a_token_that_can_not_be_had_now_may_be_had_later(
    error: Exception, kind: type[Exception]
) -> None:
    """Credentials that are wrong stop the job; a server of tokens that is down is waited for.

    Nothing was sent in either case, so that a create call made no batch.
    """
    for creating in (False, True):
        found = translated(error, creating=creating, secret=None)
        assert type(found) is kind
        assert "no access token can be had" in str(found)


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
    for error in (
        raised(400, "your key my-own-secret is wrong " * 100),
        ValueError("my-own-secret " * 100),
        httpx2.ReadError("my-own-secret " * 100),
        no_argument(auth.RefreshError, "my-own-secret " * 100),
    ):
        found = str(translated(error, creating=False, secret="my-own-secret"))
        assert "my-own-secret" not in found
        assert len(found) <= 1100


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        ("File not found: files/abc", True),
        ("gs://b/x.jsonl does not exist", True),
        ("You do not have permission to access the File abc or it may not exist.", True),
        ("The model does not exist", False),
        ("The file is too large", False),
        ("", False),
    ],
)
def test_an_input_that_is_gone_is_told_by_words(message: str, missing: bool) -> None:
    """There is no code for it."""
    assert is_input_missing(message) is missing

"""Rows as OpenAI and its imitators write them, success and every kind of failure."""

import json
from pathlib import Path
from typing import Any

import pytest

from ai_batch.core.provider import Route
from ai_batch.core.results import ChatResponse, ItemError
from ai_batch.openai import wire

RECORDINGS = Path(__file__).parent / "recordings"
CHAT = Route("chat", "/v1/chat/completions", "gpt-6-luna")


def recorded(name: str) -> dict[str, bytes]:
    """The rows of a recording by their custom ids."""
    lines = (RECORDINGS / f"{name}.jsonl").read_bytes().splitlines()
    return {json.loads(line)["custom_id"]: line for line in lines}


FAILURES = recorded("failures")
COMPAT = recorded("compat")


def _failure(row: bytes) -> ItemError:
    _, outcome = wire.decode(row, CHAT)
    assert isinstance(outcome, ItemError)
    return outcome


def _success(row: bytes) -> ChatResponse:
    _, outcome = wire.decode(row, CHAT)
    assert isinstance(outcome, ChatResponse)
    return outcome


@pytest.mark.parametrize(
    ("name", "code", "retryable", "status"),
    [
        ("http-400", "unsupported_parameter", False, 400),
        ("http-500", "server_error", True, 500),
        ("rate-limit", "rate_limit_exceeded", True, 429),
        ("quota", "insufficient_quota", False, 429),
        ("expired", "batch_expired", True, None),
        ("cancelled", "batch_cancelled", False, None),
        ("timeout", "request_timeout", True, None),
        ("status-0", "http_0", True, 0),
        ("empty-body", "invalid_response", True, 200),
        ("null-body", "invalid_response", True, 200),
        ("error-in-200", "server_error", True, 200),
        ("nothing", "invalid_response", True, None),
        ("filter", "content_filter", False, 400),
    ],
)
def test_failures(name: str, code: str, retryable: bool, status: int | None) -> None:
    """Each failure becomes an error with the vendor's code, and says whether to ask again."""
    error = _failure(FAILURES[name])

    assert (error.code, error.retryable, error.status) == (code, retryable, status)


def test_every_recorded_failure_is_expected() -> None:
    """A row that is added to the recordings must be told of in the table above."""
    assert len(FAILURES) == 13


def test_a_failure_keeps_what_the_vendor_said() -> None:
    """Message, request id and the row itself are there for whoever has to ask the vendor."""
    error = _failure(FAILURES["http-400"])

    assert error.message.startswith("Unsupported parameter: 'max_tokens'")
    assert error.request_id == "0b8f3c5e-1d0c-4c3e-9d53-6b3a52d5f001"
    assert error.raw == FAILURES["http-400"].decode()


@pytest.mark.parametrize("name", ["empty-body", "error-in-200"])
def test_an_unusable_body_keeps_its_request_id(name: str) -> None:
    """An answer that is none still names the call that brought it."""
    error = _failure(FAILURES[name])

    assert error.request_id
    assert error.raw


@pytest.mark.parametrize("status", [199, 302, 404, 500])
def test_an_answer_under_a_status_of_failure_is_none(status: int) -> None:
    """However good its body looks, the vendor says that the request has failed."""
    body = {"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]}
    response = {"status_code": status, "body": body}
    row = json.dumps({"custom_id": "a", "response": response, "error": None}).encode()

    assert _failure(row).status == status
    assert wire.scan(row, CHAT).error == _failure(row)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        *[(302, False), (400, False), (401, False), (404, False), (408, True), (409, True)],
        *[(413, False), (422, False), (429, True), (500, True), (502, True), (503, True)],
    ],
)
def test_the_status_decides_where_there_is_no_code(status: int, retryable: bool) -> None:
    """Without a word of the vendor, the HTTP status tells whether to ask again."""
    error = wire.fault(status, None)

    assert error.code == f"http_{status}"
    assert error.retryable is retryable
    assert str(status) in error.message


def test_an_error_may_be_a_text_within_a_body() -> None:
    """Ollama and others answer with {"error": "some words"}."""
    error = wire.fault(404, {"error": "model 'x' not found"})

    assert (error.code, error.message) == ("http_404", "model 'x' not found")


def test_a_fault_without_any_fact_is_still_a_fault() -> None:
    """Neither status nor code nor message: the error says just that, and is permanent."""
    error = wire.fault(None, {})

    assert (error.code, error.retryable) == ("unknown_error", False)
    assert error.message == "the vendor gave no reason"


def test_keys_are_masked() -> None:
    """An API key that a vendor repeats in its message does not get into our records."""
    row = b'{"custom_id":"a","response":null,"error":{"message":"Incorrect key: sk-abcdefgh123"}}'

    error = _failure(row)

    assert "sk-abc" not in error.message + str(error.raw)


def test_the_kept_row_is_bounded() -> None:
    """A huge error page does not fill the memory of whoever collects errors."""
    row = json.dumps(
        {"custom_id": "a", "response": {"status_code": 500, "body": "é" * 10_000}, "error": None},
        ensure_ascii=False,
    ).encode()

    error = _failure(row)

    assert len(error.message) == 2000
    assert len(str(error.raw)) == 2000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vllm-text", "4"),
        ("doubleword-text", "hi"),
        ("ogx-string-body", "hi"),
        ("azure-text", "hi"),
        ("odd-types", "hi"),
        ("blank-error", "hi"),
    ],
)
def test_answers_of_compatible_servers(name: str, content: str) -> None:
    """Absent keys, bodies in strings, blank errors and wrong types do not cost an answer."""
    assert _success(COMPAT[name]).content == content
    assert wire.scan(COMPAT[name], CHAT).error is None


@pytest.mark.parametrize(
    ("name", "code", "retryable", "message"),
    [
        ("vllm-text-error", "http_400", False, "The model `x` does not exist."),
        ("vllm-object-error", "BadRequestError", False, "max_tokens must be at least 1"),
        ("doubleword-error", "overloaded", True, "Try again."),
        ("html", "http_502", True, "<html><h1>Bad Gateway</h1></html>"),
        ("fastapi", "http_422", False, '[{"loc":["body","messages"],"msg":"Field required"}]'),
        ("upstream", "http_502", True, "Provider returned error"),
    ],
)
def test_failures_of_compatible_servers(
    name: str, code: str, retryable: bool, message: str
) -> None:
    """Errors as plain text, nested, without a response, or with a number for a code are read."""
    error = _failure(COMPAT[name])

    assert (error.code, error.retryable, error.message) == (code, retryable, message)


def test_wrong_types_are_mended_where_they_can_be() -> None:
    """Numbers in quotes count, and a field of a hopeless type is as if it were absent."""
    answer = _success(COMPAT["odd-types"])

    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (3, 1)
    assert (answer.refusal, answer.response_id, answer.tool_calls) == (None, None, ())


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"\n",
        b"not json",
        b"[]",
        b"null",
        b"{}",
        b'{"custom_id":7,"response":null,"error":"x"}',
        b'{"custom_id":"a","response":{"status_code":200,"body":{"choices":[',
        b'{"custom_id":"a\xff","response":null,"error":"x"}',
        b'{"custom_id":"a","response":null,"error":"\xc3"}',
        b'{"custom_id":"a","error":' + b"[" * 100_000,
        b'{"custom_id":"\\ud800","error":"x"}',
        b'\xef\xbb\xbf{"custom_id":"a","error":"x"}',
        b'{"custom_id":"a","error":NaN}',
        b'{"custom_id":"a","response":{"status_code":200,"body":{"x":"\\ud800"}}}',
    ],
)
def test_unreadable_rows(row: bytes) -> None:
    """A row that does not say whose it is raises ValueError, in both ways of reading it."""
    with pytest.raises(ValueError, match=r"."):
        wire.decode(row, CHAT)
    with pytest.raises(ValueError, match=r"."):
        wire.scan(row, CHAT)


@pytest.mark.parametrize(
    "response",
    [
        *["[]", '"x"', "1", "true", "{}", '{"status_code":null}', '{"status_code":[]}'],
        '{"status_code":200,"body":"not json"}',
        '{"status_code":200,"body":[]}',
        '{"status_code":200,"body":"\\"\\\\ud800\\""}',
    ],
)
def test_odd_responses_are_faults_of_their_item(response: str) -> None:
    """Whatever stands where the response should be, the row's owner gets an error for it."""
    row = f'{{"custom_id":"a","response":{response}}}'.encode()

    wire_id, outcome = wire.decode(row, CHAT)

    assert wire_id == "a"
    assert isinstance(outcome, ItemError)
    assert outcome.retryable
    assert wire.scan(row, CHAT).error == outcome


def test_an_odd_request_id_does_not_cost_the_answer() -> None:
    """Nor does a number that no float holds, in a field that nobody reads."""
    row = (
        b'{"custom_id":"a","response":{"status_code":200,"request_id":503,"body":{"logprobs":1e999,'
        b'"choices":[{"message":{"content":"hello"}}]}}}'
    )
    outcome = wire.decode(row, CHAT)[1]

    assert isinstance(outcome, ChatResponse)
    assert outcome.content == "hello"
    assert wire.scan(row, CHAT).error is None


@pytest.mark.parametrize("row", [*FAILURES.values(), *COMPAT.values()])
def test_scan_agrees_with_decode(row: bytes) -> None:
    """The quick look and the full one see the same id, the same error and the same tokens."""
    scan = wire.scan(row, CHAT)
    wire_id, outcome = wire.decode(row, CHAT)

    assert scan.wire_id == wire_id
    if isinstance(outcome, ItemError):
        assert scan.error == outcome
    else:
        usage: dict[str, Any] = outcome.usage.model_dump()
        assert scan[1:] == (None, *usage.values())

"""Rows of results: answers of every shape, and every way to fail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_batch.anthropic import wire
from ai_batch.core import ChatRequest, ChatResponse, ItemError, Message, Thinking, ToolCall, Usage

USAGE = {
    "input_tokens": 16,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 5,
    "service_tier": "batch",
    "inference_geo": "not_available",
}


def succeeded(**changes: Any) -> bytes:
    """A row that succeeded, with parts of its message changed."""
    message = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": "1"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **changes,
    }
    return row({"type": "succeeded", "message": message})


def row(result: Any, custom_id: Any = "token-7") -> bytes:
    """A row with this result."""
    return json.dumps({"custom_id": custom_id, "result": result}).encode()


def errored(kind: str, **details: Any) -> bytes:
    """A row that failed, as the vendor nests it."""
    error = {"details": {"error_visibility": "user_facing"}, "type": kind, "message": "why"}
    return row({"type": "errored", "error": {"type": "error", "error": error, **details}})


def answer(data: bytes) -> ChatResponse:
    """The answer in a row, which its scan must agree with."""
    wire_id, outcome = wire.decode(data)
    assert wire_id == "token-7"
    assert isinstance(outcome, ChatResponse)
    found = wire.scan(data)
    assert (found.wire_id, found.error) == ("token-7", None)
    assert found.input_tokens == outcome.usage.input_tokens
    assert found.output_tokens == outcome.usage.output_tokens
    assert found.cached_input_tokens == outcome.usage.cached_input_tokens
    assert found.cache_write_tokens == outcome.usage.cache_write_tokens
    assert found.reasoning_tokens == outcome.usage.reasoning_tokens
    return outcome


def failure(data: bytes) -> ItemError:
    """The error in a row, which its scan must agree with."""
    wire_id, outcome = wire.decode(data)
    assert wire_id == "token-7"
    assert isinstance(outcome, ItemError)
    assert wire.scan(data).error == outcome
    return outcome


def test_an_answer() -> None:
    """Text, model, id, tokens, and the vendor's own body."""
    found = answer(succeeded())
    assert (found.content, found.finish_reason) == ("1", "stop")
    assert (found.model, found.response_id) == ("claude-haiku-4-5-20251001", "msg_01")
    assert found.usage == Usage(input_tokens=16, output_tokens=5)
    assert found.raw["usage"]["service_tier"] == "batch"
    assert (found.tool_calls, found.thinking, found.refusal) == ((), None, None)


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("something_new", "other"),
        (None, "other"),
    ],
)
def test_reasons_to_stop(reason: str | None, found: str) -> None:
    """Each has a word of ours, also those that are not known yet."""
    assert answer(succeeded(stop_reason=reason)).finish_reason == found
    assert answer(succeeded(stop_reason=reason)).refusal is None


@pytest.mark.parametrize(
    ("details", "content", "refusal"),
    [
        ({"type": "refusal", "category": "bio", "explanation": "No labs."}, [], "No labs."),
        ({"type": "refusal", "category": "cyber"}, [], "the model refused (category cyber)"),
        (None, [{"type": "text", "text": "I can't."}], "I can't."),
        (None, [], "the model refused"),
    ],
)
def test_a_refusal_says_why(details: Any, content: Any, refusal: str) -> None:
    """A refusal is an answer that was paid for, and tells itself apart."""
    found = answer(succeeded(stop_reason="refusal", stop_details=details, content=content))
    assert (found.finish_reason, found.refusal) == ("refusal", refusal)


def test_cached_tokens_are_part_of_the_input() -> None:
    """The vendor counts them apart; ours is the sum, as with every provider."""
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3000,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 40},
    }
    assert answer(succeeded(usage=usage)).usage == Usage(
        input_tokens=3210,
        output_tokens=50,
        cached_input_tokens=3000,
        cache_write_tokens=200,
        reasoning_tokens=40,
    )


def test_text_is_joined_around_other_blocks() -> None:
    """Newer models think first, and the vendor's own tools stand between texts."""
    blocks: Any = [
        {"type": "thinking", "thinking": "hm ", "signature": "s1"},
        {"type": "text", "text": "one "},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "redacted_thinking", "data": "blob"},
        {"type": "thinking", "thinking": "so", "signature": "s2"},
        {"type": "text", "text": "two", "citations": [{"type": "web_search_result_location"}]},
    ]
    found = answer(succeeded(content=blocks))
    assert found.content == "one two"
    assert found.thinking == "hm so"
    assert found.thoughts == (
        Thinking(text="hm ", signature="s1"),
        Thinking(text="", signature="redacted_thinking:blob"),
        Thinking(text="so", signature="s2"),
    )
    assert found.tool_calls == ()
    assert found.raw["content"] == blocks


def test_calls_of_tools() -> None:
    """In order, with their arguments as objects."""
    blocks: Any = [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}, "caller": {}},
        {"type": "tool_use", "name": "odd"},
    ]
    found = answer(succeeded(content=blocks, stop_reason="tool_use"))
    assert found.tool_calls == (
        ToolCall(id="toolu_1", name="add", arguments={"a": 1}),
        ToolCall(id="toolu_2", name="now"),
        ToolCall(id="call_2", name="odd"),
    )


def test_an_answer_goes_back_into_the_conversation() -> None:
    """Thoughts and calls of an answer are sent back block by block as they came."""
    blocks: Any = [
        {"type": "thinking", "thinking": "", "signature": "s1"},
        {"type": "redacted_thinking", "data": "blob"},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
    ]
    found = answer(succeeded(content=blocks, stop_reason="tool_use"))
    turn = Message(role="assistant", parts=[*found.thoughts, found.content, *found.tool_calls])
    request = ChatRequest(messages=[turn])
    sent = json.loads(wire.encode_params(request, "claude-x", max_tokens=1))
    assert sent["messages"] == [{"role": "assistant", "content": blocks}]


@pytest.mark.parametrize(
    ("kind", "retryable"),
    [
        ("invalid_request_error", False),
        ("authentication_error", False),
        ("billing_error", False),
        ("permission_error", False),
        ("not_found_error", False),
        ("request_too_large", False),
        ("rate_limit_error", True),
        ("timeout_error", True),
        ("api_error", True),
        ("overloaded_error", True),
        ("something_new_error", True),
    ],
)
def test_errors_say_whether_to_ask_again(kind: str, retryable: bool) -> None:
    """What is wrong with the request stays wrong; the rest may pass."""
    found = failure(errored(kind))
    assert (found.code, found.message, found.retryable) == (kind, "why", retryable)
    assert found.request_id is None
    assert found.raw
    assert kind in found.raw


def test_errors_of_execution_name_their_request() -> None:
    """For whoever has to ask the vendor."""
    assert failure(errored("api_error", request_id="workerreq_1")).request_id == "workerreq_1"
    assert failure(errored("api_error", request_id=7)).request_id is None


def test_an_error_without_the_outer_one_is_read_too() -> None:
    """Gateways flatten what the vendor nests."""
    flat = {"type": "overloaded_error", "message": "later"}
    found = failure(row({"type": "errored", "error": flat}))
    assert (found.code, found.message, found.retryable) == ("overloaded_error", "later", True)


@pytest.mark.parametrize(
    ("result", "code", "retryable"),
    [
        ({"type": "canceled"}, "batch_cancelled", False),
        ({"type": "expired"}, "batch_expired", True),
        ({"type": "newkind"}, "unknown_result", False),
        ({"type": 7}, "unknown_result", False),
        ({"no": "type"}, "unknown_result", False),
        ({"type": "errored"}, "unknown_error", True),
        ({"type": "errored", "error": "words"}, "unknown_error", True),
        ({"type": "succeeded"}, "invalid_response", True),
        ({"type": "succeeded", "message": None}, "invalid_response", True),
        ({"type": "succeeded", "message": {}}, "invalid_response", True),
        ({"type": "succeeded", "message": {"content": "text"}}, "invalid_response", True),
        ({"type": "succeeded", "message": [1]}, "invalid_response", True),
        (None, "invalid_response", True),
        ("succeeded", "invalid_response", True),
        ({}, "invalid_response", True),
    ],
)
def test_what_is_no_answer_is_an_error(result: Any, code: str, retryable: bool) -> None:
    """An odd row costs its own request, whose it is known to be, and nothing else."""
    found = failure(row(result))
    assert (found.code, found.retryable) == (code, retryable)


def test_an_odd_field_does_not_cost_an_answer() -> None:
    """What was paid for is read as far as it goes."""
    blocks = [{"type": "text", "text": "a", "id": 7}, 5, {"type": "text", "text": "b"}]
    found = answer(succeeded(content=blocks, model=7, usage={"output_tokens": "many"}))
    assert (found.content, found.model, found.usage) == ("ab", None, Usage())
    assert answer(succeeded(usage=None)).usage == Usage()
    assert answer(succeeded(content=[])).content == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"nonsense",
        row({"type": "canceled"}, custom_id=None),
        row({"type": "canceled"}, custom_id=7),
        b'{"result":{"type":"canceled"}}',
        succeeded().replace(b'"1"', b'"\xff"'),
        succeeded().replace(b'"1"', b'"\\ud800"'),
        succeeded()[:-1],
        b"[" * 100_000,
    ],
)
def test_a_row_of_nobody_is_unreadable(data: bytes) -> None:
    """Where it can't be told whose row it is, nothing of it can be used."""
    for read in (wire.scan, wire.decode):
        with pytest.raises(ValueError, match=r"JSON|custom_id|object|array|utf-8|truncated|nested"):
            read(data)


def test_line_separators_within_text_are_text() -> None:
    """U+2028 and its like stand raw in the vendor's JSON."""
    data = succeeded(content=[{"type": "text", "text": "@"}])
    assert answer(data.replace(b"@", "a\u2028b\x85c".encode())).content == "a\u2028b\x85c"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_KEYS = st.sampled_from(["id", "model", "content", "stop_reason", "stop_details", "usage", "error"])


@given(st.dictionaries(_KEYS, _JSON))
def test_scan_and_decode_agree_on_any_message(changes: dict[str, Any]) -> None:
    """Whatever a message holds, both call it an answer or both an error, with the same tokens."""
    data = succeeded(**changes)
    _, outcome = wire.decode(data)
    if isinstance(outcome, ItemError):
        assert wire.scan(data).error == outcome
    else:
        answer(data)


@given(_JSON)
def test_scan_and_decode_agree_on_any_result(result: Any) -> None:
    """The same for what is no message at all."""
    _, outcome = wire.decode(row(result))
    assert isinstance(outcome, ItemError)
    assert wire.scan(row(result)).error == outcome

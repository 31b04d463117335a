"""Answers as rows: what is written comes back, and what is damaged is told."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_batch.concurrent.rows import attempts_of, decode_row, encode_row, scan_row
from ai_batch.core import ChatResponse, EmbeddingResponse, ItemError, Thinking, ToolCall, Usage
from ai_batch.core.results import Outcome

texts = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("\u2028\u2029\x85\n\r\0")))
maybe = st.none() | texts
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**100), 2**100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
counts = st.integers(0, 2**40)
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cached_input_tokens=counts,
    cache_write_tokens=counts,
    reasoning_tokens=counts,
)
bodies = st.dictionaries(texts, values, max_size=3).map(
    lambda body: json.dumps(body, separators=(",", ":")).encode()
)
reasons = st.sampled_from(
    ["stop", "length", "tool_calls", "refusal", "content_filter", "stop_sequence", "pause", "other"]
)
calls = st.builds(
    ToolCall,
    id=texts,
    name=texts,
    arguments=st.dictionaries(texts, values, max_size=3),
    raw_arguments=maybe,
)
chats = st.builds(
    ChatResponse,
    content=texts,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    finish_reason=reasons,
    refusal=maybe,
    thinking=maybe,
    thoughts=st.lists(st.builds(Thinking, text=texts, signature=maybe), max_size=2).map(tuple),
    usage=usages,
    model=maybe,
    response_id=maybe,
    body=bodies,
)


def embedded(vectors: list[list[float]], **fields: Any) -> EmbeddingResponse:
    """An answer with these vectors."""
    return EmbeddingResponse(vectors=vectors, **fields)


embeddings = st.builds(
    embedded,
    st.integers(0, 4).flatmap(
        lambda size: st.lists(
            st.lists(st.floats(width=32), min_size=size, max_size=size), max_size=3
        )
    ),
    usage=usages,
    model=maybe,
    response_id=maybe,
    body=bodies,
)
errors = st.builds(
    ItemError,
    code=texts,
    message=texts,
    retryable=st.booleans(),
    status=st.none() | st.integers(100, 599),
    request_id=maybe,
    raw=maybe,
)


def readable(read: Callable[[bytes], object], row: bytes) -> bool:
    """Whether a row can be read; whatever but a ``ValueError`` is raised goes on."""
    try:
        read(row)
    except ValueError:
        return False
    return True


@given(chats | embeddings | errors, st.integers(0, 10**6))
def test_what_is_written_comes_back(outcome: Outcome, attempts: int) -> None:
    """Any answer or error is one line, and the same again when it is read."""
    row = encode_row("token-7", outcome, attempts)

    assert b"\n" not in row
    identity, found = decode_row(row)
    assert (identity, attempts_of(row)) == ("token-7", attempts)
    assert found == outcome
    if not isinstance(outcome, ItemError):
        assert not isinstance(found, ItemError)
        assert found.raw == outcome.raw


@given(chats | embeddings | errors)
def test_the_accounting_reads_what_the_user_gets(outcome: Outcome) -> None:
    """The short look at a row says the same as the long one."""
    row = encode_row("token-7", outcome, 1)

    scan = scan_row(row)

    assert scan.wire_id == "token-7"
    if isinstance(outcome, ItemError):
        assert scan.error == outcome
    else:
        assert scan.error is None
        assert tuple(scan[2:]) == tuple(outcome.usage.model_dump().values())


@given(chats | embeddings | errors, st.data())
def test_a_damaged_row_is_told(outcome: Outcome, data: st.DataObject) -> None:
    """Cut or with a byte changed, a row is read, or refused with a ``ValueError``."""
    row = bytearray(encode_row("token-7", outcome, 1))
    if data.draw(st.booleans()):
        del row[data.draw(st.integers(0, len(row) - 1)) :]
        assert not readable(scan_row, bytes(row))
    else:
        row[data.draw(st.integers(0, len(row) - 1))] = data.draw(st.integers(0, 255))
    for read in (scan_row, decode_row, attempts_of):
        readable(read, bytes(row))


@given(
    st.binary()
    | values.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {"id": st.just("a")},
        optional=dict.fromkeys(("attempts", "usage", "error", "chat", "embedding"), values),
    ).map(lambda row: json.dumps(row).encode())
)
def test_any_bytes_are_read_or_refused(row: bytes) -> None:
    """Nothing but ``ValueError`` is raised, whatever a file holds."""
    for read in (scan_row, decode_row, attempts_of):
        readable(read, row)


def test_a_row_without_an_answer_is_refused_by_both() -> None:
    """The accounting does not count what the user can't get."""
    for read in (scan_row, decode_row):
        with pytest.raises(ValueError, match="neither an answer nor an error"):
            read(b'{"id":"a"}')


def test_a_deep_row_is_refused() -> None:
    """Nesting that no parser follows is damage like any other."""
    for row in (b"[" * 100_000, b'{"id":"a","chat":{"x":' + b"[" * 100_000):
        for read in (scan_row, decode_row, attempts_of):
            assert not readable(read, row)


@pytest.mark.parametrize(
    ("body", "raw"),
    [
        (
            b'{\n  "text": "a",\r\n  "list": [\n    1,\n    2\n  ]\n}\n',
            {"text": "a", "list": [1, 2]},
        ),
        ('{"text": "\u2028 \\n"}'.encode(), {"text": "\u2028 \n"}),
        (b"", {}),
        (b"Bad gateway", {}),
        (b'{"cut": ', {}),
        (b'{"bad": "\xff"}', {}),
        (b'{"bad": "\\ud800"}', {}),
        (b"[" * 100_000, {}),
    ],
    ids=["lines", "separators", "none", "text", "cut", "latin", "half", "deep"],
)
def test_a_vendors_body_fits_into_a_line(body: bytes, raw: dict[str, Any]) -> None:
    """Bodies of many lines are kept; what is no JSON costs only itself, not the answer."""
    row = encode_row("a", ChatResponse(content="paid for", body=body), 1)

    assert b"\n" not in row
    scan_row(row)
    _, found = decode_row(row)
    assert isinstance(found, ChatResponse)
    assert (found.content, found.raw) == ("paid for", raw)


class Odd:
    def __repr__(self) -> str:
        return "<odd \ud800>"


@pytest.mark.parametrize(
    ("outcome", "wanted"),
    [
        (ChatResponse(content="a\ud800b"), ChatResponse(content="a?b")),
        (ItemError(code="x", message="caf\udce9"), ItemError(code="x", message="caf?")),
        (
            ChatResponse(tool_calls=(ToolCall(id="a", name="f", arguments={"x": [Odd()]}),)),
            ChatResponse(tool_calls=(ToolCall(id="a", name="f", arguments={"x": ["<odd ?>"]}),)),
        ),
        (
            ChatResponse(tool_calls=(ToolCall(id="a", name="f", arguments={"x": b"\xff"}),)),
            ChatResponse(tool_calls=(ToolCall(id="a", name="f", arguments={"x": "b'\\xff'"}),)),
        ),
        (
            ChatResponse(tool_calls=(ToolCall(id="a", name="f", arguments={"x": math.nan}),)),
            ChatResponse(tool_calls=(ToolCall(id="a", name="f", arguments={"x": None}),)),
        ),
    ],
    ids=["text", "error", "object", "bytes", "nan"],
)
def test_what_json_can_not_hold_becomes_a_text(outcome: Outcome, wanted: Outcome) -> None:
    """An answer that was paid for is kept, even if a part of it can't be written as it is."""
    row = encode_row("a", outcome, 1)

    assert decode_row(row) == ("a", wanted)


def test_arguments_without_an_end_are_cut() -> None:
    """A call whose arguments hold themselves is still an answer."""
    endless: dict[str, Any] = {}
    endless["self"] = endless
    call = ToolCall.model_construct(id="a", name="f", arguments=endless, raw_arguments=None)
    outcome = ChatResponse(content="x").model_copy(update={"tool_calls": (call,)})

    _, found = decode_row(encode_row("a", outcome, 1))

    assert isinstance(found, ChatResponse)
    assert found.content == "x"
    assert "self" in found.tool_calls[0].arguments


def test_numbers_that_are_none_come_back_in_vectors() -> None:
    """A server's NaN is its own affair: the other vectors of the answer are fine."""
    outcome = EmbeddingResponse(vectors=[[math.nan, 1.0], [math.inf, -math.inf]])

    _, found = decode_row(encode_row("a", outcome, 1))

    assert isinstance(found, EmbeddingResponse)
    assert math.isnan(found.vectors[0][0])
    assert found.vectors[1] == [math.inf, -math.inf]


def test_a_misfit_keeps_what_was_answered() -> None:
    """It is read as the error, and the vendor's body stays in the row, for it was paid for."""
    answer = ChatResponse(content="prose", body=b'{"own": 1}', usage=Usage(input_tokens=2))
    misfit = ItemError(code="invalid_output", message="m", raw="prose")

    row = encode_row("t-1", answer, 3, usage=Usage(input_tokens=7), misfit=misfit)

    assert decode_row(row) == ("t-1", misfit)
    assert scan_row(row) == ("t-1", misfit, 7, 0, 0, 0, 0)
    assert (attempts_of(row), json.loads(row)["body"]) == (3, {"own": 1})


def test_a_misfit_of_half_a_character_is_kept() -> None:
    """What JSON can't hold is replaced in the answer and in the error alike."""
    misfit = ItemError(code="invalid_output", message="m", raw="half \ud800")

    row = encode_row("t-1", ChatResponse(content="half \ud800"), 1, misfit=misfit)

    assert decode_row(row)[1] == misfit.model_copy(update={"raw": "half ?"})


def test_only_the_vendors_body_is_kept() -> None:
    """An answer of a batch has it within a row of its own."""
    answer = ChatResponse(body=b'{"response": {"body": {"id": "x"}}}', body_at=("response", "body"))
    _, again = decode_row(encode_row("token-1", answer, 1))
    assert isinstance(again, ChatResponse)
    assert (again.body, again.raw) == (b'{"id":"x"}', {"id": "x"})

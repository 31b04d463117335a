"""Rows of both APIs: whose they are, and every kind of answer and failure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages.gemini.tests.rows import (
    CHAT,
    EMBEDDING,
    KEY,
    PREDICT,
    VERTEX,
    answered,
    labelled,
    row,
)

from ai_batch.core.provider import Route
from ai_batch.core.results import ChatResponse, EmbeddingResponse, ItemError, Usage
from ai_batch.gemini import wire

TEXT = {"text": "Paris"}


def answer(data: bytes, route: Route = CHAT) -> ChatResponse:
    """The answer of a row that is a good one, for ``scan`` too."""
    wire_id, outcome = wire.decode(data, route)
    assert wire_id == KEY
    assert isinstance(outcome, ChatResponse), outcome
    scanned = wire.scan(data, route)
    assert (scanned.wire_id, scanned.error) == (KEY, None)
    assert Usage(**dict(zip(Usage.model_fields, scanned[2:], strict=True))) == outcome.usage
    return outcome


def failure(data: bytes, route: Route = CHAT) -> ItemError:
    """The error of a row that failed, for ``scan`` too."""
    wire_id, outcome = wire.decode(data, route)
    assert wire_id == KEY
    assert isinstance(outcome, ItemError), outcome
    assert wire.scan(data, route) == (KEY, outcome, 0, 0, 0, 0, 0)
    return outcome


def test_an_answer_is_read() -> None:
    """Text, model, id and tokens, and the vendor's body byte for byte."""
    body = answered(TEXT)

    found = answer(row(response=body))

    assert (found.content, found.finish_reason) == ("Paris", "stop")
    assert (found.model, found.response_id) == ("gemini-2.5-flash-001", "r-1")
    assert found.usage == Usage(input_tokens=10, output_tokens=4)
    assert found.raw == body


@pytest.mark.parametrize("data", [row, labelled])
def test_a_row_is_found_by_its_key_or_its_label(data: Any) -> None:
    """Vertex AI repeats the request, whose label is ours, and perhaps no key."""
    assert answer(data(response=answered(TEXT)), VERTEX).content == "Paris"


def test_a_key_counts_before_a_label() -> None:
    """Where both come back they agree; a key that is null does not count."""
    both = json.loads(labelled(response=answered(TEXT)))

    assert answer(json.dumps({**both, "key": KEY}).encode(), VERTEX).content == "Paris"
    assert answer(json.dumps({**both, "key": None}).encode(), VERTEX).content == "Paris"


def test_an_inlined_answer_keeps_its_key_in_metadata() -> None:
    """It is written as a row of a file, and then read like one."""
    inlined = {"response": answered(TEXT), "metadata": {"key": KEY}}

    assert answer(wire.inline_row(inlined, None)).content == "Paris"
    assert answer(json.dumps(inlined).encode()).content == "Paris"


def test_an_inlined_answer_without_a_key_is_the_only_ones() -> None:
    """A batch of one request needs no key; any other answer without one is nobody's."""
    inlined = {"response": answered(TEXT)}

    assert answer(wire.inline_row(inlined, KEY)).content == "Paris"
    assert not wire.has_key(wire.inline_row(inlined, None))
    with pytest.raises(ValueError, match="no key"):
        wire.scan(wire.inline_row(inlined, None), CHAT)


def test_thoughts_stand_apart_from_the_text() -> None:
    """Thoughts with their signatures, a signature without a thought, and the text between."""
    found = answer(
        row(
            response=answered(
                {"text": "Hm. ", "thought": True, "thoughtSignature": "c2ln"},
                {"text": "Well.", "thought": True},
                {"text": "Par"},
                {"text": "is", "thoughtSignature": "dHdv"},
                usageMetadata={"promptTokenCount": 1, "thoughtsTokenCount": 7},
            )
        )
    )

    assert (found.content, found.thinking) == ("Paris", "Hm. Well.")
    assert [(t.text, t.signature) for t in found.thoughts] == [
        ("Hm. ", "c2ln"),
        ("Well.", None),
        ("", "dHdv"),
    ]
    assert found.usage == Usage(input_tokens=1, output_tokens=7, reasoning_tokens=7)


def test_calls_get_ids_where_they_have_none() -> None:
    """Gemini names the tool; ids are made up, and kept where there are some."""
    found = answer(
        row(
            response=answered(
                {"functionCall": {"name": "weather", "args": {"city": "Paris"}}},
                {"functionCall": {"name": "time", "id": "own"}},
            )
        )
    )

    assert found.finish_reason == "tool_calls"
    assert [(c.id, c.name, c.arguments) for c in found.tool_calls] == [
        ("call_0", "weather", {"city": "Paris"}),
        ("own", "time", {}),
    ]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "other"),
        ("SOMETHING_NEW", "other"),
        (None, "other"),
    ],
)
def test_a_candidate_without_content_says_why(finish: str | None, reason: str) -> None:
    """It was paid for, and is an answer without a text."""
    body = answered(finish=finish)
    del body["candidates"][0]["content"]

    found = answer(row(response=body))

    assert (found.content, found.finish_reason) == ("", reason)


def test_tokens_of_all_kinds_are_counted() -> None:
    """Thoughts are output, results of the vendor's tools input, cached tokens a part of it."""
    usage = {
        "promptTokenCount": 100,
        "toolUsePromptTokenCount": 20,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 30,
        "cachedContentTokenCount": 60,
        "totalTokenCount": 155,
    }

    found = answer(row(response=answered(TEXT, usageMetadata=usage)))

    assert found.usage == Usage(
        input_tokens=120, output_tokens=35, cached_input_tokens=60, reasoning_tokens=30
    )


def test_a_blocked_prompt_is_an_error_that_stays() -> None:
    """No candidates, but a reason: asking the same again is of no use."""
    feedback = {"blockReason": "SAFETY", "blockReasonMessage": "harmful"}

    error = failure(row(response={"promptFeedback": feedback, "usageMetadata": {}}))

    assert (error.code, error.retryable) == ("blocked_safety", False)
    assert "harmful" in error.message


@pytest.mark.parametrize(
    ("detail", "code", "retryable", "status"),
    [
        ({"code": 13, "message": "An internal error has occurred"}, "internal", True, 500),
        ({"code": 8, "message": "quota"}, "resource_exhausted", True, 429),
        ({"code": 14}, "unavailable", True, 503),
        ({"code": 4}, "deadline_exceeded", True, 504),
        ({"code": 3, "message": "bad"}, "invalid_argument", False, 400),
        ({"code": 5}, "not_found", False, 404),
        ({"code": 7}, "permission_denied", False, 403),
        ({"code": 16}, "unauthenticated", False, 401),
        ({"code": 1}, "cancelled", False, 499),
        ({"code": 400, "message": "bad"}, "invalid_argument", False, 400),
        ({"code": 429, "status": "RESOURCE_EXHAUSTED"}, "resource_exhausted", True, 429),
        ({"code": "503"}, "unavailable", True, 503),
        ({"code": 502}, "http_502", True, 502),
        ({"code": 418}, "http_418", False, 418),
        ({"error": {"code": 500, "status": "INTERNAL"}}, "internal", True, 500),
        ({"message": "no code"}, "unknown_error", False, None),
        ("Internal error", "internal", True, 500),
        ("something odd", "unknown_error", False, None),
        (["a", "list"], "unknown_error", False, None),
    ],
)
@pytest.mark.parametrize("place", ["error", "status"])
def test_failures(
    detail: object, code: str, status: int | None, place: str, *, retryable: bool
) -> None:
    """In either place, with codes of gRPC or HTTP, as an object or a text."""
    error = failure(row(**{place: detail}))

    assert (error.code, error.retryable, error.status) == (code, retryable, status)
    assert error.raw


def test_a_text_of_vertex_holds_the_error_of_the_model() -> None:
    """Its status begins with words, and the rest is the body of an HTTP error."""
    inner = {"error": {"code": 400, "message": "No such field", "status": "INVALID_ARGUMENT"}}
    status = f"Bad Request: {json.dumps(inner)}"

    error = failure(labelled(status=status, response={}), VERTEX)

    assert (error.code, error.message) == ("invalid_argument", "No such field")
    assert not error.retryable


@pytest.mark.parametrize("status", ["", "OK", None, {}, {"code": 0}, {"code": 0, "message": ""}])
def test_a_status_that_says_that_all_is_well_is_no_error(status: object) -> None:
    """Vertex AI has a status in each row."""
    assert answer(labelled(status=status, response=answered(TEXT)), VERTEX).content == "Paris"


@pytest.mark.parametrize("response", [None, {}, [], "text", 5, {"usageMetadata": {}}, {"a": 1}])
def test_an_empty_answer_may_be_asked_again(response: object) -> None:
    """Null and empty answers were seen live; they hold nothing that was paid for."""
    error = failure(row(response=response))

    assert (error.code, error.retryable) == ("invalid_response", True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{"response": {}}',
        b'{"key": 5}',
        b'{"key": ""}',
        b'{"key": "a", \xff}',
        b'{"metadata": "key"}',
        b'{"request": {"labels": {"other": "x"}}}',
        b"[" * 100_000,
    ],
    ids=range(12),
)
@pytest.mark.parametrize("route", [CHAT, VERTEX, EMBEDDING, PREDICT], ids=lambda r: r.endpoint)
def test_rows_that_nobody_can_be_told_from(data: bytes, route: Route) -> None:
    """Without a key nothing of a row is used, and it is never matched by its place."""
    for read in (wire.scan, wire.decode):
        with pytest.raises(ValueError):  # noqa: PT011 - any kind of it, by the contract
            read(data, route)


@pytest.mark.parametrize(
    "odd",
    [
        {"usageMetadata": "many"},
        {"usageMetadata": {"promptTokenCount": "ten"}},
        {"modelVersion": 5},
        {"responseId": {}},
        {"promptFeedback": []},
    ],
)
def test_one_odd_field_does_not_cost_an_answer(odd: dict[str, Any]) -> None:
    """What was paid for is kept, without the field."""
    assert answer(row(response=answered(TEXT, **odd))).content == "Paris"


def vectors(data: bytes, route: Route = EMBEDDING) -> list[list[float]]:
    """The vectors of a row that is a good one, for ``scan`` too."""
    wire_id, outcome = wire.decode(data, route)
    assert isinstance(outcome, EmbeddingResponse), outcome
    scanned = wire.scan(data, route)
    assert (wire_id, scanned.wire_id, scanned.error) == (KEY, KEY, None)
    assert scanned.input_tokens == outcome.usage.input_tokens == 3
    return outcome.vectors


@pytest.mark.parametrize(
    "body",
    [
        {"tokenCount": "3", "embedding": {"values": [0.5, -1, 2]}},
        {"tokenCount": 3, "embedding": {"values": [0.5, -1.0, 2.0]}},
        {"embedding": {"values": [0.5, -1, 2]}, "usageMetadata": {"promptTokenCount": 3}},
        {"embedding": {"values": [0.5, -1, 2], "x": 1}, "usageMetadata": {"totalTokenCount": 3}},
    ],
)
def test_a_vector_is_read(body: dict[str, Any]) -> None:
    """Tokens are a string of digits, or in the usage."""
    assert vectors(row(response=body)) == [[0.5, -1.0, 2.0]]


def test_a_prediction_is_read() -> None:
    """An older model of Vertex AI, with the key that was put in front."""
    statistics = {"token_count": 3, "truncated": False}
    prediction = {"embeddings": {"statistics": statistics, "values": [0.5, -1, 2]}}

    data = row(instance={"content": "x"}, predictions=[prediction], status="")

    assert vectors(data, PREDICT) == [[0.5, -1.0, 2.0]]


@pytest.mark.parametrize(
    "values", [[], None, "text", [0.5, None], [0.5, "x"], [[0.5]], {"0": 1}], ids=str
)
def test_a_vector_with_anything_but_numbers_is_an_error(values: object) -> None:
    """A number that is missing would make it another vector."""
    error = failure(row(response={"tokenCount": "3", "embedding": {"values": values}}), EMBEDDING)

    assert (error.code, error.retryable) == ("invalid_response", True)


def part(number: int, *values: float, tokens: str = "2") -> dict[str, Any]:
    """A row of one of three texts."""
    response = {"tokenCount": tokens, "embedding": {"values": [*values]}}
    return {"response": response, "key": f"{KEY}_{number}_3"}


def test_rows_of_several_texts_are_one_answer() -> None:
    """Vectors in the order of the texts, tokens added up, and all bodies kept."""
    parts = [part(0, 1.0, 2.0), part(1, 3.0, 4.0), part(2, 5.0, 6.0)]

    wire_id, outcome = wire.decode(json.dumps(parts).encode(), EMBEDDING)

    assert wire_id == KEY
    assert isinstance(outcome, EmbeddingResponse)
    assert outcome.vectors == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert outcome.usage.input_tokens == 6
    assert outcome.raw == {"responses": [p["response"] for p in parts]}


@pytest.mark.parametrize("levels", [2, 400])
def test_joined_rows_are_not_joined_again(levels: int) -> None:
    """What stands in several lists is none of ours, however deep: their vectors would mix."""
    data = b"[" * levels + json.dumps(part(0, 0.5)).encode() + b"]" * levels

    for read in (wire.decode, wire.scan):
        with pytest.raises(ValueError, match=r"."):
            read(data, EMBEDDING)


def test_vectors_of_different_lengths_are_no_answer() -> None:
    """They could not be one array."""
    data = json.dumps([part(0, 1.0), part(1, 1.0, 2.0)]).encode()

    wire_id, outcome = wire.decode(data, EMBEDDING)

    assert wire_id == KEY
    assert isinstance(outcome, ItemError)
    assert "different lengths: [1, 2]" in outcome.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["text", "parts", "content", "values", "embedding", "code", "message"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("route", [CHAT, VERTEX, EMBEDDING, PREDICT], ids=lambda r: r.endpoint)
@given(
    fields=st.dictionaries(
        st.sampled_from(["response", "error", "status", "request", "predictions", "metadata"]),
        JSON | st.fixed_dictionaries({"candidates": st.lists(JSON, max_size=2)}),
        max_size=4,
    )
)
def test_scan_and_decode_agree_on_whatever_comes(route: Route, fields: dict[str, Any]) -> None:
    """What counts as an answer when a batch is accounted for is one when it is read."""
    data = row(**fields)

    scanned = wire.scan(data, route)
    wire_id, outcome = wire.decode(data, route)

    assert scanned.wire_id == wire_id == KEY
    if isinstance(outcome, ItemError):
        assert scanned.error == outcome
    else:
        assert scanned.error is None
        assert Usage(**dict(zip(Usage.model_fields, scanned[2:], strict=True))) == outcome.usage

"""Results and the response that holds them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ai_batch.core import (
    BatchResponse,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ItemError,
    Result,
    Usage,
)

pickle = importlib.import_module("pickle")  # As pools do it with our results.

counts = st.builds(Usage, **{name: st.integers(0, 1 << 40) for name in Usage.model_fields})


@given(counts, counts)
def test_usage_adds_field_by_field(one: Usage, other: Usage) -> None:
    """Every field of the sum is the sum of the fields."""
    total = one + other

    for name in Usage.model_fields:
        assert getattr(total, name) == getattr(one, name) + getattr(other, name)
    assert total.total_tokens == one.total_tokens + other.total_tokens


floats = st.floats(width=32, allow_nan=False)


@given(st.integers(0, 5).flatmap(lambda n: st.lists(st.lists(floats, min_size=n, max_size=n))))
def test_vectors_are_packed_without_loss(vectors: list[list[float]]) -> None:
    """What fits a float32 comes back as it was, as lists and as an array."""
    response = EmbeddingResponse.model_validate({"vectors": vectors})

    assert response.vectors == vectors
    assert response.array.dtype == np.float32
    assert response.array.tolist() == vectors
    assert len(response.data) == 4 * response.count * response.dimensions


def test_an_array_has_one_row_per_text() -> None:
    """Shape (texts, dimensions), and read-only like everything in a result."""
    response = EmbeddingResponse.model_validate({"vectors": [[1.0, 2.0, 3.0]] * 2})

    assert response.array.shape == (2, 3)
    with pytest.raises(ValueError, match="read-only"):
        response.array[0, 0] = 5.0


def test_vectors_of_different_sizes_are_refused() -> None:
    """A vendor that sends such a thing is not believed."""
    with pytest.raises(ValidationError, match="the same number of dimensions"):
        EmbeddingResponse.model_validate({"vectors": [[1.0], [1.0, 2.0]]})


def test_packed_vectors_do_not_fill_the_repr() -> None:
    """A result can be printed."""
    response = EmbeddingResponse.model_validate({"vectors": [[1.0] * 1000]})

    assert len(repr(response)) < 300


def test_raw_is_the_vendors_body() -> None:
    """Decoded when asked for; empty where there was none."""
    assert ChatResponse(body=b'{"id": "x", "n": [1]}').raw == {"id": "x", "n": [1]}
    nested = ChatResponse(body=b'{"response": {"body": {"id": "y"}}}', body_at=("response", "body"))
    assert nested.raw == {"id": "y"}
    assert ChatResponse().raw == {}


def test_raw_may_hold_numbers_beyond_floats() -> None:
    """The answer was given whatever stands in fields beside it; they become infinite."""
    assert ChatResponse(body=b'{"n": 5, "logprob": -1e999}').raw == {"n": 5, "logprob": -math.inf}


def result(index: int, outcome: Any) -> Result:
    """A result whose request is known."""
    request = ChatRequest(id=f"q{index}", messages="a")
    return Result(id=f"q{index}", index=index, outcome=outcome, request=request, attempts=2)


def test_exactly_one_of_chat_embedding_and_error_is_set() -> None:
    """And ``ok`` tells whether it is an answer."""
    chat, embedding = ChatResponse(content="a"), EmbeddingResponse.model_validate({"vectors": []})
    error = ItemError(code="refused", message="no")

    for outcome in (chat, embedding, error):
        found = result(0, outcome)
        assert [found.chat, found.embedding, found.error].count(None) == 2
        assert found.outcome is outcome
        assert found.ok is (outcome is not error)


def test_usage_of_an_error_is_nothing() -> None:
    """Only answers are billed."""
    usage = Usage(input_tokens=3)

    assert result(0, ChatResponse(usage=usage)).usage == usage
    assert result(0, ItemError(code="x", message="y")).usage == Usage()


def test_the_request_is_read_once_and_when_asked_for() -> None:
    """Iterating over a million results reads no request."""
    reads: list[int] = []

    def read() -> ChatRequest:
        reads.append(1)
        return ChatRequest(messages="a")

    found = Result(id="a", index=0, outcome=ChatResponse(), request=read)
    assert reads == []
    assert found.request == found.request
    assert reads == [1]


def test_results_can_be_pickled_with_their_requests() -> None:
    """A pool gets everything, even what had not been read yet."""
    found = Result(
        id="a",
        index=3,
        outcome=ChatResponse(content="hi", body=b"{}"),
        request=lambda: EmbeddingRequest(texts="a"),
        attempts=2,
    )

    again = pickle.loads(pickle.dumps(found))

    assert again == found
    assert again.request == EmbeddingRequest(texts="a")


def test_results_are_compared_by_value() -> None:
    """Place, attempts and outcome; something else is never equal."""
    assert result(0, ChatResponse(content="a")) == result(0, ChatResponse(content="a"))
    assert result(0, ChatResponse(content="a")) != result(0, ChatResponse(content="b"))
    assert result(0, ChatResponse()) != result(1, ChatResponse())
    assert result(0, ChatResponse()) != "a"


def test_a_result_says_how_it_ended() -> None:
    """The id, the index and the outcome are in the repr; an error reads as code and message."""
    error = ItemError(code="expired", message="too late", raw="secret")

    assert repr(result(4, error)).startswith("Result(id='q4', index=4, ItemError(code='expired'")
    assert "secret" not in repr(result(4, error))
    assert str(error) == "[expired] too late"


class Source:
    """Ten results; notes what is read of them."""

    def __init__(self) -> None:
        self.reads: list[tuple[int, int | None]] = []

    def __len__(self) -> int:
        return 10

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Result]:
        self.reads.append((start, stop))
        for index in range(start, 10 if stop is None else stop):
            failed = index == 3
            yield result(index, ItemError(code="x", message="y") if failed else ChatResponse())


def response(source: Source, read: list[int]) -> BatchResponse:
    """A response over ten results."""
    return BatchResponse(
        job_id="job_1",
        completed=9,
        failed=1,
        usage=Usage(),
        pricing=lambda: 1.5,
        source=source,
        on_read=lambda: read.append(1),
    )


@pytest.mark.parametrize(
    "place", [slice(2, 5), slice(None), slice(-3, None), slice(8, 99), slice(None, None, -3)]
)
def test_a_response_is_sliced_as_a_list_is(place: slice) -> None:
    """Start, stop and step, from either end."""
    wanted = list(range(10))[place]

    assert [found.index for found in response(Source(), [])[place]] == wanted


@pytest.mark.parametrize(("place", "index"), [(0, 0), (9, 9), (-1, 9), (-10, 0)])
def test_a_response_is_indexed_as_a_list_is(place: int, index: int) -> None:
    """From either end, reading one result only."""
    source = Source()

    assert response(source, [])[place].index == index
    assert source.reads == [(index, index + 1)]


@pytest.mark.parametrize("place", [10, -11])
def test_there_is_nothing_beyond_the_ends(place: int) -> None:
    """The message says how many there are."""
    with pytest.raises(IndexError, match=f"no result {place}: the response has 10"):
        response(Source(), [])[place]


def test_only_a_whole_iteration_counts_as_read() -> None:
    """Looking at some results, or stopping in between, delivers nothing."""
    read: list[int] = []
    found = response(Source(), read)

    next(iter(found))
    assert found[0].ok
    assert found[2:4]
    assert read == []
    assert len(found.results) == 10
    assert read == [1]


def test_a_response_counts_and_prices() -> None:
    """Totals, cost and errors are at hand."""
    found = response(Source(), [])

    assert (found.completed, found.failed, found.total, len(found), found.cost) == (
        9,
        1,
        10,
        10,
        1.5,
    )
    assert [one.index for one in found.errors] == [3]
    assert repr(found) == "BatchResponse(job_id='job_1', completed=9, failed=1, total=10)"

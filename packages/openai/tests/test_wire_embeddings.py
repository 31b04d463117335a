"""Embeddings: what is asked, and how vectors come back."""

import base64
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.create_embedding_response import CreateEmbeddingResponse
from openai.types.embedding_create_params import EmbeddingCreateParams
from pydantic import TypeAdapter

from ai_batch.core.provider import Route
from ai_batch.core.requests import EmbeddingRequest
from ai_batch.core.results import EmbeddingResponse, ItemError
from ai_batch.openai import wire
from ai_batch.openai.wire_embeddings import embedding_body

RECORDING = Path(__file__).parent / "recordings" / "embeddings.jsonl"
ROWS = {json.loads(line)["custom_id"]: line for line in RECORDING.read_bytes().splitlines()}
ROUTE = Route("embedding", "/v1/embeddings", "text-embedding-3-small")


def _vectors(row: bytes) -> EmbeddingResponse:
    _, outcome = wire.decode(row, ROUTE)
    assert isinstance(outcome, EmbeddingResponse)
    return outcome


def test_the_body() -> None:
    """Vectors are asked for as base64, and a single text is a list of one."""
    body = embedding_body(EmbeddingRequest(texts=("a",), dimensions=256), "m")

    assert body == {
        "model": "m",
        "input": ("a",),
        "encoding_format": "base64",
        "dimensions": 256,
    }


def test_the_body_is_what_the_sdk_would_send() -> None:
    """The SDK's own type of the parameters takes our body."""
    request = EmbeddingRequest(texts=("a", "b"), extra={"user": "me"}, metadata={"not": "sent"})
    line = wire.encode(request, ROUTE, "w-0", max_tokens=None, token_parameter="max_tokens")
    body = json.loads(line)["body"]

    assert TypeAdapter(EmbeddingCreateParams).validate_python(body) == body
    assert "metadata" not in body
    assert body["user"] == "me"


@pytest.mark.parametrize("name", ["base64", "floats", "no-index"])
def test_vectors_come_in_the_order_of_the_texts(name: str) -> None:
    """Packed or plain, shuffled or without numbers: one vector per text, in order."""
    answer = _vectors(ROWS[name])

    assert answer.vectors == [[1.0, 2.0], [3.0, 4.0]]
    assert (answer.count, answer.dimensions) == (2, 2)
    assert answer.usage.input_tokens == 8
    assert answer.model == "text-embedding-3-small"
    assert answer.raw["object"] == "list"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gap", "not numbered from 0 to 1"),
        ("twice", "not numbered from 0 to 1"),
        ("uneven", "different lengths: [1, 2]"),
        ("torn", "cut in the middle of a number"),
        ("empty-vector", "empty"),
        ("no-vectors", "no vectors"),
        ("not-base64", "empty"),
    ],
)
def test_vectors_that_cannot_be_right(name: str, message: str) -> None:
    """Missing, doubled, uneven or torn vectors are an error of the item, not silent garbage."""
    _, outcome = wire.decode(ROWS[name], ROUTE)

    assert isinstance(outcome, ItemError)
    assert (outcome.code, outcome.retryable) == ("invalid_response", True)
    assert message in outcome.message
    assert wire.scan(ROWS[name], ROUTE).error == outcome


def test_scan_reads_the_tokens() -> None:
    """The quick look finds the tokens of an embedding row."""
    assert wire.scan(ROWS["base64"], ROUTE) == ("base64", None, 8, 0, 0, 0, 0)


def test_the_sdk_reads_the_recorded_answer() -> None:
    """What we take for an answer is one for the SDK, too."""
    body = json.loads(ROWS["floats"])["response"]["body"]

    assert CreateEmbeddingResponse.model_validate(body).data[1].embedding == [3.0, 4.0]


float32 = st.floats(width=32, allow_nan=False)


@settings(deadline=None)  # The machine may be busy.
@given(st.integers(1, 8).flatmap(lambda n: st.lists(st.lists(float32, min_size=n, max_size=n))))
def test_packing_loses_nothing(rows: list[list[float]]) -> None:
    """Whatever float32 numbers the vendor packs, the same come out."""
    data = [
        {"index": place, "embedding": base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode()}
        for place, row in enumerate(rows)
    ]
    body = json.dumps({"data": data[::-1]}).encode()

    outcome = wire.decode_body(body, ROUTE)

    if rows:
        assert isinstance(outcome, EmbeddingResponse)
        assert outcome.vectors == rows
    else:
        assert isinstance(outcome, ItemError)

"""Texts to embed, one per line, in the three forms that Google has for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from packages.gemini.tests.rows import EMBEDDING, KEY, PREDICT

from ai_batch.core import EmbeddingRequest
from ai_batch.core.provider import Route
from ai_batch.gemini import wire
from ai_batch.gemini.wire_embeddings import TASKS, task_type

VERTEX = Route("embedding", "embedContent", "gemini-embedding-001")


def lines(request: EmbeddingRequest, route: Route) -> list[dict[str, Any]]:
    """The lines that are sent."""
    encoded = wire.encode(request, route, KEY, max_tokens=None)
    return [json.loads(line) for line in encoded.split(b"\n")]


FULL = EmbeddingRequest(
    texts="one", dimensions=256, task="retrieval_document", extra={"title": "T"}
)


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (
            EMBEDDING,
            {
                "request": {
                    "content": {"parts": [{"text": "one"}]},
                    "taskType": "RETRIEVAL_DOCUMENT",
                    "outputDimensionality": 256,
                    "title": "T",
                }
            },
        ),
        (
            VERTEX,
            {
                "request": {
                    "content": {"parts": [{"text": "one"}]},
                    "embed_content_config": {
                        "task_type": "RETRIEVAL_DOCUMENT",
                        "output_dimensionality": 256,
                        "title": "T",
                    },
                }
            },
        ),
        (
            PREDICT,
            {"instance": {"content": "one", "task_type": "RETRIEVAL_DOCUMENT", "title": "T"}},
        ),
    ],
    ids=["developer", "vertex", "predict"],
)
def test_options_stand_where_each_api_wants_them(route: Route, expected: dict[str, Any]) -> None:
    """Beside the content, in an object of their own, or beside the text."""
    assert lines(FULL, route) == [{"key": KEY, **expected}]


@pytest.mark.parametrize("route", [EMBEDDING, VERTEX], ids=["developer", "vertex"])
def test_a_text_alone_is_only_a_content(route: Route) -> None:
    """Nothing that was not asked for."""
    [line] = lines(EmbeddingRequest(texts="one"), route)

    assert line == {"key": KEY, "request": {"content": {"parts": [{"text": "one"}]}}}


@pytest.mark.parametrize("route", [EMBEDDING, VERTEX, PREDICT], ids=["developer", "vertex", "old"])
def test_each_text_takes_a_line(route: Route) -> None:
    """In order, and with a key that says which of how many it is."""
    found = lines(EmbeddingRequest(texts=["one", "two\nlines", "three"]), route)

    assert [line["key"] for line in found] == [f"{KEY}_{n}_3" for n in range(3)]
    assert "two\\nlines" in json.dumps(found[1])


@pytest.mark.parametrize(
    ("task", "vendors"),
    [
        *((name, name) for name in TASKS),
        ("retrieval-query", "RETRIEVAL_QUERY"),
        ("search_document", "RETRIEVAL_DOCUMENT"),
        ("query", "RETRIEVAL_QUERY"),
        ("Semantic Similarity", "SEMANTIC_SIMILARITY"),
        ("clustering", "CLUSTERING"),
        ("poetry", None),
    ],
)
def test_tasks_have_googles_names(task: str, vendors: str | None) -> None:
    """In any spelling, and by the names that other vendors have for the same."""
    assert task_type(task) == vendors

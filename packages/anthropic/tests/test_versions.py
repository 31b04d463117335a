"""Which API version a request travels under."""

from __future__ import annotations

from typing import Any

import pytest

from ai_batch.anthropic.versions import headers_of, variant_of, version_for, version_problems
from ai_batch.core import ChatRequest, Document, assistant, user

OLD, NEW = "2023-06-01", "2026-10-21"


def asked(messages: Any = "x", **fields: Any) -> ChatRequest:
    """A request with these fields."""
    return ChatRequest(messages=messages, **fields)


DOCUMENT = [user("a"), assistant(Document(data=b"words")), user("b")]


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ({}, NEW),
        ({"max_tokens": 5, "stop": "x"}, NEW),
        ({"temperature": 1.0}, OLD),
        ({"temperature": None}, NEW),
        ({"top_p": 0.5}, OLD),
        ({"extra": {"top_k": 5}}, OLD),
        ({"extra": {"temperature": None}}, OLD),
        ({"extra": {"thinking": {"type": "adaptive"}}}, NEW),
        ({"messages": [user("a", Document(data=b"words"))]}, NEW),
        ({"messages": DOCUMENT}, OLD),
        ({"messages": DOCUMENT, "reasoning_effort": "low"}, OLD),
    ],
)
def test_the_newest_version_that_allows_the_request(fields: dict[str, Any], version: str) -> None:
    """Sampling, and documents in the assistant's turns, exist only in the old one."""
    assert version_for(asked(**fields)) == version


def test_version_and_betas_separate_batches_and_make_headers() -> None:
    """Betas in any order are the same variant."""
    variant = variant_of(NEW, ["b-2026", "a-2026", "b-2026"])
    assert variant == variant_of(NEW, ["a-2026", "b-2026"]) != variant_of(OLD, ["a-2026", "b-2026"])
    assert headers_of(variant) == {"anthropic-version": NEW, "anthropic-beta": "a-2026,b-2026"}
    assert headers_of(variant_of(OLD, [])) == {"anthropic-version": OLD}


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"temperature": 1.0, "extra": {"top_k": 1}}, ["temperature", "extra.top_k"]),
        ({"messages": DOCUMENT}, ["messages"]),
        ({"max_tokens": 3}, []),
    ],
)
def test_a_fixed_version_may_refuse_a_request(fields: dict[str, Any], names: list[str]) -> None:
    """Then each field that it refuses is a problem; the old version refuses none."""
    request = asked(**fields)
    problems = list(version_problems(request, NEW))
    assert [problem.field for problem in problems] == names
    assert all("set it to 2023-06-01" in problem.message for problem in problems)
    assert list(version_problems(request, OLD)) == []

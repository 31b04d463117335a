"""What the engine asks of the Developer API's provider without a call to anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ai_batch.core import ChatRequest, EmbeddingRequest
from ai_batch.core.provider import Limits
from ai_batch.emulator import Emulator
from ai_batch.gemini.developer import DeveloperProvider
from ai_batch.gemini.settings import LIMITS


def test_limits_are_the_vendors_or_ones_own(
    emulator: Emulator, make_developer: Callable[..., DeveloperProvider]
) -> None:
    """Texts to embed take lines of their own, so that they are counted too."""
    chat, texts = ChatRequest(messages="x"), EmbeddingRequest(texts="x", model="embed")
    provider = make_developer(emulator)
    assert provider.limits(provider.route(chat)) == LIMITS
    assert provider.limits(provider.route(texts)).max_inputs == LIMITS.max_requests
    provider = make_developer(emulator, limits=Limits(max_requests=7, max_bytes=70))
    assert provider.limits(provider.route(chat)).max_requests == 7
    assert provider.limits(provider.route(texts)).max_inputs == 7


@pytest.mark.parametrize(
    ("settings", "request_", "tokens"),
    [
        ({}, ChatRequest(messages="x"), 0),
        ({"max_tokens": 50}, ChatRequest(messages="x"), 50),
        ({"max_tokens": 50}, ChatRequest(messages="x", max_tokens=10), 10),
        ({"max_tokens": 50}, EmbeddingRequest(texts="x"), 0),
    ],
)
def test_the_longest_answer_is_known(
    settings: dict[str, Any],
    request_: ChatRequest | EmbeddingRequest,
    tokens: int,
    emulator: Emulator,
    make_developer: Callable[..., DeveloperProvider],
) -> None:
    """Estimates of the cost rest on it."""
    assert make_developer(emulator, **settings).max_output_tokens(request_) == tokens


def test_a_model_of_embeddings_serves_texts_only_by_its_name(
    emulator: Emulator, make_developer: Callable[..., DeveloperProvider]
) -> None:
    """A chat's model is not asked for vectors, but ``model=`` may name one that gives them."""
    texts = EmbeddingRequest(texts="x")
    [problem] = make_developer(emulator).check(texts)
    assert (problem.field, "embedding_model=" in problem.message) == ("model", True)
    provider = make_developer(emulator, embedding_model="gemini-embedding-001")
    assert provider.check(texts) == []
    assert provider.route(texts).model == "gemini-embedding-001"

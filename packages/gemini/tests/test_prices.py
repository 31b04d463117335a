"""What batches and live calls cost at Google's."""

from __future__ import annotations

import pytest

from ai_batch.core import Usage
from ai_batch.core.provider import Route
from ai_batch.gemini.prices import batch_cost_of, cost_of

MILLION = Usage(input_tokens=1_000_000)


def embeddings(model: str) -> Route:
    """A batch of embeddings."""
    return Route("embedding", "asyncBatchEmbedContent", model)


@pytest.mark.parametrize("model", ["gemini-embedding-001", "models/gemini-embedding-001"])
def test_embeddings_cost_half_in_a_batch(model: str) -> None:
    """0.15 USD per million tokens, and 0.075 in a batch of the Developer API."""
    assert cost_of(model, MILLION) == pytest.approx(0.15)
    assert batch_cost_of(embeddings(model), MILLION, vertex=False) == pytest.approx(0.075)


def test_a_batch_of_embeddings_has_no_known_price_on_vertex() -> None:
    """Their discount is another one there: rather no price than a wrong one."""
    assert batch_cost_of(embeddings("gemini-embedding-001"), MILLION, vertex=True) is None


@pytest.mark.parametrize("vertex", [False, True])
def test_chats_cost_half_on_both(vertex: bool) -> None:
    """Input and output alike."""
    route = Route("chat", "batchGenerateContent", "gemini-2.5-flash")
    usage = Usage(input_tokens=1000, output_tokens=500)
    live = cost_of(route.model, usage)
    assert live is not None
    assert batch_cost_of(route, usage, vertex=vertex) == pytest.approx(live / 2)


def test_what_nobody_knows_has_no_price() -> None:
    """Older models are charged by characters, which the tables don't have."""
    assert cost_of("text-embedding-005", MILLION) is None
    assert batch_cost_of(embeddings("text-embedding-005"), MILLION, vertex=False) is None

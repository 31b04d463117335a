"""What batches and live calls cost at OpenAI's."""

from __future__ import annotations

import pytest

from ai_batch.core import Usage
from ai_batch.core.provider import Route
from ai_batch.openai import OpenAIEmbedder
from ai_batch.openai.client import ClientSettings
from ai_batch.openai.provider import OpenAIProvider
from ai_batch.openai.settings import OpenAISettings

MILLION = Usage(input_tokens=1_000_000)


def batch_cost(model: str, base_url: str | None = None) -> float | None:
    """What a million tokens cost in a batch of embeddings."""
    connection = ClientSettings(api_key="k", base_url=base_url)
    provider = OpenAIProvider(OpenAISettings(connection=connection))
    return provider.cost(Route("embedding", "/v1/embeddings", model), MILLION, batch=True)


@pytest.mark.parametrize(
    ("model", "live"),
    [
        ("text-embedding-3-small", 0.02),
        ("text-embedding-3-large", 0.13),
        ("text-embedding-ada-002", 0.10),
    ],
)
def test_embeddings_cost_half_in_a_batch(model: str, live: float) -> None:
    """The tables know the live price; the discount is the vendor's for all batches."""
    assert OpenAIEmbedder(model=model, api_key="k").cost(model, MILLION) == pytest.approx(live)
    assert batch_cost(model) == pytest.approx(live / 2)


def test_what_nobody_knows_has_no_price() -> None:
    """An unknown model, and the same name at another vendor's."""
    assert batch_cost("text-embedding-of-tomorrow") is None
    assert batch_cost("text-embedding-3-small", "https://api.groq.com/openai/v1") is None

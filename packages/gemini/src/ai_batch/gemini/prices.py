"""What tokens cost at Google's: half in a batch, but for what was read from a cache.

https://ai.google.dev/gemini-api/docs/batch-api and
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini:
cached tokens are charged at the price of the cache, on which there is no further discount.

Embeddings are half the price in batches of the Developer API:
https://developers.googleblog.com/gemini-batch-api-now-supports-embeddings-and-openai-compatibility
(September 2025). On Vertex AI they have a discount of their own, which is not the same for all
models (a fifth for text-embedding-004): there, a batch of them has no price here.
"""

from __future__ import annotations

from ai_batch.core.prices import token_cost
from ai_batch.core.provider import Route
from ai_batch.core.results import Usage

__all__ = ["batch_cost_of", "cost_of"]

BATCH_DISCOUNT = 0.5


def batch_cost_of(route: Route, usage: Usage, *, vertex: bool) -> float | None:
    """USD for one request's tokens in a batch; None where the price is not known."""
    if vertex and route.kind == "embedding":
        return None
    return _cost(route.model, usage, BATCH_DISCOUNT)


def cost_of(model: str, usage: Usage) -> float | None:
    """USD for one request's tokens by a live call; None for an unknown model."""
    return _cost(model, usage, 1.0)


def _cost(model: str, usage: Usage, discount: float) -> float | None:
    name = model.rpartition("/")[2]
    return token_cost("google", name, usage, discount=discount, cached_discount=1.0)

"""What tokens cost at Google's: half in a batch, but for what was read from a cache.

https://ai.google.dev/gemini-api/docs/batch-api and
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini:
cached tokens are charged at the price of the cache, on which there is no further discount.
"""

from __future__ import annotations

from ai_batch.core.prices import token_cost
from ai_batch.core.results import Usage

__all__ = ["cost_of"]

BATCH_DISCOUNT = 0.5


def cost_of(model: str, usage: Usage, *, batch: bool) -> float | None:
    """USD for one request's tokens; None for an unknown model."""
    name = model.rpartition("/")[2]
    discount = BATCH_DISCOUNT if batch else 1.0
    return token_cost("google", name, usage, discount=discount, cached_discount=1.0)

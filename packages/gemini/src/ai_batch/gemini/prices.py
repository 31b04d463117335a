"""What tokens cost at Google's: half in a batch, but for what was read from a cache.

https://ai.google.dev/gemini-api/docs/batch-api and
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini:
cached tokens are charged at the price of the cache, on which there is no further discount.
"""

from __future__ import annotations

from functools import lru_cache

from ai_batch.core.prices import token_cost
from ai_batch.core.results import Usage

__all__ = ["cost_of"]

BATCH_DISCOUNT = 0.5

SAMPLE = 10_000
"""Tokens by which a price is looked up: some prices rise with the length of a prompt, and the sum
of a job's tokens is no prompt's. Prompts of more than 200,000 tokens cost more than we say."""


@lru_cache(maxsize=256)
def _per_token(model: str, kind: str) -> float | None:
    if kind == "cached":
        usage = Usage(input_tokens=SAMPLE, cached_input_tokens=SAMPLE)
    elif kind == "input":
        usage = Usage(input_tokens=SAMPLE)
    else:
        usage = Usage(output_tokens=SAMPLE)
    price = token_cost("google", model, usage)
    return None if price is None else price / SAMPLE


def cost_of(model: str, usage: Usage, *, batch: bool) -> float | None:
    """USD for the tokens; None for an unknown model."""
    name = model.rpartition("/")[2]
    rates = [_per_token(name, kind) for kind in ("input", "output", "cached")]
    if None in rates:
        return None
    fresh, output, cached = (rate or 0.0 for rate in rates)
    discount = BATCH_DISCOUNT if batch else 1.0
    new = usage.input_tokens - usage.cached_input_tokens
    full = usage.cached_input_tokens * cached
    return (new * fresh + usage.output_tokens * output) * discount + full

"""What a batch costs: half of the list price for all tokens, those of the cache included."""

from __future__ import annotations

from functools import lru_cache

from ai_batch.core.prices import token_cost
from ai_batch.core.results import Usage

__all__ = ["cost_of"]

BATCH_DISCOUNT = 0.5
"""https://platform.claude.com/docs/en/build-with-claude/batch-processing"""

SAMPLE = 10_000
"""Tokens by whose price the others' is found. Some models charge more per token in a request of
more than 200,000, and the tokens of a whole job must not be taken for one such request."""

_KINDS = (
    Usage(input_tokens=SAMPLE),
    Usage(input_tokens=SAMPLE, cached_input_tokens=SAMPLE),
    Usage(input_tokens=SAMPLE, cache_write_tokens=SAMPLE),
    Usage(output_tokens=SAMPLE),
)


def cost_of(model: str, usage: Usage, *, batch: bool) -> float | None:
    """USD for the tokens, at batch or at live price; None for an unknown model."""
    prices = _prices(model)
    if prices is None:
        return None
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    counts = (usage.input_tokens - cached - written, cached, written, usage.output_tokens)
    live = sum(count * price for count, price in zip(counts, prices, strict=True)) / SAMPLE
    return live * BATCH_DISCOUNT if batch else live


@lru_cache(maxsize=64)
def _prices(model: str) -> list[float] | None:
    """USD for ``SAMPLE`` tokens of each kind."""
    found = [token_cost("anthropic", model, kind) for kind in _KINDS]
    known = [price for price in found if price is not None]
    return known if len(known) == len(_KINDS) else None

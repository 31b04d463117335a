"""What tokens cost, by the tables of ``genai-prices``; nothing is fetched from the network."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Any

from ai_batch.core.results import Usage

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["cost_of_many", "token_cost"]

logger = logging.getLogger("ai_batch.prices")


SAMPLE = 100_000
"""Tokens that are priced together: fewer than those from which any vendor asks more per token
(200,000 and up), and enough that whole tokens are no matter."""


def cost_of_many(
    price: Callable[[Usage], float | None], usage: Usage, requests: int
) -> float | None:
    """USD for the tokens of several requests, by the ``price`` of one; None where it has none.

    Some models cost more per token in a long request, and the tokens of a whole job must not be
    taken for one such request: all are priced like a request of average length.
    """
    pieces = max(min(requests, ceil(usage.total_tokens / SAMPLE)), 1)
    cost = price(_share(usage, pieces))
    return None if cost is None else cost * pieces


def _share(usage: Usage, pieces: int) -> Usage:
    if pieces == 1:
        return usage
    share = {name: round(count / pieces) for name, count in usage}
    # Rounded one by one, the parts may be more than their whole.
    parts = share["cached_input_tokens"] + share["cache_write_tokens"]
    return Usage(**{**share, "input_tokens": max(share["input_tokens"], parts)})


def token_cost(
    provider_id: str,
    model: str,
    usage: Usage,
    *,
    discount: float = 1.0,
    cached_discount: float | None = None,
) -> float | None:
    """USD for one request's tokens at the live price times ``discount``; None for an unknown model.

    ``cached_discount`` is for what was read from a cache, where that is another one.
    Needs ``pip install "ai-batch-core[prices]"``; without it no price is known.
    """
    if _prices() is None:
        return None
    live = _live_cost(provider_id, model, usage)
    if live is None:
        return None
    cost = float(live) * discount
    if cached_discount is not None and usage.cached_input_tokens:
        cached = _cached_cost(provider_id, model, usage, live)
        return None if cached is None else cost + float(cached) * (cached_discount - discount)
    return cost


def _cached_cost(provider_id: str, model: str, usage: Usage, live: Decimal) -> Decimal | None:
    """The part of a request's live cost that is for what was read from a cache."""
    # Of the same length, which decides what a token costs.
    uncached = usage.model_copy(update={"cached_input_tokens": 0})
    full = _live_cost(provider_id, model, uncached)
    fresh = _live_cost(provider_id, model, Usage(input_tokens=usage.input_tokens))
    if full is None or fresh is None:
        return None
    return live - full + fresh / usage.input_tokens * usage.cached_input_tokens


@lru_cache(maxsize=1)
def _prices() -> Any:
    try:
        import genai_prices
    except ImportError:
        logger.info('no prices: pip install "ai-batch-core[prices]" brings them')
        return None
    return genai_prices


def _live_cost(provider_id: str, model: str, usage: Usage) -> Decimal | None:
    import genai_prices

    tokens = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    try:
        found = genai_prices.calc_price(tokens, model, provider_id=provider_id)
    except (LookupError, ValueError):
        # An unknown model; or counts that can't be, such as more cached tokens than there were.
        return None
    price = found.model_price
    # The tables hold models whose price they don't know, and ask nothing for them.
    unpriced = (usage.input_tokens and price.input_mtok is None) or (
        usage.output_tokens and price.output_mtok is None
    )
    return None if unpriced else found.total_price

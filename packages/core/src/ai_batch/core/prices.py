"""What tokens cost, by the tables of ``genai-prices``; nothing is fetched from the network."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ai_batch.core.results import Usage

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["token_cost"]

logger = logging.getLogger("ai_batch.prices")


def token_cost(
    provider_id: str, model: str, usage: Usage, *, discount: float = 1.0
) -> float | None:
    """USD for the tokens at the live price times ``discount``; None for an unknown model.

    Needs ``pip install "ai-batch-core[prices]"``; without it no price is known.
    """
    price = _prices()
    if price is None:
        return None
    live = _live_cost(provider_id, model, usage)
    return None if live is None else float(live) * discount


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
        return genai_prices.calc_price(tokens, model, provider_id=provider_id).total_price
    except LookupError:
        return None

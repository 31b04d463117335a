"""What a batch costs: half of the list price for all tokens, those of the cache included."""

from __future__ import annotations

from ai_batch.core.prices import token_cost
from ai_batch.core.results import Usage

__all__ = ["cost_of"]

BATCH_DISCOUNT = 0.5
"""https://platform.claude.com/docs/en/build-with-claude/batch-processing"""


def cost_of(model: str, usage: Usage, *, batch: bool) -> float | None:
    """USD for one request's tokens, at batch or at live price; None for an unknown model."""
    discount = BATCH_DISCOUNT if batch else 1.0
    return token_cost("anthropic", model, usage, discount=discount)

"""What a job would be: counted, cut and priced without sending anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ai_batch.core.prices import cost_of_many
from ai_batch.core.provider import Formats
from ai_batch.core.results import Usage

if TYPE_CHECKING:
    from ai_batch.core.planner import Plan

__all__ = ["Estimate", "estimate_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a job would be.

    Tokens are estimated from the texts' sizes; ``output_tokens`` is the sum of ``max_tokens``, 0
    where none is set. Costs are in USD, None where a price is not known.
    """

    requests: int
    batches: int
    input_tokens: int
    output_tokens: int
    batch_cost: float | None
    live_cost: float | None


def estimate_plan(plan: Plan, provider: Formats) -> Estimate:
    """What the plan amounts to."""
    costs: dict[bool, list[float | None]] = {True: [], False: []}
    for route, totals in plan.routes.items():
        usage = Usage(input_tokens=totals.input_tokens, output_tokens=totals.output_tokens)
        for batch, found in costs.items():
            price = partial(provider.cost, route, batch=batch)
            found.append(cost_of_many(price, usage, totals.requests))
    return Estimate(
        requests=plan.total,
        batches=len(plan.drafts),
        input_tokens=sum(totals.input_tokens for totals in plan.routes.values()),
        output_tokens=sum(totals.output_tokens for totals in plan.routes.values()),
        batch_cost=_sum(costs[True]),
        live_cost=_sum(costs[False]),
    )


def _sum(costs: list[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None

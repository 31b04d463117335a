"""Shows what a job will be, and asks before it costs much."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ai_batch.cli.texts import count, money, plural
from ai_batch.core import Estimate

__all__ = ["ASK_ABOVE", "Question", "describe", "estimate_fields", "is_yes"]

ASK_ABOVE = 1.0
"""USD from which on the user is asked, where the command does not say otherwise."""

MANY = 1000
"""Requests from which on the user is asked where no price is known."""


def describe(estimate: Estimate) -> str:
    """An estimate in words."""
    tokens = f"about {count(estimate.input_tokens)} tokens in"
    sizes = f"{plural(estimate.requests, 'request')}, {plural(estimate.batches, 'batch')}"
    head = f"{sizes}, {tokens}"
    if estimate.batch_cost is None:
        return f'{head}; the price is not known (pip install "ai-batch-core[prices]" has most)'
    if estimate.output_tokens:
        out = f"up to {count(estimate.output_tokens)} out"
        live = f"{money(estimate.live_cost)} by live calls"
        return f"{head} and {out}: up to {money(estimate.batch_cost)}, against {live}"
    return f"{head}: {money(estimate.batch_cost)} for the input; --max-tokens limits the output"


def is_yes(question: str) -> bool:
    """Ask on the terminal; anything but a yes is a no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def estimate_fields(estimate: Estimate) -> dict[str, object]:
    """An estimate for machines; costs are in USD, null where a price is not known."""
    return {
        "requests": estimate.requests,
        "batches": estimate.batches,
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "batch_cost": estimate.batch_cost,
        "live_cost": estimate.live_cost,
    }


@dataclass(kw_only=True)
class Question:
    """Asks on a terminal whether a job of this size is wanted; elsewhere it only tells.

    ``asked`` tells afterwards whether there was a new job at all.
    """

    above: float = ASK_ABOVE
    assume_yes: bool = False
    asked: bool = False

    def __call__(self, estimate: Estimate) -> bool:
        """Whether the job is wanted."""
        self.asked = True
        sys.stderr.write(f"{describe(estimate)}\n")
        if self.assume_yes or not self._is_much(estimate):
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return True
        return is_yes("Go on?")

    def _is_much(self, estimate: Estimate) -> bool:
        if estimate.batch_cost is None:
            return estimate.requests >= MANY
        return estimate.batch_cost >= self.above

"""What batches cost."""

from __future__ import annotations

import pytest

from ai_batch.anthropic.prices import cost_of
from ai_batch.core import Usage

HAIKU = "claude-haiku-4-5-20251001"
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("usage", "live"),
    [
        (Usage(), 0.0),
        (Usage(input_tokens=MILLION), 1.0),
        (Usage(output_tokens=MILLION), 5.0),
        (Usage(input_tokens=MILLION, cached_input_tokens=MILLION), 0.1),
        (Usage(input_tokens=MILLION, cache_write_tokens=MILLION), 1.25),
        (
            Usage(
                input_tokens=3 * MILLION,
                output_tokens=MILLION,
                cached_input_tokens=MILLION,
                cache_write_tokens=MILLION,
                reasoning_tokens=MILLION,
            ),
            7.35,
        ),
    ],
)
def test_a_batch_costs_half(usage: Usage, live: float) -> None:
    """Of everything: input, output, and what the cache's multipliers make of the input."""
    assert cost_of(HAIKU, usage, batch=False) == pytest.approx(live)
    assert cost_of(HAIKU, usage, batch=True) == pytest.approx(live / 2)


def test_a_long_request_costs_more_per_token() -> None:
    """Above 200,000 tokens in one request Anthropic asks twice as much for each of them."""
    short = cost_of("claude-sonnet-4-5", Usage(input_tokens=100_000), batch=True)
    long = cost_of("claude-sonnet-4-5", Usage(input_tokens=300_000), batch=True)
    assert short is not None
    assert long == pytest.approx(short * 6)


def test_a_model_that_nobody_knows_has_no_price() -> None:
    """None, and never 0."""
    assert cost_of("claude-of-tomorrow", Usage(input_tokens=1), batch=True) is None

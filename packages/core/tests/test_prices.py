"""What tokens cost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import pytest

from ai_batch.core import Usage, prices
from ai_batch.core.prices import cost_of_many, token_cost

USAGE = Usage(input_tokens=1_000_000, output_tokens=100_000)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What one test has found out of the installation is not the next one's."""
    prices._prices.cache_clear()
    yield
    prices._prices.cache_clear()


def test_a_known_model_has_a_price() -> None:
    """More tokens cost more, and a discount is taken off."""
    live = token_cost("openai", "gpt-4o-mini", USAGE)
    half = token_cost("openai", "gpt-4o-mini", USAGE, discount=0.5)
    more = token_cost("openai", "gpt-4o-mini", USAGE + USAGE)

    assert live is not None
    assert live > 0
    assert half == pytest.approx(live / 2)
    assert more == pytest.approx(live * 2)


@pytest.mark.parametrize(
    ("provider", "model"), [("openai", "no-such-model"), ("no-such-provider", "gpt-4o-mini")]
)
def test_an_unknown_model_has_none(provider: str, model: str) -> None:
    """Unknown is not free."""
    assert token_cost(provider, model, USAGE) is None


@pytest.mark.parametrize(
    ("provider", "model", "usage", "known"),
    [
        ("google", "gemma-3", Usage(input_tokens=1000), False),
        ("openai", "text-embedding-3-small", Usage(input_tokens=1000), True),
        ("openai", "text-embedding-3-small", Usage(input_tokens=1000, output_tokens=1), False),
    ],
)
def test_a_model_that_is_listed_without_a_price_is_not_free(
    provider: str, model: str, usage: Usage, known: bool
) -> None:
    """The tables name models for which they have none, or none for what was used."""
    assert (token_cost(provider, model, usage) is not None) == known


def test_without_the_tables_no_price_is_known(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once what to install."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    caplog.set_level("INFO")

    assert token_cost("openai", "gpt-4o-mini", USAGE) is None
    assert token_cost("openai", "gpt-4o-mini", USAGE) is None
    assert [record.getMessage() for record in caplog.records] == [
        'no prices: pip install "ai-batch-core[prices]" brings them'
    ]


def test_a_job_is_not_one_long_request() -> None:
    """Millions of tokens in short requests have the price of short requests."""
    price = partial(token_cost, "anthropic", "claude-sonnet-4-5")
    one = Usage(input_tokens=1007, output_tokens=3, cached_input_tokens=301, cache_write_tokens=203)
    many = Usage(**{name: count * 100_000 for name, count in one})
    short = price(one)
    assert short is not None

    assert cost_of_many(price, many, 100_000) == pytest.approx(short * 100_000, rel=1e-4)


def test_long_requests_have_their_own_price() -> None:
    """Three requests of 300,000 tokens each cost three times as much as one."""
    price = partial(token_cost, "google", "gemini-2.5-pro")
    long = Usage(input_tokens=300_000, output_tokens=1000)
    one = price(long)
    assert one is not None

    assert cost_of_many(price, long + long + long, 3) == pytest.approx(one * 3)


@pytest.mark.parametrize("requests", [0, 1])
def test_nothing_used_costs_nothing(requests: int) -> None:
    """Also where no request was answered."""
    assert cost_of_many(partial(token_cost, "openai", "gpt-4o-mini"), Usage(), requests) == 0


def test_many_requests_of_an_unknown_model_have_no_price() -> None:
    """As one has none."""
    assert cost_of_many(partial(token_cost, "openai", "no-such-model"), USAGE, 9) is None


@pytest.mark.parametrize("tokens", [100_000, 300_000])
def test_what_was_read_from_a_cache_may_have_another_discount(tokens: int) -> None:
    """Where a batch's discount is not on the cache's price; at the rates of the length."""
    model = ("google", "gemini-2.5-pro")
    cached = tokens // 2
    usage = Usage(input_tokens=tokens, output_tokens=500, cached_input_tokens=cached)
    live = token_cost(*model, usage)
    fresh = token_cost(*model, Usage(input_tokens=tokens))
    output = token_cost(*model, usage, discount=1.0, cached_discount=0.0)
    assert live is not None
    assert fresh is not None
    assert output is not None

    found = token_cost(*model, usage, discount=0.5, cached_discount=1.0)

    # Without the cached tokens, what is left is half of the input and the output.
    assert output > fresh / 2
    assert found == pytest.approx(output / 2 + (live - output))


def test_counts_that_cannot_be_have_no_price() -> None:
    """More tokens from a cache than there were: a vendor's slip is not to end a job."""
    odd = Usage(input_tokens=1, cached_input_tokens=5)
    assert token_cost("anthropic", "claude-sonnet-4-5", odd) is None

"""What tokens cost."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from ai_batch.core import Usage, prices
from ai_batch.core.prices import token_cost

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

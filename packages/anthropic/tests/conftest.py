"""An emulator, and processors before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ai_batch.anthropic import AnthropicProcessor
from ai_batch.anthropic.client import ClientSettings
from ai_batch.anthropic.provider import AnthropicProvider
from ai_batch.anthropic.settings import AnthropicSettings
from ai_batch.emulator import Emulator

MakeProcessor = Callable[..., AnthropicProcessor]


@pytest.fixture
def make_processor(tmp_path: Path) -> Iterator[MakeProcessor]:
    """Make a processor before an emulator; it is closed after the test."""
    with ExitStack() as stack:

        def make(emulator: Emulator, **options: Any) -> AnthropicProcessor:
            given: dict[str, Any] = {
                "model": "claude-haiku-4-5",
                "home": tmp_path / "home",
                "poll_interval": 0.02,
                "settle_wait": 0.5,
            }
            if "client" not in options:
                given |= {"api_key": "sk-ant-test-key", "base_url": emulator.anthropic_url}
            return stack.enter_context(AnthropicProcessor(**given | options))

        yield make


@pytest.fixture
def processor(emulator: Emulator, make_processor: MakeProcessor) -> AnthropicProcessor:
    """A processor as it comes."""
    return make_processor(emulator)


@pytest.fixture
def make_provider() -> Callable[[Emulator], AnthropicProvider]:
    """Make what the engine calls, alone."""

    def make(emulator: Emulator) -> AnthropicProvider:
        url = emulator.anthropic_url
        connection = ClientSettings(api_key="sk-ant-test-key", base_url=url)
        return AnthropicProvider(AnthropicSettings(connection=connection, model="claude-haiku-4-5"))

    return make


@pytest.fixture
def provider(
    emulator: Emulator, make_provider: Callable[[Emulator], AnthropicProvider]
) -> AnthropicProvider:
    """A provider before an emulator as it comes."""
    return make_provider(emulator)

"""An emulator, and processors before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ai_batch.emulator import Emulator
from ai_batch.openai import OpenAIProcessor

MakeProcessor = Callable[..., OpenAIProcessor]


@pytest.fixture
def make_processor(tmp_path: Path) -> Iterator[MakeProcessor]:
    """Make a processor before an emulator; it is closed after the test."""
    with ExitStack() as stack:

        def make(emulator: Emulator, **options: Any) -> OpenAIProcessor:
            given: dict[str, Any] = {
                "model": "gpt-4o-mini",
                "home": tmp_path / "home",
                "poll_interval": 0.02,
                "settle_wait": 0.3,
            }
            if "client" not in options:
                given |= {"api_key": "sk-test-key", "base_url": emulator.openai_url}
            given |= options
            return stack.enter_context(OpenAIProcessor(**given))

        yield make


@pytest.fixture
def processor(emulator: Emulator, make_processor: MakeProcessor) -> OpenAIProcessor:
    """A processor as it comes."""
    return make_processor(emulator)

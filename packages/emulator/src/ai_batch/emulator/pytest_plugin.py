"""Fixtures for tests of code that speaks to the vendors' batch APIs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ai_batch.emulator.emulator import Emulator


@pytest.fixture
def ai_batch_emulator() -> Iterator[Emulator]:
    """Give a fresh emulator that runs for one test."""
    # Imported late, so that tests without the fixture do not pay for the server.
    from ai_batch.emulator.emulator import Emulator

    with Emulator() as emulator:
        yield emulator

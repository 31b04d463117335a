"""Fixtures for tests of code that speaks to the vendors' batch APIs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ai_batch.emulator.emulator import Emulator

# Whoever inherits the contract sees what differed, as in tests of their own.
pytest.register_assert_rewrite("ai_batch.emulator.contract")


def pytest_configure(config: pytest.Config) -> None:
    """Make the contract's markers known."""
    for meaning in (
        "exhaustive: takes minutes; `-m 'not exhaustive'` leaves it out",
        "crash: kills, stops or suspends real processes",
    ):
        config.addinivalue_line("markers", meaning)


@pytest.fixture
def ai_batch_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Give a fresh emulator that runs for one test, and point the test's environment to it.

    The official SDKs and ai-batch then speak to it without being told, and ai-batch keeps its
    jobs in the test's own folder.
    """
    # Imported late, so that tests without the fixture do not pay for the server.
    from ai_batch.emulator.emulator import Emulator

    with Emulator() as emulator:
        for name, value in emulator.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("ANTHROPIC_AUTH_TOKEN", "GOOGLE_API_KEY"):
            # They would be taken beside, or instead of, the other key.
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AI_BATCH_HOME", str(tmp_path / "ai-batch"))
        yield emulator

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


@pytest.fixture
def ai_batch_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Give a fresh emulator that runs for one test, and point the test's environment to it.

    The official SDKs and ai-batch then speak to it without being told, and ai-batch keeps its
    jobs in the test's own folder.
    """
    # Imported late, so that tests without the fixture do not pay for the server.
    from ai_batch.emulator.emulator import Emulator

    with Emulator() as emulator:
        monkeypatch.setenv("OPENAI_BASE_URL", emulator.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "emulated")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", emulator.anthropic_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "emulated")
        # The SDK takes one of them only.
        monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.gemini_url)
        monkeypatch.setenv("GEMINI_API_KEY", "emulated")
        # It would be taken instead of the other one.
        monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
        monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", emulator.vertex_url)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.gcs_url)
        monkeypatch.setenv("AI_BATCH_HOME", str(tmp_path / "ai-batch"))
        yield emulator

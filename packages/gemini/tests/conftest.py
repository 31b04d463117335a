"""What the tests of Google's providers share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ai_batch.emulator.gemini.vendor import GeminiVendor

# Tests have no package of their own; this makes ``packages.gemini.tests`` one, as for mypy.
sys.path.append(str(Path(__file__).parents[3]))


@pytest.fixture
def only_inputs_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the files that can be deleted: the service keeps those of results, for six weeks."""

    def files_live(self: GeminiVendor) -> int:
        return sum(file.batch_id is None for file in self._shelf.live())

    monkeypatch.setattr(GeminiVendor, "files_live", files_live)

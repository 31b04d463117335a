"""What the tests of the core share."""

import sys
from pathlib import Path

import pytest

# Tests have no package of their own; this makes ``packages.core.tests`` one, as for mypy.
sys.path.append(str(Path(__file__).parents[3]))


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files as the simulator wants them."""
    from packages.core.tests.simulation import simulate_files

    simulate_files(monkeypatch)

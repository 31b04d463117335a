"""What the tests of PostgreSQL share: a server, and a schema for each test."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# As in the core's tests: makes ``packages.core.tests`` and ``tests`` packages.
sys.path.append(str(Path(__file__).parents[3]))

from packages.postgres.tests.server import Server, find_binaries


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all tests of this process."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("there are no binaries of PostgreSQL: initdb is neither in PATH nor installed")
    server = Server(binaries)
    yield server
    server.close()


@pytest.fixture
def schema() -> str:
    """A schema that no other test has."""
    return f"test_{secrets.token_hex(6)}"

"""The ledger on PostgreSQL keeps the same contract as that on SQLite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from packages.core.tests.ledger_contract import LedgerContract, World
from packages.postgres.tests.server import Server

from ai_batch.postgres import PostgresLedger


@pytest.fixture
def world(server: Server, schema: str) -> Iterator[World]:
    """A schema; each process has connections of its own."""
    world = World(
        lambda clock: PostgresLedger(server.url, schema=schema, max_connections=4, clock=clock)
    )
    yield world
    world.close()


class TestLedger(LedgerContract):
    """What every ledger has to do."""

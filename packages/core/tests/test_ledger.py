"""The ledger on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from packages.core.tests.ledger_contract import LedgerContract, World, job, shard

from ai_batch.core import Ledger
from ai_batch.core.database import SQLiteDatabase


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A ledger file."""
    path = tmp_path / "ledger.db"
    world = World(lambda clock: Ledger(SQLiteDatabase(path, clock=clock)))
    yield world
    world.close()


class TestLedger(LedgerContract):
    """What every ledger has to do."""


def test_an_overview_takes_as_many_statements_for_many_jobs(world: World) -> None:
    """The newest jobs come with their counts; a job that has no shards yet has none."""
    ledger = world.open()
    for number in range(30):
        name = f"job_{number}"
        record = job(name, fingerprint=name, created_at=float(number))
        ledger.add_job(record, [shard(job_id=name)] if number % 2 else [])
    asked: list[str] = []
    database = ledger._database
    assert isinstance(database, SQLiteDatabase)
    database._connection.set_trace_callback(asked.append)

    everything = ledger.overview()
    statements = len(asked)
    newest = ledger.overview(3)

    assert len(asked) - statements == statements <= 4
    assert [record.id for record, _ in newest] == ["job_29", "job_28", "job_27"]
    assert [totals.batches for _, totals in newest] == [1, 0, 1]
    assert [totals for _, totals in everything][1:2] == [ledger.totals("job_28")]
    assert (len(everything), ledger.count_jobs()) == (30, 30)

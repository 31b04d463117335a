"""The core's simulator, with PostgreSQL below the ledger: a crash at every point of a job's life.

There are fewer histories than on SQLite: each commit goes to a real server.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from packages.postgres.tests.server import Server

from ai_batch.core import Result
from ai_batch.core.database import Row, Transaction
from ai_batch.core.migrations import MIGRATIONS, TABLES
from ai_batch.postgres.database import PostgresDatabase
from ai_batch.postgres.transaction import PostgresTransaction
from tests.simulation import world as world_module
from tests.simulation.histories import pauses
from tests.simulation.history import simulate
from tests.simulation.plan import Plan, draw, kind_of
from tests.simulation.programs import Program
from tests.simulation.world import World

RANDOM = 12
"""Histories drawn by chance."""

STEP = 4
"""Of so many points at which a program may die, each history takes one."""

WATCH = b"""
    CREATE TABLE IF NOT EXISTS moved
        (job_id TEXT, seq BIGINT, from_state TEXT, to_state TEXT, fence BIGINT, nr BIGSERIAL);
    CREATE OR REPLACE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.fence < OLD.fence THEN RAISE EXCEPTION 'a fence was lowered'; END IF;
        IF NEW.state <> OLD.state THEN
            INSERT INTO moved VALUES (NEW.job_id, NEW.seq, OLD.state, NEW.state, NEW.fence);
        END IF;
        RETURN NEW;
    END $$;
    CREATE OR REPLACE TRIGGER watch BEFORE UPDATE ON shard FOR EACH ROW EXECUTE FUNCTION watch();
"""


class Watched(PostgresTransaction):
    """Knows whether it writes."""

    wrote = False

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        self.wrote |= not sql.startswith("SELECT")
        return super().execute(sql, parameters)

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        self.wrote = True
        super().execute_many(sql, rows)

    def change(self, sql: str, parameters: Sequence[object] = ()) -> int:
        self.wrote = True
        return super().change(sql, parameters)


class Simulated:
    """One program's way to the ledger; it may die just before and just after a commit."""

    def __init__(
        self, database: PostgresDatabase, clock: Callable[[], float], program: Program
    ) -> None:
        self._database = database
        self._program = program
        self.now = clock

    @contextmanager
    def transaction(self) -> Generator[Transaction, None, None]:
        self._program.check()
        with self._database.transaction() as inner:
            assert isinstance(inner, PostgresTransaction)
            tx = Watched(inner._connection, inner._address, inner._schema)
            yield tx
            if tx.wrote:
                self._program.point("commit")
        if tx.wrote:
            self._program.point("committed")

    def close(self) -> None:
        """The tables live on."""


Simulate = Callable[[Plan], World]


@pytest.fixture
def on_postgres(server: Server, schema: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulate]:
    """Simulates on the server; what it holds in the end is copied to where it is looked for."""
    made: list[PostgresDatabase] = []
    run = World.run

    def simulated(
        _tables: sqlite3.Connection,
        clock: Callable[[], float],
        program: Program,
        _note: Callable[[str], object],
    ) -> Simulated:
        return Simulated(made[-1], clock, program)

    def watch_moves(_tables: sqlite3.Connection) -> None:
        with made[-1].transaction() as tx:
            assert isinstance(tx, PostgresTransaction)
            tx.run(WATCH)

    def run_and_copy(world: World) -> list[list[Result]]:
        found = run(world)
        copy(made[-1], world.tables)
        return found

    monkeypatch.setattr(world_module, "SimulatedDatabase", simulated)
    monkeypatch.setattr(world_module, "watch_moves", watch_moves)
    monkeypatch.setattr(World, "run", run_and_copy)

    def simulate_one(plan: Plan) -> World:
        made.append(PostgresDatabase(server.url, schema=f"{schema}_{len(made)}"))
        try:
            return simulate(plan)
        finally:
            made[-1].close()

    yield simulate_one
    for database in made:
        server.execute(f'DROP SCHEMA "{database.schema}" CASCADE')


def copy(database: PostgresDatabase, tables: sqlite3.Connection) -> None:
    """Copy the ledger, in the order in which it was written."""
    for statement in (statement for step in MIGRATIONS for statement in step):
        tables.execute(statement)
    tables.execute("CREATE TABLE moved (seq, from_state, to_state, fence)")
    wanted = {**TABLES, "moved": ("seq", "from_state", "to_state", "fence")}
    with database.transaction() as tx:
        for table, columns in wanted.items():
            order = {"moved": "nr", "event": "at, rowid"}.get(table, "1")
            names = ", ".join(columns)
            rows = tx.execute(f"SELECT {names} FROM {table} ORDER BY {order}")  # noqa: S608
            marks = ", ".join("?" * len(columns))
            tables.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608


@pytest.mark.parametrize("first", range(STEP))
@pytest.mark.parametrize("provider", ["fake", "fake-foreign"])
def test_a_crash_at_any_point_changes_nothing(
    on_postgres: Simulate, provider: str, first: int
) -> None:
    """Killed at a commit, call or rename, the same script ends with the same results."""
    given: dict[str, Any] = {**kind_of(provider), "requests": 1}
    points = len(on_postgres(Plan(**given)).programs[0].points)
    assert points > 2 * STEP

    for place in range(1 + first, points + 1, STEP):
        on_postgres(Plan(deaths=(place,), **given))


@pytest.mark.parametrize("provider", ["fake", "fake-bare", "fake-inline", "fake-foreign"])
def test_random_histories(on_postgres: Simulate, provider: str) -> None:
    """Programs that die and pause, two at a time, on a vendor that stumbles."""
    for seed in range(RANDOM // 4):
        on_postgres(draw(seed, provider))


def test_a_program_paused_past_its_lease_does_no_harm(on_postgres: Simulate) -> None:
    """Whatever a program does when it wakes up after another has taken over is refused."""
    for plan in list(pauses())[:3]:
        on_postgres(plan)

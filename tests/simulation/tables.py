"""The ledger's tables in memory, with a point to die at around every commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from ai_batch.core import LedgerError
from ai_batch.core.database import Alone, Row, Transaction
from tests.simulation.programs import Program

__all__ = ["SimulatedDatabase", "TableTransaction", "watch_moves"]

WATCH = """
    CREATE TABLE IF NOT EXISTS moved
        (job_id TEXT, seq INTEGER, from_state TEXT, to_state TEXT, fence INTEGER);
    CREATE TRIGGER IF NOT EXISTS watch AFTER UPDATE OF state ON shard
        WHEN OLD.state IS NOT NEW.state
        BEGIN INSERT INTO moved VALUES (NEW.job_id, NEW.seq, OLD.state, NEW.state, NEW.fence); END;
    CREATE TRIGGER IF NOT EXISTS fenced BEFORE UPDATE ON shard
        WHEN NEW.fence < OLD.fence
        BEGIN SELECT RAISE(ABORT, 'a fence was lowered'); END;
"""


def watch_moves(tables: sqlite3.Connection) -> None:
    """Have the tables themselves write down how shards move, whatever the ledger says of it."""
    tables.executescript(WATCH)


class TableTransaction(Alone):
    """One transaction on tables in memory; ``note`` is told of what the event log is."""

    def __init__(self, connection: sqlite3.Connection, note: Callable[[str], object] = id) -> None:
        self._connection = connection
        self._note = note

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        if sql.startswith("INSERT INTO event"):
            _, _, seq, fence, before, after, detail = parameters
            self._note(f"shard {seq} fence {fence}: {before} -> {after} {detail}")
        return self._connection.execute(sql, tuple(parameters)).fetchall()

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        self._connection.executemany(sql, rows)

    def change(self, sql: str, parameters: Sequence[object] = ()) -> int:
        return self._connection.execute(sql, tuple(parameters)).rowcount


class SimulatedDatabase:
    """One program's connection to the ledger; it may die just before and just after a commit."""

    def __init__(
        self,
        tables: sqlite3.Connection,
        clock: Callable[[], float],
        program: Program,
        note: Callable[[str], object] = id,
    ) -> None:
        self._tables = tables
        self._program = program
        self._note = note
        self.now = clock

    @contextmanager
    def transaction(self) -> Generator[Transaction, None, None]:
        self._program.check()
        before = self._tables.total_changes
        self._tables.execute("BEGIN IMMEDIATE")
        try:
            yield TableTransaction(self._tables, self._note)
            changed = self._tables.total_changes > before
            if changed:
                self._program.point("commit")
            self._tables.execute("COMMIT")
        except sqlite3.Error as error:
            raise LedgerError(str(error)) from error
        finally:
            if self._tables.in_transaction:
                self._tables.execute("ROLLBACK")
        if changed:
            self._program.point("committed")

    def close(self) -> None:
        """The tables live on."""

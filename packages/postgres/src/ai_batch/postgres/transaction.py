"""One open transaction, and how it keeps others away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import psycopg

from ai_batch.core.database import Row
from ai_batch.postgres.address import Address
from ai_batch.postgres.connections import Connection
from ai_batch.postgres.dialect import translated
from ai_batch.postgres.failures import failure

__all__ = ["PostgresTransaction", "channel_of"]

# Text that no database takes: half a character, or a NUL where PostgreSQL has text.
REFUSED = (psycopg.Error, UnicodeEncodeError)


def channel_of(schema: str) -> str:
    """The channel on which a ledger tells of its jobs."""
    return f"ai_batch:{schema}"


class PostgresTransaction:
    """What the ledger does within a transaction; every error is one of ours."""

    def __init__(self, connection: Connection, address: Address, schema: str) -> None:
        """The transaction has begun."""
        self._connection = connection
        self._address = address
        self._schema = schema

    def _run(self, sql: str, parameters: Sequence[object]) -> psycopg.Cursor[tuple[object, ...]]:
        # An empty list as well: only then is %% read as one.
        return self.run(translated(sql), list(parameters))

    def run(
        self, sql: bytes, parameters: Sequence[object] | None = None
    ) -> psycopg.Cursor[tuple[object, ...]]:
        """Run a statement of PostgreSQL's own SQL."""
        try:
            return self._connection.execute(sql, parameters)
        except REFUSED as error:
            raise failure(error, self._address) from None

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a statement; the rows that it gives."""
        cursor = self._run(sql, parameters)
        return cast("list[Row]", cursor.fetchall()) if cursor.description else []

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once per row, without waiting for each of them."""
        values: Any = rows
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(translated(sql), values)
        except REFUSED as error:
            raise failure(error, self._address) from None

    def change(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; the number of rows that it changed."""
        return self._run(sql, parameters).rowcount

    def lock(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Keep the rows of a query from all others; what is read later is what they left."""
        self._run(f"{sql} FOR UPDATE", parameters)

    def take(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows of a query that nobody else has locked."""
        return self.execute(f"{sql} FOR UPDATE SKIP LOCKED", parameters)

    def turn(self, name: str) -> None:
        """Wait for whoever else is at what goes by this name in this ledger."""
        key = f"{self._schema} {name}"
        self._run("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (key,))

    def tell(self, job_id: str) -> None:
        """Wake those who watch this job; the server does so when the transaction is durable."""
        self._run("SELECT pg_notify(?, ?)", (channel_of(self._schema), job_id))

"""PostgreSQL as a ledger's database."""

from __future__ import annotations

import contextlib
import logging
import time
import weakref
from collections.abc import Callable, Generator
from typing import cast

import psycopg

from ai_batch.core.database import Transaction
from ai_batch.core.errors import LedgerError, LedgerUnavailable, UsageError
from ai_batch.postgres.address import Address
from ai_batch.postgres.clock import ServerClock, steady
from ai_batch.postgres.connections import Connection, Connections
from ai_batch.postgres.dialect import begin, quoted
from ai_batch.postgres.failures import BROKEN, failure
from ai_batch.postgres.transaction import PostgresTransaction
from ai_batch.postgres.watching import Watching

__all__ = ["PostgresDatabase"]

logger = logging.getLogger("ai_batch.ledger")

LONGEST_NAME = 40
"""Bytes of a schema's name: that of its channel has to fit into 63."""

WAITS = (0.05, 0.1, 0.25, 0.5, 1.0, 1.0, 1.0)
"""Seconds between the attempts to begin a transaction; whoever asks for one waits as long."""

FRESH = 1.0
"""Seconds for which a server that was not there is not asked again: what waits for it, such as
an event loop, would wait once for every shard."""


class PostgresDatabase:
    """Transactions on a PostgreSQL server, which any number of machines may share.

    A server that is away is waited for, as long as ``WAITS`` are, before a transaction begins;
    from then on, and where one is cut in its middle, there is a ``LedgerUnavailable``.
    """

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = "ai_batch",
        max_connections: int = 8,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """``dsn`` is a URL or libpq's ``key=value``; ``clock`` stands for the server's, in tests.

        Makes the schema where there is none. Raises ``UsageError`` for values that can't be
        meant, and ``LedgerError`` for a server that can't be reached, or may lose what it has
        confirmed.
        """
        if not schema or len(schema.encode()) > LONGEST_NAME or "\0" in schema:
            raise UsageError(f"schema must be a name of up to {LONGEST_NAME} bytes, not {schema!r}")
        if max_connections < 1:
            raise UsageError(f"max_connections must be 1 or more, found {max_connections!r}")
        self.address = Address.of(dsn)
        self.schema = schema
        self._given_clock = clock
        self._clock = ServerClock()
        self._begin = begin(schema)
        self._missed: float | None = None
        self._connections = Connections(self.address, max_connections)
        self._watching = Watching(self.address, schema, self._connections.is_ours)
        # Programs need not close what they use.
        weakref.finalize(self, self._connections.close)
        self._prepare()

    def __repr__(self) -> str:
        """Without the password."""
        return f"PostgresDatabase({self.address.name!r}, schema={self.schema!r})"

    def _prepare(self) -> None:
        with self._transaction() as tx:
            shown = tx.execute(
                "SELECT current_setting('synchronous_commit'), current_setting('fsync')"
            )
            commits, syncs = shown[0]
            if commits == "off":
                raise LedgerError(
                    f"the database {self.address.name} has synchronous_commit = off: it confirms "
                    "what a crash may undo, and batches would be paid for twice. Set it to on, "
                    "such as by ALTER ROLE ... SET synchronous_commit = on"
                )
            if syncs == "off":
                logger.warning(
                    "the database %s has fsync = off: when its machine loses power, the ledger "
                    "may be lost",
                    self.address.name,
                )
            tx.turn("schema")
            if not tx.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (self.schema,)):
                tx.run(f"CREATE SCHEMA {quoted(self.schema)}".encode())

    def transaction(self) -> contextlib.AbstractContextManager[Transaction]:
        """A transaction; at the end of the block it is durable.

        Raises ``LedgerUnavailable`` where the connection is lost: if that was at the very end, it
        may have become durable all the same.
        """
        return self._transaction()

    @contextlib.contextmanager
    def _transaction(self) -> Generator[PostgresTransaction, None, None]:
        connection = self._begun()
        try:
            yield PostgresTransaction(connection, self.address, self.schema)
            self._commit(connection)
        finally:
            self._connections.give_back(connection)

    def _commit(self, connection: Connection) -> None:
        try:
            done = connection.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            raise failure(error, self.address) from None
        if done != "COMMIT":
            raise LedgerError(f"the database {self.address.name} has rolled back a transaction")

    def _begun(self) -> Connection:
        """A connection whose transaction has begun; waits for a server that is away."""
        missed = self._missed
        if missed is not None and steady() - missed < FRESH:
            raise self._away("it was away a moment ago")
        waits = WAITS if missed is None else ()
        for wait in (*waits, None):
            try:
                return self._try_to_begin()
            except LedgerUnavailable:
                if wait is None:
                    self._missed = steady()
                    raise
            time.sleep(wait)
        raise self._away("it does not answer")

    def _away(self, text: str) -> LedgerError:
        return failure(BROKEN[0](text), self.address)

    def _try_to_begin(self) -> Connection:
        try:
            connection = self._connections.take()
        except BROKEN as error:
            raise failure(error, self.address) from None
        try:
            cursor = connection.execute(self._begin)
            while cursor.nextset():
                pass
            found = cursor.fetchall()
        except BaseException as error:
            self._connections.give_back(connection)
            if isinstance(error, psycopg.Error):
                # After a restart all others are dead as well.
                self._connections.close()
                raise failure(error, self.address) from None
            raise
        self._clock.set(cast("float", found[0][0]))
        self._missed = None
        return connection

    def now(self) -> float:
        """The server's time in Unix seconds, whatever this machine's clock shows."""
        return self._clock.now() if self._given_clock is None else self._given_clock()

    def watch(
        self, job_id: str, wake: Callable[[], object]
    ) -> contextlib.AbstractContextManager[object]:
        """Within the block, ``wake`` is called from a thread when others have changed the job."""
        return self._watching.watch(job_id, wake)

    def close(self) -> None:
        """Close the connections; a transaction that comes later opens one again."""
        self._connections.close()

"""The ledger that several machines share."""

from __future__ import annotations

from collections.abc import Callable

from ai_batch.core.ledger import Ledger
from ai_batch.postgres.database import PostgresDatabase

__all__ = ["PostgresLedger"]


class PostgresLedger(Ledger):
    """A ledger in a PostgreSQL database: any number of processes and machines may work on its jobs.

    The jobs' folders stay in ``home``, a folder that all of them see.
    """

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = "ai_batch",
        max_connections: int = 8,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """``dsn`` is an address such as ``postgresql://user:password@host/database?sslmode=...``.

        Tables are in a ``schema`` of their own, which is made where there is none; two schemas are
        two ledgers. ``max_connections`` are those of this process; one more listens. All go by the
        server's clock, unless a test gives another.

        Raises ``LedgerError`` where the server can't be reached, may lose what it has confirmed
        (``synchronous_commit = off``), or has a ledger of a newer version; ``UsageError`` for an
        address that can't be read. The password is in no message.
        """
        self._database_of_ours = PostgresDatabase(
            dsn, schema=schema, max_connections=max_connections, clock=clock
        )
        super().__init__(self._database_of_ours)

    def __repr__(self) -> str:
        """Without the password."""
        found = self._database_of_ours
        return f"PostgresLedger({found.address.name!r}, schema={found.schema!r})"

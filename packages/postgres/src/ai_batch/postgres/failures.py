"""What psycopg raises, as errors of ours: what passes by itself, and what somebody must mend."""

from __future__ import annotations

import psycopg

from ai_batch.core.errors import LedgerError, LedgerUnavailable, NoRoom
from ai_batch.postgres.address import Address

__all__ = ["BROKEN", "failure"]

BROKEN = (psycopg.OperationalError, psycopg.InterfaceError)
"""Of a connection that is lost, or can't be made."""

DISK_FULL = "53100"

PASSING = (
    "08",  # connection exceptions
    "25006",  # read-only: a standby, just before or after it is promoted
    "25P03",  # idle in a transaction: this process had been stopped
    "40",  # serialization failures and deadlocks: nothing has happened
    "53",  # too many connections, no memory
    "55P03",  # a lock was waited for in vain
    "57",  # the server is shut down, has crashed, or is starting
)
"""Codes of what may be gone when it is tried again, by their beginnings
(postgresql.org/docs/current/errcodes-appendix.html)."""


def failure(error: Exception, address: Address) -> LedgerError:
    """The error for what a statement, or an attempt to connect, raised."""
    text = address.hidden(str(error)) or type(error).__name__
    code = getattr(error, "sqlstate", None)
    if code == DISK_FULL:
        return NoRoom(
            f"no room left on the disk of the ledger's database, {address.name} ({text}): make "
            "room and run the same again; nothing is lost"
        )
    if code.startswith(PASSING) if code else isinstance(error, BROKEN):
        return LedgerUnavailable(
            f"the ledger's database, {address.name}, can't be reached or has broken off: {text}; "
            "nothing is lost: run the same again when it is back"
        )
    return LedgerError(f"the ledger's database, {address.name}, failed: {text}")

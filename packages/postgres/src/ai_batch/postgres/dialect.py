"""From the ledger's SQL to PostgreSQL's."""

from __future__ import annotations

import functools
import re

__all__ = ["begin", "quoted", "translated"]

IDLE_SECONDS = 60
"""For which a transaction may do nothing: a process that is stopped in one must not keep an
account from all others."""

LOCK_SECONDS = 30
STATEMENT_SECONDS = 120

_TEXT = re.compile(r"\bTEXT\b")
_PLACE = re.compile(r"\browid\b")


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


@functools.lru_cache(maxsize=1024)
def translated(sql: str) -> bytes:
    """A statement with ``?`` for parameters, as psycopg takes it."""
    sql = sql.replace("%", "%%").replace("?", "%s")
    if sql.lstrip().startswith(("CREATE", "ALTER")):
        # Ids are to be sorted by their bytes, whatever the language of the database is.
        return _TEXT.sub('TEXT COLLATE "C"', sql).encode()
    return _PLACE.sub("ctid", sql).encode()


def begin(schema: str) -> bytes:
    """Begins a transaction and tells the time, in one round trip.

    The settings last as long as the transaction: a pooler between may give each one another
    connection.
    """
    settings = {
        "search_path": quoted(schema),
        "idle_in_transaction_session_timeout": f"'{IDLE_SECONDS}s'",
        "lock_timeout": f"'{LOCK_SECONDS}s'",
        "statement_timeout": f"'{STATEMENT_SECONDS}s'",
    }
    local = "; ".join(f"SET LOCAL {name} = {value}" for name, value in settings.items())
    isolation = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
    time = "SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8"
    return f"{isolation}; {local}; {time}".encode()

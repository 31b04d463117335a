"""The ledger's SQL statements on jobs and shards, within a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ai_batch.core.database import Transaction
from ai_batch.core.errors import LeaseLost, LedgerError
from ai_batch.core.records import JOB_COLUMNS, SHARD_COLUMNS, JobRecord, column, read_job
from ai_batch.core.state import Shard

__all__ = [
    "NEWEST",
    "SELECT_JOBS",
    "SELECT_NEWEST_TOTALS",
    "SELECT_OPEN_JOBS",
    "SELECT_SHARDS",
    "SELECT_TOTALS",
    "change_fenced",
    "find_job",
    "get_job",
    "insert",
    "lease_lost",
    "remember_rejected",
    "set_columns",
]

SELECT_JOBS = f"SELECT {', '.join(JOB_COLUMNS)} FROM job"  # noqa: S608 - our own column names
SELECT_SHARDS = f"SELECT {', '.join(SHARD_COLUMNS)} FROM shard"  # noqa: S608

_COUNTS = """COUNT(*),
    COALESCE(SUM(CASE WHEN state IN ('collected', 'failed') THEN 1 ELSE 0 END), 0),
    COALESCE(SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END), 0),
    COALESCE(SUM(1 - cleaned), 0),
    COALESCE(SUM(ok), 0), COALESCE(SUM(failed), 0),
    COALESCE(SUM(CASE WHEN state IN ('submitted', 'ended') THEN count
        WHEN state = 'planned' AND lease_until > ? THEN calls_out ELSE 0 END), 0),
    COALESCE(SUM(CASE WHEN state IN ('submitted', 'ended')
        THEN live_completed + live_failed ELSE 0 END), 0)
    FROM shard"""

NEWEST = "ORDER BY created_at DESC, id DESC LIMIT ?"

SELECT_TOTALS = f"SELECT {_COUNTS} WHERE job_id = ?"
SELECT_NEWEST_TOTALS = f"""SELECT job_id, {_COUNTS}
    WHERE job_id IN (SELECT id FROM job {NEWEST}) GROUP BY job_id"""  # noqa: S608 - our own words

SELECT_OPEN_JOBS = """SELECT job.id, COALESCE(MIN(CASE
        WHEN shard.lease_until > shard.next_at THEN shard.lease_until ELSE shard.next_at END), 0)
    FROM job LEFT JOIN shard ON shard.job_id = job.id AND shard.cleaned = 0
    WHERE job.finished_at IS NULL
    GROUP BY job.id, job.created_at ORDER BY 2, job.created_at, job.id"""


def insert(table: str, columns: Sequence[str]) -> str:
    """The statement that inserts a row of these columns."""
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608


def find_job(tx: Transaction, fingerprint: str, *, delivered: bool) -> JobRecord | None:
    """The newest job of a fingerprint whose results have not been read to their end.

    ``delivered`` allows others as well, unless they were cancelled. A job that was refused as a
    whole is never found: it has no results.
    """
    wanted = "delivered_at IS NULL"
    if delivered:
        wanted += " OR state NOT IN ('cancelling', 'cancelled')"
    rows = tx.execute(
        f"{SELECT_JOBS} WHERE fingerprint = ? AND state <> 'refused' AND ({wanted})"
        " ORDER BY created_at DESC, id DESC LIMIT 1",
        (fingerprint,),
    )
    return read_job(rows[0]) if rows else None


def get_job(tx: Transaction, job_id: str) -> JobRecord:
    """One job. Raises ``LedgerError`` when there is none of this id."""
    rows = tx.execute(f"{SELECT_JOBS} WHERE id = ?", (job_id,))
    if not rows:
        raise LedgerError(f"no job {job_id!r} in this ledger: jobs() lists those there are")
    return read_job(rows[0])


def remember_rejected(tx: Transaction, shard: Shard) -> None:
    """Remember that the shard's batch was looked at and holds none of its requests."""
    key = (shard.account, shard.remote_id, shard.job_id, shard.seq)
    tx.execute("INSERT INTO rejected VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", key)


def set_columns(tx: Transaction, shard: Shard, **changes: Any) -> None:
    """Change columns of a shard, whoever holds it."""
    sets = ", ".join(f"{name} = ?" for name in changes)
    values = [column(name, value) for name, value in changes.items()]
    sql = f"UPDATE shard SET {sets} WHERE job_id = ? AND seq = ?"  # noqa: S608
    tx.execute(sql, (*values, shard.job_id, shard.seq))


def change_fenced(tx: Transaction, shard: Shard, changes: dict[str, Any]) -> None:
    """Change columns of a shard that the caller still holds, in the state it knows.

    Raises ``LeaseLost`` when another process has taken over.
    """
    sets = ", ".join(f"{name} = ?" for name in changes)
    values = [column(name, value) for name, value in changes.items()]
    changed = tx.change(
        f"UPDATE shard SET {sets}"  # noqa: S608 - our own column names
        " WHERE job_id = ? AND seq = ? AND owner = ? AND fence = ? AND state = ?",
        (*values, shard.job_id, shard.seq, shard.owner, shard.fence, shard.state.value),
    )
    if changed != 1:
        raise lease_lost(shard)


def lease_lost(shard: Shard) -> LeaseLost:
    """The error for work that another process has taken over."""
    return LeaseLost(f"shard {shard.name} of job {shard.job_id} was taken over by another process")

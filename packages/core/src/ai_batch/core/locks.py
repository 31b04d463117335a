"""Which rows a transaction keeps from others, and in what order, so that none waits in a circle.

First a job's own row, then the rows of accounts by their names, then those of shards by job and
number. Whoever takes several takes them in this order, and before it reads what it decides by.
A database that has one transaction at a time needs none of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ai_batch.core.budget import FREES, WAITING, ensure_budget
from ai_batch.core.database import Transaction
from ai_batch.core.state import HOLDS_BUDGET, Shard, ShardState

__all__ = ["OPEN", "lock_budgets", "lock_job", "lock_job_shards", "lock_move", "lock_shards"]

OPEN = "job_id = ? AND cleaned = 0"
"""Shards of a job with which something is left to do."""


def lock_job(tx: Transaction, job_id: str) -> None:
    """Before a job changes its state, gets shards, or goes."""
    tx.lock("SELECT 1 FROM job WHERE id = ?", (job_id,))


def lock_budgets(tx: Transaction, accounts: Iterable[str]) -> None:
    """Before anything is decided by what an account holds; makes the rows where there are none.

    It also keeps apart those who look for batches of the same account.
    """
    for account in sorted(set(accounts)):
        ensure_budget(tx, account)
        tx.lock("SELECT 1 FROM budget WHERE account = ?", (account,))


def lock_shards(tx: Transaction, condition: str, parameters: tuple[object, ...]) -> None:
    """Before several shards are changed."""
    tx.lock(f"SELECT 1 FROM shard WHERE {condition} ORDER BY job_id, seq", parameters)  # noqa: S608


def lock_job_shards(tx: Transaction, job_id: str, now: float) -> None:
    """Before a job goes with all that it holds of its accounts."""
    found = tx.execute(f"SELECT DISTINCT account FROM shard WHERE {OPEN}", (job_id,))  # noqa: S608
    accounts = [row[0] for row in found]
    lock_budgets(tx, accounts)
    others = "".join(f" OR ({WAITING})" for _ in accounts)
    values = (value for account in accounts for value in (account, now))
    lock_shards(tx, f"({OPEN}){others}", (job_id, *values))


def lock_move(
    tx: Transaction, shard: Shard, to: ShardState, now: float, *, grows: bool = False
) -> None:
    """Before a shard takes another state; ``grows`` where it leaves some of it to new shards."""
    if grows:
        lock_job(tx, shard.job_id)
    if (shard.state in HOLDS_BUDGET) == (to in HOLDS_BUDGET):
        return
    lock_budgets(tx, [shard.account])
    if to in FREES:
        lock_shards(
            tx,
            f"(job_id = ? AND seq = ?) OR ({WAITING})",
            (shard.job_id, shard.seq, shard.account, now),
        )

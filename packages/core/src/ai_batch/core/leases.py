"""Who works on which shard: leases with a fence, and when a shard is due."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator, Iterable, Mapping
from typing import Any

from ai_batch.core.database import Database
from ai_batch.core.errors import LeaseLost
from ai_batch.core.locks import lock_budgets, lock_shards
from ai_batch.core.permits import Permits, take_permits
from ai_batch.core.records import read_shard
from ai_batch.core.state import Shard
from ai_batch.core.statements import (
    SELECT_OPEN_JOBS,
    SELECT_SHARDS,
    change_fenced,
    lease_lost,
)

__all__ = ["Leases"]


# Two questions, each with an index of its own, instead of one that reads every open row.
_NEXT = (
    "SELECT MIN(CASE WHEN lease_until > next_at THEN lease_until ELSE next_at END)"
    " FROM shard WHERE job_id = ? AND cleaned = 0"
)


class Leases:
    """The part of the ledger that shares shards out among engines, processes and machines."""

    def __init__(self, database: Database) -> None:
        """The tables must be there."""
        self._database = database

    def now(self) -> float:
        """The ledger's time, by which leases and waits are judged."""
        return self._database.now()

    def claim(
        self,
        job_id: str,
        owner: str,
        lease: float,
        *,
        limit: int,
        new: int,
        full: Collection[str] = (),
    ) -> list[Shard]:
        """Lease due shards for ``lease`` seconds: what is on its way before what is not.

        At most ``limit`` of the former, and ``new`` of those that have yet to be sent; of these
        none whose account is ``full``.
        """
        due = f"{SELECT_SHARDS} WHERE job_id = ? AND cleaned = 0 AND next_at <= ?"
        due += " AND lease_until <= ? AND state {} ORDER BY next_at, seq LIMIT ?"
        with self._database.transaction() as tx:
            now = self.now()
            rows = tx.take(due.format("<> 'planned'"), (job_id, now, now, limit))
            waiting = f"= 'planned' AND account NOT IN ({_marks(full)})" if full else "= 'planned'"
            rows += tx.take(due.format(waiting), (job_id, now, now, *full, new))
            claimed = [
                shard.evolve(owner=owner, lease_until=now + lease, fence=shard.fence + 1)
                for shard in map(read_shard, rows)
            ]
            if claimed:
                marks = _marks(claimed)
                tx.execute(
                    "UPDATE shard SET owner = ?, lease_until = ?, fence = fence + 1"  # noqa: S608
                    f" WHERE job_id = ? AND seq IN ({marks})",
                    (owner, now + lease, job_id, *(shard.seq for shard in claimed)),
                )
        return claimed

    def renew(self, job_id: str, owner: str, lease: float) -> None:
        """Lengthen all leases that the owner still holds, to ``lease`` seconds from now."""
        with self._database.transaction() as tx:
            now = self.now()
            held = "job_id = ? AND owner = ? AND lease_until > ?"
            lock_shards(tx, held, (job_id, owner, now))
            tx.execute(
                f"UPDATE shard SET lease_until = ? WHERE {held}",  # noqa: S608 - our own words
                (now + lease, job_id, owner, now),
            )

    def release(self, shard: Shard) -> None:
        """Give a lease back; whoever comes next may claim the shard once it is due."""
        with self._database.transaction() as tx:
            tx.execute(
                "UPDATE shard SET owner = NULL, lease_until = 0"
                " WHERE job_id = ? AND seq = ? AND owner = ? AND fence = ?",
                (shard.job_id, shard.seq, shard.owner, shard.fence),
            )

    def next_due(self, job_id: str, full: Collection[str] = ()) -> float | None:
        """When the next shard can be claimed; None when all is done, or waits for room."""
        with self._database.transaction() as tx:
            moving = tx.execute(f"{_NEXT} AND state <> 'planned'", (job_id,))
            others = f" AND account NOT IN ({_marks(full)})" if full else ""
            waiting = tx.execute(f"{_NEXT} AND state = 'planned'{others}", (job_id, *full))
        due = [float(row[0]) for row in (*moving, *waiting) if row[0] is not None]
        return min(due, default=None)

    def open_jobs(self) -> list[tuple[str, float]]:
        """The jobs that have not ended, and from when on something is to be done for each.

        That is Unix seconds, the most urgent first; 0 where nothing but the end is left.
        """
        with self._database.transaction() as tx:
            rows = tx.execute(SELECT_OPEN_JOBS)
        return [(row[0], float(row[1])) for row in rows]

    def note(self, observed: Iterable[tuple[Shard, Mapping[str, Any]]]) -> None:
        """Change fields of many leased shards, and give their leases back, at once.

        Shards that another process has taken over are left alone.
        """
        with self._database.transaction() as tx:
            for shard, changes in sorted(observed, key=lambda one: one[0].seq):
                with contextlib.suppress(LeaseLost):
                    change_fenced(tx, shard, {**changes, "owner": None, "lease_until": 0.0})

    def owners(self, job_id: str) -> set[str]:
        """Who holds shards of the job now."""
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT DISTINCT owner FROM shard WHERE job_id = ? AND cleaned = 0"
                " AND owner IS NOT NULL AND lease_until > ?",
                (job_id, self.now()),
            )
        return {row[0] for row in rows}

    def set_free(self, job_id: str, owner: str, *, but: Collection[Shard] = ()) -> None:
        """End an owner's leases, such as of one that is dead, ``but`` not these."""
        with self._database.transaction() as tx:
            held = "job_id = ? AND owner = ?"
            kept = [number for shard in but for number in (shard.seq, shard.fence)]
            if but:
                held += f" AND (seq, fence) NOT IN (VALUES {', '.join(['(?, ?)'] * len(but))})"
            lock_shards(tx, held, (job_id, owner, *kept))
            tx.execute(
                f"UPDATE shard SET owner = NULL, lease_until = 0 WHERE {held}",  # noqa: S608
                (job_id, owner, *kept),
            )

    def holds(self, shard: Shard) -> bool:
        """Whether the shard's lease is still that of the process that claimed it."""
        with self._database.transaction() as tx:
            key = (shard.job_id, shard.seq, shard.owner, shard.fence)
            sql = "SELECT 1 FROM shard WHERE job_id = ? AND seq = ? AND owner = ? AND fence = ?"
            return bool(tx.execute(sql, key))

    def confirm(self, shard: Shard) -> None:
        """Raises ``LeaseLost`` unless the shard's lease is still that of who claimed it."""
        if not self.holds(shard):
            raise lease_lost(shard)

    def permits(self, account: str, per_minute: float, most: int) -> Permits:
        """Up to ``most`` calls for which nobody else who asks for this account has leave.

        All processes of a ledger together get no more than ``per_minute`` for any sixty seconds.
        """
        with self._database.transaction() as tx:
            lock_budgets(tx, [account])
            # Only now: others may have been waited for.
            return take_permits(tx, account, self.now(), per_minute, most)

    @contextlib.contextmanager
    def holding(self, shard: Shard) -> Generator[None, None, None]:
        """Nobody can take the shard over within this block. Raises ``LeaseLost``.

        Puts files in place: a process that was paused must not replace its successor's.
        """
        with self._database.transaction() as tx:
            change_fenced(tx, shard, {"fence": shard.fence})
            yield


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))

"""The ledger: what has been done and what is meant to be done next, durable at every step.

Every change of a shard is one transaction, is written into the event log, and is refused unless
the writer still holds the lease (owner and fence): a process that was only paused can't undo
what its successor did. An account's budget moves in the same transaction as the shard.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ai_batch.core.budget import has_room, move_budget
from ai_batch.core.database import Database, Tells, Transaction
from ai_batch.core.errors import LedgerError
from ai_batch.core.leases import Leases
from ai_batch.core.locks import (
    OPEN,
    lock_budgets,
    lock_job,
    lock_job_shards,
    lock_move,
    lock_shards,
)
from ai_batch.core.migrations import migrate
from ai_batch.core.provider import Candidate
from ai_batch.core.records import (
    JOB_COLUMNS,
    NO_USAGE,
    SHARD_COLUMNS,
    JobRecord,
    Totals,
    job_row,
    read_job,
    read_shard,
    read_totals,
    shard_row,
)
from ai_batch.core.state import MOVES, TERMINAL, Shard, ShardState
from ai_batch.core.statements import (
    NEWEST,
    SELECT_JOBS,
    SELECT_NEWEST_TOTALS,
    SELECT_SHARDS,
    SELECT_TOTALS,
    change_fenced,
    find_job,
    get_job,
    insert,
    remember_rejected,
    set_columns,
)

__all__ = ["Ledger"]

_SUSPECTED = "adopted = 1 AND state IN ('submitted', 'ended')"
"""A shard whose batch is not known to be its own before the rows are here."""

_NO_BATCH: dict[str, Any] = {"remote_id": None, "adopted": False, "details": {}}


LOGGED = frozenset({"remote_id", "input_id", "token", "cut", "ok", "failed", "retried"})
"""Changes that the event log keeps beside the move itself."""

SAMPLES = 20
"""How often the event log says at most how far a shard has come between two moves."""


BELONGINGS = (("rejected", "job_id"), ("event", "job_id"), ("shard", "job_id"), ("job", "id"))
"""The rows that are a job's, by table and column; its own last."""

MOST = 1 << 31
"""More jobs than there are."""


class Ledger(Leases):
    """Named operations on jobs, shards and budgets; each is one transaction."""

    def __init__(self, database: Database) -> None:
        """Brings the tables up to date. Raises ``LedgerError`` where that can't be done."""
        super().__init__(database)
        self.store_id = migrate(database, lambda: secrets.token_hex(8))
        self.phase = int(self.store_id[:8], 16) / 2**32

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def watch(self, job_id: str, wake: Callable[[], object]) -> AbstractContextManager[object]:
        """Within the block, ``wake`` is called when somebody has ended a shard, or the job.

        From any thread, and only by a database that can tell; others have to be asked.
        """
        database = self._database
        return database.watch(job_id, wake) if isinstance(database, Tells) else nullcontext()

    # -- jobs -------------------------------------------------------------------------------

    def add_job(self, job: JobRecord, shards: Iterable[Shard]) -> JobRecord:
        """Record a planned job. Where another process was first with it, that one's is given."""
        with self._database.transaction() as tx:
            tx.turn(job.fingerprint)
            found = find_job(tx, job.fingerprint, delivered=False)
            if found is not None:
                return found
            tx.execute(insert("job", JOB_COLUMNS), job_row(job))
            tx.execute_many(insert("shard", SHARD_COLUMNS), [shard_row(shard) for shard in shards])
            self._log(tx, job.id, to="planned", detail={"total": job.total})
        return job

    def find_job(self, fingerprint: str, *, delivered: bool = False) -> JobRecord | None:
        """The newest job of this fingerprint; delivered ones only where asked for."""
        with self._database.transaction() as tx:
            return find_job(tx, fingerprint, delivered=delivered)

    def job(self, job_id: str) -> JobRecord:
        """One job. Raises ``LedgerError`` when there is none of this id."""
        with self._database.transaction() as tx:
            return get_job(tx, job_id)

    def jobs(self) -> list[JobRecord]:
        """All jobs, the newest first."""
        with self._database.transaction() as tx:
            rows = tx.execute(f"{SELECT_JOBS} ORDER BY created_at DESC, id DESC")
        return [read_job(row) for row in rows]

    def change_job(self, job_id: str, **changes: str | float | None) -> JobRecord:
        """Set columns of a job."""
        with self._database.transaction() as tx:
            sets = ", ".join(f"{name} = ?" for name in changes)
            sql = f"UPDATE job SET {sets} WHERE id = ?"  # noqa: S608 - our own column names
            tx.execute(sql, (*changes.values(), job_id))
            self._log(tx, job_id, detail=changes)
            tx.tell(job_id)
            return get_job(tx, job_id)

    def cancel_job(self, job_id: str) -> JobRecord:
        """Mark a running job as cancelling and make all of its open shards due at once."""
        with self._database.transaction() as tx:
            lock_job(tx, job_id)
            job = get_job(tx, job_id)
            if job.state == "running":
                tx.execute("UPDATE job SET state = 'cancelling' WHERE id = ?", (job_id,))
                lock_shards(tx, OPEN, (job_id,))
                tx.execute(f"UPDATE shard SET next_at = 0 WHERE {OPEN}", (job_id,))  # noqa: S608
                self._log(tx, job_id, before="running", to="cancelling")
                tx.tell(job_id)
            return get_job(tx, job_id)

    def delete_job(self, job_id: str, *, force: bool = False) -> JobRecord:
        """Forget a job and its shards, in one transaction; gives what its record was.

        Raises ``LedgerError`` while something of it is left to do, unless ``force``: whoever works
        on it finds its leases lost then, and its batches at the provider are nobody's.
        """
        with self._database.transaction() as tx:
            lock_job(tx, job_id)
            job = get_job(tx, job_id)
            now = self.now()
            lock_job_shards(tx, job_id, now)
            rows = tx.execute(f"{SELECT_SHARDS} WHERE {OPEN}", (job_id,))
            if not force and (rows or not job.finished):
                raise LedgerError(
                    f"job {job_id} is {job.state}, and not done: let it end, or cancel it, before "
                    "it is deleted"
                )
            for shard in map(read_shard, rows):
                move_budget(tx, shard, ShardState.FAILED, now)
            for table, column in BELONGINGS:
                tx.execute(f"DELETE FROM {table} WHERE {column} = ?", (job_id,))  # noqa: S608
        return job

    def overview(self, limit: int | None = None) -> list[tuple[JobRecord, Totals]]:
        """The newest jobs with their counts, without tokens.

        It takes two statements, however many jobs there are.
        """
        most = (MOST if limit is None else limit,)
        with self._database.transaction() as tx:
            jobs = tx.execute(f"{SELECT_JOBS} {NEWEST}", most)
            counts = tx.execute(SELECT_NEWEST_TOTALS, (self.now(), *most))
        totals = {row[0]: read_totals(row[1:], ()) for row in counts}
        records = map(read_job, jobs)
        return [(record, totals.get(record.id, Totals())) for record in records]

    def count_jobs(self) -> int:
        """How many jobs there are."""
        with self._database.transaction() as tx:
            return int(tx.execute("SELECT COUNT(*) FROM job")[0][0])

    def totals(self, job_id: str) -> Totals:
        """The job's counts, and its tokens by route."""
        with self._database.transaction() as tx:
            row = tx.execute(SELECT_TOTALS, (self.now(), job_id))[0]
            # Not by its answers: a shard whose answers are of no use, or only parts, was paid too.
            usages = tx.execute(
                "SELECT route, usage, count FROM shard WHERE job_id = ? AND (usage <> ? OR ok > 0)",
                (job_id, NO_USAGE),
            )
        return read_totals(row, usages)

    # -- shards -----------------------------------------------------------------------------

    def shards(self, job_id: str) -> list[Shard]:
        """All shards of a job, in the order of their numbers: children after their parents."""
        with self._database.transaction() as tx:
            rows = tx.execute(f"{SELECT_SHARDS} WHERE job_id = ? ORDER BY seq", (job_id,))
        return [read_shard(row) for row in rows]

    def update(self, shard: Shard, **changes: Any) -> Shard:
        """Change fields of a leased shard, its state apart.

        When its requests have come another twentieth further, the event log says so.
        """
        changed = shard.evolve(**changes)
        answered, failed = _answered(changed)
        further = _step(changed) > _step(shard)
        with self._database.transaction() as tx:
            change_fenced(tx, shard, changes)
            if further:
                self._log(tx, shard.job_id, shard, detail={"ok": answered, "failed": failed})
        return changed

    def recount(self, shard: Shard, *, ok: int, failed: int) -> None:
        """Set what a collected shard came to, whoever holds it: its rows have been repaired."""
        with self._database.transaction() as tx:
            set_columns(tx, shard, ok=ok, failed=failed)
            detail = {"repaired": True, "ok": ok, "failed": failed}
            self._log(tx, shard.job_id, shard, detail=detail)

    def move(
        self, shard: Shard, to: ShardState, *, children: Sequence[Shard] = (), **changes: Any
    ) -> Shard:
        """Take a leased shard to another state; its budget and its children move along.

        Raises ``LeaseLost`` when another process has taken over, and ``LedgerError`` for a move
        that is not allowed.
        """
        with self._database.transaction() as tx:
            lock_move(tx, shard, to, self.now(), grows=bool(children))
            return self._move(tx, shard, to, children, changes)

    def reserve(self, shard: Shard) -> Shard | None:
        """Take room in the account's queue for a planned shard; None when there is none now."""
        with self._database.transaction() as tx:
            lock_budgets(tx, [shard.account])
            if not has_room(tx, shard, self.now()):
                return None
            return self._move(tx, shard, ShardState.RESERVED, (), {"failures": 0})

    def adopt(self, shard: Shard, candidates: Sequence[Candidate], **changes: Any) -> Shard | None:
        """Submitted with the first of these batches that no other shard has; None without one.

        Shards that look for their batches at the same time may be shown the same ones.
        """
        with self._database.transaction() as tx:
            lock_budgets(tx, [shard.account])
            for candidate in candidates:
                key = (shard.account, candidate.remote_id)
                if tx.execute("SELECT 1 FROM shard WHERE account = ? AND remote_id = ?", key):
                    continue
                found = {"remote_id": candidate.remote_id, "adopted": not candidate.certain}
                return self._move(tx, shard, ShardState.SUBMITTED, (), {**changes, **found})
        return None

    def submit(self, shard: Shard, remote_id: str, **changes: Any) -> Shard:
        """Submitted with the batch that the provider has just made of it.

        Another shard that looked for its own batch may have adopted this one meanwhile.
        """
        adopters = f"account = ? AND remote_id = ? AND {_SUSPECTED}"
        key = (shard.account, remote_id)
        with self._database.transaction() as tx:
            lock_budgets(tx, [shard.account])
            both = f"(job_id = ? AND seq = ?) OR ({adopters})"
            lock_shards(tx, both, (shard.job_id, shard.seq, *key))
            rows = tx.execute(f"{SELECT_SHARDS} WHERE {adopters}", key)
            for adopter in map(read_shard, rows):
                self._evict(tx, adopter)
            found = {"remote_id": remote_id, "adopted": False}
            return self._move(tx, shard, ShardState.SUBMITTED, (), {**changes, **found})

    def _evict(self, tx: Transaction, shard: Shard) -> None:
        """Have a shard look on for its batch; whoever works on it finds the lease lost."""
        remember_rejected(tx, shard)
        fenced = shard.evolve(owner="", fence=shard.fence + 1)
        set_columns(tx, fenced, owner=fenced.owner, fence=fenced.fence)
        freed = {"next_at": self.now(), "owner": None, "lease_until": 0.0}
        self._move(tx, fenced, ShardState.INTENT, (), {**_NO_BATCH, **freed})

    def _move(
        self,
        tx: Transaction,
        shard: Shard,
        to: ShardState,
        children: Sequence[Shard],
        changes: dict[str, Any],
    ) -> Shard:
        if to not in MOVES[shard.state]:
            raise LedgerError(f"shard {shard.name}: {shard.state} -> {to} is not allowed")
        change_fenced(tx, shard, {"state": to, **changes})
        move_budget(tx, shard, to, self.now())
        moved = shard.evolve(state=to, **changes)
        for child in children:
            seq = tx.execute("SELECT MAX(seq) + 1 FROM shard WHERE job_id = ?", (shard.job_id,))
            tx.execute(insert("shard", SHARD_COLUMNS), shard_row(child.evolve(seq=seq[0][0])))
        detail = {key: value for key, value in changes.items() if key in LOGGED}
        self._log(tx, shard.job_id, shard, before=shard.state, to=to, detail=detail)
        if to in TERMINAL:
            tx.tell(shard.job_id)
        return moved

    # -- budgets ----------------------------------------------------------------------------

    def refuse(self, shard: Shard, wait: float, **changes: Any) -> tuple[Shard, bool]:
        """Put a shard back that the vendor's queue had no room for, and learn from it.

        Whatever else of the account is in the queue is taken for all that fits, until some of
        it ends. The second value tells whether nothing else of ours is in the queue.
        """
        with self._database.transaction() as tx:
            lock_budgets(tx, [shard.account])
            until = self.now() + wait
            changes = {"next_at": until, "refusals": shard.refusals + 1, **changes}
            moved = self._move(tx, shard, ShardState.PLANNED, (), changes)
            batches, tokens = tx.execute(
                "SELECT used_batches, used_tokens FROM budget WHERE account = ?", (shard.account,)
            )[0]
            tx.execute(
                "UPDATE budget SET blocked_until = ?, learned_tokens = ? WHERE account = ?",
                (until, tokens if batches else None, shard.account),
            )
        return moved, batches == 0

    # -- batches that are not ours ----------------------------------------------------------

    def reject(self, shard: Shard) -> Shard:
        """Back to looking for its batch: the one that it adopted holds none of its requests."""
        with self._database.transaction() as tx:
            lock_budgets(tx, [shard.account])
            remember_rejected(tx, shard)
            changes = {**_NO_BATCH, "next_at": self.now()}
            return self._move(tx, shard, ShardState.INTENT, (), changes)

    def rejected(self, shard: Shard) -> frozenset[str]:
        """Batches of the account that can't be this shard's: rejected, or another shard's.

        A batch that another shard has only adopted on suspicion may be this one's all the same.
        """
        with self._database.transaction() as tx:
            rows = tx.execute(
                "SELECT remote_id FROM rejected WHERE account = ? AND job_id = ? AND seq = ?"  # noqa: S608
                " UNION SELECT remote_id FROM shard WHERE account = ?"
                f" AND remote_id IS NOT NULL AND NOT ({_SUSPECTED})",
                (shard.account, shard.job_id, shard.seq, shard.account),
            )
        return frozenset(row[0] for row in rows)

    # -- the event log ----------------------------------------------------------------------

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """What happened to a job and its shards, in order."""
        names = ("at", "seq", "fence", "from_state", "to_state", "detail")
        with self._database.transaction() as tx:
            rows = tx.execute(
                f"SELECT {', '.join(names)} FROM event WHERE job_id = ? ORDER BY at, rowid",  # noqa: S608
                (job_id,),
            )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _log(
        self,
        tx: Transaction,
        job_id: str,
        shard: Shard | None = None,
        *,
        before: str | None = None,
        to: str | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        place = (None, None) if shard is None else (shard.seq, shard.fence)
        tx.execute(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self.now(), job_id, *place, before, to, json.dumps(detail or {})),
        )


def _answered(shard: Shard) -> tuple[int, int]:
    """Requests of an open shard that have an answer and an error, whoever counts them."""
    return max(shard.ok, shard.live_completed), max(shard.failed, shard.live_failed)


def _step(shard: Shard) -> int:
    return sum(_answered(shard)) * SAMPLES // max(shard.count, 1)

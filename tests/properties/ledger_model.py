"""The ledger as anybody can check it: plain values, and every rule written down once more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ai_batch.core.state import Shard, ShardState

__all__ = ["Account", "LedgerModel", "Row"]

PLANNED, RESERVED, UPLOADED, INTENT, SUBMITTED, ENDED, COLLECTED, FAILED = ShardState
QUEUED = frozenset({RESERVED, UPLOADED, INTENT, SUBMITTED})

ALLOWED = frozenset(
    {
        *((PLANNED, RESERVED), (PLANNED, COLLECTED), (PLANNED, FAILED)),
        *((RESERVED, UPLOADED), (RESERVED, PLANNED), (RESERVED, FAILED)),
        *((UPLOADED, INTENT), (UPLOADED, PLANNED), (UPLOADED, FAILED)),
        *((INTENT, SUBMITTED), (INTENT, UPLOADED), (INTENT, PLANNED), (INTENT, FAILED)),
        *((SUBMITTED, ENDED), (SUBMITTED, PLANNED), (SUBMITTED, INTENT), (SUBMITTED, FAILED)),
        *((ENDED, COLLECTED), (ENDED, INTENT)),
    }
)


@dataclass(slots=True)
class Row:
    """What the ledger knows of one shard, as far as it decides about it."""

    job: str
    seq: int
    account: str
    tokens: int
    state: ShardState = PLANNED
    owner: str | None = None
    fence: int = 0
    lease_until: float = 0.0
    next_at: float = 0.0
    remote_id: str | None = None
    adopted: bool = False
    cleaned: bool = False

    @classmethod
    def of(cls, shard: Shard) -> Row:
        """The same of a shard of the ledger's."""
        return cls(
            shard.job_id,
            shard.seq,
            shard.account,
            shard.tokens,
            shard.state,
            shard.owner,
            shard.fence,
            shard.lease_until,
            shard.next_at,
            shard.remote_id,
            shard.adopted,
            shard.cleaned,
        )

    def held_by(self, shard: Shard) -> bool:
        """Whether what a process remembers of it still holds."""
        return (self.owner, self.fence, self.state) == (shard.owner, shard.fence, shard.state)

    @property
    def suspected(self) -> bool:
        """Whether its batch may turn out to be another one's."""
        return self.adopted and self.state in (SUBMITTED, ENDED)


@dataclass(slots=True)
class Account:
    """What was learned from refusals."""

    blocked_until: float = 0.0
    learned: int | None = None


@dataclass(slots=True)
class LedgerModel:
    """Rows by job and number, accounts by name, jobs' limits (batches, tokens) by id."""

    limits: dict[str, tuple[int | None, int | None]]
    rows: dict[tuple[str, int], Row] = field(default_factory=dict[tuple[str, int], Row])
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    rejected: set[tuple[str, str, str, int]] = field(default_factory=set[tuple[str, str, str, int]])

    def row(self, shard: Shard) -> Row:
        """The row of a shard."""
        return self.rows[shard.job_id, shard.seq]

    def job(self, job: str) -> list[Row]:
        """The rows of a job, by number."""
        return [row for (name, _), row in sorted(self.rows.items()) if name == job]

    def used(self, account: str) -> tuple[int, int]:
        """The batches and tokens of an account that are in the vendor's queue."""
        queued = [
            row for row in self.rows.values() if row.account == account and row.state in QUEUED
        ]
        return len(queued), sum(row.tokens for row in queued)

    def has_room(self, row: Row, now: float) -> bool:
        """Whether one more batch of this size may go to the vendor."""
        account = self.accounts.setdefault(row.account, Account())
        batches, tokens = self.used(row.account)
        most_batches, most_tokens = self.limits[row.job]
        if now < account.blocked_until:
            return False
        if batches == 0:
            return True
        if most_batches is not None and batches >= most_batches:
            return False
        learned = account.learned if now < account.blocked_until + 3600 else None
        limits = [limit for limit in (most_tokens, learned) if limit is not None]
        return all(tokens + row.tokens <= limit for limit in limits)

    def due(self, job: str, now: float) -> list[Row]:
        """What may be claimed, the longest due first."""
        rows = [
            row
            for row in self.job(job)
            if not row.cleaned and row.next_at <= now and row.lease_until <= now
        ]
        return sorted(rows, key=lambda row: (row.next_at, row.seq))

    def claimable(
        self, job: str, now: float, limit: int, new: int, full: Iterable[str]
    ) -> Iterable[Row]:
        """What a claim gives, in order."""
        due = self.due(job, now)
        on_the_way = [row for row in due if row.state is not PLANNED]
        waiting = [row for row in due if row.state is PLANNED and row.account not in set(full)]
        return [*on_the_way[:limit], *waiting[:new]]

    def next_due(self, job: str, full: Iterable[str]) -> float | None:
        """When there is something to claim again."""
        times = [
            max(row.next_at, row.lease_until)
            for row in self.job(job)
            if not row.cleaned and not (row.state is PLANNED and row.account in set(full))
        ]
        return min(times, default=None)

    def move(self, row: Row, to: ShardState, now: float) -> None:
        """Another state, and what it frees."""
        frees = row.state in QUEUED and to not in QUEUED
        row.state = to
        if frees and to in (ENDED, FAILED):
            self.accounts[row.account] = Account()
            for other in self.rows.values():
                if (other.account, other.state, other.cleaned) == (row.account, PLANNED, False):
                    other.next_at = min(other.next_at, now)

    def holder_of(self, account: str, remote_id: str) -> Row | None:
        """The row that has this batch."""
        rows = (row for row in self.rows.values() if row.account == account)
        return next((row for row in rows if row.remote_id == remote_id), None)

    def free_batch(self, row: Row, candidates: Sequence[str]) -> str | None:
        """The first of these batches that nobody has."""
        free = (one for one in candidates if self.holder_of(row.account, one) is None)
        return next(free, None)

    def lose_batch(self, row: Row, now: float) -> None:
        """Look on for its batch: this one is not it."""
        self.rejected.add((row.account, row.remote_id or "", row.job, row.seq))
        row.remote_id, row.adopted, row.next_at = None, False, now
        self.move(row, INTENT, now)

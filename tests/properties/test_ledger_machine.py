"""The ledger under any order of calls from several processes, against a plain model of it."""

from __future__ import annotations

import shutil
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from ai_batch.core import JobRecord, LeaseLost, Ledger, LedgerError
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.provider import Candidate, Route
from ai_batch.core.state import Shard, ShardState
from tests.properties.in_memory import new_folder
from tests.properties.ledger_model import (
    ALLOWED,
    COLLECTED,
    FAILED,
    INTENT,
    PLANNED,
    QUEUED,
    RESERVED,
    SUBMITTED,
    Account,
    LedgerModel,
    Row,
)

OWNERS = ("a", "b", "c")
JOBS = ("job_1", "job_2")
ACCOUNTS = ("one", "two")
REMOTE = ("batch-1", "batch-2", "batch-3")

owners = st.sampled_from(OWNERS)
jobs = st.sampled_from(JOBS)
remote_ids = st.sampled_from(REMOTE)
seconds = st.sampled_from((0.0, 1.0, 30.0, 100.0, 5000.0))
limits = st.tuples(st.none() | st.integers(1, 3), st.none() | st.integers(50, 300))


def _shard(job: str, seq: int, account: str, tokens: int, **fields: Any) -> Shard:
    return Shard(
        job_id=job,
        seq=seq,
        name=f"{seq:04d}",
        state=PLANNED,
        route=Route("chat", "/chat", "m"),
        account=account,
        token=f"{job}-{seq}",
        count=2,
        bytes=10,
        tokens=tokens,
        first_index=2 * seq - 2,
        last_index=2 * seq - 1,
        **fields,
    )


NOTHING = cast("Any", multiple())
"""A call that gives no shard."""


class LedgerMachine(RuleBasedStateMachine):
    """Three processes on one file. What each of them remembers of a shard may be long outdated."""

    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self.folder = new_folder()
        self.now = 1000.0
        self.ledgers = {owner: self._open() for owner in OWNERS}
        self.model = LedgerModel({})
        self.fences: dict[tuple[str, int], int] = {}

    def _open(self) -> Ledger:
        return Ledger(SQLiteDatabase(self.folder / "ledger.db", clock=lambda: self.now))

    def teardown(self) -> None:
        """Close all, and delete the file."""
        for ledger in self.ledgers.values():
            ledger.close()
        shutil.rmtree(self.folder)

    @initialize(limits=st.tuples(limits, limits), sizes=st.lists(st.integers(1, 200), min_size=5))
    def plan(self, limits: Any, sizes: list[int]) -> None:
        """Two jobs whose shards stand in the queues of two accounts."""
        self.model.limits = dict(zip(JOBS, limits, strict=True))
        for place, job in enumerate(JOBS):
            batches, tokens = self.model.limits[job]
            shards = [
                _shard(job, seq, ACCOUNTS[(seq + place) % 2], sizes[seq]) for seq in range(1, 4)
            ]
            record = JobRecord(
                id=job,
                fingerprint=job,
                provider="fake",
                folder=job,
                total=6,
                max_batches=batches,
                max_tokens=tokens,
            )
            self.ledgers["a"].add_job(record, shards)
            self.model.rows |= {(job, shard.seq): Row.of(shard) for shard in shards}

    def _ledger(self, shard: Shard) -> Ledger:
        return self.ledgers[shard.owner or "a"]

    # -- leases -----------------------------------------------------------------------------

    @rule(passed=seconds)
    def wait(self, passed: float) -> None:
        """Time passes; leases run out."""
        self.now += passed

    @rule(owner=owners)
    def die(self, owner: str) -> None:
        """A process ends without a word, and another one begins under its name."""
        self.ledgers[owner].close()
        self.ledgers[owner] = self._open()

    @rule(
        target=known,
        owner=owners,
        job=jobs,
        lease=seconds,
        limit=st.integers(0, 4),
        new=st.integers(0, 4),
        full=st.sets(st.sampled_from(ACCOUNTS)),
    )
    def claim(
        self, *, owner: str, job: str, lease: float, limit: int, new: int, full: set[str]
    ) -> Any:
        """Whatever is due and held by nobody, in the order in which it became due."""
        expected = list(self.model.claimable(job, self.now, limit, new, full))
        found = self.ledgers[owner].claim(job, owner, lease, limit=limit, new=new, full=full)
        for row in expected:
            row.owner, row.fence, row.lease_until = owner, row.fence + 1, self.now + lease
        assert [Row.of(shard) for shard in found] == expected
        given: Any = multiple(*found)
        return given

    @rule(owner=owners, job=jobs, lease=seconds)
    def renew(self, owner: str, job: str, lease: float) -> None:
        """Only leases that have not run out become longer."""
        self.ledgers[owner].renew(job, owner, lease)
        for row in self.model.job(job):
            if row.owner == owner and row.lease_until > self.now:
                row.lease_until = self.now + lease

    @rule(shard=known)
    def release(self, shard: Shard) -> None:
        """A lease is given back by whoever has it, and by nobody else."""
        self._ledger(shard).release(shard)
        row = self.model.row(shard)
        if (row.owner, row.fence) == (shard.owner, shard.fence):
            row.owner, row.lease_until = None, 0.0

    @rule(owner=owners, job=jobs)
    def set_free(self, owner: str, job: str) -> None:
        """A dead process's leases end at once."""
        self.ledgers["a"].set_free(job, owner)
        for row in self.model.job(job):
            if row.owner == owner:
                row.owner, row.lease_until = None, 0.0

    # -- what is done under a lease -----------------------------------------------------------

    @rule(target=known, shard=known)
    def reserve(self, shard: Shard) -> Any:
        """Room is taken where there is some, and not twice."""
        row = self.model.row(shard)
        room = self.model.has_room(row, self.now)
        if room and not self._may(shard, RESERVED):
            with pytest.raises(LedgerError):
                self._ledger(shard).reserve(shard)
            return NOTHING
        found = self._ledger(shard).reserve(shard)
        assert (found is not None) == room
        if found is None:
            return NOTHING
        self.model.move(row, RESERVED, self.now)
        return found

    def _may(self, shard: Shard, to: ShardState) -> bool:
        return (shard.state, to) in ALLOWED and self.model.row(shard).held_by(shard)

    @rule(
        target=known,
        shard=known,
        to=st.sampled_from(ShardState),
        wait=seconds,
        halves=st.booleans(),
    )
    def move(self, shard: Shard, to: ShardState, wait: float, halves: bool) -> Any:
        """A move that is allowed, by whoever holds the shard; all others change nothing."""
        children = [_shard(shard.job_id, 0, shard.account, 5)] if halves else []
        children = [
            child.evolve(name=f"{shard.seq}-{place}-{len(self.model.rows)}")
            for place, child in enumerate(children)
        ]
        changes: dict[str, Any] = {"next_at": self.now + wait}
        if not self._may(shard, to):
            lost = (shard.state, to) in ALLOWED
            with pytest.raises(LeaseLost if lost else LedgerError):
                self._ledger(shard).move(shard, to, children=children, **changes)
            return NOTHING
        moved = self._ledger(shard).move(shard, to, children=children, **changes)
        row = self.model.row(shard)
        row.next_at = self.now + wait
        self.model.move(row, to, self.now)
        for child in children:
            seq = max(seq for job, seq in self.model.rows if job == shard.job_id) + 1
            self.model.rows[shard.job_id, seq] = Row.of(child.evolve(seq=seq))
        assert Row.of(moved).state == row.state
        return moved.evolve(next_at=row.next_at)

    @rule(target=known, shard=known, remote_id=remote_ids)
    def submit(self, shard: Shard, remote_id: str) -> Any:
        """The batch is the shard's that made it; one that only supposed so looks on."""
        row = self.model.row(shard)
        holder = self.model.holder_of(row.account, remote_id)
        taken = holder is not None and not holder.suspected
        if not self._may(shard, SUBMITTED) or taken:
            with pytest.raises(LedgerError):
                self._ledger(shard).submit(shard, remote_id)
            return NOTHING
        moved = self._ledger(shard).submit(shard, remote_id)
        if holder is not None:
            holder.owner, holder.fence, holder.lease_until = None, holder.fence + 1, 0.0
            self.model.lose_batch(holder, self.now)
        row.remote_id, row.adopted = remote_id, False
        self.model.move(row, SUBMITTED, self.now)
        return moved

    @rule(
        target=known,
        shard=known,
        candidates=st.lists(remote_ids, max_size=3, unique=True),
        certain=st.booleans(),
    )
    def adopt(self, shard: Shard, candidates: list[str], certain: bool) -> Any:
        """The first batch that no other shard has, if any."""
        row = self.model.row(shard)
        offered = [Candidate(one, certain) for one in candidates]
        free = self.model.free_batch(row, candidates)
        if free is not None and not self._may(shard, SUBMITTED):
            with pytest.raises(LedgerError):
                self._ledger(shard).adopt(shard, offered)
            return NOTHING
        moved = self._ledger(shard).adopt(shard, offered)
        assert (moved and moved.remote_id) == free
        if moved is None:
            return NOTHING
        row.remote_id, row.adopted = free, not certain
        self.model.move(row, SUBMITTED, self.now)
        return moved

    @rule(target=known, shard=known)
    def reject(self, shard: Shard) -> Any:
        """An adopted batch that holds none of the shard's requests is looked at no more."""
        row = self.model.row(shard)
        if shard.remote_id is None:
            return NOTHING
        if not self._may(shard, INTENT):
            with pytest.raises(LedgerError):
                self._ledger(shard).reject(shard)
            return NOTHING
        moved = self._ledger(shard).reject(shard)
        row.remote_id = shard.remote_id
        self.model.lose_batch(row, self.now)
        assert (row.account, shard.remote_id, row.job, row.seq) in self.model.rejected
        return moved

    @rule(target=known, shard=known, wait=seconds)
    def refuse(self, shard: Shard, wait: float) -> Any:
        """The vendor has no room: what else is there is all that fits, until some of it ends."""
        if not self._may(shard, PLANNED):
            with pytest.raises(LedgerError):
                self._ledger(shard).refuse(shard, wait)
            return NOTHING
        moved, alone = self._ledger(shard).refuse(shard, wait)
        row = self.model.row(shard)
        row.next_at = self.now + wait
        self.model.move(row, PLANNED, self.now)
        batches, tokens = self.model.used(row.account)
        assert alone == (batches == 0)
        self.model.accounts[row.account] = Account(self.now + wait, tokens if batches else None)
        return moved

    @rule(target=known, shard=known, wait=seconds, cleaned=st.booleans())
    def update(self, shard: Shard, wait: float, cleaned: bool) -> Any:
        """When it is to be looked at again, and whether nothing is left to do."""
        done = cleaned and shard.state in (COLLECTED, FAILED)
        changes: dict[str, Any] = {"next_at": self.now + wait, "cleaned": done}
        row = self.model.row(shard)
        if not row.held_by(shard):
            with pytest.raises(LeaseLost):
                self._ledger(shard).update(shard, **changes)
            return NOTHING
        found = self._ledger(shard).update(shard, **changes)
        row.next_at, row.cleaned = self.now + wait, done
        return found

    @rule(shards=st.lists(known, max_size=4), wait=seconds)
    def note(self, shards: list[Shard], wait: float) -> None:
        """What was seen of many shards is kept of those that are still ours."""
        changes = {"next_at": self.now + wait}
        self.ledgers["a"].note([(shard, changes) for shard in shards])
        for shard in shards:
            row = self.model.row(shard)
            if row.held_by(shard):
                row.owner, row.lease_until, row.next_at = None, 0.0, self.now + wait

    @rule(shard=known)
    def hold(self, shard: Shard) -> None:
        """Files are only put in place by whoever holds the shard."""
        row, ledger = self.model.row(shard), self._ledger(shard)
        assert ledger.holds(shard) == ((row.owner, row.fence) == (shard.owner, shard.fence))
        if row.held_by(shard):
            with ledger.holding(shard):
                pass
        else:
            with pytest.raises(LeaseLost), ledger.holding(shard):
                pytest.fail("somebody else holds it")

    # -- what holds after each of them --------------------------------------------------------

    @invariant()
    def rows_are_as_they_should(self) -> None:
        """Any process reads the same, and what the model says."""
        for owner, job in zip(OWNERS, (*JOBS, JOBS[0]), strict=True):
            if job in self.model.limits:
                found = [Row.of(shard) for shard in self.ledgers[owner].shards(job)]
                assert found == self.model.job(job)

    @invariant()
    def budgets_add_up(self) -> None:
        """What stands in a queue is what its shards' states say, never less than nothing."""
        with self.ledgers["b"]._database.transaction() as tx:
            rows = tx.execute(
                "SELECT account, used_batches, used_tokens, blocked_until, learned_tokens"
                " FROM budget"
            )
        known = {name for name, *_ in rows}
        assert all(row.account in known for row in self.model.rows.values() if row.state in QUEUED)
        for account, batches, tokens, blocked_until, learned in rows:
            assert (batches, tokens) == self.model.used(account)
            expected = self.model.accounts.get(account, Account())
            assert Account(blocked_until, learned) == expected

    @invariant()
    def what_is_due_is_told(self) -> None:
        """When to look again, and who works; fences only grow; a batch is one shard's."""
        ledger = self.ledgers["c"]
        for job in self.model.limits:
            assert ledger.next_due(job, ACCOUNTS[:1]) == self.model.next_due(job, ACCOUNTS[:1])
            assert ledger.owners(job) == {
                row.owner
                for row in self.model.job(job)
                if row.owner is not None and not row.cleaned and row.lease_until > self.now
            }
        for key, row in self.model.rows.items():
            assert row.fence >= self.fences.get(key, 0)
            self.fences[key] = row.fence
        held = [(row.account, row.remote_id) for row in self.model.rows.values() if row.remote_id]
        assert len(held) == len(set(held))


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=settings().max_examples // 4)

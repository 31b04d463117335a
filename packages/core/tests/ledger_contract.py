"""What every ledger has to do, whatever its database: jobs, leases, fences and budgets.

A test module inherits ``LedgerContract`` and has a fixture ``world``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ai_batch.core import JobRecord, LeaseLost, Ledger, LedgerError, VendorFault
from ai_batch.core.provider import Candidate, Route
from ai_batch.core.state import Shard, ShardState

PLANNED, RESERVED, UPLOADED, INTENT, SUBMITTED, ENDED, COLLECTED, FAILED = ShardState


class Clock:
    """The ledger's time, as the test wants it."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class World:
    """A ledger, opened once per process, and its clock."""

    def __init__(self, connect: Callable[[Callable[[], float]], Ledger]) -> None:
        """``connect`` opens the ledger once more, with this clock."""
        self.clock = Clock()
        self.opened: list[Ledger] = []
        self._connect = connect

    def open(self) -> Ledger:
        """The ledger as one more process sees it."""
        self.opened.append(self._connect(self.clock))
        return self.opened[-1]

    def close(self) -> None:
        """Close all that were opened."""
        for ledger in self.opened:
            ledger.close()


def job(id: str = "job_1", **fields: Any) -> JobRecord:
    """A job of one fingerprint."""
    given: dict[str, Any] = {
        "fingerprint": "f",
        "provider": "fake",
        "folder": f"jobs/{id}",
        "total": 4,
        **fields,
    }
    return JobRecord(id=id, **given)


def shard(seq: int = 1, job_id: str = "job_1", **fields: Any) -> Shard:
    """A planned shard of two requests and 100 tokens."""
    given: dict[str, Any] = {
        "name": f"{seq:04d}",
        "state": PLANNED,
        "route": Route("chat", "/chat", "m"),
        "account": "account",
        "token": f"token{seq}",
        "count": 2,
        "bytes": 10,
        "tokens": 100,
        "first_index": 2 * seq - 2,
        "last_index": 2 * seq - 1,
        **fields,
    }
    return Shard(job_id=job_id, seq=seq, **given)


def claim(ledger: Ledger, owner: str = "a", job_id: str = "job_1") -> list[Shard]:
    """Everything that is due, leased for 100 seconds."""
    return ledger.claim(job_id, owner, 100.0, limit=10, new=10)


def sent(ledger: Ledger, shard: Shard, **found: Any) -> Shard:
    """A claimed shard, taken as far as its batch."""
    reserved = ledger.reserve(shard)
    assert reserved is not None
    intended = ledger.move(ledger.move(reserved, UPLOADED), INTENT, intent_at=1000.0)
    return ledger.submit(intended, found.get("remote_id", f"batch-{shard.seq}"))


def budget(ledger: Ledger) -> tuple[int, int]:
    """How many batches and tokens stand in the queue."""
    with ledger._database.transaction() as tx:
        batches, tokens = tx.execute("SELECT used_batches, used_tokens FROM budget")[0]
    return batches, tokens


def put_files(ledger: Ledger, one: Shard) -> None:
    """Change files while the lease is held."""
    with ledger.holding(one):
        pytest.fail("the lease is lost")


WRITES: dict[str, Callable[[Ledger, Shard], object]] = {
    "update": lambda ledger, one: ledger.update(one, failures=9),
    "move": lambda ledger, one: ledger.move(one, FAILED),
    "reserve": lambda ledger, one: ledger.reserve(one),
    "files": put_files,
}


def looking(ledger: Ledger, count: int = 2) -> list[Shard]:
    """Shards that look for their batches."""
    ledger.add_job(job(), [shard(seq + 1) for seq in range(count)])
    return [
        ledger.move(ledger.move(ledger.reserve(one) or one, UPLOADED), INTENT, intent_at=1.0)
        for one in claim(ledger)
    ]


class LedgerContract:
    """Jobs, shards, leases and budgets, as the engine relies on them."""

    def test_a_job_is_deleted_with_all_that_is_its_own(self, world: World) -> None:
        """Nothing of it stays; other jobs, and what they hold of the queue, are left alone."""
        ledger = world.open()
        for name in ("job_1", "job_2"):
            ledger.add_job(job(name, fingerprint=name), [shard(job_id=name)])
        held = sent(ledger, *claim(ledger))
        done = ledger.move(ledger.move(held, ENDED), COLLECTED)
        ledger.update(done, cleaned=True)
        ledger.change_job("job_1", state="completed", finished_at=1000.0)
        sent(ledger, *claim(ledger, job_id="job_2"), remote_id="batch-2")

        deleted = ledger.delete_job("job_1")

        assert deleted.id == "job_1"
        assert [job.id for job in ledger.jobs()] == ["job_2"]
        assert (ledger.shards("job_1"), ledger.events("job_1")) == ([], [])
        assert [shard.state for shard in ledger.shards("job_2")] == [SUBMITTED]
        assert budget(ledger) == (1, 100)
        with pytest.raises(LedgerError, match="no job 'job_1'"):
            ledger.delete_job("job_1")

    def test_a_job_with_something_left_to_do_is_not_deleted(self, world: World) -> None:
        """Neither one that runs nor one whose files are still at the provider, unless forced."""
        ledger = world.open()
        ledger.add_job(job(), [shard()])
        held = sent(ledger, *claim(ledger))

        with pytest.raises(LedgerError, match="job job_1 is running, and not done"):
            ledger.delete_job("job_1")
        held = ledger.move(ledger.move(held, ENDED), COLLECTED)
        ledger.change_job("job_1", state="completed", finished_at=1000.0)
        with pytest.raises(LedgerError, match="not done: let it end"):
            ledger.delete_job("job_1")

        ledger.update(held, cleaned=True)
        assert ledger.delete_job("job_1").state == "completed"

    def test_a_job_that_is_deleted_by_force_gives_back_its_room(self, world: World) -> None:
        """Whoever works on it finds the lease lost, and the queue counts it no more."""
        ledger = world.open()
        ledger.add_job(job(), [shard()])
        held = sent(ledger, *claim(ledger))

        ledger.delete_job("job_1", force=True)

        assert budget(ledger) == (0, 0)
        assert ledger.jobs() == []
        with pytest.raises(LeaseLost):
            ledger.move(held, ENDED)

    # -- jobs --------------------------------------------------------------------------------------

    def test_a_job_and_its_shards_are_read_back_as_they_were_written(self, world: World) -> None:
        """Every field, through another process."""
        record = job(spec={"model": "m", "n": [1]}, created_at=5.0, deadline_at=7.0)
        full = shard(
            route=Route("embedding", "/e", "m", "beta"),
            details={"output": "file-1", "errors": None},
            faults=(VendorFault("bad", code="c", line=3, id="q", index=1),),
            strays=("t1", "t2"),
            usage=(1, 2, 3, 4, 5),
            adopted=True,
            high_water="h",
            cut="expired",
        )
        world.open().add_job(record, [full, shard(2)])

        again = world.open()

        assert again.job("job_1") == record
        assert again.shards("job_1") == [full, shard(2)]

    def test_of_two_plannings_of_the_same_job_the_first_one_counts(self, world: World) -> None:
        """The second process gets the first one's job, and none of its own shards is added."""
        ledger = world.open()
        ledger.add_job(job("job_1"), [shard()])

        assert world.open().add_job(job("job_2"), [shard(job_id="job_2")]).id == "job_1"
        assert [record.id for record in ledger.jobs()] == ["job_1"]
        assert ledger.shards("job_2") == []

    def test_a_delivered_job_is_found_only_where_asked_for(self, world: World) -> None:
        """The same requests start anew once their results were read."""
        ledger = world.open()
        ledger.add_job(job(), [])
        assert ledger.find_job("f") == job()

        ledger.change_job("job_1", delivered_at=9.0)

        assert ledger.find_job("f") is None
        found = ledger.find_job("f", delivered=True)
        assert found is not None
        assert found.id == "job_1"

    def test_a_cancelled_job_is_found_until_it_has_been_read(self, world: World) -> None:
        """What it finished is paid for: who asks again gets that first, and new answers then."""
        ledger = world.open()
        ledger.add_job(job(), [shard(next_at=5000.0)])

        assert ledger.cancel_job("job_1").state == "cancelling"
        assert ledger.shards("job_1")[0].next_at == 0
        found = ledger.find_job("f")
        assert found is not None
        assert found.state == "cancelling"

        ledger.change_job("job_1", delivered_at=9.0)

        assert ledger.find_job("f") is None
        assert ledger.find_job("f", delivered=True) is None

    def test_a_finished_job_stays_finished_when_it_is_cancelled(self, world: World) -> None:
        """There is nothing left to cancel."""
        ledger = world.open()
        ledger.add_job(job(), [])
        ledger.change_job("job_1", state="completed", finished_at=9.0)

        assert ledger.cancel_job("job_1").state == "completed"

    def test_an_unknown_job_is_told_of(self, world: World) -> None:
        """The message says where to look."""
        with pytest.raises(LedgerError, match=r"no job 'job_9' in this ledger: jobs\(\) lists"):
            world.open().job("job_9")

    def test_jobs_come_with_the_newest_first(self, world: World) -> None:
        """As one looks for them."""
        ledger = world.open()
        for number, created in enumerate([5.0, 9.0, 7.0]):
            ledger.add_job(job(f"job_{number}", fingerprint=f"f{number}", created_at=created), [])

        assert [record.id for record in ledger.jobs()] == ["job_1", "job_2", "job_0"]

    def test_totals_sum_the_shards(self, world: World) -> None:
        """Counts and tokens, by route."""
        ledger = world.open()
        ledger.add_job(job(), [shard(1), shard(2), shard(3)])
        first, second, third = (sent(ledger, one) for one in claim(ledger))
        ended = ledger.move(first, ENDED)
        usage = (5, 6, 0, 0, 0)
        ledger.move(ended, COLLECTED, ok=1, failed=1, usage=usage, cleaned=True)
        ledger.move(second, FAILED, failed=2)
        ledger.update(third, live_completed=1)

        totals = ledger.totals("job_1")

        assert (totals.batches, totals.batches_done, totals.batches_refused) == (3, 2, 1)
        assert (totals.completed, totals.failed, totals.open) == (1, 3, 2)
        assert (totals.in_flight, totals.done_remotely) == (2, 1)
        assert totals.all_usage.input_tokens == 5
        assert list(totals.usage) == [first.route]

    # -- leases ------------------------------------------------------------------------------------

    def test_a_leased_shard_is_nobody_elses(self, world: World) -> None:
        """Until the lease has run out."""
        ledger, other = world.open(), world.open()
        ledger.add_job(job(), [shard(1), shard(2)])

        assert [one.seq for one in claim(ledger, "a")] == [1, 2]
        assert claim(other, "b") == []
        assert other.next_due("job_1") == 1100.0
        world.clock.time = 1100.0
        assert [(one.seq, one.fence) for one in claim(other, "b")] == [(1, 2), (2, 2)]

    def test_a_lease_that_is_renewed_lasts(self, world: World) -> None:
        """A long upload is not taken away; a lease that has run out is not revived."""
        ledger, other = world.open(), world.open()
        ledger.add_job(job(), [shard()])
        (held,) = claim(ledger, "a")
        world.clock.time = 1090.0
        ledger.renew("job_1", "a", 100.0)
        world.clock.time = 1180.0
        assert claim(other, "b") == []

        world.clock.time = 1200.0
        ledger.renew("job_1", "a", 100.0)

        assert len(claim(other, "b")) == 1
        assert not ledger.holds(held)

    def test_a_lease_that_is_given_back_is_free_at_once(self, world: World) -> None:
        """Only by its holder."""
        ledger, other = world.open(), world.open()
        ledger.add_job(job(), [shard()])
        (held,) = claim(ledger, "a")

        ledger.release(held.evolve(fence=0))
        assert claim(other, "b") == []
        ledger.release(held)
        (taken,) = claim(other, "b")
        ledger.release(held)
        assert ledger.holds(taken)

    def test_the_leases_of_the_dead_are_set_free(self, world: World) -> None:
        """Nobody else's."""
        ledger = world.open()
        ledger.add_job(job(), [shard(1), shard(2)])
        ledger.claim("job_1", "dead", 100.0, limit=1, new=1)
        ledger.claim("job_1", "alive", 100.0, limit=1, new=1)
        assert ledger.owners("job_1") == {"dead", "alive"}

        ledger.set_free("job_1", "dead")

        assert ledger.owners("job_1") == {"alive"}
        assert [one.seq for one in claim(ledger)] == [1]

    def test_shards_are_claimed_when_they_are_due(self, world: World) -> None:
        """Those due longest first; what is done is never claimed again."""
        ledger = world.open()
        due = [shard(1, next_at=900.0), shard(2, next_at=2000.0), shard(3, next_at=800.0)]
        ledger.add_job(job(), [*due, shard(4, state=COLLECTED, cleaned=True)])

        assert [one.seq for one in claim(ledger)] == [3, 1]
        assert ledger.next_due("job_1") == 1100.0

    def test_new_shards_do_not_crowd_out_those_under_way(self, world: World) -> None:
        """Each kind has its own limit, and a full account's new ones are left alone."""
        ledger = world.open()
        under_way = [shard(seq, state=SUBMITTED) for seq in (1, 2)]
        ledger.add_job(job(), [*under_way, shard(3), shard(4), shard(5, account="other")])

        assert [one.seq for one in ledger.claim("job_1", "a", 9.0, limit=5, new=1)] == [1, 2, 3]
        left = ledger.claim("job_1", "b", 9.0, limit=5, new=5, full=["account"])
        assert [one.seq for one in left] == [5]
        assert ledger.next_due("job_1", ["account"]) == 1009.0

    @pytest.mark.parametrize("write", WRITES)
    def test_the_writes_of_a_zombie_are_refused(self, world: World, write: str) -> None:
        """A process that was paused past its lease changes nothing any more."""
        ledger, other = world.open(), world.open()
        ledger.add_job(job(), [shard()])
        (stale,) = claim(ledger, "a")
        world.clock.time = 1200.0
        (fresh,) = claim(other, "b")

        with pytest.raises(LeaseLost, match="shard 0001 of job job_1 was taken over"):
            WRITES[write](ledger, stale)

        assert other.shards("job_1") == [fresh]

    def test_even_the_same_owner_cannot_write_with_an_old_fence(self, world: World) -> None:
        """A process that claims its own forgotten shard again is fenced off from itself."""
        ledger = world.open()
        ledger.add_job(job(), [shard()])
        (old,) = claim(ledger)
        world.clock.time = 1200.0
        (new,) = claim(ledger)

        with pytest.raises(LeaseLost):
            ledger.update(old, failures=1)
        assert ledger.update(new, failures=1).failures == 1

    def test_a_step_that_was_done_already_is_not_done_twice(self, world: World) -> None:
        """Who holds the lease, but knows an older state, is refused as well."""
        ledger = world.open()
        ledger.add_job(job(), [shard()])
        (held,) = claim(ledger)
        ledger.reserve(held)

        with pytest.raises(LeaseLost):
            ledger.reserve(held)
        assert budget(ledger) == (1, 100)

    def test_a_move_that_is_not_allowed_is_refused(self, world: World) -> None:
        """Nothing is submitted that was not intended."""
        ledger = world.open()
        ledger.add_job(job(), [shard()])
        (held,) = claim(ledger)

        with pytest.raises(LedgerError, match="shard 0001: planned -> submitted is not allowed"):
            ledger.submit(held, "batch-1")

    def test_every_move_is_in_the_event_log(self, world: World) -> None:
        """By whom, from where to where, and with which batch."""
        ledger = world.open()
        ledger.add_job(job(), [shard()])
        sent(ledger, *claim(ledger))

        events = [(e["seq"], e["from_state"], e["to_state"]) for e in ledger.events("job_1")]

        assert events == [
            (None, None, "planned"),
            (1, "planned", "reserved"),
            (1, "reserved", "uploaded"),
            (1, "uploaded", "intent"),
            (1, "intent", "submitted"),
        ]
        assert "batch-1" in ledger.events("job_1")[-1]["detail"]

    def test_the_event_log_says_now_and_then_how_far_a_shard_has_come(self, world: World) -> None:
        """Of a thousand counts at most twenty are kept: enough to draw any number of them."""
        ledger = world.open()
        ledger.add_job(job(), [shard(count=1000)])
        held = sent(ledger, *claim(ledger))

        for done in range(1, 1001):
            held = ledger.update(held, live_completed=done - done // 10, live_failed=done // 10)
        ledger.update(held, next_at=7.0)
        kept = [json.loads(e["detail"]) for e in ledger.events("job_1") if e["to_state"] is None]

        assert [counts["ok"] + counts["failed"] for counts in kept] == list(range(50, 1001, 50))
        assert kept[-1] == {"ok": 900, "failed": 100}

    def test_children_are_numbered_behind_their_parents(self, world: World) -> None:
        """In the same transaction as the parent's move."""
        ledger = world.open()
        ledger.add_job(job(), [shard(1), shard(2)])
        held, _ = claim(ledger)
        child = shard(0, name="0001-2", parent=1)

        ledger.move(held, FAILED, children=[child])

        assert [(one.seq, one.name) for one in ledger.shards("job_1")][2] == (3, "0001-2")

    # -- budgets -----------------------------------------------------------------------------------

    def test_a_full_queue_lets_nobody_in(self, world: World) -> None:
        """The limits hold over all jobs and processes; what ends makes room."""
        ledger, other = world.open(), world.open()
        ledger.add_job(job(max_batches=1), [shard(1), shard(2)])
        first, second = claim(ledger)
        submitted = sent(ledger, first)

        assert other.reserve(second) is None
        ledger.move(submitted, ENDED)
        assert other.reserve(second) is not None
        assert budget(ledger) == (1, 100)

    def test_tokens_are_limited_too(self, world: World) -> None:
        """A shard that is larger than the limit goes alone: only the vendor can say no."""
        ledger = world.open()
        ledger.add_job(job(max_tokens=250), [shard(1), shard(2), shard(3, tokens=1000)])
        first, second, large = claim(ledger)

        assert ledger.reserve(first) is not None
        assert ledger.reserve(large) is None
        reserved = ledger.reserve(second)
        assert reserved is not None
        assert budget(ledger) == (2, 200)
        for one in (first.evolve(state=RESERVED), reserved):
            ledger.move(one, FAILED)
        assert ledger.reserve(large) is not None

    @pytest.mark.parametrize("end", [PLANNED, FAILED, ENDED])
    def test_room_is_given_back_however_a_batch_ends(self, world: World, end: ShardState) -> None:
        """Refused, failed or done."""
        ledger = world.open()
        ledger.add_job(job(), [shard()])
        submitted = sent(ledger, *claim(ledger))
        assert budget(ledger) == (1, 100)

        ledger.move(submitted, end)

        assert budget(ledger) == (0, 0)

    def test_a_refusal_teaches_what_fits(self, world: World) -> None:
        """What stands in the queue is all that fits, until some of it ends."""
        ledger = world.open()
        ledger.add_job(job(), [shard(1), shard(2)])
        first, second = claim(ledger)
        submitted = sent(ledger, first)
        intended = ledger.move(
            ledger.move(ledger.reserve(second) or second, UPLOADED), INTENT, intent_at=1.0
        )

        refused, alone = ledger.refuse(intended, 30.0)

        assert (refused.state, refused.next_at, refused.refusals, alone) == (
            PLANNED,
            1030.0,
            1,
            False,
        )
        world.clock.time = 1030.0
        assert ledger.reserve(refused) is None, "the queue holds as much as the vendor took"
        ledger.move(submitted, ENDED)
        assert ledger.reserve(refused) is not None

    def test_what_was_learned_is_tried_anew_after_an_hour(self, world: World) -> None:
        """What else was in the queue may be a job's that nobody works on: it will never end."""
        ledger = world.open()
        ledger.add_job(job(), [shard(1)])
        ledger.add_job(job("job_2", fingerprint="g"), [shard(1, "job_2")])
        (abandoned,) = claim(ledger)
        assert ledger.reserve(abandoned) is not None
        (ours,) = claim(ledger, "b", "job_2")
        intended = ledger.move(
            ledger.move(ledger.reserve(ours) or ours, UPLOADED), INTENT, intent_at=1.0
        )

        refused, alone = ledger.refuse(intended, 30.0)

        assert not alone
        world.clock.time = 1030.0 + 3599.0
        assert ledger.reserve(refused) is None
        world.clock.time = 1030.0 + 3600.0
        assert ledger.reserve(refused) is not None

    def test_a_batch_that_is_refused_alone_is_known_to_be_alone(self, world: World) -> None:
        """There is nothing to wait for: it is too large by itself, or others use the account."""
        ledger = world.open()
        ledger.add_job(job(), [shard()])
        (held,) = claim(ledger)
        intended = ledger.move(
            ledger.move(ledger.reserve(held) or held, UPLOADED), INTENT, intent_at=1.0
        )

        refused, alone = ledger.refuse(intended, 30.0)

        assert alone
        assert ledger.reserve(refused) is None, "the account is blocked for now"
        world.clock.time = 1030.0
        assert ledger.reserve(refused) is not None

    def test_room_wakes_those_who_wait(self, world: World) -> None:
        """Of the same account only."""
        ledger = world.open()
        waiting = [shard(2, next_at=9000.0), shard(3, next_at=9000.0, account="other")]
        ledger.add_job(job(), [shard(1), *waiting])
        submitted = sent(ledger, *claim(ledger))

        ledger.move(submitted, ENDED)

        assert [one.next_at for one in ledger.shards("job_1")][1:] == [1000.0, 9000.0]

    def test_a_batch_is_adopted_by_one_shard_only(self, world: World) -> None:
        """Whoever comes second takes the next one, or none."""
        ledger = world.open()
        first, second, third = looking(ledger, 3)
        candidates = [Candidate("x", certain=False), Candidate("y", certain=False)]

        assert [
            found and (found.remote_id, found.adopted)
            for found in (ledger.adopt(one, candidates) for one in (first, second, third))
        ] == [("x", True), ("y", True), None]

    def test_a_batch_goes_back_to_the_shard_that_made_it(self, world: World) -> None:
        """Who had adopted it meanwhile looks on, and whoever works on that finds the lease lost."""
        ledger = world.open()
        maker, thief = looking(ledger)
        adopted = ledger.adopt(thief, [Candidate("x", certain=False)])
        assert adopted is not None

        ledger.submit(maker, "x")

        mine, other = ledger.shards("job_1")
        assert (mine.remote_id, mine.adopted) == ("x", False)
        assert (other.state, other.remote_id, other.owner) == (INTENT, None, None)
        assert ledger.rejected(other) == {"x"}
        assert budget(ledger) == (2, 200)
        with pytest.raises(LeaseLost):
            ledger.move(adopted, ENDED)

    def test_a_batch_under_suspicion_may_still_be_anothers(self, world: World) -> None:
        """It is ruled out only once its rows have shown whose it is."""
        ledger = world.open()
        first, second = looking(ledger)
        adopted = ledger.adopt(first, [Candidate("x", certain=False)])
        assert adopted is not None
        assert ledger.rejected(second) == frozenset()

        verified = ledger.move(ledger.move(adopted, ENDED), COLLECTED)

        assert verified.remote_id == "x"
        assert ledger.rejected(second) == {"x"}

    def test_a_rejected_batch_is_remembered_per_shard(self, world: World) -> None:
        """It is not this one's, but may be the next one's."""
        ledger = world.open()
        first, second = looking(ledger)
        adopted = ledger.adopt(first, [Candidate("x", certain=False)])
        assert adopted is not None

        again = ledger.reject(ledger.move(adopted, ENDED, details={"output": "f"}))

        assert (again.state, again.remote_id, again.details) == (INTENT, None, {})
        assert ledger.rejected(again) == {"x"}
        assert ledger.rejected(second) == frozenset()
        assert budget(ledger) == (2, 200)

    # -- permits -------------------------------------------------------------------------------

    def test_permits_are_given_to_one_process_only(self, world: World) -> None:
        """Blocks follow each other, whoever takes them; nobody takes what is far away."""
        one, other = world.open(), world.open()

        first = one.permits("account", 610, 6)
        second = other.permits("account", 610, 4)
        third = one.permits("account", 610, 10)
        fourth = other.permits("account", 610, 10)

        assert [permits.count for permits in (first, second, third, fourth)] == [6, 4, 10, 0]
        waits = [permits.wait for permits in (first, second, third, fourth)]
        assert waits == pytest.approx([-0.5, 0.1, 0.5, 0.5])
        world.clock.time += 0.51
        assert other.permits("account", 610, 10).wait == pytest.approx(0.99)
        assert other.permits("another", 610, 10).wait == pytest.approx(-0.5)

    def test_permits_do_not_wait_for_a_clock_that_was_set_back(self, world: World) -> None:
        """What was given away is as far ahead as before."""
        ledger = world.open()
        ledger.permits("account", 600, 10)
        world.clock.time -= 500.0

        found = world.open().permits("account", 600, 10)

        assert found.count == 9
        assert found.wait == pytest.approx(0.5, abs=0.1)

    # -- texts of others -----------------------------------------------------------------------

    @pytest.mark.parametrize("text", ["nothing\0 at all", "half a \ud800", "100% ? %s \\ '"])
    def test_whatever_a_vendor_says_is_kept(self, world: World, text: str) -> None:
        """Also what no text of a database may hold; and marks that SQL or a driver knows."""
        ledger = world.open()
        ledger.add_job(job(spec={"said": text}), [shard()])
        (held,) = claim(ledger)

        ledger.move(held, FAILED, faults=(VendorFault(text, code=text),), details={text: text})

        (found,) = world.open().shards("job_1")
        assert (found.faults[0].message, found.details) == (text, {text: text})
        assert ledger.job("job_1").spec == {"said": text}

    def test_an_overview_counts_each_job(self, world: World) -> None:
        """The newest first, in the order of their ids where they are of one time."""
        ledger = world.open()
        for name in ("job_a", "job_B", "job_c"):
            ledger.add_job(job(name, fingerprint=name, created_at=5.0), [shard(job_id=name)])
        ledger.add_job(job("job_old", fingerprint="old", created_at=1.0), [])

        found = ledger.overview(3)

        assert [record.id for record, _ in found] == ["job_c", "job_a", "job_B"]
        assert [totals.batches for _, totals in found] == [1, 1, 1]
        assert [record.id for record, _ in ledger.overview()][3:] == ["job_old"]
        assert ledger.count_jobs() == 4

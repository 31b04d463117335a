"""Many connections at once: what one transaction decides by, no other one changes meanwhile."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TypeVar

import pytest
from packages.core.tests.ledger_contract import job, shard
from packages.postgres.tests.server import Server

from ai_batch.core import LeaseLost, Ledger
from ai_batch.core.provider import Candidate
from ai_batch.core.state import Shard, ShardState
from ai_batch.postgres import PostgresLedger

PLANNED, RESERVED, UPLOADED, INTENT, SUBMITTED, ENDED, COLLECTED, FAILED = ShardState

MANY = 8

Value = TypeVar("Value")


@pytest.fixture
def ledgers(server: Server, schema: str) -> Iterator[list[Ledger]]:
    """The same ledger as eight processes see it, with a connection each."""
    with ExitStack() as stack:
        opened: list[Ledger] = []
        for _ in range(MANY):
            ledger = PostgresLedger(server.url, schema=schema, max_connections=2)
            stack.callback(ledger.close)
            opened.append(ledger)
        yield opened


def at_once(ledgers: Sequence[Ledger], work: Callable[[int, Ledger], Value]) -> list[Value]:
    """What each does, all beginning at the same moment."""
    barrier = threading.Barrier(len(ledgers))

    def one(number: int) -> Value:
        barrier.wait()
        return work(number, ledgers[number])

    with ThreadPoolExecutor(len(ledgers)) as threads:
        return list(threads.map(one, range(len(ledgers))))


def test_no_shard_is_claimed_twice(ledgers: list[Ledger]) -> None:
    """Eight claim until nothing is left; each shard is one's, and nobody waits for another."""
    ledgers[0].add_job(job(), [shard(number) for number in range(1, 401)])

    def claim_all(number: int, ledger: Ledger) -> list[Shard]:
        claimed: list[Shard] = []
        while found := ledger.claim("job_1", str(number), 600.0, limit=7, new=7):
            claimed += found
        return claimed

    claimed = [one for found in at_once(ledgers, claim_all) for one in found]

    assert sorted(one.seq for one in claimed) == list(range(1, 401))
    assert {(one.seq, one.owner, one.fence) for one in ledgers[0].shards("job_1")} == {
        (one.seq, one.owner, one.fence) for one in claimed
    }


def test_the_same_job_is_planned_once(ledgers: list[Ledger]) -> None:
    """Whoever comes second is given the first one's, at the same moment as well."""
    for turn in range(5):

        def add(number: int, ledger: Ledger, turn: int = turn) -> str:
            mine = f"job_{turn}_{number}"
            return ledger.add_job(job(mine, fingerprint=str(turn)), [shard(job_id=mine)]).id

        assert len(set(at_once(ledgers, add))) == 1
    assert ledgers[0].count_jobs() == 5


def test_a_schema_is_made_once(server: Server, schema: str) -> None:
    """Eight processes that come first at the same time find the same ledger."""

    def store(_: int) -> str:
        ledger = PostgresLedger(server.url, schema=schema)
        ledger.close()
        return ledger.store_id

    with ThreadPoolExecutor(MANY) as threads:
        assert len(set(threads.map(store, range(MANY)))) == 1


def test_the_queue_is_never_fuller_than_allowed(ledgers: list[Ledger]) -> None:
    """Of eight who see room for three batches at the same moment, three get it."""
    ledgers[0].add_job(job(max_batches=3), [shard(number) for number in range(1, MANY + 1)])
    shards = ledgers[0].claim("job_1", "a", 600.0, limit=0, new=MANY)

    reserved = at_once(ledgers, lambda number, ledger: ledger.reserve(shards[number]))

    assert sum(one is not None for one in reserved) == 3
    assert budget(ledgers[0]) == (3, 300)


def test_children_of_parents_that_end_together_have_numbers_of_their_own(
    ledgers: list[Ledger],
) -> None:
    """The next number is nobody else's until the child has it."""
    ledgers[0].add_job(job(), [shard(number) for number in range(1, MANY + 1)])
    shards = ledgers[0].claim("job_1", "a", 600.0, limit=0, new=MANY)

    def split(number: int, ledger: Ledger) -> None:
        name = shards[number].name
        halves = [shard(0, name=f"{name}-{half}", parent=number) for half in "ab"]
        ledger.move(shards[number], FAILED, children=halves)

    at_once(ledgers, split)

    assert [one.seq for one in ledgers[0].shards("job_1")] == list(range(1, 3 * MANY + 1))


def test_a_batch_is_adopted_once(ledgers: list[Ledger]) -> None:
    """Eight look for their batches, are shown the same three, and at most one takes each."""
    looking = under_way(ledgers[0], MANY)
    found = [Candidate(name, certain=False) for name in "xyz"]

    adopted = at_once(ledgers, lambda number, ledger: ledger.adopt(looking[number], found))

    assert sorted(one.remote_id or "" for one in adopted if one) == ["x", "y", "z"]


def test_a_batch_goes_to_who_made_it_whatever_happens_at_the_same_time(
    ledgers: list[Ledger],
) -> None:
    """One submits the batch that seven others want to adopt: it has it in the end."""
    looking = under_way(ledgers[0], MANY)

    def take(number: int, ledger: Ledger) -> None:
        if number == 0:
            ledger.submit(looking[0], "x")
        else:
            ledger.adopt(looking[number], [Candidate("x", certain=False)])

    at_once(ledgers, take)

    first, *others = ledgers[0].shards("job_1")
    assert (first.state, first.remote_id) == (SUBMITTED, "x")
    assert {one.state for one in others} == {INTENT}


def under_way(ledger: Ledger, number: int) -> list[Shard]:
    """Shards whose batches may have been made."""
    ledger.add_job(job(), [shard(seq + 1) for seq in range(number)])
    claimed = ledger.claim("job_1", "a", 600.0, limit=0, new=number)
    return [
        ledger.move(ledger.move(ledger.reserve(one) or one, UPLOADED), INTENT, intent_at=1.0)
        for one in claimed
    ]


def budget(ledger: Ledger) -> tuple[int, int]:
    """How many batches and tokens stand in the queues of all accounts."""
    with ledger._database.transaction() as tx:
        row = tx.execute("SELECT SUM(used_batches), SUM(used_tokens) FROM budget")[0]
    return int(row[0]), int(row[1])


class Crowd:
    """Eight workers that do whatever can be done to the shards of two jobs, as chance has it."""

    STEPS = 120

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()

    def work(self, number: int, ledger: Ledger) -> None:
        """One worker's life."""
        chance = random.Random(number)
        owner = f"worker {number}"
        for _ in range(self.STEPS):
            name = chance.choice(["job_1", "job_2"])
            for held in ledger.claim(name, owner, 0.05, limit=2, new=2):
                with suppress(LeaseLost):
                    self.step(ledger, held, chance)
            self.aside(ledger, name, owner, chance)

    def step(self, ledger: Ledger, held: Shard, chance: random.Random) -> None:
        """What a shard of this state may go through."""
        match held.state:
            case ShardState.PLANNED:
                ledger.reserve(held)
            case ShardState.RESERVED:
                ledger.move(held, UPLOADED)
            case ShardState.UPLOADED:
                ledger.move(held, INTENT, intent_at=ledger.now())
            case ShardState.INTENT:
                self.settle(ledger, held, chance)
            case ShardState.SUBMITTED if held.adopted and chance.random() < 0.5:
                ledger.reject(held)
            case ShardState.SUBMITTED:
                ledger.move(held, chance.choice([ENDED, FAILED]))
            case ShardState.ENDED:
                child = shard(0, held.job_id, name=f"{held.name}-2", account=held.account)
                children = [child] if len(held.name) < 8 else []
                ledger.move(held, COLLECTED, children=children)
            case _:
                ledger.update(held, cleaned=True)
        self.done[held.state] += 1

    def settle(self, ledger: Ledger, held: Shard, chance: random.Random) -> None:
        """A create of unknown outcome: adopted, made, or refused for want of room."""
        remote = f"{held.account} {chance.randrange(30)}"
        kind = chance.randrange(3)
        if kind == 0:
            ledger.adopt(held, [Candidate(remote, certain=False)])
        elif kind == 1:
            ledger.refuse(held, 0.05)
        else:
            ledger.submit(held, f"{held.account} {held.job_id} {held.name} {held.fence}")

    def aside(self, ledger: Ledger, name: str, owner: str, chance: random.Random) -> None:
        """What goes on beside the shards."""
        kind = chance.randrange(6)
        if kind == 0:
            ledger.renew(name, owner, 0.05)
        elif kind == 1:
            ledger.set_free(name, owner)
        elif kind == 2:
            ledger.note((one, {"failures": 1}) for one in ledger.shards(name)[:5])
        elif kind == 3:
            ledger.change_job(name, max_batches=chance.randrange(3, 6))
        elif kind == 4:
            ledger.totals(name)
        else:
            ledger.next_due(name, ["account"])


def test_whatever_many_do_at_once_none_waits_in_a_circle(
    ledgers: list[Ledger], server: Server
) -> None:
    """No deadlock, no error of the database, and the budget is what stands in the queues."""
    crowd = Crowd()
    for name in ("job_1", "job_2"):
        shards = [
            shard(number, name, account=("account", "other")[number % 2]) for number in range(1, 21)
        ]
        ledgers[0].add_job(job(name, fingerprint=name, max_batches=4), shards)
    before = deadlocks(server)

    at_once(ledgers, crowd.work)
    ledgers[1].cancel_job("job_1")

    assert set(crowd.done) == set(ShardState)
    shards = [one for name in ("job_1", "job_2") for one in ledgers[0].shards(name)]
    held = [one for one in shards if one.state in {RESERVED, UPLOADED, INTENT, SUBMITTED}]
    assert budget(ledgers[0]) == (len(held), sum(one.tokens for one in held))
    at_once(ledgers[:2], lambda number, ledger: ledger.delete_job(f"job_{number + 1}", force=True))
    assert budget(ledgers[0]) == (0, 0)
    assert deadlocks(server) == before


def deadlocks(server: Server) -> object:
    """How many the server has broken up so far."""
    server.execute("SELECT pg_stat_force_next_flush()")
    sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    return server.execute(sql)[0][0]

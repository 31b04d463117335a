"""Whoever waits for a job is told when others have changed it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from packages.core.tests.ledger_contract import claim, job, shard
from packages.postgres.tests.server import Server

from ai_batch.core.state import ShardState
from ai_batch.postgres import PostgresLedger, watching


@pytest.fixture
def ledgers(
    server: Server, schema: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[PostgresLedger, PostgresLedger]]:
    """The ledger as two processes see it."""
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(watching, "AGAIN_SECONDS", 0.2)
    one, other = (PostgresLedger(server.url, schema=schema) for _ in range(2))
    yield one, other
    one.close()
    other.close()


class Waker:
    """Counts how often it was woken; the first time is when the connection begins to listen."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1

    def woken(self, times: int) -> bool:
        """Whether it is woken so often within a while."""
        end = time.monotonic() + 20
        while self.times < times and time.monotonic() < end:
            time.sleep(0.01)
        return self.times == times


def test_the_end_of_a_shard_is_told(ledgers: tuple[PostgresLedger, PostgresLedger]) -> None:
    """To those who watch this job, once for all that happens together."""
    mine, other = ledgers
    mine.add_job(job(), [shard(1), shard(2)])
    mine.add_job(job("job_2", fingerprint="g"), [])
    waker, elsewhere = Waker(), Waker()
    with mine.watch("job_1", waker), mine.watch("job_2", elsewhere):
        assert waker.woken(1)
        for held in claim(other):
            other.move(held, ShardState.FAILED)
        assert waker.woken(2)
        other.cancel_job("job_1")
        assert waker.woken(3)
    time.sleep(0.5)

    assert (waker.times, elsewhere.times) == (3, 1)


def test_what_one_has_done_oneself_is_not_told(
    ledgers: tuple[PostgresLedger, PostgresLedger],
) -> None:
    """An engine would look for nothing."""
    mine, other = ledgers
    mine.add_job(job(), [shard(1), shard(2)])
    waker = Waker()
    with mine.watch("job_1", waker):
        assert waker.woken(1)
        mine.cancel_job("job_1")
        time.sleep(0.5)
        assert waker.times == 1
        other.change_job("job_1", state="cancelled")
        assert waker.woken(2)


def test_a_transaction_that_is_undone_tells_nothing(
    ledgers: tuple[PostgresLedger, PostgresLedger],
) -> None:
    """Nor does one before it is durable."""
    mine, other = ledgers
    mine.add_job(job(), [])
    waker = Waker()

    def undone() -> None:
        with other._database.transaction() as tx:
            tx.tell("job_1")
            raise KeyError

    with mine.watch("job_1", waker):
        assert waker.woken(1)
        with pytest.raises(KeyError):
            undone()
        time.sleep(0.5)
        assert waker.times == 1


def test_a_lost_connection_listens_again(
    ledgers: tuple[PostgresLedger, PostgresLedger], server: Server
) -> None:
    """And wakes everybody, who may have missed something."""
    mine, other = ledgers
    mine.add_job(job(), [])
    waker = Waker()
    with mine.watch("job_1", waker):
        assert waker.woken(1)
        server.restart()
        assert waker.woken(2)
        other.cancel_job("job_1")
        assert waker.woken(3)


def test_the_thread_ends_with_the_last_one_who_waits(
    ledgers: tuple[PostgresLedger, PostgresLedger],
) -> None:
    """And a new one begins with the next."""
    mine, _ = ledgers
    for _ in range(2):
        waker = Waker()
        with mine.watch("job_1", waker):
            assert waker.woken(1)
        end = time.monotonic() + 10
        while any(one.name == "ai-batch-watch" for one in threading.enumerate()):
            assert time.monotonic() < end
            time.sleep(0.02)

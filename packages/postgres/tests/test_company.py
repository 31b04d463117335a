"""Several processes on one job, as on several machines; some of them die or sleep."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from packages.postgres.tests.company import LEASE, MOST, Company
from packages.postgres.tests.server import Server

from ai_batch.emulator import Emulator
from ai_batch.emulator.options import Timing

MakeCompany = Callable[[int], Company]


@pytest.fixture
def make_company(
    server: Server, schema: str, tmp_path: Path, make_emulator: Callable[..., Emulator]
) -> Iterator[MakeCompany]:
    """Makes processes that ask so many questions."""
    made: list[Company] = []

    def make(count: int) -> Company:
        emulator = make_emulator(timing=Timing(in_progress=(0.1, 0.4)))
        made.append(Company(emulator, server.url, schema, tmp_path, count))
        return made[-1]

    yield make
    for company in made:
        company.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that the processes do."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def created_by(emulator: Emulator, number: int) -> Callable[[], bool]:
    """Whether so many batches have been made."""
    return lambda: emulator.stats.batches_created >= number


@contextmanager
def watched(emulator: Emulator) -> Generator[list[int], None, None]:
    """How many batches are at the vendor and not at their end, again and again."""
    seen = [0]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.003):
            found = emulator.stats.batches_by_status
            seen.append(sum(found.get(name, 0) for name in ("validating", "in_progress")))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def check_ledger(server: Server, schema: str, batches: int) -> None:
    """All is on record, and nothing is taken for being in the queue."""
    used = f'SELECT SUM(used_batches), SUM(used_tokens) FROM "{schema}".budget'  # noqa: S608
    assert server.execute(used) == [(0, 0)]
    states = f'SELECT state, COUNT(*) FROM "{schema}".shard GROUP BY state'  # noqa: S608
    assert server.execute(states) == [("collected", batches)]
    jobs = f'SELECT COUNT(*) FROM "{schema}".job'  # noqa: S608
    assert server.execute(jobs) == [(1,)]


@pytest.mark.crash
def test_of_five_processes_three_are_killed_and_one_sleeps(
    make_company: MakeCompany, server: Server, schema: str
) -> None:
    """None is started again: the rest finish the job, and nothing is asked or billed twice."""
    company = make_company(60)
    with watched(company.emulator) as in_flight:
        first, second, third, sleeper, last = (company.start() for _ in range(5))
        for process, created in ((first, 2), (second, 5), (third, 9)):
            until(created_by(company.emulator, created))
            process.send_signal(signal.SIGKILL)
        until(created_by(company.emulator, 11))
        sleeper.send_signal(signal.SIGSTOP)
        time.sleep(2 * LEASE)
        sleeper.send_signal(signal.SIGCONT)

        assert company.results(last) == company.expected(), company.errors()
        assert company.results(sleeper) == company.expected(), company.errors()

    company.check_books()
    assert 0 < max(in_flight) <= MOST
    check_ledger(server, schema, 20)


@pytest.mark.crash
def test_the_database_crashes_under_load(
    make_company: MakeCompany, server: Server, schema: str
) -> None:
    """Again and again, and comes back; four processes go on from what it has on record."""
    company = make_company(60)
    chance = random.Random(1)
    with watched(company.emulator) as in_flight:
        processes = [company.start() for _ in range(4)]
        for crash in range(5):
            until(created_by(company.emulator, 3 * crash + 1))
            server.stop()
            time.sleep(chance.choice([0.0, 0.5, 1.5]))
            server.start()
            time.sleep(chance.uniform(0.0, 0.5))

        for process in processes:
            assert company.results_in_the_end(process) == company.expected(), company.errors()

    company.check_books()
    assert 0 < max(in_flight) <= MOST
    check_ledger(server, schema, 20)

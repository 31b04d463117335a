"""A limit that several processes of a ledger hold together."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
from packages.concurrent.tests.conftest import Moody

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.concurrent.gate import Gate
from ai_batch.concurrent.pacing import MINUTE, Pace
from ai_batch.concurrent.sharing import Share
from ai_batch.core import ChatRequest, LedgerUnavailable
from ai_batch.core.permits import Permits, grant
from ai_batch.core.runtime import Runtime
from ai_batch.core.testing import VirtualLoop, virtual_runtime

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(__file__).parent / "programs/answer_paced.py"
PATIENCE = 120.0


class Town:
    """Processes in virtual time that hold one limit together; ``blocks`` is what they were given.

    Each one's clock is wrong in its own way: all go by the ledger's.
    """

    def __init__(self, limit: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.limit = limit
        self.until = 0.0
        self.blocks: list[int] = []
        self.calls: list[tuple[float, int]] = []
        self.gates: list[tuple[Gate, Share]] = []

    def take(self, most: int) -> Permits:
        """What the ledger gives."""
        permits, self.until = grant(self.until, self.loop.time(), self.limit, most)
        self.blocks.append(permits.count)
        return permits

    def settle(
        self, most: int = 20, take: Callable[[int], Permits] | None = None
    ) -> tuple[Gate, Share]:
        """One more process, with so many calls at once."""
        ahead = 1000.0 * len(self.gates)
        virtual = virtual_runtime(self.loop)
        runtime = Runtime(
            clock=lambda: virtual.clock() + ahead,
            sleep=virtual.sleep,
            random=random.Random(len(self.gates)).random,
            inline=True,
        )
        gate = Gate(
            max_concurrency=most, adaptive=False, pace=Pace(self.limit, None), runtime=runtime
        )
        self.gates.append((gate, Share(take or self.take, self.limit, runtime)))
        return self.gates[-1]

    async def call(self, process: int, count: int, seconds: float = 0.1) -> None:
        """So many calls of a process, as soon as may be."""
        gate, share = self.gates[process]

        async def one() -> None:
            await gate.enter(0, share)
            self.calls.append((self.loop.time(), process))
            await asyncio.sleep(seconds)
            gate.leave()

        await asyncio.gather(*(one() for _ in range(count)))

    @property
    def times(self) -> list[float]:
        """When calls went out."""
        return sorted(at for at, _ in self.calls)


def virtual(script: Callable[[], object]) -> None:
    """Run it at once."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def run() -> None:
            await script()  # type: ignore[misc]

        runner.run(run())


def check(times: Sequence[float], limit: int) -> None:
    """No sixty seconds hold more than the limit."""
    for first, last in zip(times, times[limit:], strict=False):
        assert last - first >= MINUTE - 1e-5


@pytest.mark.parametrize(("limit", "processes"), [(20, 3), (59, 2), (600, 1), (600, 5), (3000, 3)])
def test_processes_hold_the_limit_together(limit: int, processes: int) -> None:
    """Whichever minute one looks at; all of it is made use of, evenly."""

    async def script() -> None:
        town = Town(limit)
        for _ in range(processes):
            town.settle()
        works = [town.call(process, 2 * limit // processes) for process in range(processes)]
        await asyncio.gather(*works)
        times = town.times

        check(times, limit)
        assert len(times) / (times[-1] + 0.5) >= 0.95 * limit / MINUTE
        # Of the first half, in which all still have calls to make.
        served = Counter(process for _, process in sorted(town.calls)[: len(times) // 2])
        assert min(served[process] for process in range(processes)) >= len(times) / processes / 8
        steps = [second - first for first, second in pairwise(times)]
        # A block is at most a second long, and a part of it may be lost.
        assert max(steps) <= 61.0 / limit + 1.0

    virtual(script)


def test_calls_cost_few_questions_to_the_ledger() -> None:
    """One for a second's calls, once it is known that so many are made."""

    async def script() -> None:
        town = Town(6000)
        town.settle(100)
        await town.call(0, 6000, seconds=0.01)
        assert len(town.blocks) <= 75
        assert max(town.blocks) <= 100

    virtual(script)


def test_a_slow_process_leaves_the_limit_to_others() -> None:
    """What it took in vain it asks for no more: the other one gets nearly all that is left."""

    async def script() -> None:
        town = Town(6000)
        town.settle(1)
        town.settle(200)
        slow = asyncio.create_task(town.call(0, 60, seconds=1.0))
        await town.call(1, 4500, seconds=0.5)
        taken = town.times[-1]
        slow.cancel()
        assert taken <= 4500 / 100 / 0.9

    virtual(script)


def test_a_ledger_that_is_away_is_waited_for() -> None:
    """No call goes out without leave, and none is lost."""

    async def script() -> None:
        town = Town(600)

        def take(most: int) -> Permits:
            if town.loop.time() < 30.0:
                raise LedgerUnavailable("away")
            return town.take(most)

        town.settle(take=take)
        await town.call(0, 50)
        assert len(town.times) == 50
        assert 30.0 <= town.times[0] <= 31.1

    virtual(script)


def test_a_pause_takes_no_permits(tmp_path: Path) -> None:
    """While the vendor wants a rest, the ledger is not asked; then calls are made at once."""
    del tmp_path

    async def script() -> None:
        town = Town(600)
        gate, _ = town.settle()
        await town.call(0, 10)
        asked = len(town.blocks)
        gate.complain(retry_after=20.0, limited=True)
        rest = asyncio.create_task(town.call(0, 10))
        await asyncio.sleep(19.0)
        assert len(town.blocks) == asked
        await rest
        assert 20.0 < town.times[10] < 22.5

    virtual(script)


def test_jobs_of_two_processors_hold_the_limit(tmp_path: Path) -> None:
    """One after the other on a ledger, as one: the second does not begin a minute anew."""
    loop = VirtualLoop()
    client = Moody()

    async def script() -> None:
        for run in range(3):
            processor = ConcurrentProcessor(
                chat=client,
                home=tmp_path / "home",
                runtime=virtual_runtime(loop),
                requests_per_minute=30,
                max_concurrency=5,
            )
            await processor.aprocess([ChatRequest(messages=f"{run} {n}") for n in range(20)])
            await processor.aclose()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(script())
    assert len(client.times) == 60
    check(client.times, 30)
    ledger = tmp_path / "home/ledger.db"
    assert ledger.exists()


def test_without_a_limit_the_ledger_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor where only tokens are limited, which each process counts for itself."""
    monkeypatch.delattr("ai_batch.core.leases.Leases.permits")
    loop = VirtualLoop()

    async def script() -> None:
        processor = ConcurrentProcessor(
            chat=Moody(),
            home=tmp_path,
            runtime=virtual_runtime(loop),
            tokens_per_minute=100_000,
        )
        assert (await processor.aprocess(["a", "b"])).completed == 2
        await processor.aclose()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(script())


# -- processes ---------------------------------------------------------------------------------


class Server:
    """Answers at once, and notes who asked when."""

    def __init__(self) -> None:
        asked = self.asked = list[tuple[float, str]]()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append((time.monotonic(), self.path[1:].partition("-")[0]))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"answer")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of this process."""
    server = Server()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.mark.crash
def test_two_programs_hold_the_limit_together(tmp_path: Path, server: Server) -> None:
    """As the server sees it: thirty calls a second from both, and not from each."""
    limit, count = 1800, 120
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, str(PROGRAM), str(tmp_path / "home"), server.url),
                *(name, str(count), str(limit)),
            ],
            env=environment,
        )
        for name in ("one", "two")
    ]
    try:
        assert [process.wait(PATIENCE) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()

    times = sorted(at for at, _ in server.asked)
    assert Counter(name for _, name in server.asked) == {"one": count, "two": count}
    # Whatever the machine is busy with: a permit is good for a second, and calls take a moment.
    for seconds in (2.0, 4.0):
        most = max(sum(first <= at < first + seconds for at in times) for first in times)
        assert most <= limit / MINUTE * (seconds + 1.5)
    assert times[-1] - times[0] >= 2 * count / (limit / MINUTE) - 1.5

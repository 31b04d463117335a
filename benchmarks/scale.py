"""A job of many batches on a clock that jumps: what the ledger and the vendor see of it.

    python benchmarks/scale.py --batches 20000 --in-flight 200 --hours 1

A batch holds one request here, which stands for the tens of thousands that a real one has: the
engine, the ledger and the polls do not know the difference. The vendor is made up and lives in
memory; hours pass as soon as nothing is left to do in them. Prints one line of JSON.
"""

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ai_batch.core import ChatRequest, NativeProcessor, Options
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.testing import FakeProvider, FakeVendor, Fate
from ai_batch.core.virtual import VirtualLoop, virtual_runtime

HOUR = 3600.0
MEMORY = Path("/dev/shm")  # noqa: S108 - a disk would be waited for, in real time


def requests(count: int) -> Iterator[ChatRequest]:
    """As many as batches."""
    for number in range(count):
        yield ChatRequest(id=f"r{number}", messages=f"question {number}")


class Census:
    """Counts what is asked of the vendor and of the ledger."""

    def __init__(self) -> None:
        """Nothing has been counted."""
        self.calls: Counter[str] = Counter()
        self.transactions = 0
        self._begin = SQLiteDatabase.transaction

    async def gate(self, method: str, moment: Literal["before", "after"]) -> None:
        """Note a call."""
        if moment == "before":
            self.calls[method] += 1

    def install(self) -> None:
        """Note every transaction."""

        def transaction(database: SQLiteDatabase) -> object:
            self.transactions += 1
            return self._begin(database)

        SQLiteDatabase.transaction = transaction  # type: ignore[assignment,method-assign]


async def run(batches: int, in_flight: int, hours: float, home: str, census: Census) -> int:
    """Ask everything; how many were answered."""
    loop = asyncio.get_running_loop()
    vendor = FakeVendor(fate=lambda _: Fate(seconds=hours * HOUR))
    options = Options(
        home=home,
        max_batches_in_flight=in_flight,
        runtime=virtual_runtime(loop),
        poll_interval=None,
    )
    provider = FakeProvider(vendor, gate=census.gate, max_requests=1)
    async with NativeProcessor(lambda: provider, options) as processor:
        response = await processor.aprocess(requests(batches))
        return response.completed


def memory() -> float:
    """The most that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run the job, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=20_000)
    parser.add_argument("--in-flight", type=int, default=200)
    parser.add_argument("--hours", type=float, default=1.0)
    given = parser.parse_args()
    census = Census()
    census.install()
    where = MEMORY if MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=where) as home,
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        before, started = memory(), time.process_time()
        answered = runner.run(run(given.batches, given.in_flight, given.hours, home, census))
        passed = runner.get_loop().time()
        ledger = Path(home, "ledger.db").stat().st_size
        files = sum(1 for _, _, names in os.walk(home) for _ in names)
        figures = {
            "batches": given.batches,
            "answered": answered,
            "virtual_hours": round(passed / HOUR, 1),
            "cpu_s": round(time.process_time() - started, 1),
            "memory_mb": round(memory() - before, 1),
            "ledger_bytes_per_batch": ledger // given.batches,
            "files_per_batch": round(files / given.batches, 2),
            "transactions_per_batch": round(census.transactions / given.batches, 1),
            "polls": census.calls["poll"],
            "polls_per_minute": round(census.calls["poll"] / (passed / 60), 2),
            "calls_per_batch": round(sum(census.calls.values()) / given.batches, 2),
        }
    sys.stdout.write(json.dumps(figures) + os.linesep)
    if answered != given.batches:
        sys.exit(f"only {answered} of {given.batches} requests were answered")


if __name__ == "__main__":
    main()

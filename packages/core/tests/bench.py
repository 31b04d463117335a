"""A processor over the made-up vendor, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from ai_batch.core import Ledger, NativeProcessor, Options
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.testing import FakeProvider, FakeVendor, VirtualLoop, virtual_runtime

Value = TypeVar("Value")


class Bench:
    """One home and one vendor; each ``run`` is a program of its own, with its own event loop."""

    def __init__(self, home: Path, vendor: FakeVendor | None = None, **provider: Any) -> None:
        self.home = home
        self.vendor = vendor or FakeVendor()
        self.options: dict[str, Any] = {}
        self.provider = provider
        self.make = FakeProvider
        self.elapsed = 0.0

    def run(self, work: Callable[[NativeProcessor], Awaitable[Value]], **options: Any) -> Value:
        """Run a script to its end; ``elapsed`` are the seconds that it took."""
        loop = VirtualLoop(start=self.elapsed)

        async def script() -> Value:
            provider = self.make(self.vendor, **self.provider)
            runtime = virtual_runtime(loop)
            self.home.mkdir(exist_ok=True)
            database = SQLiteDatabase(self.home / "ledger.db", clock=runtime.clock)
            # Tests are not cut off from power, and a disk is slow.
            database._connection.execute("PRAGMA synchronous=OFF")
            made = Options(
                home=self.home,
                ledger=Ledger(database),
                runtime=runtime,
                **self.options,
                **options,
            )
            processor = NativeProcessor(lambda: provider, made)
            try:
                return await work(processor)
            finally:
                self.elapsed = loop.time()
                database.close()

        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(script())

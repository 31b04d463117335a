"""Programs that die: on a vendor and a disk that outlive them, in time that passes at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any, Literal

from ai_batch.core import Ledger, NativeProcessor, OutcomeUnknown, ProviderUnavailable, delivery
from ai_batch.core.database import SQLiteDatabase, Transaction
from ai_batch.core.options import Options
from ai_batch.core.testing import FakeProvider, FakeVendor, VirtualLoop, virtual_runtime
from ai_batch.core.virtual import START

__all__ = ["Killed", "Program"]


LONGEST = 10 * 86_400.0
"""Seconds after which a program that still works is taken to hang."""


class Killed(BaseException):
    """The program is dead: it does nothing more, whatever still runs of it."""


class _Database(SQLiteDatabase):
    """Nothing is written by a dead program, not even while it is swept up."""

    def __init__(self, path: Path, program: Program) -> None:
        super().__init__(path, clock=program.clock)
        self._program = program

    @contextlib.contextmanager
    def transaction(self) -> Generator[Transaction, None, None]:
        self._program.step()
        with super().transaction() as tx:
            yield tx
            # Here it may die as well: nothing of the transaction stays.
            self._program.step()


class Program:
    """One process of a user's: it begins at a time, and may die after so many steps."""

    def __init__(
        self,
        home: Path,
        vendor: FakeVendor,
        *,
        start: float,
        steps: int | None = None,
        trouble: list[bool] | None = None,
        **options: Any,
    ) -> None:
        """A step is the beginning or the end of a transaction, or of a call to the vendor.

        ``trouble`` says of the next calls whether they fail: before or after their effect.
        """
        self.loop = VirtualLoop(start)
        self._steps = steps
        self._trouble = trouble if trouble is not None else []
        self.dead = False
        self._home = home
        self._vendor = vendor
        self._options = options
        self._database: SQLiteDatabase | None = None

    def _processor(self) -> NativeProcessor:
        self._database = _Database(self._home / "ledger.db", self)
        given: dict[str, Any] = {"home": self._home, "ledger": Ledger(self._database)}
        return NativeProcessor(
            lambda: FakeProvider(self._vendor, clock=self.clock, gate=self._gate, max_requests=3),
            Options(runtime=virtual_runtime(self.loop), **given, **self._options),
        )

    def clock(self) -> float:
        """Unix seconds."""
        return START + self.loop.time()

    def step(self) -> None:
        """One step further; perhaps one too many."""
        if self._steps is not None:
            self._steps -= 1
            self.dead = self.dead or self._steps < 0
        if self.dead:
            raise Killed

    async def _gate(self, method: str, moment: Literal["before", "after"]) -> None:
        self.step()
        await asyncio.sleep(0.2)
        self.step()
        if self._trouble and self._trouble.pop():
            lost = (method, moment) == ("create", "after")
            kind = OutcomeUnknown if lost else ProviderUnavailable
            raise kind(f"trouble {moment} {method}")

    def run(self, work: Callable[[NativeProcessor], Coroutine[Any, Any, Any]]) -> Any:
        """What the work gives; None where the program died of it. The program is over then."""
        # What other tests of this process have read is none of this program's business.
        delivery._read.clear()
        try:
            found = self.loop.run_until_complete(self._in_time(work))
            # What a program does at its end, and not where it was killed.
            for store_id, job_id in list(delivery._read):
                delivery.confirm(store_id, job_id)
        except Killed:
            return None
        else:
            return found
        finally:
            self.dead = True
            delivery._read.clear()
            self._sweep()

    async def _in_time(self, work: Callable[[NativeProcessor], Coroutine[Any, Any, Any]]) -> Any:
        async with asyncio.timeout(LONGEST):
            return await work(self._processor())

    def _sweep(self) -> None:
        """What the system does with a dead process: its tasks and files are gone."""
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
            for task in tasks:
                if task.done() and not task.cancelled():
                    task.exception()
        self.loop.close()
        if self._database is not None:
            self._database.close()

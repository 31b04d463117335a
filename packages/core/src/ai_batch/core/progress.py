"""Turns the ledger's sums into progress, and hands it to the user's callback."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import cast

from ai_batch.core.display import Display
from ai_batch.core.errors import LedgerUnavailable
from ai_batch.core.events import JobState, Progress
from ai_batch.core.ledger import Ledger
from ai_batch.core.options import Options
from ai_batch.core.prices import cost_of_many
from ai_batch.core.provider import Formats
from ai_batch.core.records import JobRecord, Totals
from ai_batch.core.runtime import Runtime

__all__ = ["ProgressMeter", "cost_of", "read_progress"]

logger = logging.getLogger("ai_batch.progress")

FRESH = 0.25
"""Seconds for which sums are not read anew from the ledger."""


def cost_of(totals: Totals, provider: Formats) -> float | None:
    """USD for the tokens of each route at the batch price; None where one is not known.

    Answers without any tokens were not counted by their vendor: they were not free.
    """
    if totals.uncounted:
        return None
    total = 0.0
    for route, usage in totals.usage.items():
        price = partial(provider.cost, route, batch=True)
        cost = cost_of_many(price, usage, totals.requests[route])
        if cost is None:
            return None
        total += cost
    return total


def read_progress(ledger: Ledger, provider: Formats, job_id: str) -> Progress:
    """Where a job stands, by the ledger."""
    record = ledger.job(job_id)
    totals = ledger.totals(job_id)
    end = record.finished_at or ledger.now()
    elapsed = max(end - record.created_at, 0.0)
    done = totals.completed + totals.failed
    moved = done + totals.done_remotely
    remaining = record.total - moved
    eta = None if moved <= 0 else elapsed * max(remaining, 0) / moved
    return Progress(
        job_id=job_id,
        state=cast("JobState", record.state),
        total=record.total,
        completed=totals.completed,
        failed=totals.failed,
        in_flight=totals.in_flight,
        done_remotely=totals.done_remotely,
        batches=totals.batches,
        batches_done=totals.batches_done,
        usage=totals.all_usage,
        cost=cost_of(totals, provider),
        started_at=record.created_at,
        elapsed=elapsed,
        eta=0.0 if record.finished else eta,
    )


class ProgressMeter:
    """Reads progress at most four times a second, and reports it apart from the engine.

    The user's callback and the display are told each for itself. Neither holds the other up, nor
    the job.
    """

    def __init__(
        self, ledger: Ledger, provider: Formats, record: JobRecord, options: Options
    ) -> None:
        """Nothing is reported before ``start``."""
        self._ledger = ledger
        self._provider = provider
        self._job_id = record.id
        self._clock = options.runtime.clock
        self._runtime = options.runtime
        self._last: Progress | None = None
        self._read_at = 0.0
        self._reporters: list[Reporter] = []
        self._display = Display() if options.progress else None
        if options.on_progress is not None:
            self._reporters.append(Reporter(self, options.on_progress, "on_progress"))
        if self._display is not None:
            self._reporters.append(Reporter(self, self._display.show, "the progress display"))

    @property
    def runtime(self) -> Runtime:
        """Where reports run."""
        return self._runtime

    def start(self) -> None:
        """Begin to report, where there is somebody to report to."""
        for reporter in self._reporters:
            reporter.start()

    def changed(self) -> None:
        """Something has moved."""
        for reporter in self._reporters:
            reporter.changed.set()

    def read(self) -> Progress:
        """Where the job stands; finished requests never become fewer."""
        now = self._clock()
        if self._last is None or not 0.0 <= now - self._read_at < FRESH:
            try:
                found = read_progress(self._ledger, self._provider, self._job_id)
            except LedgerUnavailable:
                if self._last is None:
                    raise
                return self._last
            self._read_at = now
            self._last = found
        return self._last

    async def finish(self) -> None:
        """Report the end."""
        self._last = None
        for reporter in self._reporters:
            reporter.stop()
            await reporter.call(self.read())

    async def stop(self) -> None:
        """Report no more, and take the display down."""
        for reporter in self._reporters:
            reporter.stop()
        if self._display is not None:
            await self._runtime.blocking(self._display.close)


class Reporter:
    """Calls one callback. A slow one misses what happens meanwhile, but not the end."""

    def __init__(
        self, meter: ProgressMeter, callback: Callable[[Progress], object], name: str
    ) -> None:
        self._meter = meter
        self._callback = callback
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._complained = False
        self.changed = asyncio.Event()

    def start(self) -> None:
        """Begin to call."""
        if self._task is None:
            self.changed.set()
            self._task = asyncio.create_task(self._report())

    def stop(self) -> None:
        """Call no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _report(self) -> None:
        while True:
            await self.changed.wait()
            self.changed.clear()
            # While the ledger is away, there is nothing to tell.
            with contextlib.suppress(LedgerUnavailable):
                await self.call(self._meter.read())
            await asyncio.sleep(FRESH)

    async def call(self, progress: Progress) -> None:
        """Call once; what it raises is logged."""
        try:
            await self._meter.runtime.blocking(self._callback, progress)
        except Exception as error:
            # Once with its traceback: it would come with every report.
            level = logging.DEBUG if self._complained else logging.ERROR
            logger.log(level, "%s raised; the job goes on", self._name, exc_info=error)
            self._complained = True

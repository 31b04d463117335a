"""Turns the ledger's sums into progress, and hands it to the user's callback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import cast

from ai_batch.core.events import JobState, Progress
from ai_batch.core.ledger import Ledger
from ai_batch.core.options import Options
from ai_batch.core.prices import cost_of_many
from ai_batch.core.provider import Formats
from ai_batch.core.records import JobRecord, Totals

__all__ = ["ProgressMeter", "cost_of", "read_progress"]

logger = logging.getLogger("ai_batch.progress")

FRESH = 0.25
"""Seconds for which sums are not read anew from the ledger."""


def cost_of(totals: Totals, provider: Formats) -> float | None:
    """USD for the tokens of each route at the batch price; None where one is not known."""
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
    """Reads progress at most four times a second, and calls the callback apart from the engine.

    A callback that is slow misses what happens meanwhile, but not the end; one that raises is
    logged. Neither holds the job up.
    """

    def __init__(
        self, ledger: Ledger, provider: Formats, record: JobRecord, options: Options
    ) -> None:
        """Nothing is called before ``start``."""
        self._ledger = ledger
        self._provider = provider
        self._job_id = record.id
        self._clock = options.runtime.clock
        self._runtime = options.runtime
        self._callback: Callable[[Progress], object] | None = options.on_progress
        self._last: Progress | None = None
        self._read_at = 0.0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._complained = False

    def start(self) -> None:
        """Begin to call the callback, where there is one."""
        if self._callback is not None and self._task is None:
            self._changed.set()
            self._task = asyncio.create_task(self._report())

    def changed(self) -> None:
        """Something has moved."""
        self._changed.set()

    def read(self) -> Progress:
        """Where the job stands; finished requests never become fewer."""
        now = self._clock()
        if self._last is None or not 0.0 <= now - self._read_at < FRESH:
            found = read_progress(self._ledger, self._provider, self._job_id)
            self._read_at = now
            self._last = found
        return self._last

    async def finish(self) -> None:
        """Report the end."""
        self.stop()
        self._last = None
        if self._callback is not None:
            await self._call(self._callback, self.read())

    def stop(self) -> None:
        """Call the callback no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _report(self) -> None:
        while self._callback is not None:
            await self._changed.wait()
            self._changed.clear()
            await self._call(self._callback, self.read())
            await asyncio.sleep(FRESH)

    async def _call(self, callback: Callable[[Progress], object], progress: Progress) -> None:
        try:
            await self._runtime.blocking(callback, progress)
        except Exception as error:
            # Once with its traceback: it would come with every report.
            level = logging.DEBUG if self._complained else logging.ERROR
            logger.log(level, "on_progress raised; the job goes on", exc_info=error)
            self._complained = True

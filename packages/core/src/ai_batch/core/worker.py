"""Drives the open jobs of a ledger to their ends, from one asyncio process of any machine.

Any number of workers may share a ledger: what is done twice is prevented by leases and fences,
as between any two engines. A worker keeps nothing that is not on record, so it may be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from ai_batch.core.errors import AIBatchError, BatchFailed, LedgerError, UsageError, mask
from ai_batch.core.job import Job
from ai_batch.core.ledger import Ledger
from ai_batch.core.ledgers import open_ledger
from ai_batch.core.options import Duration, Options, seconds
from ai_batch.core.processor import DurableProcessor
from ai_batch.core.records import JobRecord
from ai_batch.core.remaking import Remaking, needs_client
from ai_batch.core.runtime import Runtime
from ai_batch.core.work import LeftAlone, WorkEvent, WorkReport

__all__ = ["MakeProcessor", "Worker"]

logger = logging.getLogger("ai_batch.worker")

MakeProcessor: TypeAlias = Callable[[JobRecord], DurableProcessor | None]
"""Gives a job its processor; None for a job that is others' to work on."""

LEDGER_PATIENCE = 600.0
"""Seconds for which a ledger that can't be reached any more is tried again."""

TURN = 30.0
"""Seconds that a job has at least before it gives its place to one that waits."""

GRACE = 5.0
"""Seconds in which a batch that is being sent may arrive before its job is let go."""

GATHER = 0.1
"""Seconds in which jobs that end at about the same time are replaced together."""


@dataclass(slots=True, kw_only=True)
class _Held:
    """A job that is worked on here."""

    record: JobRecord
    job: Job
    processor: DurableProcessor
    task: asyncio.Task[tuple[int, int]]

    @property
    def idle(self) -> bool:
        """Whether all that is left of it waits for its time."""
        return self.job.current_run is not None and self.job.current_run.engine.idle

    async def let_go(self) -> None:
        """Stop working on it; a batch that is being sent is brought to the provider first."""
        if self.job.current_run is not None:
            await self.job.current_run.engine.send_no_more(GRACE)
        self.task.cancel()
        await asyncio.wait([self.task])


class Worker:
    """Works on all open jobs of a ledger, or on some, until it is stopped or none is left.

    It marks no job as delivered: that is for whoever collects its results.
    """

    def __init__(
        self,
        make: MakeProcessor | None = None,
        *,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        home: str | os.PathLike[str] | None = None,
        only: Collection[str] | None = None,
        max_jobs: int = 100,
        look_every: Duration = 5.0,
        on_event: Callable[[WorkEvent], object] | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """``ledger`` and ``home`` are those of the processors that planned the jobs.

        ``make`` gives each job its processor, which is closed once no job here needs it; without,
        processors are made from what is on record, with keys of the environment. ``only`` names
        the jobs to work on; others are none of its business. Of more than ``max_jobs`` open
        jobs, those that have to wait take turns. Every ``look_every`` seconds it looks for new
        ones. ``on_event`` is told what it does, from the event loop: it must not take long.

        Raises ``UsageError`` and ``LedgerError`` where the ledger can't be opened.
        """
        if max_jobs < 1:
            raise UsageError(f"max_jobs must be 1 or more, found {max_jobs!r}")
        self._runtime = runtime or Runtime()
        options = Options(ledger=ledger, home=home, runtime=self._runtime)
        self._home = options.home_path
        self._owns = not isinstance(options.ledger, Ledger)
        self._ledger = open_ledger(options.ledger, self._home, self._runtime.clock)
        self._make = make or Remaking(Options(ledger=self._ledger, home=self._home))
        self._only = None if only is None else frozenset(only)
        self._max_jobs = max_jobs
        self._look_every = seconds("look_every", look_every) or GATHER
        self._on_event = on_event
        self._held: dict[str, _Held] = {}
        self._left = LeftAlone()
        self._driven: dict[str, float] = {}
        self._using: set[DurableProcessor] = set()
        self._ended = 0
        self._failing_since: float | None = None
        self._stopping = threading.Event()
        self._stopped_by: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()

    @property
    def working_on(self) -> tuple[str, ...]:
        """The ids of the jobs that it works on now. From any thread."""
        return tuple(self._held.copy())

    # -- from outside -----------------------------------------------------------------------

    def run(self, *, drain: bool = False) -> WorkReport:
        """Like ``arun``, blocking. SIGTERM and SIGINT stop it, where it has the main thread."""
        return asyncio.run(self._signalled(drain=drain))

    async def _signalled(self, *, drain: bool) -> WorkReport:
        with self._stopped_by_signals():
            return await self.arun(drain=drain)

    @contextlib.contextmanager
    def _stopped_by_signals(self) -> Generator[None, None, None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _on_signal(self, number: int) -> None:
        self._stopped_by = number
        self.stop()
        # A second one ends the process at once: nothing is lost by that either.
        asyncio.get_running_loop().remove_signal_handler(number)

    def stop(self) -> None:
        """Have ``run`` let go of all jobs, which stay on record, and return. From any thread."""
        self._stopping.set()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def arun(self, *, drain: bool = False) -> WorkReport:
        """Work on jobs until ``stop`` is called; with ``drain``, or ``only``, until none is left.

        A job that can't go on until somebody mends something is left alone for a while; with
        ``drain`` it is not waited for once no other job is worked on. Raises ``LedgerError``
        where the ledger can't be reached, once that has lasted for ten minutes.
        """
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        ends = drain or self._only is not None
        try:
            while not self._stopping.is_set():
                await self._look_patiently()
                if ends and not self._held and self._failing_since is None:
                    break
                await self._pause()
        finally:
            await self._let_go()
        return WorkReport(ended=self._ended, left=self._left.events, stopped_by=self._stopped_by)

    async def _let_go(self) -> None:
        await self._release(list(self._held))
        await self._close_unused()
        if self._owns:
            self._ledger.close()

    # -- one look at the ledger -------------------------------------------------------------

    async def _look_patiently(self) -> None:
        try:
            await self._look()
        except LedgerError as error:
            now = self._runtime.clock()
            if self._failing_since is None:
                self._failing_since = now
            if now - self._failing_since >= LEDGER_PATIENCE:
                raise
            logger.warning("the ledger can't be read, and is tried again: %s", error)
        else:
            self._failing_since = None

    async def _look(self) -> None:
        """Let go of jobs that have ended, and take up others."""
        self._reap()
        found = await self._runtime.blocking(self._ledger.open_jobs)
        opened = {id: due for id, due in found if self._only is None or id in self._only}
        self._left.forget(opened)
        for id in self._driven.keys() - opened.keys():
            del self._driven[id]
        now = self._ledger.now()
        waiting = self._waiting(opened, now)
        due = sum(opened[id] <= now for id in waiting)
        await self._release(self._idle(due - self._room))
        for id in waiting[: self._room]:
            if self._stopping.is_set():
                break
            await self._take(id)
        await self._close_unused()

    def _waiting(self, opened: Mapping[str, float], now: float) -> list[str]:
        """The jobs that could be taken up: first what is due, and waits longest for its turn."""
        clock = self._runtime.clock()
        waiting = [id for id in opened if id not in self._held and not self._left.has(id, clock)]
        waiting.sort(key=lambda id: (opened[id] > now, self._driven.get(id, 0.0), opened[id]))
        return waiting

    @property
    def _room(self) -> int:
        return max(self._max_jobs - len(self._held), 0)

    def _idle(self, number: int) -> list[str]:
        """At most so many jobs that could give their place to others, the longest here first."""
        since = self._runtime.clock() - TURN
        idle = (id for id, held in self._held.items() if self._driven[id] <= since and held.idle)
        return list(islice(idle, max(number, 0)))

    async def _pause(self) -> None:
        """Wait until it is time for the next look."""
        sleep = asyncio.ensure_future(self._runtime.sleep(self._look_every))
        wake = asyncio.ensure_future(self._wake.wait())
        tasks = [held.task for held in self._held.values()]
        try:
            await asyncio.wait({sleep, wake, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            wake.cancel()
        if not self._stopping.is_set():
            await self._runtime.sleep(GATHER)

    # -- one job ----------------------------------------------------------------------------

    async def _take(self, id: str) -> None:
        try:
            record = await self._runtime.blocking(self._ledger.job, id)
        except LedgerError:
            # Deleted since it was listed; a ledger that is away says so at the next look.
            return
        if record.finished:
            return
        try:
            found = await self._runtime.blocking(self._open, record)
        except Exception as error:  # noqa: BLE001 - one job must not stop the others
            self._leave(record, error)
            return
        if found is None:
            self._skip(record)
            return
        processor, job = found
        self._using.add(processor)
        is_new = id not in self._driven
        self._driven[id] = self._runtime.clock()
        task = asyncio.create_task(_drive(job))
        self._held[id] = _Held(record=record, job=job, processor=processor, task=task)
        if is_new:
            self._tell(WorkEvent(type="taken", job=record, message=_plural(record.total)))

    def _open(self, record: JobRecord) -> tuple[DurableProcessor, Job] | None:
        folder = self._home / record.folder
        if not folder.is_dir():
            raise LedgerError(
                f"its folder {folder} is not on this machine: machines that share a ledger need "
                "one home that all of them see"
            )
        processor = self._make(record)
        return None if processor is None else (processor, processor.attach(record.id))

    async def _release(self, ids: Collection[str]) -> None:
        """Stop working on jobs; they stay on record."""
        await asyncio.gather(*(self._held[id].let_go() for id in ids))
        self._reap()

    def _reap(self) -> None:
        for id in [id for id, held in self._held.items() if held.task.done()]:
            held = self._held.pop(id)
            if held.task.cancelled():
                continue
            error = held.task.exception()
            if isinstance(error, Exception) and not isinstance(error, BatchFailed):
                self._leave(held.record, error)
            else:
                self._end(held, error)

    def _end(self, held: _Held, error: BaseException | None) -> None:
        self._ended += 1
        if isinstance(error, BatchFailed):
            message = f"refused as a whole: {mask(str(error))}"
            event = WorkEvent(type="ended", job=held.record, message=message, error=error)
        else:
            completed, failed = held.task.result()
            message = f"{completed:,} of {held.record.total:,} answered, {failed:,} failed"
            event = WorkEvent(
                type="ended", job=held.record, message=message, completed=completed, failed=failed
            )
        self._tell(event)

    def _leave(self, record: JobRecord, error: Exception) -> None:
        if not isinstance(error, AIBatchError):
            # Vendors' exceptions may hold the key, and so may their tracebacks.
            logger.error("%s", mask("".join(traceback.format_exception(error))))
        self._driven.pop(record.id, None)
        self._tell(self._left.leave(record, error, self._runtime.clock()))

    def _skip(self, record: JobRecord) -> None:
        message = f"this worker has no processor for jobs of {record.provider}"
        with contextlib.suppress(UsageError):
            if needs_client(record.provider):
                message = "a job of live calls: only its program works on it, which has the client"
        self._tell(self._left.skip(record, message))

    def _tell(self, event: WorkEvent) -> None:
        level = logging.WARNING if event.type == "left" else logging.INFO
        logger.log(level, "%s %s: %s", event.type, event.job.id, event.message)
        if self._on_event is not None:
            self._on_event(event)

    async def _close_unused(self) -> None:
        """Close the connections of processors that no job here needs; they open again."""
        unused = self._using - {held.processor for held in self._held.values()}
        self._using -= unused
        for processor in unused:
            await processor.aclose()


async def _drive(job: Job) -> tuple[int, int]:
    """Work on a job to its end; how many of its requests have an answer, and an error."""
    try:
        response = await job.ajoin()
        return response.completed, response.failed
    finally:
        await job.adetach()


def _plural(number: int) -> str:
    return f"{number:,} request{'' if number == 1 else 's'}"

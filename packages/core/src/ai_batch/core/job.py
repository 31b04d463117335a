"""A job as its user holds it: joined, watched, cancelled, read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ai_batch.core import blocking
from ai_batch.core.errors import BatchFailed, VendorFault
from ai_batch.core.events import Event, Progress
from ai_batch.core.progress import read_progress
from ai_batch.core.requests import ChatRequest, OutputSchema, Request
from ai_batch.core.response import BatchResponse
from ai_batch.core.results import Result
from ai_batch.core.run import JobContext, JobRun

if TYPE_CHECKING:
    from ai_batch.core.checkup import Damage

__all__ = ["Job"]

Value = TypeVar("Value")

Resubmit = Callable[[list[Request], str], "Job"]


class Job:
    """A job of this or an earlier process. What it does is on record: nothing is lost with it.

    Methods without ``a`` block; they may also be called where an event loop is running.
    """

    def __init__(self, context: JobContext, resubmit: Resubmit) -> None:
        """Made by ``submit`` and ``attach``."""
        self._context = context
        self._resubmit = resubmit
        self._run: JobRun | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def id(self) -> str:
        """The id that ``attach`` takes."""
        return self._context.record.id

    @property
    def total(self) -> int:
        """The number of requests."""
        return self._context.record.total

    def __repr__(self) -> str:
        """The id and the number of requests."""
        return f"Job(id={self.id!r}, total={self.total})"

    def status(self) -> Progress:
        """Where the job stands, by the ledger: also when another process works on it."""
        return read_progress(self._context.ledger, self._context.provider, self.id)

    # -- the run, in whichever loop it was started ------------------------------------------

    def start(self) -> JobRun:
        """Begin to work on the job in the current event loop, if nobody here does yet."""
        if self._run is None or (self._loop is not None and self._loop.is_closed()):
            self._loop = asyncio.get_running_loop()
            self._run = JobRun(self._context)
        self._run.start()
        return self._run

    @property
    def current_run(self) -> JobRun | None:
        """What works on the job in this process, if anything does."""
        return self._run

    async def _there(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Run in the loop in which the job is worked on."""
        here = asyncio.get_running_loop()
        if self._loop is None or self._loop is here or self._loop.is_closed():
            return await work()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self._loop))

    def _blocking(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        return blocking.call(self._there(work))

    async def adetach(self) -> None:
        """Stop working on the job here. It stays on record; whoever attaches goes on with it."""
        run, self._run = self._run, None
        if run is not None:
            await self._there(run.stop)

    def detach(self) -> None:
        """Like ``adetach``, blocking."""
        if self._run is not None:
            blocking.call(self.adetach())

    # -- to the end -------------------------------------------------------------------------

    async def ajoin(self, timeout: float | None = None) -> BatchResponse:
        """Work on the job until every request has its result.

        Raises ``TimeoutError`` after ``timeout`` seconds, with the job going on; ``BatchFailed``
        when the provider refused every batch; ``ProviderError`` when the job can't go on until
        somebody mends something: the same call then continues it.
        """
        return await self._there(lambda: self._join(timeout))

    def join(self, timeout: float | None = None) -> BatchResponse:
        """Like ``ajoin``, blocking."""
        return self._blocking(lambda: self._join(timeout))

    async def _join(self, timeout: float | None) -> BatchResponse:
        if self._context.ledger.job(self.id).finished:
            return self._finished()
        task = self.start().task
        done, _ = await asyncio.wait([task], timeout=timeout)
        if not done:
            raise TimeoutError(f"job {self.id} is still running after {timeout} s; join it again")
        self._run = None
        task.result()
        return self._finished()

    def _finished(self) -> BatchResponse:
        faults = self._refusals()
        if faults:
            # Nothing was paid, so nothing is lost when the same call tries again.
            self._context.ledger.change_job(self.id, state="refused")
            raise BatchFailed(self, faults)
        return self._context.response()

    def _refusals(self) -> list[VendorFault]:
        """The vendor's errors where it refused every batch as a whole; else nothing."""
        totals = self._context.ledger.totals(self.id)
        state = self._context.ledger.job(self.id).state
        if state == "cancelled" or totals.batches_refused < totals.batches or totals.completed:
            return []
        shards = self._context.ledger.shards(self.id)
        # One per cause: what all lines share, the vendor says of each line of each batch.
        general = list(
            dict.fromkeys(fault for shard in shards for fault in shard.faults if fault.line is None)
        )
        return general if all(shard.faults or shard.retried for shard in shards) else []

    # -- on the way -------------------------------------------------------------------------

    async def aevents(self) -> AsyncIterator[Event]:
        """What happens, from the job's beginning; works on the job while it is followed."""
        async for event in self.start().events():
            yield event

    def events(self) -> Iterator[Event]:
        """Like ``aevents``, blocking."""
        return blocking.iterate(self.aevents())

    def results(self) -> Iterator[Result]:
        """All results in request order, with flat memory; joins the job first."""
        self._blocking(self._completed)
        yield from self._context.response()

    async def aresults(self) -> AsyncIterator[Result]:
        """Like ``results``, without blocking."""
        await self._there(self._completed)
        for result in self._context.response():
            yield result

    async def _completed(self) -> None:
        try:
            await self._join(None)
        except BatchFailed:
            return

    async def acancel(self) -> BatchResponse:
        """Cancel at the provider, collect what was finished, and give the response."""
        return await self._there(self._cancel)

    def cancel(self) -> BatchResponse:
        """Like ``acancel``, blocking."""
        return self._blocking(self._cancel)

    async def _cancel(self) -> BatchResponse:
        await self._context.options.runtime.blocking(self._context.ledger.cancel_job, self.id)
        if self._run is not None:
            self._run.engine.wake()
        return await self._join(None)

    # -- on disk ----------------------------------------------------------------------------

    def check(self) -> list[Damage]:
        """Read all that the job has on disk; what of it is not as it was written, and what helps.

        Nothing needs to be checked before results are read: what is damaged is never given.
        """
        from ai_batch.core.checkup import damage_of_job

        shards = self._context.ledger.shards(self.id)
        return list(damage_of_job(self._context.folder, shards, self.total))

    async def arepair(self) -> list[Damage]:
        """Bring damaged results back without asking any model; what is damaged still.

        They are downloaded again where the provider still has them. Of others, whole answers are
        kept, and the rest become errors (``damaged_row``), which ``retry_failed`` asks again.
        Raises ``ProviderError`` where the provider can't be reached; the same call then goes on.
        """
        from ai_batch.core.repair import Repair

        context = self._context
        repair = Repair(
            ledger=context.ledger,
            folder=context.folder,
            formats=context.provider,
            runtime=context.options.runtime,
        )
        await self._there(lambda: repair.run(context.ledger.shards(self.id)))
        return self.check()

    def repair(self) -> list[Damage]:
        """Like ``arepair``, blocking."""
        return blocking.call(self.arepair())

    def retry_failed(self) -> Job:
        """A new job with just the requests that failed, their ids unchanged.

        Asking for it again after a crash gives the same job. Raises ``UsageError`` when there
        is nothing to retry.
        """
        self._blocking(self._completed)
        results = self._context.reader().read()
        failed = [self._typed(result.request) for result in results if not result.ok]
        return self._resubmit(failed, f"retry of {self.id}")

    def _typed(self, request: Request) -> Request:
        """The request with the Python type of its answer, where this process knows it."""
        if not isinstance(request, ChatRequest) or not isinstance(
            request.output_type, OutputSchema
        ):
            return request
        known = (self._context.types or {}).get(request.output_type.key)
        return request if known is None else request.model_copy(update={"output_type": known})

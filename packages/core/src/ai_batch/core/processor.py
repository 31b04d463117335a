"""The class that users see: options in, results out, and the same call resumes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, Self

from ai_batch.core import blocking
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.errors import UsageError
from ai_batch.core.events import CompleteEvent, Event
from ai_batch.core.intake import Requests, SyncRequests, items_of
from ai_batch.core.job import Job
from ai_batch.core.ledger import Ledger
from ai_batch.core.options import Options
from ai_batch.core.planning import Estimate, Planning, estimate_plan
from ai_batch.core.provider import Provider
from ai_batch.core.records import JobRecord
from ai_batch.core.requests import Request
from ai_batch.core.results import BatchResponse, Result, Usage
from ai_batch.core.run import JobContext
from ai_batch.core.spool import Spool

__all__ = ["Estimate", "NativeProcessor", "Processor"]

BREATH = 256
"""Requests after which planning lets the event loop do other things."""


class Processor(Protocol):
    """What every processor can do, native or concurrent."""

    def process(self, requests: Requests) -> BatchResponse:
        """Answer all requests; the same call after a crash goes on where it stopped."""
        ...

    async def aprocess(self, requests: Requests) -> BatchResponse:
        """Like ``process``, without blocking."""
        ...

    def stream(self, requests: Requests) -> Iterator[Event]:
        """Answer all requests, and tell of each as soon as it is there."""
        ...

    def astream(self, requests: Requests) -> AsyncIterator[Event]:
        """Like ``stream``, without blocking."""
        ...


class NativeProcessor:
    """Answers requests through a vendor's own batch API."""

    def __init__(self, provider: Callable[[], Provider], options: Options) -> None:
        """``provider`` is called once, when it is first needed."""
        self._make_provider = provider
        self._options = options
        self._provider_made: Provider | None = None
        self._ledger_made: Ledger | None = None
        self._spool_made: Spool | None = None

    # -- what a user calls ------------------------------------------------------------------

    def process(self, requests: Requests) -> BatchResponse:
        """Answer all requests and give the results in the order of the requests.

        The same call after a crash attaches to its job instead of paying again. Raises
        ``UsageError`` before anything is sent, ``BatchFailed`` when the provider refused every
        batch, ``ProviderError`` when somebody has to mend something first.
        """
        job = self._planned(requests)
        return _nothing() if job is None else job.join()

    async def aprocess(self, requests: Requests) -> BatchResponse:
        """Like ``process``, without blocking the event loop."""
        job = await self._aplanned(requests)
        return _nothing() if job is None else await job.ajoin()

    def stream(self, requests: Requests) -> Iterator[Event]:
        """Answer all requests; items come as soon as their provider batch has been collected.

        Ends with a ``CompleteEvent``, or with an ``ErrorEvent`` when the job can't go on.
        """
        job = self._planned(requests)
        if job is None:
            yield CompleteEvent(_nothing())
        else:
            yield from job.events()

    async def astream(self, requests: Requests) -> AsyncIterator[Event]:
        """Like ``stream``, without blocking the event loop."""
        job = await self._aplanned(requests)
        if job is None:
            yield CompleteEvent(_nothing())
            return
        async for event in job.aevents():
            yield event

    def submit(self, requests: Requests) -> Job:
        """Plan everything and bring the first batches to the provider; the job goes on behind.

        Raises ``UsageError`` when there are no requests.
        """
        job = _some(self._planned(requests))
        blocking.call(_launch(job))
        return job

    async def asubmit(self, requests: Requests) -> Job:
        """Like ``submit``, without blocking the event loop."""
        job = _some(await self._aplanned(requests))
        await _launch(job)
        return job

    def attach(self, job_id: str) -> Job:
        """The job of this id. Raises ``LedgerError`` when the ledger does not know it."""
        record = self._ledger.job(job_id)
        if record.provider != self._provider.name:
            raise UsageError(f"job {job_id} is of {record.provider}, not of {self._provider.name}")
        structured = record.spec.get("structured")
        return self._job(record, {} if structured else None)

    def jobs(self) -> list[JobRecord]:
        """The jobs that the ledger knows, the newest first."""
        return self._ledger.jobs()

    def estimate(self, requests: SyncRequests) -> Estimate:
        """Count, cut and price the requests without sending anything."""
        with self._planning() as planning:
            for item in items_of(requests):
                planning.planner.add(item)
            return estimate_plan(planning.planner.finish(), self._provider)

    def close(self) -> None:
        """Close connections and the ledger."""
        if self._provider_made is not None:
            blocking.call(self._provider_made.aclose())
        if self._ledger_made is not None and not isinstance(self._options.ledger, Ledger):
            self._ledger_made.close()
        self._provider_made = self._ledger_made = None

    def __enter__(self) -> Self:
        """The processor itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes connections and the ledger."""
        self.close()

    # -- what it is made of -----------------------------------------------------------------

    @property
    def _provider(self) -> Provider:
        if self._provider_made is None:
            self._provider_made = self._make_provider()
        return self._provider_made

    @property
    def _ledger(self) -> Ledger:
        if self._ledger_made is None:
            self._ledger_made = self._open_ledger()
        return self._ledger_made

    def _open_ledger(self) -> Ledger:
        given = self._options.ledger
        if isinstance(given, Ledger):
            return given
        path = Path(given) if given is not None else self._spool.home / "ledger.db"
        return Ledger(SQLiteDatabase(path, clock=self._options.runtime.clock))

    @property
    def _spool(self) -> Spool:
        if self._spool_made is None:
            self._spool_made = Spool(self._options.home_path)
        return self._spool_made

    def _job(self, record: JobRecord, types: Mapping[str, object] | None) -> Job:
        context = JobContext(
            record=record,
            ledger=self._ledger,
            folder=self._spool.open(record.folder),
            provider=self._provider,
            options=self._options,
            types=types,
        )
        return Job(context, self._resubmit)

    def _resubmit(self, requests: list[Request], salt: str) -> Job:
        job = _some(self._planned(requests, salt))
        blocking.call(_launch(job))
        return job

    # -- planning ---------------------------------------------------------------------------

    def _planning(self, salt: str = "") -> Planning:
        return Planning(self._provider, self._ledger, self._spool, self._options, salt)

    def _planned(self, requests: Requests, salt: str = "") -> Job | None:
        if isinstance(requests, AsyncIterable):
            return blocking.call(self._aplanned(requests, salt))
        # In the caller's thread: what is iterated may belong to it, such as a SQLite cursor.
        with self._planning(salt) as planning:
            for item in items_of(requests):
                planning.planner.add(item)
            return self._found(planning)

    async def _aplanned(self, requests: Requests, salt: str = "") -> Job | None:
        with self._planning(salt) as planning:
            if isinstance(requests, AsyncIterable):
                async for request in requests:
                    planning.planner.add(request)
            else:
                for count, item in enumerate(items_of(requests)):
                    planning.planner.add(item)
                    if count % BREATH == 0:
                        await asyncio.sleep(0)
            return self._found(planning)

    def _found(self, planning: Planning) -> Job | None:
        found = planning.finish()
        return None if found is None else self._job(*found)


def _some(job: Job | None) -> Job:
    if job is None:
        raise UsageError("there are no requests, so there is no job to submit")
    return job


async def _launch(job: Job) -> None:
    run = job.start()
    task = run.task
    launched = asyncio.create_task(run.engine.launched.wait())
    await asyncio.wait({task, launched}, return_when=asyncio.FIRST_COMPLETED)
    launched.cancel()
    if task.done():
        task.result()


class _NoResults:
    def __len__(self) -> int:
        return 0

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Result]:
        del start, stop
        return iter(())


def _nothing() -> BatchResponse:
    return BatchResponse(
        job_id="",
        completed=0,
        failed=0,
        usage=Usage(),
        pricing=lambda: 0.0,
        source=_NoResults(),
    )

"""The class that users see: options in, results out, and the same call resumes."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, Self, cast

from ai_batch.core.estimate import Estimate
from ai_batch.core.events import CompleteEvent, Event
from ai_batch.core.intake import Requests, SyncRequests
from ai_batch.core.options import Options
from ai_batch.core.provider import Provider
from ai_batch.core.response import BatchResponse
from ai_batch.core.results import Result, Usage

if TYPE_CHECKING:
    from ai_batch.core.job import Job
    from ai_batch.core.jobs import Jobs, Workshop
    from ai_batch.core.records import JobRecord

__all__ = ["DurableProcessor", "NativeProcessor", "Processor"]


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


class DurableProcessor:
    """A processor whose jobs are on record, so that nothing is lost with the process."""

    def __init__(self, workshop: Callable[[], Workshop], options: Options) -> None:
        """``workshop`` is called once, when it is first needed."""
        self._make_workshop = workshop
        self._options = options
        self._jobs_made: Jobs | None = None
        self._making = threading.Lock()

    @property
    def _jobs(self) -> Jobs:
        with self._making:
            if self._jobs_made is None:
                # Only now: the engine, SQLite and asyncio take a while to import.
                from ai_batch.core.jobs import Jobs

                self._jobs_made = Jobs(self._make_workshop(), self._options)
            return self._jobs_made

    @property
    def workshop(self) -> Workshop:
        """How its jobs are planned, worked on and read: for programs that list or export jobs."""
        return self._make_workshop()

    # -- what a user calls ------------------------------------------------------------------

    def process(self, requests: Requests) -> BatchResponse:
        """Answer all requests and give the results in the order of the requests.

        The same call after a crash attaches to its job instead of paying again. Raises
        ``UsageError`` before anything is sent, ``BatchFailed`` when the provider refused every
        batch, ``ProviderError`` when somebody has to mend something first.
        """
        job = self._jobs.planned(requests)
        if job is None:
            return _nothing()
        try:
            return job.join()
        finally:
            job.detach()

    async def aprocess(self, requests: Requests) -> BatchResponse:
        """Like ``process``, without blocking the event loop."""
        job = await self._jobs.aplanned(requests)
        if job is None:
            return _nothing()
        try:
            return await job.ajoin()
        finally:
            await job.adetach()

    def stream(self, requests: Requests) -> Iterator[Event]:
        """Answer all requests; items come as soon as their provider batch has been collected.

        Ends with a ``CompleteEvent``, or with an ``ErrorEvent`` when the job can't go on.
        """
        job = self._jobs.planned(requests)
        if job is None:
            yield CompleteEvent(_nothing())
            return
        try:
            yield from job.events()
        finally:
            job.detach()

    async def astream(self, requests: Requests) -> AsyncIterator[Event]:
        """Like ``stream``, without blocking the event loop."""
        job = await self._jobs.aplanned(requests)
        if job is None:
            yield CompleteEvent(_nothing())
            return
        try:
            async for event in job.aevents():
                yield event
        finally:
            await job.adetach()

    def plan(self, requests: Requests, *, salt: str = "") -> Job:
        """Check and write everything, and put the job on record; nothing is sent.

        Whoever works on the job then sends it: this process, a ``Worker``, ``ai-batch work``. The
        same requests again are the same job, until it has been delivered; another ``salt`` makes
        another job of them. Raises ``UsageError`` for faults of the requests, and when there are
        none.
        """
        return self._jobs.plan(requests, salt)

    async def aplan(self, requests: Requests, *, salt: str = "") -> Job:
        """Like ``plan``, letting the event loop do other things in between."""
        return await self._jobs.aplan(requests, salt)

    def submit(self, requests: Requests) -> Job:
        """Plan everything and bring the first batches to the provider; the job goes on behind.

        Raises ``UsageError`` when there are no requests.
        """
        return self._jobs.submit(requests)

    async def asubmit(self, requests: Requests) -> Job:
        """Like ``submit``, without blocking the event loop."""
        return await self._jobs.asubmit(requests)

    def attach(self, job_id: str, output_types: Iterable[type[object]] = ()) -> Job:
        """The job of this id. Raises ``LedgerError`` when the ledger does not know it."""
        return self._jobs.attach(job_id, output_types)

    def jobs(self) -> list[JobRecord]:
        """The jobs that the ledger knows, the newest first."""
        return self._jobs.records()

    def delete(self, job_id: str, *, force: bool = False) -> None:
        """Delete a job with its requests and results, also from the disk.

        Raises ``LedgerError`` when the ledger does not know it, and while something of it is left
        to do, unless ``force``: what is at the provider then goes on and is paid for, and nobody
        gets it.
        """
        self._jobs.delete(job_id, force=force)

    def estimate(self, requests: SyncRequests) -> Estimate:
        """Count, cut and price the requests without sending anything."""
        return self._jobs.estimate(requests)

    def close(self) -> None:
        """Close connections and the ledger."""
        if self._jobs_made is not None:
            self._jobs_made.close()
            self._jobs_made = None

    async def aclose(self) -> None:
        """Like ``close``, without blocking the event loop."""
        if self._jobs_made is not None:
            await self._jobs_made.aclose()
            self._jobs_made = None

    async def __aenter__(self) -> Self:
        """The processor itself."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Closes connections and the ledger."""
        await self.aclose()

    def __enter__(self) -> Self:
        """The processor itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes connections and the ledger."""
        self.close()


class NativeProcessor(DurableProcessor):
    """Answers requests through a vendor's own batch API."""

    def __init__(self, provider: Callable[[], Provider], options: Options) -> None:
        """``provider`` is called once, when it is first needed."""
        super().__init__(self._workshop, options)
        self._make_provider = provider
        self._provider_made: Provider | None = None

    def _workshop(self) -> Workshop:
        from ai_batch.core.jobs import Workshop
        from ai_batch.core.native import engine_of

        self._provider_made = provider = self._make_provider()
        return Workshop(provider, engine_of(provider))

    @property
    def provider(self) -> Provider:
        """What speaks to the vendor: its limits, prices, and single calls."""
        _ = self._jobs
        return cast("Provider", self._provider_made)


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

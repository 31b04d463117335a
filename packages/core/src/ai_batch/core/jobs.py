"""The jobs of one home: plans new ones, finds old ones, and gets them going."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from dataclasses import dataclass

from ai_batch.core import blocking
from ai_batch.core.deletion import delete_job
from ai_batch.core.errors import UsageError
from ai_batch.core.estimate import Estimate, estimate_plan
from ai_batch.core.intake import Requests, SyncRequests, items_of
from ai_batch.core.job import Job
from ai_batch.core.ledger import Ledger
from ai_batch.core.ledgers import open_ledger
from ai_batch.core.options import Options
from ai_batch.core.planning import Planning
from ai_batch.core.provider import Formats
from ai_batch.core.records import JobRecord
from ai_batch.core.requests import Request, output_schema
from ai_batch.core.run import JobContext, MakeEngine
from ai_batch.core.spool import Spool

__all__ = ["Jobs", "Workshop"]

BREATH = 256
"""Requests after which planning lets the event loop do other things."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """How the jobs of one processor are planned, worked on and read.

    ``count_attempts`` reads from a row how often its request was sent, where rows say so.
    """

    formats: Formats
    make_engine: MakeEngine
    count_attempts: Callable[[bytes], int] | None = None


class Jobs:
    """What a processor works with: formats, an engine, a ledger and a spool."""

    def __init__(
        self, workshop: Workshop, options: Options, beside: Mapping[str, bytes] | None = None
    ) -> None:
        """Opens the ledger and makes the home where there is none yet.

        ``beside`` are files that the folder of each new job gets, such as a program's notes of it.
        """
        self.provider = workshop.formats
        self._workshop = workshop
        self._options = options
        self._beside = beside
        self.spool = Spool(options.home_path)
        self.ledger = self._open_ledger()

    def _open_ledger(self) -> Ledger:
        options = self._options
        return open_ledger(options.ledger, self.spool.home, options.runtime.clock)

    def plan(self, requests: Requests, salt: str = "") -> Job:
        """Put the job of the requests on record, or find it; nothing is sent.

        Raises ``UsageError`` when there are no requests.
        """
        return _some(self.planned(requests, salt))

    async def aplan(self, requests: Requests, salt: str = "") -> Job:
        """Like ``plan``, letting the event loop do other things in between."""
        return _some(await self.aplanned(requests, salt))

    def submit(self, requests: Requests, salt: str = "") -> Job:
        """Plan, and bring the first batches to the provider.

        Raises ``UsageError`` when there are no requests.
        """
        job = self.plan(requests, salt)
        blocking.call(_launch(job))
        return job

    async def asubmit(self, requests: Requests) -> Job:
        """Like ``submit``, without blocking."""
        job = await self.aplan(requests)
        await _launch(job)
        return job

    def attach(self, job_id: str, output_types: Iterable[type[object]] = ()) -> Job:
        """The job of this id. Raises ``LedgerError`` when the ledger does not know it.

        ``output_types`` are the Python types of its answers, which no file can hold.
        """
        record = self.ledger.job(job_id)
        if record.provider != self.provider.name:
            raise UsageError(f"job {job_id} is of {record.provider}, not of {self.provider.name}")
        types = {output_schema(kind).key: kind for kind in output_types}
        return self._job(record, types if record.spec.get("structured") else None)

    def records(self) -> list[JobRecord]:
        """The jobs that the ledger knows, the newest first."""
        return self.ledger.jobs()

    def delete(self, job_id: str, *, force: bool = False) -> None:
        """Delete a job with its requests and results, as ``delete_job`` does."""
        delete_job(self.ledger, self.spool, job_id, force=force)

    def estimate(self, requests: SyncRequests) -> Estimate:
        """Count, cut and price the requests without sending anything."""
        with self._planning() as planning:
            for item in items_of(requests):
                planning.planner.add(item)
            return estimate_plan(planning.planner.finish(), self.provider)

    def close(self) -> None:
        """Close connections and, unless it is the user's, the ledger."""
        blocking.call(self.aclose())

    async def aclose(self) -> None:
        """Like ``close``, without blocking."""
        await self.provider.aclose()
        if not isinstance(self._options.ledger, Ledger):
            self.ledger.close()

    def _job(self, record: JobRecord, types: Mapping[str, object] | None) -> Job:
        context = JobContext(
            record=record,
            ledger=self.ledger,
            folder=self.spool.open(record.folder),
            provider=self.provider,
            options=self._options,
            make_engine=self._workshop.make_engine,
            types=types,
            count_attempts=self._workshop.count_attempts,
        )
        return Job(context, self._resubmit)

    def _resubmit(self, requests: list[Request], salt: str) -> Job:
        return self.submit(requests, salt)

    # -- planning ---------------------------------------------------------------------------

    def _planning(self, salt: str = "") -> Planning:
        return Planning(
            self.provider, self.ledger, self.spool, self._options, salt=salt, beside=self._beside
        )

    def planned(self, requests: Requests, salt: str = "") -> Job | None:
        """The job of the requests, new or found; None when there are no requests."""
        if isinstance(requests, AsyncIterable):
            return blocking.call(self.aplanned(requests, salt))
        # In the caller's thread: what is iterated may belong to it, such as a SQLite cursor.
        with self._planning(salt) as planning:
            for item in items_of(requests):
                planning.planner.add(item)
            return self._found(planning)

    async def aplanned(self, requests: Requests, salt: str = "") -> Job | None:
        """Like ``planned``, letting the event loop do other things in between."""
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
        raise UsageError("there are no requests, so there is no job")
    return job


async def _launch(job: Job) -> None:
    run = job.start()
    task = run.task
    launched = asyncio.create_task(run.engine.launched.wait())
    await asyncio.wait({task, launched}, return_when=asyncio.FIRST_COMPLETED)
    launched.cancel()
    if task.done():
        task.result()

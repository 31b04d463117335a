"""A job while it is worked on in this process: its engine, its listeners, its response."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, cast

from ai_batch.core.delivery import read_to_end
from ai_batch.core.engine import Engine
from ai_batch.core.errors import AIBatchError, LedgerUnavailable
from ai_batch.core.events import (
    CompleteEvent,
    ErrorEvent,
    Event,
    ItemEvent,
    Progress,
    ProgressEvent,
)
from ai_batch.core.inbox import Inbox
from ai_batch.core.ledger import Ledger
from ai_batch.core.options import Options
from ai_batch.core.patience import LEDGER_WAITS
from ai_batch.core.polling import Listener
from ai_batch.core.progress import ProgressMeter, cost_of
from ai_batch.core.provider import Formats
from ai_batch.core.reader import ResultReader
from ai_batch.core.records import JobRecord
from ai_batch.core.response import BatchResponse
from ai_batch.core.spool import JobFolder
from ai_batch.core.state import TERMINAL, Shard
from ai_batch.core.tail import Tail
from ai_batch.core.telemetry import describe, job_span

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["JobContext", "JobRun", "MakeEngine"]

logger = logging.getLogger("ai_batch.job")

BREATH = 256
"""Items after which a stream lets the event loop do other things."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """What is needed to work on a job, or to read it."""

    record: JobRecord
    ledger: Ledger
    folder: JobFolder
    provider: Formats
    options: Options
    make_engine: MakeEngine
    types: Mapping[str, object] | None = None
    count_attempts: Callable[[bytes], int] | None = None

    def reader(self) -> ResultReader:
        """The job's results."""
        return ResultReader(
            self.folder,
            lambda: self.ledger.shards(self.record.id),
            self.provider,
            self.record.total,
            self.types,
            count_attempts=self.count_attempts,
        )

    def response(self) -> BatchResponse:
        """The job's response, once every request has its result."""
        totals = self.ledger.totals(self.record.id)
        job_id, ledger = self.record.id, self.ledger
        return BatchResponse(
            job_id=job_id,
            completed=totals.completed,
            failed=totals.failed,
            usage=totals.all_usage,
            pricing=partial(cost_of, totals, self.provider),
            source=self.reader(),
            on_read=lambda: read_to_end(ledger, job_id),
        )


MakeEngine: TypeAlias = Callable[[JobContext, Listener], Engine]
"""Makes what works on a job and tells the listener of every shard that has moved."""


class JobRun:
    """Drives a job in the current event loop, and tells whoever listens."""

    def __init__(self, context: JobContext) -> None:
        """Nothing runs before ``start``."""
        self.context = context
        self.engine = context.make_engine(context, self._on_shard)
        self._meter = ProgressMeter(
            context.ledger, context.provider, context.record, context.options
        )
        self._inboxes: set[Inbox] = set()
        self._task: asyncio.Task[JobRecord] | None = None

    def start(self) -> None:
        """Begin, or go on."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
            # Whoever joins gets the error; that nobody may have joined is no reason to complain.
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def task(self) -> asyncio.Task[JobRecord]:
        """The task that ends with the job; begins it where nobody has."""
        self.start()
        return cast("asyncio.Task[JobRecord]", self._task)

    async def _run(self) -> JobRecord:
        self._meter.start()
        try:
            with self._span() as span:
                record = await self.engine.run()
                await self._meter.finish()
                describe(span, self.progress())
            return record
        except AIBatchError as error:
            job_id = self.context.record.id
            error.add_note(
                f"job {job_id} is kept: the same call, or attach({job_id!r}), continues it"
            )
            raise
        finally:
            # First, for whoever listens: what follows may be cancelled.
            self._tell(None)
            await self._meter.stop()

    def _span(self) -> AbstractContextManager[Span | None]:
        record = self.context.record
        return job_span(record.provider, record.id, record.total)

    def _on_shard(self, shard: Shard) -> None:
        self._meter.changed()
        self._tell(shard)

    def _tell(self, shard: Shard | None) -> None:
        for inbox in self._inboxes:
            inbox.put(shard)

    def progress(self) -> Progress:
        """Where the job stands now."""
        return self._meter.read()

    async def stop(self) -> None:
        """Let go of the job; it stays on record and can be attached to."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def events(self) -> AsyncIterator[Event]:
        """What happens to the job, from its beginning; each request's item comes once."""
        inbox = Inbox()
        self._inboxes.add(inbox)
        task = self.task
        if task.done():
            # It has told its end already, to those who listened then.
            inbox.put(None)
        try:
            async for event in self._follow(inbox):
                yield event
            try:
                await task
            except AIBatchError as error:
                yield ErrorEvent(error)
                return
            response = self.context.response()
            yield CompleteEvent(response)
            read_to_end(self.context.ledger, response.job_id)
        finally:
            self._inboxes.discard(inbox)

    async def _follow(self, inbox: Inbox) -> AsyncIterator[Event]:
        tails: dict[int, Tail] = {}
        async for event in self._catch_up(tails):
            yield event
        while (shard := await inbox.get()) is not None:
            async for event in self._news(shard, tails):
                yield event
            yield ProgressEvent(self.progress())
        # Another process may have collected some of it.
        async for event in self._catch_up(tails):
            yield event
        yield ProgressEvent(self.progress())

    async def _catch_up(self, tails: dict[int, Tail]) -> AsyncIterator[Event]:
        for shard in await self._shards():
            async for event in self._news(shard, tails):
                yield event

    async def _shards(self) -> list[Shard]:
        """The job's shards; while the ledger is away it is waited for, as the engine does."""
        for wait in LEDGER_WAITS:
            try:
                return self.context.ledger.shards(self.context.record.id)
            except LedgerUnavailable:
                await self.context.options.runtime.sleep(wait)
        return self.context.ledger.shards(self.context.record.id)

    async def _news(self, shard: Shard, tails: dict[int, Tail]) -> AsyncIterator[Event]:
        """The results of a shard that have not been given yet."""
        if shard.state not in TERMINAL and not shard.durable:
            return
        tail = tails.get(shard.seq)
        if tail is None:
            tail = tails[shard.seq] = Tail(self.context.reader(), shard)
        for count, result in enumerate(tail.read(shard)):
            yield ItemEvent(result)
            if count % BREATH == 0:
                await asyncio.sleep(0)

"""Answers one shard: workers pull its requests, a journal keeps what they give."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ai_batch.concurrent.answering import Answer, Answerer
from ai_batch.concurrent.journal import Journal
from ai_batch.concurrent.rows import discarded_id, encode_row
from ai_batch.core import ChatResponse, ItemError, LedgerUnavailable, Request, Usage
from ai_batch.core.ledger import Ledger
from ai_batch.core.places import wire_id
from ai_batch.core.polling import Listener
from ai_batch.core.provider import Scan
from ai_batch.core.requestlog import RequestLog
from ai_batch.core.rows import Source
from ai_batch.core.runtime import Runtime
from ai_batch.core.spool import JobFolder, members_of
from ai_batch.core.state import DURABLE, Shard
from ai_batch.core.wire_parts import usage_tokens

__all__ = ["ShardWork"]

NOTE_SECONDS = 0.5
"""Seconds between two notes of the counts in the ledger."""

SUSPECTS = 20
"""Calls that fail for what only a person can mend, before the run stops for it."""


Work: TypeAlias = Coroutine[Any, Any, None]


@dataclass(slots=True)
class Item:
    """One request in the hand of a worker."""

    work: ShardWork
    journal: Journal
    position: int
    index: int
    request: Request
    attempts: int
    misfits: int

    def call(self, *, out: bool) -> None:
        """A call goes out, or is back."""
        self.work.calls_out += 1 if out else -1

    def discard(self, answer: ChatResponse, misfit: ItemError, attempts: int) -> None:
        """Keep an answer that does not fit: a crash neither loses nor repeats it."""
        identity = self.work.identity(self.index)
        row = encode_row(discarded_id(identity), answer, attempts, misfit=misfit)
        scan = Scan(identity, misfit, *usage_tokens(answer.usage))
        self.journal.discard(self.position, row, scan, attempts)


class ShardWork:
    """One shard while it is being answered."""

    def __init__(
        self, shard: Shard, ledger: Ledger, folder: JobFolder, runtime: Runtime, listener: Listener
    ) -> None:
        """Takes over what an earlier process has written."""
        self._shard = shard
        self._ledger = ledger
        self._folder = folder
        self._runtime = runtime
        self._listener = listener
        self._suspects: list[tuple[Item, Answer]] = []
        self._proved = False
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []
        self.calls_out = 0

    def identity(self, index: int) -> str:
        """The wire id of a request."""
        return wire_id(self._shard.token, index)

    def stop(self) -> None:
        """Cancel the calls that are out."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    async def run(self, answerer: Answerer, workers: int) -> None:
        """Answer what has no answer yet."""
        journal = await self._runtime.blocking(self._journal)
        self._tell(journal)
        log = RequestLog(self._folder)
        aside = [journal.run(lambda: self._tell(journal)), self._note(journal)]
        try:
            open_ones = self._open(journal.answered)
            number = min(workers, journal.answered.count(0))
            works = [self._work(open_ones, log, answerer, journal) for _ in range(number)]
            await self._together(works, aside)
            self._judge_suspects()
        finally:
            log.close()
            journal.close()
            self._tell(journal)

    def _journal(self) -> Journal:
        guarded = self._folder.guarded(lambda: self._ledger.holding(self._shard))
        return Journal(guarded, self._shard, self._runtime)

    def settle(self) -> None:
        """Give requests that have only discarded answers the last one's fault for a result.

        Nobody asks them again, and what they took was paid for.
        """
        if not self._folder.file(self._shard.name, Source.OUTPUT.kind).exists():
            return
        journal = self._journal()
        try:
            members = members_of(self._folder, self._shard)
            for position, found in journal.undecided():
                if found.error is not None:
                    answer = Answer(found.error, found.attempts)
                    self._keep(journal, position, members[position], answer)
        finally:
            journal.close()

    async def _together(self, works: Sequence[Work], aside: Sequence[Work]) -> None:
        """Until all works have ended, or one of them or of those ``aside`` has failed."""
        if not works:
            for work in aside:
                work.close()
            return
        others = [asyncio.create_task(work) for work in aside]
        self._tasks = [asyncio.create_task(work) for work in works]
        if self._stopped:
            self.stop()
        end = asyncio.create_task(_ended(self._tasks))
        try:
            await asyncio.wait([end, *others], return_when=asyncio.FIRST_COMPLETED)
            for task in (*others, *self._tasks):
                if task.done() and not task.cancelled():
                    task.result()
        finally:
            for task in (end, *others, *self._tasks):
                task.cancel()
            await asyncio.gather(end, *others, *self._tasks, return_exceptions=True)

    def _open(self, answered: bytearray) -> Iterator[tuple[int, int]]:
        """Position and index of each request that has no answer, as workers ask for them."""
        for position, index in enumerate(members_of(self._folder, self._shard)):
            if not answered[position]:
                yield position, index

    async def _work(
        self,
        source: Iterator[tuple[int, int]],
        log: RequestLog,
        answerer: Answerer,
        journal: Journal,
    ) -> None:
        for position, index in source:
            before = journal.discards(position)
            request = log.request(index)
            item = Item(self, journal, position, index, request, before.attempts, before.count)
            answer = await answerer.answer(item)
            failure = answer.failure
            if failure is None or failure.mend is None or self._proved:
                if failure is None and not self._proved:
                    self._prove()
                self._keep(journal, position, index, answer)
                continue
            # Perhaps nothing works; then none of these requests shall count as answered.
            self._suspects.append((item, answer))
            if len(self._suspects) >= SUSPECTS:
                raise failure.mend

    def _prove(self) -> None:
        """Something was answered: the key works, and what failed for it failed by itself."""
        self._proved = True
        suspects, self._suspects = self._suspects, []
        for item, answer in suspects:
            self._keep(item.journal, item.position, item.index, answer)

    def _judge_suspects(self) -> None:
        """Raises what only a person can mend where nothing at all was answered."""
        failure = self._suspects[0][1].failure if self._suspects else None
        if failure is not None and failure.mend is not None and not self._stopped:
            raise failure.mend

    def _keep(self, journal: Journal, position: int, index: int, answer: Answer) -> None:
        identity, outcome = self.identity(index), answer.outcome
        own = Usage() if isinstance(outcome, ItemError) else outcome.usage
        usage = own + journal.discards(position).taken
        row = encode_row(identity, outcome, answer.attempts, usage=usage, misfit=answer.misfit)
        error = outcome if isinstance(outcome, ItemError) else answer.misfit
        journal.append(position, row, Scan(identity, error, *usage_tokens(usage)))

    def _tell(self, journal: Journal) -> None:
        tally = journal.tally
        self._listener(
            self._shard.evolve(
                ok=tally.ok, failed=tally.failed, details={DURABLE: str(journal.durable)}
            )
        )

    async def _note(self, journal: Journal) -> None:
        """Keep the counts in the ledger; finds out when the lease is lost."""
        tally, shard = journal.tally, self._shard
        noted: tuple[int, ...] = ()
        while True:
            await self._runtime.sleep(NOTE_SECONDS)
            counts = (tally.ok, tally.failed, self.calls_out, *tally.usage)
            if noted == counts:
                continue
            # A ledger that is away is told later: the answers are in the journal.
            with contextlib.suppress(LedgerUnavailable):
                shard = await self._runtime.blocking(
                    self._ledger.update,
                    shard,
                    ok=tally.ok,
                    failed=tally.failed,
                    calls_out=self.calls_out,
                    usage=tuple(tally.usage),
                )
                noted = counts


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)

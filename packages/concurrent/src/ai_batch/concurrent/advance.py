"""Answers a shard: workers pull its requests, a journal keeps what they give."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeAlias

from ai_batch.concurrent.answering import Answer, Answerer
from ai_batch.concurrent.journal import Journal
from ai_batch.concurrent.rows import encode_row
from ai_batch.core import LedgerError
from ai_batch.core.closing import CANCELLED, ShardCloser
from ai_batch.core.ledger import Ledger
from ai_batch.core.places import wire_id
from ai_batch.core.polling import Listener
from ai_batch.core.provider import RemoteStatus, Scan
from ai_batch.core.requestlog import RequestLog
from ai_batch.core.results import ItemError
from ai_batch.core.runtime import Runtime
from ai_batch.core.spool import JobFolder, members_of
from ai_batch.core.state import DURABLE, Shard, ShardState
from ai_batch.core.wire_parts import usage_tokens

__all__ = ["LiveAdvancer"]

AT_ONCE = 2
"""Shards at once: the next one begins while the last calls of one are out."""

NOTE_SECONDS = 0.5
"""Seconds between two notes of the counts in the ledger."""

SUSPECTS = 20
"""Calls that fail for what only a person can mend, before the run stops for it."""


Work: TypeAlias = Coroutine[Any, Any, None]


class LiveAdvancer:
    """Takes the shards of one job from planned to collected, in one step each."""

    submits = False
    """A shard's work is done here, from its beginning to its end."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        folder: JobFolder,
        closer: ShardCloser,
        answerer: Answerer,
        runtime: Runtime,
        workers: int,
        listener: Listener,
    ) -> None:
        """``workers`` is how many requests are in hand at once."""
        self._ledger = ledger
        self._folder = folder
        self._closer = closer
        self._answerer = answerer
        self._runtime = runtime
        self._workers = workers
        self._listener = listener
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._stopped = False
        self._works: set[ShardWork] = set()

    def stop(self) -> None:
        """Cancel the calls that are out; what has been answered is kept."""
        self._stopped = True
        for work in self._works:
            work.stop()

    async def advance(
        self, shard: Shard, *, cancelling: bool, status: RemoteStatus | None = None
    ) -> Shard:
        """Answer the shard, or what an earlier process has left of it; then tidy up.

        Raises ``LeaseLost`` when another process has taken over, ``ProviderError`` where only a
        person can help (a wrong key, no credit), ``LedgerError`` where the disk fails. What was
        answered by then is on disk.
        """
        del status
        if shard.state is not ShardState.PLANNED:
            self._folder.file(shard.name, "input.jsonl").unlink(missing_ok=True)
            self._folder.sweep(shard.name)
            return await self._runtime.blocking(self._ledger.update, shard, cleaned=True)
        if not cancelling:
            async with self._turns:
                await self._answered(shard)
        return await self._closer.close(shard, CANCELLED)

    async def _answered(self, shard: Shard) -> None:
        if self._stopped:
            return
        work = ShardWork(shard, self._ledger, self._folder, self._runtime, self._listener)
        self._works.add(work)
        try:
            await work.run(self._answerer, self._workers)
        except OSError as error:
            raise LedgerError(
                f"{self._folder.path} can't be written to ({error}): mend that and run the same "
                "script again"
            ) from error
        finally:
            self._works.discard(work)


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
        self._suspects: list[tuple[int, int, Answer]] = []
        self._proved = False
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []

    def stop(self) -> None:
        """Cancel the calls that are out."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    async def run(self, answerer: Answerer, workers: int) -> None:
        """Answer what has no answer yet."""
        guarded = self._folder.guarded(lambda: self._ledger.holding(self._shard))
        journal = await self._runtime.blocking(Journal, guarded, self._shard, self._runtime)
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
            answer = await answerer.answer(log.request(index))
            failure = answer.failure
            if failure is None or failure.mend is None or self._proved:
                if failure is None and not self._proved:
                    self._prove(journal)
                self._keep(journal, position, index, answer)
                continue
            # Perhaps nothing works; then none of these requests shall count as answered.
            self._suspects.append((position, index, answer))
            if len(self._suspects) >= SUSPECTS:
                raise failure.mend

    def _prove(self, journal: Journal) -> None:
        """Something was answered: the key works, and what failed for it failed by itself."""
        self._proved = True
        suspects, self._suspects = self._suspects, []
        for position, index, answer in suspects:
            self._keep(journal, position, index, answer)

    def _judge_suspects(self) -> None:
        """Raises what only a person can mend where nothing at all was answered."""
        failure = self._suspects[0][2].failure if self._suspects else None
        if failure is not None and failure.mend is not None and not self._stopped:
            raise failure.mend

    def _keep(self, journal: Journal, position: int, index: int, answer: Answer) -> None:
        identity = wire_id(self._shard.token, index)
        row = encode_row(identity, answer.outcome, answer.attempts)
        journal.append(position, row, _scan_of(identity, answer))

    def _tell(self, journal: Journal) -> None:
        tally = journal.tally
        self._listener(
            self._shard.evolve(
                ok=tally.ok, failed=tally.failed, details={DURABLE: str(journal.durable)}
            )
        )

    async def _note(self, journal: Journal) -> None:
        """Keep the counts in the ledger; finds out when the lease is lost."""
        tally, noted, shard = journal.tally, -1, self._shard
        while True:
            await self._runtime.sleep(NOTE_SECONDS)
            if noted == tally.ok + tally.failed:
                continue
            noted = tally.ok + tally.failed
            shard = await self._runtime.blocking(
                self._ledger.update,
                shard,
                ok=tally.ok,
                failed=tally.failed,
                usage=tuple(tally.usage),
            )


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)


def _scan_of(identity: str, answer: Answer) -> Scan:
    outcome = answer.outcome
    if isinstance(outcome, ItemError):
        return Scan(identity, outcome)
    return Scan(identity, None, *usage_tokens(outcome.usage))

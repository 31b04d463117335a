"""Takes a shard of a concurrent job to its end: answers its requests, or gives them up."""

from __future__ import annotations

import asyncio

from ai_batch.concurrent.answering import Answerer
from ai_batch.concurrent.work import ShardWork
from ai_batch.core import LedgerError
from ai_batch.core.closing import CANCELLED, ShardCloser
from ai_batch.core.ledger import Ledger
from ai_batch.core.polling import Listener
from ai_batch.core.provider import RemoteStatus
from ai_batch.core.runtime import Runtime
from ai_batch.core.spool import JobFolder
from ai_batch.core.state import Shard, ShardState

__all__ = ["LiveAdvancer"]

AT_ONCE = 2
"""Shards at once: the next one begins while the last calls of one are out."""


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
        if cancelling or self._stopped:
            await self._runtime.blocking(self._work(shard).settle)
        return await self._closer.close(shard, CANCELLED)

    async def _answered(self, shard: Shard) -> None:
        if self._stopped:
            return
        work = self._work(shard)
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

    def _work(self, shard: Shard) -> ShardWork:
        return ShardWork(shard, self._ledger, self._folder, self._runtime, self._listener)

"""What happened to a job's shards, for one who follows it and may be slow."""

from __future__ import annotations

import asyncio

from ai_batch.core.state import Shard

__all__ = ["Inbox"]


class Inbox:
    """The newest news of each shard, in the order in which they were first heard of.

    Older news of a shard that nobody has taken yet gives way: a slow follower misses no state
    that lasts, and what waits for it does not grow with the job.
    """

    def __init__(self) -> None:
        """Empty, and open."""
        self._news: dict[int, Shard] = {}
        self._closed = False
        self._something = asyncio.Event()

    def put(self, shard: Shard | None) -> None:
        """Add news of a shard; None once there will be no more of any."""
        if shard is None:
            self._closed = True
        else:
            self._news[shard.seq] = shard
        self._something.set()

    async def get(self) -> Shard | None:
        """The next shard of which there is news; None at the end."""
        while not self._news and not self._closed:
            self._something.clear()
            await self._something.wait()
        if not self._news:
            return None
        return self._news.pop(next(iter(self._news)))

"""A clock on which minutes pass in moments, for jobs that wait."""

from __future__ import annotations

import asyncio
import time

from ai_batch.core.runtime import Runtime

__all__ = ["FastClock"]


class FastClock:
    """A clock that runs faster than the real one and can be moved; waits are as much shorter."""

    def __init__(self, speed: float, epoch: float | None = None) -> None:
        """``speed`` seconds pass in one; ``epoch`` is when both clocks show the same."""
        self.speed = speed
        self.epoch = time.time() if epoch is None else epoch
        self._moved = 0.0

    def now(self) -> float:
        """Unix seconds."""
        return self.epoch + (time.time() - self.epoch) * self.speed + self._moved

    def advance(self, seconds: float) -> None:
        """Move the clock forward; who sleeps until then wakes up."""
        self._moved += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        end = self.now() + seconds
        while (left := (end - self.now()) / self.speed) > 0:  # noqa: ASYNC110 - the clock may move
            await asyncio.sleep(min(left, 0.02))

    def runtime(self) -> Runtime:
        """What the engine takes."""
        return Runtime(clock=self.now, sleep=self.sleep)

"""Lets calls out: so many at once, so many a minute, and none while the vendor wants a rest."""

from __future__ import annotations

import asyncio
from collections import deque

from ai_batch.concurrent.pacing import Pace
from ai_batch.concurrent.sharing import Share
from ai_batch.core.runtime import Runtime

__all__ = ["Gate", "full_jitter"]

FIRST_LIMIT = 8
"""Calls at once with which an adaptive run begins."""

DECREASE = 0.5
"""What is left of the limit when the vendor complains: AIMD, as TCP does it."""

ROUND = 1.0
"""Seconds within which further complaints are about calls that were out already."""

RAMP = 1.0
"""Seconds, at most, over which the calls that a pause held back are spread: as long as it was."""

BASE, CAP = 0.5, 60.0


def full_jitter(failures: int, random: float) -> float:
    """Seconds to wait after so many failures in a row: anything up to an exponential step.

    Source: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """
    return random * min(CAP, BASE * 2.0 ** min(failures, 30))


class Gate:
    """What all calls of a job pass through."""

    def __init__(
        self, *, max_concurrency: int, adaptive: bool, pace: Pace, runtime: Runtime
    ) -> None:
        """``adaptive`` finds the number of calls at once between 1 and ``max_concurrency``."""
        self._most = max_concurrency
        self._adaptive = adaptive
        self._limit = float(min(FIRST_LIMIT, max_concurrency) if adaptive else max_concurrency)
        self._threshold = float(max_concurrency)
        self._decreased_at = float("-inf")
        self._pace = pace
        self._runtime = runtime
        self._out = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._turn = asyncio.Lock()
        self._paused_until = float("-inf")
        self._ramp = 0.0
        self._last = float("-inf")
        self._complaints = 0
        self._seen = float("-inf")

    @property
    def limit(self) -> int:
        """How many calls may be out at once now."""
        return int(self._limit)

    async def enter(self, tokens: int, share: Share | None = None) -> float:
        """Wait until a call of about so many tokens may go out; it is counted as out then.

        ``share`` is what it takes part in of a limit that other processes hold as well. Gives the
        time at which it went out.
        """
        await self._slot()
        try:
            turn = self._turn if share is None else share.turn
            if turn.locked() or self._held_back(tokens, share) != 0.0:
                await self._queued(turn, tokens, share)
            now = self._now()
            self._last = now
            self._pace.spend(now, tokens)
            if share is not None:
                share.spend()
            return now
        except BaseException:
            self._release()
            raise

    async def _queued(self, turn: asyncio.Lock, tokens: int, share: Share | None) -> None:
        # One by one, in the order in which they came: a large call is not overtaken for ever.
        async with turn:
            while (wait := self._held_back(tokens, share)) != 0.0:
                if wait is not None:
                    await self._runtime.sleep(wait)
                elif share is not None:
                    await share.ask()

    def _held_back(self, tokens: int, share: Share | None) -> float | None:
        """Seconds to wait; None where the share has to ask for more."""
        wait = max(self._wait(tokens), 0.0)
        # Only then: while all calls are held back here, no permits are taken from others.
        return wait if wait > 0.0 or share is None else share.wait(self._now())

    def _now(self) -> float:
        now = self._runtime.clock()
        if now < self._seen:
            # The clock was set back: a pause is to last as long as it was meant to.
            back = self._seen - now
            self._paused_until -= back
            self._last -= back
            self._decreased_at -= back
        self._seen = now
        return now

    def _wait(self, tokens: int) -> float:
        now = self._now()
        wait = max(self._paused_until - now, self._pace.wait(now, tokens))
        if now < self._paused_until + self._ramp:
            wait = max(wait, self._last + self._ramp / self._limit - now)
        return wait

    def leave(self, *, tokens: int = 0, entered: float = 0.0) -> None:
        """A call has come back; ``tokens`` is what it took beyond what was expected.

        ``entered`` is when it went out.
        """
        self._pace.correct(self._now(), tokens, entered)
        self._release()

    def praise(self) -> None:
        """A call was answered."""
        self._complaints = 0
        if self._adaptive and self._limit < self._most:
            step = 1.0 if self._limit < self._threshold else 1.0 / self._limit
            self._limit = min(self._limit + step, float(self._most))
            self._admit()

    def complain(self, *, retry_after: float | None, limited: bool) -> None:
        """The vendor is overloaded, or (``limited``) wants fewer calls: everybody slows down."""
        now = self._now()
        if limited:
            if now >= self._paused_until:
                self._complaints += 1
            rest = retry_after
            if rest is None:
                rest = full_jitter(self._complaints, self._runtime.random())
            self._ramp = min(RAMP, max(rest, self._paused_until - now))
            self._paused_until = max(self._paused_until, now + rest)
        if self._adaptive and now - self._decreased_at >= ROUND:
            self._decreased_at = now
            self._limit = max(1.0, self._limit * DECREASE)
            self._threshold = self._limit

    # -- slots ------------------------------------------------------------------------------

    async def _slot(self) -> None:
        if self._out < self.limit and not self._queue:
            self._out += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        self._out -= 1
        self._admit()

    def _admit(self) -> None:
        while self._queue and self._out < self.limit:
            place = self._queue.popleft()
            if not place.done():
                self._out += 1
                place.set_result(None)

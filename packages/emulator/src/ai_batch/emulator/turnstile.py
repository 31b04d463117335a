"""A limit of calls per minute."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ai_batch.emulator.clock import Clock

_MINUTE = 60.0
_UNLIMITED = 10_000


class Turn(NamedTuple):
    """Whether a call may pass, and what is told of the limit: its size, its rest, its end."""

    passed: bool
    limit: int
    left: int
    reset: float


class Turnstile:
    """Lets so many calls pass within a minute of the emulator's clock; all, if None."""

    def __init__(self, clock: Clock, limit: int | None) -> None:
        self._clock = clock
        self._limit = limit
        self._recent: deque[float] = deque()

    def take(self) -> Turn:
        """Count a call if it may pass."""
        now = self._clock.now()
        while self._recent and self._recent[0] <= now - _MINUTE:
            self._recent.popleft()
        wait = self._recent[0] + _MINUTE - now if self._recent else 0.0
        if self._limit is None:
            return Turn(passed=True, limit=_UNLIMITED, left=_UNLIMITED, reset=0.0)
        if len(self._recent) >= self._limit:
            return Turn(passed=False, limit=self._limit, left=0, reset=wait)
        self._recent.append(now)
        return Turn(
            passed=True, limit=self._limit, left=self._limit - len(self._recent), reset=wait
        )

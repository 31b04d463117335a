"""The server's time between two looks at the server's clock."""

from __future__ import annotations

import time

__all__ = ["ServerClock", "steady"]

# Goes on while the machine sleeps, where the system has such.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady() -> float:
    """Seconds since some moment, whatever is done to this machine's time of day."""
    return time.clock_gettime(_STEADY)


class ServerClock:
    """Tells the time of the server; each transaction sets it anew.

    All machines go by the server's clock, and their own times of day may be wrong. What has passed
    since the last look is measured by a clock that nobody sets.
    """

    def __init__(self) -> None:
        """To be set before it is read."""
        self._offset = 0.0

    def set(self, now: float) -> None:
        """Unix seconds by the server's clock, which has just been read."""
        self._offset = now - steady()

    def now(self) -> float:
        """Unix seconds."""
        return self._offset + steady()

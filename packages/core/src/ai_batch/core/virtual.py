"""Time that passes at once: an event loop without waiting, for tests of what takes a day."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable

from ai_batch.core.runtime import Runtime

__all__ = ["START", "VirtualLoop", "virtual_runtime"]

START = 1_800_000_000.0
"""Unix seconds at which a virtual loop's time begins."""


class _Skipping(selectors.SelectSelector):
    """Waits for no file: it moves the time instead."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing is left to wait for: every task waits for another one")
        self.elapsed += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that never sleeps: when nothing is ready, its time jumps to the next timer.

    For code without threads and sockets; a ``Runtime`` for it must be ``inline``.
    """

    def __init__(self, start: float = 0.0) -> None:
        """Its time begins at ``start``: where another loop's has ended, for a second program."""
        self._skipping = _Skipping()
        self._skipping.elapsed = start
        super().__init__(self._skipping)

    def time(self) -> float:
        """Seconds since the loop was made, all of them virtual."""
        return self._skipping.elapsed


def virtual_runtime(
    loop: asyncio.AbstractEventLoop, random: Callable[[], float] = lambda: 0.5
) -> Runtime:
    """The runtime of a ``VirtualLoop``: its clock and sleep, and no threads."""
    return Runtime(
        clock=lambda: START + loop.time(), sleep=asyncio.sleep, random=random, inline=True
    )

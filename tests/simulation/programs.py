"""Programs that die: each knows at which of its points, and does nothing afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar

from ai_batch.core import Progress

__all__ = ["RUNNING", "Crash", "Program"]


class Crash(BaseException):
    """The program was killed."""


class Program:
    """One run of the script: it ends, or dies at a point that was chosen for it."""

    def __init__(
        self,
        name: str = "program",
        *,
        dies_at: int | None = None,
        seen_to_die: bool = True,
        note: Callable[[str], object] = id,
    ) -> None:
        """``note`` is told of each point."""
        self.name = name
        self.seen_to_die = seen_to_die
        self.dies_at = dies_at
        self.points: list[str] = []
        self.alive = True
        self.paused_until = 0.0
        self.seen: list[Progress] = []
        self._note = note

    def check(self) -> None:
        """The dead do nothing."""
        if not self.alive:
            raise Crash("a dead program acted")

    def point(self, name: str) -> None:
        """A point at which the program may die."""
        self.check()
        self.points.append(name)
        self._note(name)
        if len(self.points) == self.dies_at:
            self.alive = False
            self._note(f"dies {name}")
            raise Crash(name)

    async def sleep(self, seconds: float) -> None:
        """Sleep, and longer while the whole program is paused."""
        await asyncio.sleep(seconds)
        await asyncio.sleep(self.paused_until - asyncio.get_running_loop().time())
        self.check()


RUNNING: ContextVar[Program] = ContextVar("RUNNING")
"""The program that the current task belongs to."""

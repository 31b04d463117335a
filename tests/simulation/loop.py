"""An event loop whose every run is the same: virtual time, and tasks that are told apart by number.

Tasks stand in sets, and sets are walked by their hashes, which are addresses in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from ai_batch.core.virtual import VirtualLoop

__all__ = ["SteadyLoop"]


class _NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number."""

    def __init__(self, work: Coroutine[Any, Any, Any], number: int, **options: Any) -> None:
        # Before the task enters its first set.
        self._number = number
        super().__init__(work, **options)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class SteadyLoop(VirtualLoop):
    """A virtual loop that numbers its tasks."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self.set_task_factory(self._numbered)

    def _numbered(
        self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any
    ) -> asyncio.Task[Any]:
        self._number += 1
        return _NumberedTask(work, self._number, loop=loop, **options)

"""Time, chance and threads, which come in from outside so that a simulator can replace them."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

__all__ = ["Runtime"]

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


async def _sleep(seconds: float) -> None:
    import asyncio

    await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the engine takes from the world: Unix seconds, sleep, a number from 0 to 1.

    ``inline`` runs blocking work in the event loop instead of a thread: a simulation must not
    depend on threads.
    """

    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[object]] = _sleep
    random: Callable[[], float] = random.random
    inline: bool = False

    async def blocking(
        self,
        function: Callable[Parameters, Value],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Value:
        """Run a function that waits for a disk or uses the processor for long."""
        if self.inline:
            return function(*args, **kwargs)
        import asyncio

        return await asyncio.to_thread(function, *args, **kwargs)

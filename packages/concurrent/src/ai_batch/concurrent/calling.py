"""Calls a client once: in time, and without letting go of what it raises."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from ai_batch.concurrent.failures import CallTimedOut
from ai_batch.concurrent.threads import DaemonThreads

__all__ = ["Call", "call_in_time", "call_of"]

logger = logging.getLogger("ai_batch.concurrent")

Call: TypeAlias = Callable[[Any], Awaitable[object]]
"""Sends one request."""

GRACE = 1.0
"""Seconds that a call which was cancelled has to let go; what goes on is left alone then."""

_left: set[asyncio.Task[object]] = set()
"""Calls that did not stop when they were told to. The loop itself holds tasks only weakly."""


def call_of(function: Callable[[Any], object], threads: DaemonThreads) -> Call:
    """A function of the user's as a coroutine function; a blocking one runs in a thread."""
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object whose call is async
    ):
        return function  # type: ignore[return-value]

    async def call(request: object) -> object:
        found = await threads.run(function, request)
        return await found if inspect.isawaitable(found) else found

    return call


async def call_in_time(call: Call, request: object, seconds: float) -> object:
    """The client's answer. Raises what it raises, and ``CallTimedOut`` after ``seconds``."""
    task = asyncio.create_task(_contained(call, request))
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            await _stop(task)
    except asyncio.CancelledError:
        await _stop(task)
        raise
    if not task.done() or task.cancelled():
        raise CallTimedOut(f"the client has not answered within {seconds:g} s")
    return task.result()


def _contained(call: Call, request: object) -> Coroutine[Any, Any, object]:
    async def run() -> object:
        try:
            return await call(request)
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if me is not None and me.cancelling():
                raise
            raise RuntimeError("the client cancelled its own call") from None
        except SystemExit as error:
            # It would end the event loop, with everybody else's calls.
            raise RuntimeError(f"the client called sys.exit({error.code!r})") from None

    return run()


async def _stop(task: asyncio.Task[object]) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=GRACE)
    if not task.done():
        logger.warning("a client's call goes on although it was cancelled; it is left alone")
        _left.add(task)
        task.add_done_callback(_left.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

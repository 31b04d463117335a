"""Blocking calls over the async engine; also where an event loop is already running.

The coroutines run in the event loop of one background thread per process, so that the same call
works in a script, in a notebook, and within an async function.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

__all__ = ["call", "iterate", "portal_loop"]

Value = TypeVar("Value")

EXIT_SECONDS = 3.0

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}


def portal_loop() -> asyncio.AbstractEventLoop:
    """The background thread's event loop, started when first needed (and anew after a fork)."""
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None or loop.is_closed():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_serve, args=(loop,), name="ai-batch", daemon=True)
            thread.start()
            _loops[os.getpid()] = loop
            atexit.register(_shut_down, loop, thread)
        return loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _shut_down(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
        thread.join(EXIT_SECONDS)


def call(coroutine: Coroutine[Any, Any, Value]) -> Value:
    """Run a coroutine in the background loop and wait for it.

    Ctrl-C cancels it, waits until it has let go, and goes on as ``KeyboardInterrupt``.
    """
    future = asyncio.run_coroutine_threadsafe(coroutine, portal_loop())
    try:
        return future.result()
    except BaseException:
        if not future.done():
            future.cancel()
            concurrent.futures.wait([future], timeout=EXIT_SECONDS)
        raise


def iterate(items: AsyncIterator[Value]) -> Iterator[Value]:
    """Go through an async iterator of the background loop, item by item."""
    try:
        while True:
            try:
                yield call(anext(items))  # type: ignore[arg-type]
            except StopAsyncIteration:
                return
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            call(close())

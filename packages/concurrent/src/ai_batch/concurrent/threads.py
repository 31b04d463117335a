"""Runs blocking functions in threads that never hold up the end of the program.

The pool of ``concurrent.futures`` joins its threads when Python ends: one call that hangs would
hang the program for good. These threads are daemons, and a call that is given up is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["DaemonThreads"]

IDLE_SECONDS = 10.0
"""After which a thread without work ends."""


class _Work(NamedTuple):
    function: Callable[[Any], object]
    argument: object
    context: contextvars.Context
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[object]


class DaemonThreads:
    """As many threads as there are calls at once."""

    def __init__(self) -> None:
        """No thread is started before it is needed."""
        self._waiting: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self._idle = 0
        self._lock = threading.Lock()

    async def run(self, function: Callable[[Any], object], argument: object) -> object:
        """What the function gives or raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[object] = loop.create_future()
        work = _Work(function, argument, contextvars.copy_context(), loop, answer)
        with self._lock:
            free = self._idle > 0
            self._idle -= free
        if free:
            self._waiting.put(work)
        else:
            threading.Thread(
                target=self._serve, args=(work,), name="ai-batch-call", daemon=True
            ).start()
        return await answer

    def _serve(self, work: _Work | None) -> None:
        while work is not None:
            _carry_out(work)
            work = self._next()

    def _next(self) -> _Work | None:
        with self._lock:
            self._idle += 1
        try:
            return self._waiting.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            pass
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
                return None
        # Somebody has counted on this thread in this very moment.
        return self._waiting.get()


def _carry_out(work: _Work) -> None:
    value: object = None
    error: BaseException | None = None
    try:
        value = work.context.run(work.function, work.argument)
    except BaseException as raised:  # noqa: BLE001 - it is the caller's, whatever it is
        error = raised
    # The loop may have ended meanwhile; then nobody waits for the answer.
    with contextlib.suppress(RuntimeError):
        work.loop.call_soon_threadsafe(_settle, work.answer, value, error)


def _settle(answer: asyncio.Future[object], value: object, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(value)
    elif isinstance(error, Exception) and not isinstance(error, StopIteration):
        answer.set_exception(error)
    else:
        # These would end the event loop, or can't be set on a future at all.
        answer.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))

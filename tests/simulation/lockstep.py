"""Threads that take turns with the event loop: one of both runs, and the other one waits.

Libraries that block work in threads, where a history would depend on the machine. Here the loop
stands still until the thread has ended, or asks for something that takes virtual time.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

__all__ = ["await_here", "in_step", "run_sync"]

Found = TypeVar("Found")

_WORKER: contextvars.ContextVar[_Worker] = contextvars.ContextVar("_WORKER")


class _Worker:
    """A thread, and the two baton passes between it and the loop."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._loops_turn = threading.Semaphore(0)
        self._threads_turn = threading.Semaphore(0)
        self._asked: Coroutine[Any, Any, Any] | None = None
        self._answer: Any = None
        self._failure: BaseException | None = None

    def _pass_to_loop(self) -> None:
        self._loops_turn.release()

    def _run(self, context: contextvars.Context) -> None:
        try:
            self._answer = context.run(self._work)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the thread gets it
            self._failure = error
        self._pass_to_loop()

    async def run(self) -> Any:
        """Run the work, and whatever it asks for in between."""
        context = contextvars.copy_context()
        context.run(_WORKER.set, self)
        thread = threading.Thread(target=self._run, args=(context,), daemon=True)
        thread.start()
        self._loops_turn.acquire()
        while self._asked is not None:
            asked, self._asked = self._asked, None
            try:
                self._answer = await asked
            except BaseException as error:  # noqa: BLE001 - the thread gets it
                self._failure = error
            self._threads_turn.release()
            self._loops_turn.acquire()
        thread.join()
        if self._failure is not None:
            raise self._failure
        return self._answer

    def ask(self, asked: Coroutine[Any, Any, Any]) -> Any:
        """Have something awaited in the loop; called in the thread."""
        self._asked = asked
        self._pass_to_loop()
        self._threads_turn.acquire()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return self._answer


async def in_step(function: Callable[..., Found], /, *args: Any, **kwargs: Any) -> Found:
    """Stands in for ``asyncio.to_thread``."""
    found: Found = await _Worker(partial(function, *args, **kwargs)).run()
    return found


async def run_sync(function: Callable[..., Found], *args: Any, **_: Any) -> Found:
    """Stands in for ``anyio.to_thread.run_sync``: the emulator's blocking work is short."""
    return function(*args)


def await_here(asked: Coroutine[Any, Any, Found]) -> Found:
    """The outcome of a coroutine, in a thread that ``in_step`` has started."""
    found: Found = _WORKER.get().ask(asked)
    return found

"""Blocking calls over the background loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from ai_batch.core import blocking


async def double(number: int) -> int:
    """Something asynchronous."""
    await asyncio.sleep(0)
    return 2 * number


def test_a_call_gives_the_value() -> None:
    """From a plain program."""
    assert blocking.call(double(21)) == 42


async def test_a_call_works_within_a_running_loop() -> None:
    """In a notebook, or in an async function that calls a blocking library."""
    assert blocking.call(double(21)) == 42


def test_an_error_comes_through_as_it_is() -> None:
    """Class and message, without wrapping."""

    async def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        blocking.call(fail())


def test_calls_share_one_loop_and_may_come_from_many_threads() -> None:
    """The loop of the background, whoever calls."""
    loops: list[asyncio.AbstractEventLoop] = []

    async def note() -> None:
        loops.append(asyncio.get_running_loop())

    threads = [threading.Thread(target=lambda: blocking.call(note())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(loops) == 8
    assert set(loops) == {blocking.portal_loop()}


def test_an_async_iterator_is_gone_through_and_closed() -> None:
    """Also when the reader stops in between."""
    closed: list[int] = []

    async def count(end: int) -> AsyncIterator[int]:
        try:
            for number in range(end):
                yield number
        finally:
            closed.append(end)

    assert list(blocking.iterate(count(3))) == [0, 1, 2]
    some = blocking.iterate(count(9))
    assert next(some) == 0
    some.close()  # type: ignore[attr-defined]
    assert closed == [3, 9]


def test_an_interrupt_cancels_and_waits_until_the_work_has_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C reaches the main thread; the coroutine cleans up before the call raises."""
    steps: list[str] = []
    started = threading.Event()
    schedule = asyncio.run_coroutine_threadsafe

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("let go")

    def scheduled(
        coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop
    ) -> concurrent.futures.Future[None]:
        future = schedule(coroutine, loop)
        wait = future.result

        def interrupted(timeout: float | None = None) -> None:
            started.wait()
            signal.raise_signal(signal.SIGINT)
            wait(timeout)

        monkeypatch.setattr(future, "result", interrupted)
        return future

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", scheduled)

    with pytest.raises(KeyboardInterrupt):
        blocking.call(work())

    assert steps == ["let go"]


PROGRAM = """
import asyncio, os
from ai_batch.core import blocking

async def double(number):
    return 2 * number

assert blocking.call(double(1)) == 2
child = os.fork()
assert blocking.call(double(2)) == 4
if child:
    _, status = os.waitpid(child, 0)
    raise SystemExit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_a_loop_of_its_own() -> None:
    """The parent's thread does not exist in the child."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM],
        timeout=30,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")

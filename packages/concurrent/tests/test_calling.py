"""One call of a client, whatever the client is and does."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest

from ai_batch.concurrent import threads as threads_module
from ai_batch.concurrent.calling import call_in_time, call_of
from ai_batch.concurrent.clients import client_of
from ai_batch.concurrent.failures import CallTimedOut
from ai_batch.concurrent.threads import DaemonThreads
from ai_batch.core import UsageError
from ai_batch.core.testing import VirtualLoop


def once(client: Callable[[Any], object], request: object = "x") -> object:
    """What one call of a user's function gives."""
    return asyncio.run(call_in_time(call_of(client, DaemonThreads()), request, 10.0))


def virtually(client: Callable[[Any], Awaitable[object]], seconds: float) -> object:
    """The same in virtual time, for clients without threads."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(call_in_time(client, "x", seconds))


# -- whatever a client is -----------------------------------------------------------------------


async def shout(request: str) -> str:
    """A client."""
    return request.upper()


class Sync:
    def __call__(self, request: str) -> str:
        return request.upper()

    def chat(self, request: str) -> str:
        return request.upper()


class Async:
    async def __call__(self, request: str) -> str:
        return request.upper()

    async def chat(self, request: str) -> str:
        return request.upper()


def prefixed(prefix: str, request: str) -> str:
    """A client, once it has its prefix."""
    return prefix + request.upper()


async def prefixed_later(prefix: str, request: str) -> str:
    """The same, later."""
    return prefix + request.upper()


CLIENTS: list[Callable[[Any], object]] = [
    shout,
    str.upper,
    lambda request: str(request).upper(),
    lambda request: shout(str(request)),
    Sync(),
    Async(),
    Sync().__call__,
    Async().chat,
    functools.partial(prefixed, ""),
    functools.partial(prefixed_later, ""),
    functools.partial(functools.partial(prefixed), ""),
]


@pytest.mark.parametrize("given", CLIENTS, ids=range(11))
def test_any_function_of_one_request_is_a_client(given: object) -> None:
    """Plain, async, partial, an object that can be called, or what gives a coroutine."""
    client = client_of("chat", given, DaemonThreads())

    assert asyncio.run(call_in_time(client.call, "hello", 10.0)) == "HELLO"


@pytest.mark.parametrize("given", [None, "a client", 7, Sync, object()])
def test_what_can_not_be_called_is_no_client(given: object) -> None:
    """A class is none either: it is the instance that answers."""
    with pytest.raises(UsageError, match="chat= takes a client"):
        client_of("chat", given, DaemonThreads())


def test_a_client_has_the_same_name_in_every_program() -> None:
    """It is part of what a job is known by."""
    names = {
        client_of("chat", given, DaemonThreads()).identity["client"]
        for given in (Sync(), Sync(), functools.partial(Sync()))
    }

    [name] = names
    assert name.endswith(".Sync")


# -- in time ------------------------------------------------------------------------------------


def test_a_call_that_takes_too_long_is_given_up() -> None:
    """It ends when its time is over, and is told as a timeout."""
    cancelled: list[bool] = []

    async def slow(_: str) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(CallTimedOut, match=r"within 2\.5 s"):
        virtually(slow, 2.5)
    assert cancelled == [True]


def test_an_answer_that_comes_while_the_call_is_being_given_up_counts() -> None:
    """What was paid for and is there is not thrown away."""

    async def late(_: str) -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
        return "late"

    assert virtually(late, 1.0) == "late"


def test_a_client_that_swallows_its_cancellation_holds_up_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is left alone, and the log says so; what it raises later disturbs nobody."""
    now: list[float] = []

    async def stubborn(_: str) -> None:
        end = asyncio.get_running_loop().time() + 30.0
        while asyncio.get_running_loop().time() < end:
            try:
                await asyncio.sleep(1.0)
            except asyncio.CancelledError:
                continue
        raise ValueError("at last")

    async def script() -> None:
        with pytest.raises(CallTimedOut):
            await call_in_time(stubborn, "x", 1.0)
        now.append(asyncio.get_running_loop().time())
        gc.collect()
        await asyncio.sleep(60.0)
        gc.collect()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(script())

    assert now == [pytest.approx(2.0)]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_who_waits_for_a_call_may_be_cancelled() -> None:
    """The call is cancelled with it."""
    ended: list[str] = []

    async def slow(request: str) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(request)

    async def script() -> None:
        task = asyncio.create_task(call_in_time(slow, "x", 100.0))
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["x"]

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(script())


def test_a_client_that_cancels_itself_has_failed() -> None:
    """Its cancellation is an error of this call, and does not end the run."""

    async def itself(_: str) -> NoReturn:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled its own call"):
        virtually(itself, 1.0)


def leaving(_: object) -> NoReturn:
    """Wants to end the program."""
    sys.exit("bye")


async def leaving_later(_: object) -> NoReturn:
    """The same, in the event loop."""
    sys.exit("bye")


def stopping(_: object) -> NoReturn:
    """Raises what no future can hold."""
    raise StopIteration("over")


def breaking(_: object) -> NoReturn:
    """Raises what ends an event loop."""
    raise KeyboardInterrupt


def failing(_: object) -> NoReturn:
    """Just fails."""
    raise LookupError("missing")


@pytest.mark.parametrize(
    ("client", "kind", "message"),
    [
        (leaving, RuntimeError, "SystemExit: bye"),
        (leaving_later, RuntimeError, r"sys\.exit\('bye'\)"),
        (stopping, RuntimeError, "StopIteration: over"),
        (breaking, RuntimeError, "KeyboardInterrupt"),
        (failing, LookupError, "missing"),
    ],
)
def test_whatever_a_client_raises_is_an_error_of_its_call(
    client: Callable[[Any], object], kind: type[Exception], message: str
) -> None:
    """No client ends the program, the event loop or the others' calls."""
    with pytest.raises(kind, match=message):
        once(client)


# -- threads ------------------------------------------------------------------------------------

color: contextvars.ContextVar[str] = contextvars.ContextVar("color", default="none")


def test_a_blocking_client_sees_the_callers_context() -> None:
    """Context variables, as of tracing, reach the thread."""

    async def script() -> object:
        color.set("blue")
        return await DaemonThreads().run(lambda _: color.get(), None)

    assert asyncio.run(script()) == "blue"


def test_blocking_clients_are_called_side_by_side() -> None:
    """As many threads as calls; they are used again, and never more than were at once."""
    together = threading.Barrier(8, timeout=10.0)
    threads = DaemonThreads()

    def meet(_: object) -> str:
        together.wait()
        return threading.current_thread().name + str(threading.get_ident())

    async def script() -> tuple[set[object], set[object]]:
        first = await asyncio.gather(*(threads.run(meet, None) for _ in range(8)))
        second = await asyncio.gather(*(threads.run(meet, None) for _ in range(8)))
        return set(first), set(second)

    first, second = asyncio.run(script())
    assert len(first) == 8
    assert len(second - first) < 8


def ours() -> list[threading.Thread]:
    """The threads of blocking clients."""
    return [thread for thread in threading.enumerate() if thread.name == "ai-batch-call"]


def test_threads_end_when_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that has finished its calls is left with no thread of ours."""
    monkeypatch.setattr(threads_module, "IDLE_SECONDS", 0.05)
    before = set(ours())
    threads = DaemonThreads()

    async def script() -> None:
        await asyncio.gather(*(threads.run(lambda _: None, None) for _ in range(20)))

    asyncio.run(script())
    mine = [thread for thread in ours() if thread not in before]
    for thread in mine:
        thread.join(timeout=10.0)
    assert not any(thread.is_alive() for thread in mine)


def test_no_call_is_lost_when_threads_end_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that was counted on stays for the call."""
    monkeypatch.setattr(threads_module, "IDLE_SECONDS", 0.0005)
    threads = DaemonThreads()

    async def script() -> list[object]:
        found: list[object] = []
        for number in range(300):
            found.append(await asyncio.wait_for(threads.run(lambda n: n, number), 10.0))
            await asyncio.sleep(0.0005 * (number % 3))
        return found

    assert asyncio.run(script()) == list(range(300))


def test_a_call_that_hangs_is_left_alone() -> None:
    """The others go on in other threads, and its late answer disturbs nobody."""
    release, threads = threading.Event(), DaemonThreads()
    hang = call_of(lambda _: release.wait(30.0), threads)
    quick = call_of(lambda _: "quick", threads)

    async def script() -> object:
        with pytest.raises(CallTimedOut):
            await call_in_time(hang, None, 0.05)
        return await call_in_time(quick, None, 10.0)

    assert asyncio.run(script()) == "quick"
    release.set()


HANGING = """
import asyncio, threading
from ai_batch.concurrent.calling import call_in_time, call_of
from ai_batch.concurrent.failures import CallTimedOut
from ai_batch.concurrent.threads import DaemonThreads

async def main():
    try:
        await call_in_time(call_of(lambda _: threading.Event().wait(), DaemonThreads()), None, 0.1)
    except CallTimedOut:
        print("given up")

asyncio.run(main())
"""


def test_a_call_that_hangs_does_not_hold_up_the_programs_end() -> None:
    """The interpreter joins no thread of ours when it ends."""
    began = time.monotonic()

    done = subprocess.run(
        [sys.executable, "-c", HANGING],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
    )

    assert (done.returncode, done.stdout.strip()) == (0, "given up"), done.stderr
    assert time.monotonic() - began < 30.0

"""A user's script that can be killed at named points, started from a warm parent.

The parent has imported everything and forks a process per run, so that a run costs no imports. It
takes one JSON object per line: `{"wait": pid}` waits for the end of a run, any other starts one
and holds its options (see `Run`).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import re
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from ai_batch.core import ChatRequest
from ai_batch.core.database import SQLiteDatabase, Transaction
from ai_batch.core.ledger import Ledger
from ai_batch.core.prices import token_cost
from ai_batch.core.provider import Limits
from ai_batch.core.results import Usage
from ai_batch.core.runtime import Runtime
from ai_batch.core.state import Shard, ShardState
from ai_batch.openai import OpenAIProcessor

PATIENCE = 60.0

UNSTEADY = "renew"
"""The heartbeat comes when it comes."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the script: what it asks, where, and the point at which it is killed.

    It sends `requests` requests in batches of `shard`, of which the vendor refuses `refused`.
    Its clock runs `speed` times as fast as the real one, counted from `epoch`.
    """

    url: str
    home: str
    output: str
    log: str
    requests: int
    shard: int
    refused: str
    epoch: float
    speed: float
    kill: list[Any] | None = None


# -- the points ------------------------------------------------------------------------------


class Points:
    """Writes down each point that is reached, and kills the process at the chosen one."""

    def __init__(self, log: str, kill: list[Any] | None) -> None:
        self._file = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        self._kill = None if kill is None else (kill[0], kill[1])
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        """A point at which the process may die."""
        with self._lock:
            os.write(self._file, f"{name}\n".encode())
            self._seen[name] += 1
            if (name, self._seen[name]) == self._kill:
                os.kill(os.getpid(), signal.SIGKILL)

    @contextlib.contextmanager
    def around(self, name: str) -> Generator[None]:
        """The points before and after something that others can see."""
        self.reach(f"before {name}")
        yield
        self.reach(f"after {name}")


class Instruments:
    """Puts points around every commit, every call to the vendor and every rename."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._operation = threading.local()

    def install(self) -> None:
        """Wrap what the product calls; only in this process."""
        for name, method in inspect.getmembers(Ledger, inspect.isfunction):
            if not name.startswith("_"):
                setattr(Ledger, name, self._named(name, method))
        SQLiteDatabase.transaction = self._transaction(SQLiteDatabase.transaction)  # type: ignore[method-assign]
        transport: Any = httpx2.AsyncHTTPTransport
        transport.handle_async_request = self._call(transport.handle_async_request)
        rename = os.replace

        def replace(source: Any, target: Any) -> None:
            kind = str(target).rpartition("/")[2].partition(".")[2]
            with self._points.around(f"rename of {kind}"):
                rename(source, target)

        os.replace = replace  # type: ignore[assignment]

    def _named(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def named(*args: Any, **kwargs: Any) -> Any:
            self._operation.name = _operation(name, args, kwargs)
            return method(*args, **kwargs)

        return named

    def _transaction(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @contextlib.contextmanager
        def transaction(database: SQLiteDatabase) -> Generator[Transaction]:
            connection: sqlite3.Connection = database._connection
            operation = getattr(self._operation, "name", "migrate")
            name = f"commit of {operation}"
            wrote = False
            with original(database) as tx:
                before = connection.total_changes
                yield tx
                wrote = connection.total_changes > before and operation != UNSTEADY
                if wrote:
                    self._points.reach(f"before {name}")
            if wrote:
                self._points.reach(f"after {name}")

        return transaction

    def _call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def call(transport: object, request: httpx2.Request) -> httpx2.Response:
            path = re.sub(r"/(file|batch)[-_][^/]+", r"/{\1}", request.url.path)
            with self._points.around(f"{request.method} {path}"):
                response: httpx2.Response = await original(transport, request)
            return response

        return call


def _operation(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """A name such as `move reserved -> uploaded`, or `update submitted (cancel_at)`."""
    shards = [arg.state.value for arg in args if isinstance(arg, Shard)]
    targets = [f"-> {arg.value}" for arg in args if isinstance(arg, ShardState)]
    changing = name in {"update", "change_job"}
    columns = f"({', '.join(sorted(kwargs))})" if changing else ""
    return " ".join(filter(None, [name, *shards, *targets, columns]))


# -- the script ------------------------------------------------------------------------------


def requests_of(run: Run) -> Iterator[ChatRequest]:
    """What is asked; the vendor refuses one of it."""
    for number in range(run.requests):
        id = f"q{number}"
        extra = {"temperature": 5} if id == run.refused else None
        yield ChatRequest(id=id, messages=f"question {number}", extra=extra)


def script(run: Run) -> None:
    """What a user writes: ask, and print each result."""

    def clock() -> float:
        return run.epoch + (time.time() - run.epoch) * run.speed

    async def sleep(seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds / run.speed)

    processor = OpenAIProcessor(
        model="gpt-4o-mini",
        api_key="sk-crash-suite",
        base_url=run.url,
        limits=Limits(max_requests=run.shard, max_bytes=1_000_000),
        home=run.home,
        poll_interval=0.05 * run.speed,
        settle_wait=0.3 * run.speed,
        runtime=Runtime(clock=clock, sleep=sleep),
    )
    for result in processor.process(requests_of(run)):
        content = None if result.chat is None else result.chat.content
        error = None if result.error is None else result.error.code
        line = {"id": result.id, "index": result.index, "content": content, "error": error}
        sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


# -- the parent ------------------------------------------------------------------------------


def wait(pid: int) -> int:
    """The exit code of a run, or minus the signal that ended it; a hung one is killed."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise TimeoutError(f"the run {pid} did not end within {PATIENCE} s")


def warm_up() -> None:
    """Load what the product loads when it first needs it; no thread may start before the fork."""
    client = openai.AsyncOpenAI(api_key="none")
    _ = client.files, client.batches
    token_cost("openai", "gpt-4o-mini", Usage(input_tokens=1))


def serve() -> Run | None:
    """Fork a process per order; in the new process, what it is to run."""
    warm_up()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = {"status": wait(order["wait"])}
        else:
            run = Run(**order)
            pid = os.fork()
            if pid == 0:
                return run
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return None


def redirect(path: str) -> None:
    """What is printed goes to a file, and the traceback of a failure beside it."""
    for descriptor, name in ((1, path), (2, f"{path}.err")):
        file = os.open(name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        os.dup2(file, descriptor)
        os.close(file)


if __name__ == "__main__" and (chosen := serve()) is not None:
    redirect(chosen.output)
    Instruments(Points(chosen.log, chosen.kill)).install()
    script(chosen)

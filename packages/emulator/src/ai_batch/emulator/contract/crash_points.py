"""Points at which a process may be killed: around each commit, HTTP call and rename."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import urlsplit

from ai_batch.core.database import SQLiteDatabase, Transaction
from ai_batch.core.ledger import Ledger
from ai_batch.core.state import Shard, ShardState

__all__ = ["Points", "install"]

UNSTEADY = "renew"
"""The heartbeat comes when it comes."""

_CHANGING = re.compile(r"^(?=.*\d)(?!v\d)[^:]+|^[^:]{21,}")
"""The part of a path's segment that differs from run to run: ids, but no versions, no verbs."""


class Points:
    """Writes down each point that is reached, and kills the process at the chosen one."""

    def __init__(
        self, log: str, kill: tuple[str, int] | None, signal_number: int = signal.SIGKILL
    ) -> None:
        """``kill`` is a point's name, and at which time of reaching it to be struck.

        Struck by SIGKILL, or by another signal, such as the one that suspends a process.
        """
        self._file = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        self._kill = kill
        self._signal = signal_number
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.writing = threading.RLock()

    def reach(self, name: str) -> None:
        """A point at which the process may die."""
        with self._lock:
            os.write(self._file, f"{name}\n".encode())
            self._seen[name] += 1
            struck = (name, self._seen[name]) == self._kill
            if struck and self._signal == signal.SIGKILL:
                os.kill(os.getpid(), signal.SIGKILL)
        if struck:
            # Another thread's transaction ends first: who sleeps in one keeps all others waiting.
            with self.writing:
                os.kill(os.getpid(), self._signal)
                # It takes effect a moment later, when any of the threads comes by.
                time.sleep(0.1)

    @contextlib.contextmanager
    def around(self, name: str) -> Generator[None]:
        """The points before and after something that others can see."""
        self.reach(f"before {name}")
        yield
        self.reach(f"after {name}")


def install(points: Points) -> None:
    """Put the points around what the product calls, in this process."""
    _commits(points)
    _calls(points)
    rename = os.replace

    def replace(source: Any, target: Any) -> None:
        kind = str(target).rpartition("/")[2].partition(".")[2]
        with points.around(f"rename of {kind}"):
            rename(source, target)

    os.replace = replace  # type: ignore[assignment]


# -- commits ---------------------------------------------------------------------------------


def _commits(points: Points) -> None:
    doing = threading.local()
    for name, method in inspect.getmembers(Ledger, inspect.isfunction):
        if not name.startswith("_"):
            setattr(Ledger, name, _named(doing, name, method))
    begin = SQLiteDatabase.transaction

    @contextlib.contextmanager
    def transaction(database: SQLiteDatabase) -> Generator[Transaction]:
        connection: sqlite3.Connection = vars(database)["_connection"]
        operation = getattr(doing, "name", "migrate")
        wrote = False
        with points.writing, begin(database) as tx:
            before = connection.total_changes
            yield tx
            wrote = connection.total_changes > before and operation != UNSTEADY
            if wrote:
                points.reach(f"before commit of {operation}")
        if wrote:
            points.reach(f"after commit of {operation}")

    SQLiteDatabase.transaction = transaction  # type: ignore[assignment,method-assign]


def _named(doing: Any, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def named(*args: Any, **kwargs: Any) -> Any:
        doing.name = _operation(name, args, kwargs)
        return method(*args, **kwargs)

    return named


def _operation(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """A name such as `move reserved -> uploaded`, or `update submitted (cancel_at)`."""
    shards = [arg.state.value for arg in args if isinstance(arg, Shard)]
    targets = [f"-> {arg.value}" for arg in args if isinstance(arg, ShardState)]
    changing = name in {"update", "change_job"}
    columns = f"({', '.join(sorted(kwargs))})" if changing else ""
    return " ".join(filter(None, [name, *shards, *targets, columns]))


# -- calls -----------------------------------------------------------------------------------


def _calls(points: Points) -> None:
    """Those of the HTTP libraries that the subject has loaded; it alone knows which it needs."""
    if (httpx2 := sys.modules.get("httpx2")) is not None:
        _asynchronous(points, vars(httpx2)["AsyncHTTPTransport"])
        _synchronous(points, vars(httpx2)["HTTPTransport"], "handle_request")
    if (adapters := sys.modules.get("requests.adapters")) is not None:
        _synchronous(points, vars(adapters)["HTTPAdapter"], "send")


def _asynchronous(points: Points, transport: Any) -> None:
    original = transport.handle_async_request

    async def call(self: object, request: Any) -> Any:
        with points.around(_name_of(request)):
            return await original(self, request)

    transport.handle_async_request = call


def _synchronous(points: Points, owner: Any, method: str) -> None:
    original = getattr(owner, method)

    def call(self: object, request: Any, *args: Any, **kwargs: Any) -> Any:
        with points.around(_name_of(request)):
            return original(self, request, *args, **kwargs)

    setattr(owner, method, call)


def _name_of(request: Any) -> str:
    """A name such as `GET /v1/batches/{}`, the same in every run."""
    path = urlsplit(str(request.url)).path
    parts = [_CHANGING.sub("{}", part) for part in path.split("/")]
    return f"{request.method} {'/'.join(parts)}"

"""A small HTTP server for tests of live clients: it says what it is told, or misbehaves."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias

__all__ = ["PATIENCE", "Asked", "LiveServer", "Reply"]

PATIENCE = 40.0
"""Seconds for which a test waits for what should take none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call as it came; ``text`` is its head, ``number`` counts from 1."""

    number: int
    path: str
    text: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a call gets: JSON, or text as it is; the last bytes of it may be ``lost``."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    lost: int = 0

    def encoded(self) -> bytes:
        """The whole answer."""
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        data = text.encode()
        known = {"content-type": "application/json", "content-length": str(len(data))}
        lines = [f"{name}: {value}" for name, value in {**known, **self.headers}.items()]
        whole = "\r\n".join([f"HTTP/1.1 {self.status} Some", *lines, "", ""]).encode() + data
        return whole[: len(whole) - self.lost]


Answer: TypeAlias = Callable[[Asked], Reply | None]
"""What a call gets; None cuts its connection."""


class LiveServer:
    """In a thread of its own, so that any event loop may call it.

    ``seen`` holds the calls, ``made`` counts connections, ``open`` those that are; a call is
    answered after ``delay`` seconds.
    """

    def __init__(self, answer: Answer) -> None:
        """Listens within ``with``."""
        self.answer: Answer = answer
        self.delay = 0.0
        self.seen: list[Asked] = []
        self.made = self.open = self.waiting = self.most_waiting = 0
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._ready.wait(PATIENCE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)

    async def until(self, found: Callable[[], object]) -> None:
        """Wait for something that the server sees, in its own thread."""

        def look() -> None:
            end = time.monotonic() + PATIENCE
            while not found() and time.monotonic() < end:
                time.sleep(0.01)

        await asyncio.to_thread(look)
        assert found()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._listen())
        finally:
            self._loop.close()

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2000)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._over.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.made += 1
        self.open += 1
        try:
            while await self._answered(await self._read(reader), reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.lower().split("\r\n")
        size = next(int(one[15:]) for one in lines if one.startswith("content-length:"))
        body = json.loads(await reader.readexactly(size))
        path = head.split(" ", 2)[1]
        asked = Asked(number=len(self.seen) + 1, path=path, text=head, body=body)
        self.seen.append(asked)
        return asked

    async def _answered(
        self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer; whether the connection is of further use."""
        if self.delay and await self._left(reader):
            return False
        reply = self.answer(asked)
        if reply is None:
            return False
        writer.write(reply.encoded())
        await writer.drain()
        return not reply.lost

    async def _left(self, reader: asyncio.StreamReader) -> bool:
        """Whether the client hangs up before its answer is due."""
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            return await asyncio.wait_for(reader.read(1), self.delay) == b""
        except TimeoutError:
            return False
        finally:
            self.waiting -= 1

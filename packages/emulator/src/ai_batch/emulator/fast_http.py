"""HTTP for live calls, past h11: benchmarks wait for these answers, and h11 takes half the time.

Only what every SDK sends is read here: a POST with a length, whose head comes in one piece. All
other requests, on the same connection even, are left to h11.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import h11

from ai_batch.emulator.connection import STATE_KEY, CuttableProtocol
from ai_batch.emulator.live_paths import LiveApp

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope
    from uvicorn.config import Config
    from uvicorn.server import ServerState

_logger = logging.getLogger("ai_batch.emulator")
_UNUSUAL = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
Headers = list[tuple[bytes, bytes]]


class _Head(NamedTuple):
    target: bytes
    headers: Headers
    length: int


@lru_cache(maxsize=256)
def _read_head(head: bytes) -> _Head | None:
    """Read the head of a request; None if there is anything unusual about it.

    A client sends the same heads again and again, with a few different lengths.
    """
    first, *lines = head.split(b"\r\n")
    parts = first.split(b" ")
    if len(parts) != 3 or parts[2] != b"HTTP/1.1":
        return None
    headers: Headers = []
    length = -1
    for line in lines:
        name, colon, value = line.partition(b":")
        name, value = name.lower(), value.strip()
        if not colon or name in _UNUSUAL or name != name.strip():
            return None
        if name == b"content-length":
            if length != -1 or not value.isdigit():
                return None
            length = int(value)
        elif name == b"connection" and value.lower() != b"keep-alive":
            return None
        headers.append((name, value))
    return None if length < 0 else _Head(parts[1], headers, length)


class LiveProtocol(CuttableProtocol):
    """HTTP/1.1 of which live calls go a shorter way."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._live = config.app if isinstance(config.app, LiveApp) else None
        self._exchange: _Exchange | None = None
        self._early = b""

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._exchange is not None:
            self._early += self._exchange.feed(data)
        elif not self._takes(data):
            super().data_received(data)

    def _takes(self, data: bytes) -> bool:
        if self._live is None or not data.startswith(b"POST ") or not self._is_idle():
            return False
        end = data.find(b"\r\n\r\n")
        head = _read_head(data[:end]) if end > 0 else None
        if head is None or not self._live.allows(head.headers):
            return False
        path, _, query = head.target.partition(b"?")
        found = self._live.find(path)
        if found is None:
            return False
        self._unset_keepalive_if_required()
        scope = self._scope(head, path, query)
        scope.update(found.scope)
        self._exchange = _Exchange(self, found.app, scope, head.length)
        self._early = self._exchange.feed(data[end + 4 :])
        return True

    def _is_idle(self) -> bool:
        conn = self.conn
        return (
            conn.our_state is h11.IDLE
            and conn.their_state is h11.IDLE
            and not conn.trailing_data[0]
        )

    def _scope(self, head: _Head, path: bytes, query: bytes) -> Scope:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": self.scheme,
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": head.headers,
            "client": self.client,
            "server": self.server,
            "state": {STATE_KEY: self},
        }

    async def drained(self) -> None:
        """Wait until there is room for more of an answer."""
        if self.flow.write_paused:
            await self.flow.drain()

    def exchange_done(self) -> None:
        """Go on with what came meanwhile."""
        self._exchange = None
        if self._early:
            data, self._early = self._early, b""
            self.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up the answer that nobody waits for any more."""
        if self._exchange is not None:
            self._exchange.cancel()
        super().connection_lost(exc)


class _Exchange:
    """One live call: its body is collected, then the application answers."""

    def __init__(
        self, protocol: LiveProtocol, app: ASGIApp, scope: Mapping[str, Any], length: int
    ) -> None:
        self._protocol = protocol
        self._app = app
        self._scope = scope
        self._missing = length
        self._pieces: list[bytes] = []
        self._task: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        self._was_read = False
        self._start: Message | None = None
        self._chunked = False
        self._complete = False

    def feed(self, data: bytes) -> bytes:
        """Take a piece of the body, and return what does not belong to it."""
        piece, rest = data[: self._missing], data[self._missing :]
        if piece:
            self._pieces.append(piece)
            self._missing -= len(piece)
        if self._missing == 0 and self._task is None:
            self._task = self._protocol.loop.create_task(self._run())
        return rest

    def cancel(self) -> None:
        """End the call: the client has gone."""
        self._gone.set()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._app(dict(self._scope), self._receive, self._send)
        except Exception:
            _logger.exception("a live call failed")
        if not self._complete:
            self._protocol.abort()
        self._protocol.exchange_done()

    async def _receive(self) -> Message:
        if not self._was_read:
            self._was_read = True
            body = b"".join(self._pieces)
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if self._start is not None:
            head = self._head(self._start, more=more)
            self._start = None
        else:
            head = b""
        if self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (
                b"" if more else b"0\r\n\r\n"
            )
        self._protocol.transport.write(head + body)
        self._complete = not more
        await self._protocol.drained()

    def _head(self, start: Message, *, more: bool) -> bytes:
        status: int = start["status"]
        headers = cast("Headers", start["headers"])
        line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        lines = [b"%b: %b\r\n" % pair for pair in headers]
        if more and not any(name == b"content-length" for name, _ in headers):
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        return b"".join([line, *lines, b"\r\n"])

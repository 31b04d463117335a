"""The HTTP server, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, cast

import uvicorn

from ai_batch.emulator.connection import CuttableProtocol
from ai_batch.emulator.fast_http import LiveProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_START_TIMEOUT = 30.0


class _PromptServer(uvicorn.Server):
    """uvicorn's server, which starts and stops at once instead of looking ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self.ready.set()
        await self._over.wait()
        self.force_exit = True
        for connection in tuple(self.server_state.connections):
            cast("CuttableProtocol", connection).abort()
        # One turn of the loop, in which the connections learn that they are lost.
        await asyncio.sleep(0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listening in sockets or ():
            listening.close()

    def finish(self) -> None:
        if self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)


class ServerThread:
    """Serves an application on a socket until it is stopped."""

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http=LiveProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=60,
        )
        self._server = _PromptServer(config)
        self._socket = listening
        self._thread = threading.Thread(target=self._run, name="ai-batch-emulator", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Return when the server answers."""
        self._thread.start()
        if not self._server.ready.wait(_START_TIMEOUT):
            msg = f"the emulator did not start within {_START_TIMEOUT} s"
            raise TimeoutError(msg)

    def stop(self) -> None:
        """Cut all connections and end the thread."""
        self._server.finish()
        self._thread.join()

    def wait(self) -> None:
        """Block until the server has ended."""
        while self._thread.is_alive():
            self._thread.join(0.5)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that accepts connections already, though nobody answers yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it, each answer on a
    # connection that is kept alive waits 40 ms for the client's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError:
        listening.close()
        raise
    return listening

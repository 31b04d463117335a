"""A hold on the TCP connection below a request, to cut it as a bad network would."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.requests import Request
    from uvicorn.config import Config
    from uvicorn.server import ServerState

STATE_KEY = "ai_batch_emulator_connection"


class Connection(Protocol):
    """What the emulator does to a connection beside answering on it."""

    def abort(self) -> None:
        """Close at once; what was not yet sent is dropped."""
        ...

    def hang_up(self) -> None:
        """Close when all that was written has been sent."""
        ...

    async def write_raw(self, data: bytes) -> None:
        """Send bytes past the HTTP machinery."""
        ...


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, which hands itself to the application in the scope's state."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, STATE_KEY: self}, _loop)

    def abort(self) -> None:
        """Close at once; what was not yet sent is dropped."""
        self.transport.abort()

    def hang_up(self) -> None:
        """Close when all that was written has been sent."""
        self.transport.close()

    async def write_raw(self, data: bytes) -> None:
        """Send bytes past the HTTP machinery."""
        if self.flow.write_paused:
            await self.flow.drain()
        self.transport.write(data)


def connection_of(request: Request) -> Connection:
    """Return the connection that a request came on."""
    connection: Connection = request.scope["state"][STATE_KEY]
    return connection


async def until_gone(request: Request) -> None:
    """Wait for the end of a connection that was closed here.

    uvicorn answers 500 on its own if an application returns without an answer while the connection
    is open.
    """
    while (await request.receive())["type"] != "http.disconnect":
        pass

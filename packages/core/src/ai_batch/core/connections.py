"""A vendor SDK's clients: one per event loop, closed at the latest when their loop ends.

And whose they are: a fingerprint that tells accounts apart.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakKeyDictionary

from ai_batch.core.errors import UsageError

__all__ = ["Clients", "bare_url", "check_url", "fingerprint"]

ClientT = TypeVar("ClientT")

Close = Callable[[ClientT], Awaitable[None] | None]


class Clients(Generic[ClientT]):
    """Makes a client for each event loop, since its connections belong to the loop.

    ``make`` is called when a loop first asks; ``close`` ends such a client. Without ``close`` the
    client is the user's own, and stays open.
    """

    def __init__(self, make: Callable[[], ClientT], close: Close[ClientT] | None) -> None:
        """Nothing is made or connected before ``here`` is called."""
        self._make = make
        self._close = close
        self._held: WeakKeyDictionary[asyncio.AbstractEventLoop, _Held[ClientT]] = (
            WeakKeyDictionary()
        )

    async def here(self) -> ClientT:
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        held = self._held.get(loop)
        if held is None:
            held = self._held[loop] = _Held(self._make(), self._close)
            await held.close_with_loop()
        return held.client

    async def aclose(self) -> None:
        """Close the clients that were made here.

        Does not wait for other loops: the caller may be one of them, blocked by this very call.
        """
        held, self._held = dict(self._held), WeakKeyDictionary()
        here = asyncio.get_running_loop()
        for loop, client in held.items():
            if loop is here:
                await client.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(client.aclose(), loop)
            else:
                client.leave()


class _Held(Generic[ClientT]):
    """A client, and what closes it."""

    def __init__(self, client: ClientT, close: Close[ClientT] | None) -> None:
        self.client = client
        self._close = close
        self._closer: AsyncGenerator[None, None] | None = None

    async def close_with_loop(self) -> None:
        """Have the client closed at the latest when its loop ends.

        Afterwards its connections can't be closed any more, and the SDK would try: a loop ends
        its open async generators, so one of them closes the client.
        """
        if self._close is not None:
            self._closer = self._close_at_end(self._close)
            await anext(self._closer)

    async def _close_at_end(self, close: Close[ClientT]) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            _LEFT.discard(self)
            closing = close(self.client)
            if inspect.isawaitable(closing):
                await closing

    async def aclose(self) -> None:
        """Close the client, unless it is the user's or closed already."""
        closer, self._closer = self._closer, None
        if closer is not None:
            await closer.aclose()

    def leave(self) -> None:
        """Leave the client to the end of its loop, which does not run now."""
        if self._closer is not None:
            _LEFT.add(cast("_Held[Any]", self))


_LEFT: set[_Held[Any]] = set()
"""Clients that nobody else holds on to until their loops end."""


def bare_url(url: str) -> str:
    """A server's address without a password, a query, or a slash at its end."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", "")).rstrip("/")


def check_url(url: str) -> None:
    """Raises ``UsageError`` for an address that holds a secret, or is none of HTTP.

    Addresses are part of a job's record, and of what HTTP libraries log.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"base_url must begin with https:// and a host, found {bare_url(url)!r}")
    if "@" in parts.netloc or parts.query:
        raise UsageError(
            f"base_url must not hold a name, a password or a query, which would be logged "
            f"({bare_url(url)}): pass extra_headers={{'Authorization': ...}}"
        )


def fingerprint(
    secret: str | None, *tenant: str | None, headers: Mapping[str, str] | None = None
) -> str:
    """Tells accounts apart without giving the key away.

    ``tenant`` and ``headers`` are what else makes one account or another of a key.
    """
    parts = [secret or "", *(name or "" for name in tenant)]
    parts += [f"{name}:{value}" for name, value in sorted((headers or {}).items())]
    digest = hashlib.blake2b("\n".join(parts).encode(), digest_size=6, person=b"ai-batch")
    return digest.hexdigest()

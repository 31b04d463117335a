"""The calls to an OpenAI-compatible server, through the official SDK; one HTTP attempt each.

The SDK's own retries are switched off for every call: it would repeat ``POST /batches`` after a
cut answer although the batch may exist and be billed, and it gives up on a ``Retry-After`` above
120 seconds. The engine retries, with all state on record. What the SDK raises is translated
here, and nothing of it is chained: its exceptions hold the API key.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import msgspec

from ai_batch.core.messages import JSONObject
from ai_batch.openai.client import ClientSettings, make_client
from ai_batch.openai.errors import translated

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["OpenAIApi"]

BLOCK = 1 << 20


def private_file(path: Path) -> io.FileIO:
    """A new file that only its owner can read: answers are private."""
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY
    return io.FileIO(os.open(path, flags, 0o600), "wb")


class _BlockReader(io.FileIO):
    """Reads in blocks of a megabyte at least: the SDK asks for 64 KB, at half the speed."""

    def read(self, size: int | None = -1, /) -> bytes:
        return cast("bytes", super().read(size if size is None or size < 0 else max(size, BLOCK)))


class OpenAIApi:
    """Files and batches. Bodies and answers are plain JSON objects."""

    def __init__(self, settings: ClientSettings) -> None:
        """Nothing is imported or connected before the first call."""
        self._settings = settings
        # An async client belongs to the loop in which its connections were made.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _HeldClient] = (
            WeakKeyDictionary()
        )

    async def _client(self) -> AsyncOpenAI | OpenAI:
        loop = asyncio.get_running_loop()
        held = self._clients.get(loop)
        if held is None:
            held = self._clients[loop] = _HeldClient(make_client(self._settings))
            if self._settings.client is None:
                await held.close_with_loop()
        return held.client

    async def _call(self, work: Callable[[Any], Any], *, creating: bool = False) -> Any:
        """Run one SDK call, of an async client or in a thread, with its errors translated."""
        client = await self._client()
        try:
            if _is_async(client):
                return await cast("Awaitable[object]", work(client))
            return await asyncio.to_thread(work, client)
        except Exception as error:  # noqa: BLE001 - the border: everything is translated
            failure = translated(error, creating=creating, secret=self._settings.secret)
        raise failure from None

    async def _json(
        self, method: str, path: str, *, creating: bool = False, **options: object
    ) -> JSONObject:
        import httpx2

        def work(client: Any) -> object:
            call = getattr(client, method)
            return call(path, cast_to=httpx2.Response, **options)

        response = await self._call(work, creating=creating)
        try:
            return cast("JSONObject", msgspec.json.decode(response.content))
        except ValueError as error:
            failure = translated(error, creating=creating, secret=self._settings.secret)
        raise failure from None

    async def upload(self, path: Path, filename: str) -> str:
        """Send a batch input file, streamed from disk; its id."""

        def work(client: Any) -> object:
            return client.files.create(file=(filename, reader), purpose="batch")

        with _BlockReader(path) as reader:
            return str((await self._call(work)).id)

    async def create_batch(self, body: JSONObject) -> JSONObject:
        """Create a batch. ``OutcomeUnknown`` when it may exist although no answer came."""
        return await self._json("post", "/batches", body=body, creating=True)

    async def batch(self, batch_id: str) -> JSONObject:
        """One batch. ``RemoteNotFound`` when the server does not know it."""
        return await self._json("get", f"/batches/{batch_id}")

    async def batches(self, after: str | None = None, limit: int = 100) -> JSONObject:
        """One page of batches, the newest first."""
        query: dict[str, object] = {"limit": limit}
        if after is not None:
            query["after"] = after
        return await self._json("get", "/batches", options={"params": query})

    async def cancel_batch(self, batch_id: str) -> JSONObject:
        """Ask for a batch to be stopped."""
        return await self._json("post", f"/batches/{batch_id}/cancel")

    async def files(self, after: str | None = None) -> JSONObject:
        """One page of batch input files, the newest first."""
        query: dict[str, object] = {"purpose": "batch", "limit": 1000, "order": "desc"}
        if after is not None:
            query["after"] = after
        return await self._json("get", "/files", options={"params": query})

    async def delete_file(self, file_id: str) -> None:
        """Delete a file. ``RemoteNotFound`` when it is gone already."""
        await self._json("delete", f"/files/{file_id}")

    async def download(self, file_id: str, to: Path) -> None:
        """Stream a file's bytes to disk as they come."""
        with private_file(to) as file:

            def work(client: Any) -> object:
                save = _save_async if _is_async(client) else _save
                return save(client, file_id, file)

            await self._call(work)

    async def aclose(self) -> None:
        """Close the clients that were made here; a client of the user's stays open.

        Does not wait for other loops: the caller may be one of them, blocked by this very call.
        """
        clients, self._clients = dict(self._clients), WeakKeyDictionary()
        here = asyncio.get_running_loop()
        for loop, held in clients.items():
            if loop is here:
                await held.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(held.aclose(), loop)
            else:
                held.leave()


class _HeldClient:
    """A client, and what closes it."""

    def __init__(self, client: AsyncOpenAI | OpenAI) -> None:
        self.client = client
        self._closer: AsyncGenerator[None, None] | None = None

    async def close_with_loop(self) -> None:
        """Have the client closed at the latest when its loop ends.

        Afterwards its connections can't be closed any more, and the SDK would try: a loop ends
        its open async generators, so one of them closes the client.
        """
        self._closer = self._close_at_end()
        await anext(self._closer)

    async def _close_at_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            _LEFT.discard(self)
            closing = self.client.close()
            if inspect.isawaitable(closing):
                await closing

    async def aclose(self) -> None:
        """Close the client, unless it is the user's or closed already."""
        if self._closer is not None:
            await self._closer.aclose()

    def leave(self) -> None:
        """Leave the client to the end of its loop, which does not run now."""
        if self._closer is not None and not self.client.is_closed():
            _LEFT.add(self)


_LEFT: set[_HeldClient] = set()
"""Clients that nobody else holds on to until their loops end."""


def _is_async(client: object) -> bool:
    import openai

    return isinstance(client, openai.AsyncOpenAI)


async def _save_async(client: AsyncOpenAI, file_id: str, file: io.FileIO) -> None:
    async with client.files.with_streaming_response.content(file_id) as response:
        # No chunk size: what comes is taken as it comes, at twice the speed.
        async for chunk in response.iter_bytes():
            file.write(chunk)


def _save(client: OpenAI, file_id: str, file: io.FileIO) -> None:
    with client.files.with_streaming_response.content(file_id) as response:
        for chunk in response.iter_bytes():
            file.write(chunk)

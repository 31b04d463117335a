"""The calls to an OpenAI-compatible server, through the official SDK; one HTTP attempt each.

The SDK's own retries are switched off for every call: it would repeat ``POST /batches`` after a
cut answer although the batch may exist and be billed, and it gives up on a ``Retry-After`` above
120 seconds. The engine retries, with all state on record. What the SDK raises is translated
here, and nothing of it is chained: its exceptions hold the API key.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_batch.core.errors import ProviderUnavailable
from ai_batch.core.messages import JSONObject
from ai_batch.core.transfers import BlockReader, private_file
from ai_batch.core.vendor_calls import Calls
from ai_batch.openai.client import ClientSettings, is_async, make_client
from ai_batch.openai.errors import translated

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["OpenAIApi"]


class OpenAIApi:
    """Files and batches. Bodies and answers are plain JSON objects."""

    def __init__(self, settings: ClientSettings) -> None:
        """Nothing is imported or connected before the first call."""
        self._calls: Calls[AsyncOpenAI | OpenAI] = Calls(
            lambda: make_client(settings),
            own=settings.client is None,
            is_async=is_async,
            translate=lambda error, creating: translated(
                error, creating=creating, secret=settings.secret
            ),
        )

    async def _json(
        self, method: str, path: str, *, creating: bool = False, **options: object
    ) -> JSONObject:
        import httpx2

        def ask(client: Any) -> object:
            return getattr(client, method)(path, cast_to=httpx2.Response, **options)

        return await self._calls.json(ask, creating=creating)

    async def upload(self, path: Path, filename: str) -> str:
        """Send a batch input file, streamed from disk; its id.

        ``ProviderUnavailable`` for an answer without one, such as a proxy's page with status 200.
        """

        def work(client: Any) -> object:
            return client.files.create(file=(filename, reader), purpose="batch")

        with BlockReader(path) as reader:
            file_id = getattr(await self._calls.run(work), "id", None)
        if not isinstance(file_id, str) or not file_id:
            raise ProviderUnavailable("the answer to an upload names no file")
        return file_id

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

    async def download(self, file_id: str, to: Path, most: int | None = None) -> None:
        """Stream a file's bytes to disk as they come, ``most`` of them at the most."""
        with private_file(to, most) as file:

            def work(client: Any) -> object:
                save = _save_async if is_async(client) else _save
                return save(client, file_id, file)

            await self._calls.run(work)

    async def aclose(self) -> None:
        """Close the clients that were made here; a client of the user's stays open."""
        await self._calls.aclose()


async def _save_async(client: AsyncOpenAI, file_id: str, file: io.FileIO) -> None:
    async with client.files.with_streaming_response.content(file_id) as response:
        # No chunk size: what comes is taken as it comes, at twice the speed.
        async for chunk in response.iter_bytes():
            file.write(chunk)


def _save(client: OpenAI, file_id: str, file: io.FileIO) -> None:
    with client.files.with_streaming_response.content(file_id) as response:
        for chunk in response.iter_bytes():
            file.write(chunk)

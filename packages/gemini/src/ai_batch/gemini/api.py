"""The calls to the Gemini API and to Vertex AI, through the official SDK; one attempt each.

What the SDK raises is translated here, and nothing of it is chained: its exceptions hold the
request with its key. Answers are plain JSON objects.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from ai_batch.core.connections import Clients
from ai_batch.core.errors import ProviderError
from ai_batch.core.messages import JSONObject
from ai_batch.core.transfers import BlockReader, private_file
from ai_batch.core.wire_json import as_object
from ai_batch.gemini.client import ClientSettings, close_client, make_client
from ai_batch.gemini.errors import translated
from ai_batch.gemini.sdk import one_attempt, raw_call

if TYPE_CHECKING:
    from google.genai import Client

__all__ = ["GoogleApi", "size_of"]

Found = TypeVar("Found")

JSONL = "jsonl"
"""The media type of the documentation's own uploads; others were refused
(googleapis/python-genai#1248)."""

CONFLICT = 409


class GoogleApi:
    """Files and batches. Names are the vendor's, such as ``files/abc`` and ``batches/abc``."""

    def __init__(self, settings: ClientSettings) -> None:
        """Nothing is imported or connected before the first call."""
        self._settings = settings
        close = None if settings.client is not None else close_client
        self._clients: Clients[Client] = Clients(lambda: make_client(settings), close)

    async def _call(
        self, work: Callable[[Client], Awaitable[Found]], *, creating: bool = False
    ) -> Found:
        """Run one call of the SDK with its errors translated."""
        client = await self._clients.here()
        try:
            return await work(client)
        except Exception as error:  # noqa: BLE001 - the border: everything is translated
            failure = translated(error, creating=creating, secret=self._settings.hidden)
        raise failure from None

    async def _json(
        self, method: str, path: str, body: JSONObject | None = None, *, creating: bool = False
    ) -> JSONObject:
        async def work(client: Client) -> JSONObject:
            text = await raw_call(client, method, path, body, self._settings.timeout)
            answer = as_object(text)
            if answer is None:
                raise ValueError(f"{text[:100]!r} is no JSON object")
            return answer

        return await self._call(work, creating=creating)

    async def _done(self, method: str, path: str) -> None:
        """A call whose answer says nothing, not even always with an empty object."""

        async def work(client: Client) -> None:
            await raw_call(client, method, path, None, self._settings.timeout)

        await self._call(work)

    async def post(self, path: str, body: JSONObject) -> JSONObject:
        """Create a batch. ``OutcomeUnknown`` when it may exist although no answer came."""
        return await self._json("post", path, body, creating=True)

    async def get(self, path: str) -> JSONObject:
        """One batch or file. ``RemoteNotFound`` when the server does not know it."""
        return await self._json("get", path)

    async def page(self, path: str, **query: str | int | None) -> JSONObject:
        """One page of a list."""
        given = {name: value for name, value in query.items() if value is not None}
        return await self._json("get", f"{path}?{urlencode(given)}")

    async def cancel(self, name: str) -> None:
        """Ask for a batch to be stopped."""
        await self._done("post", f"{name}:cancel")

    async def delete(self, name: str) -> None:
        """Delete a file. ``RemoteNotFound`` when it is gone already."""
        await self._done("delete", name)

    async def upload(self, path: Path, file_id: str) -> str:
        """Send an input file under a name of ours, so that a second time can't make a second.

        What an earlier, cut upload left under the name is taken if it is whole, else replaced.
        """
        try:
            return await self._upload(path, file_id)
        except ProviderError as error:
            if error.status != CONFLICT and "already exists" not in error.message.lower():
                raise
        name = f"files/{file_id}"
        there = await self.get(name)
        if there.get("state") == "ACTIVE" and there.get("sizeBytes") == str(size_of(path)):
            return name
        await self.delete(name)
        return await self._upload(path, file_id)

    async def _upload(self, path: Path, file_id: str) -> str:
        async def work(client: Client) -> str:
            config: Any = {
                "name": file_id,
                "display_name": file_id,
                "mime_type": JSONL,
                "http_options": one_attempt(self._settings.timeout),
            }
            with BlockReader(path) as reader:
                file = await client.aio.files.upload(file=reader, config=config)
            return str(file.name)

        return await self._call(work)

    async def download(self, name: str, to: Path, most: int | None = None) -> None:
        """Stream a file's bytes to disk as they come, ``most`` of them at the most.

        By its name alone: that of a file of results is too long for the service to be asked about
        (googleapis/python-genai#1759).
        """

        async def work(client: Client) -> None:
            config: Any = {"http_options": one_attempt(self._settings.timeout)}
            with private_file(to, most) as file:
                await client.aio.files.download(file=name, destination=file, config=config)

        await self._call(work)

    async def aclose(self) -> None:
        """Close the clients that were made here; a client of the user's stays open."""
        await self._clients.aclose()


def size_of(path: Path) -> int:
    """Bytes in a file."""
    return path.stat().st_size

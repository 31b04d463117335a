"""The calls to the Message Batches API, through the official SDK; one HTTP attempt each.

The SDK's own retries are switched off for every call: it would repeat a create call after a cut
answer although the batch may exist and be billed (no idempotency key is sent,
anthropics/anthropic-sdk-typescript#1112), and it sleeps for as long as a ``Retry-After`` says.
The engine retries, with all state on record. What the SDK raises is translated here, and nothing
of it is chained: its exceptions hold the API key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_batch.anthropic.bodies import CreateBody
from ai_batch.anthropic.client import ClientSettings, is_async, make_client, signs_body
from ai_batch.anthropic.errors import translated
from ai_batch.core.messages import JSONObject
from ai_batch.core.transfers import private_file
from ai_batch.core.vendor_calls import Calls

if TYPE_CHECKING:
    from anthropic import Anthropic, AsyncAnthropic

__all__ = ["AnthropicApi"]

BATCHES = "/v1/messages/batches"

SLOWEST = 1_000_000
"""Bytes a second at which a batch is read and checked by the vendor at the least: the answer to a
create call may take the longer the larger the batch is."""

MAX_FIRST_ROW = 16 << 20
"""Bytes to look for the end of the first row in; answers may be 300,000 tokens long."""

STREAMED = {
    # How the SDK's own with_streaming_response asks for a body that is not read yet. Its calls
    # for results fetch whatever address the server names, with the key.
    "X-Stainless-Raw-Response": "stream",
    "Accept": "application/binary",
}


Take = Callable[[bytes], bool]
"""Takes a piece of a stream, and tells whether it wants more."""


class AnthropicApi:
    """Message batches. Bodies and answers are plain JSON objects."""

    def __init__(self, settings: ClientSettings) -> None:
        """Nothing is imported or connected before the first call."""
        self._settings = settings
        self._calls: Calls[AsyncAnthropic | Anthropic] = Calls(
            lambda: make_client(settings),
            own=settings.client is None,
            is_async=is_async,
            translate=lambda error, creating: translated(
                error, creating=creating, secret=settings.secret
            ),
        )

    async def create_batch(self, items: Path, headers: dict[str, str]) -> JSONObject:
        """Create a batch of the items, one per line of a file that is streamed.

        ``OutcomeUnknown`` when it may exist although no answer came.
        """
        body = CreateBody(items)

        def ask(client: Any) -> object:
            import httpx2

            seconds = self._settings.timeout
            options = {
                "headers": {
                    **headers,
                    "Content-Type": "application/json",
                    "Content-Length": str(body.size),
                },
                "timeout": httpx2.Timeout(seconds, read=seconds + body.size / SLOWEST),
            }
            content = _content(client, body)
            return client.post(BATCHES, content=content, cast_to=httpx2.Response, options=options)

        return await self._calls.json(ask, creating=True)

    async def batch(self, batch_id: str) -> JSONObject:
        """One batch. ``RemoteNotFound`` when the server does not know it, or not yet."""
        return await self._get(f"{BATCHES}/{batch_id}")

    async def batches(self, after: str | None = None, limit: int = 1000) -> JSONObject:
        """One page of the workspace's batches, the newest first."""
        query: dict[str, object] = {"limit": limit}
        if after is not None:
            query["after_id"] = after
        return await self._get(BATCHES, params=query)

    async def _get(self, path: str, **options: object) -> JSONObject:
        import httpx2

        return await self._calls.json(
            lambda client: client.get(path, cast_to=httpx2.Response, options=options)
        )

    async def cancel_batch(self, batch_id: str) -> JSONObject:
        """Ask for a batch to be stopped."""
        import httpx2

        path = f"{BATCHES}/{batch_id}/cancel"
        return await self._calls.json(lambda client: client.post(path, cast_to=httpx2.Response))

    async def download(self, batch_id: str, to: Path, most: int | None = None) -> None:
        """Stream a batch's results to disk as they come, ``most`` bytes of them at the most."""
        with private_file(to, most) as file:
            await self._stream(batch_id, lambda chunk: file.write(chunk) >= 0)

    async def first_row(self, batch_id: str) -> bytes | None:
        """The first row of a batch's results; None where there is none of a reasonable size."""
        head = bytearray()

        def take(chunk: bytes) -> bool:
            head.extend(chunk)
            return b"\n" not in chunk and len(head) < MAX_FIRST_ROW

        await self._stream(batch_id, take)
        row, end, _ = bytes(head).partition(b"\n")
        return row if end else None

    async def _stream(self, batch_id: str, take: Take) -> None:
        """Hand over the body of the results, piece by piece."""
        path = f"{BATCHES}/{batch_id}/results"

        def work(client: Any) -> object:
            import httpx2

            options = {"headers": STREAMED}
            read = _read_async if is_async(client) else _read
            return read(client.get(path, cast_to=httpx2.Response, options=options), take)

        await self._calls.run(work)

    async def aclose(self) -> None:
        """Close the clients that were made here; a client of the user's stays open."""
        await self._calls.aclose()


def _content(client: object, body: CreateBody) -> object:
    if signs_body(client):
        return b"".join(body.blocks())
    return body.ablocks() if is_async(client) else body.blocks()


async def _read_async(asked: Awaitable[Any], take: Take) -> None:
    response = await asked
    try:
        # No chunk size: what comes is taken as it comes, at twice the speed.
        async for chunk in response.aiter_bytes():
            if not take(chunk):
                break
    finally:
        await response.aclose()


def _read(response: Any, take: Take) -> None:
    try:
        for chunk in response.iter_bytes():
            if not take(chunk):
                break
    finally:
        response.close()

"""A local server that answers as Voyage's ``/v1/embeddings`` does."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, TypeAlias

import pytest

from ai_batch.voyage import VoyageEmbedder

Reply: TypeAlias = tuple[int, Any, dict[str, str]] | None
"""Status, body (JSON, or text as it is) and headers; None cuts the connection."""


def vector(text: str, size: int) -> list[float]:
    """A vector that is the text's own."""
    digest = hashlib.sha256(text.encode()).digest()
    return [digest[place % 32] / 256 for place in range(size)]


def answer(asked: dict[str, Any]) -> Reply:
    """The vectors, in another order than that of the texts."""
    size = asked.get("output_dimension") or 1024
    data: list[dict[str, Any]] = []
    for index, text in enumerate(asked["input"]):
        found = vector(f"{asked.get('input_type') or ''}{text}", size)
        packed = base64.b64encode(struct.pack(f"<{size}f", *found)).decode()
        coded = packed if asked.get("encoding_format") == "base64" else found
        data.insert(0, {"object": "embedding", "embedding": coded, "index": index})
    usage = {"total_tokens": sum(len(text.split()) for text in asked["input"])}
    return 200, {"object": "list", "data": data, "model": asked["model"], "usage": usage}, {}


class Voyage:
    """The server; ``seen`` holds the bodies that it got, ``connections`` counts those made."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], Reply] = answer
        self.delay = 0.0
        self.cut_body = False
        self.seen: list[dict[str, Any]] = []
        self.heads: list[bytes] = []
        self.connections = 0
        self.writers: set[asyncio.StreamWriter] = set()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                size = next(int(one[15:]) for one in lines if one.startswith(b"content-length:"))
                self.seen.append(json.loads(await reader.readexactly(size)))
                self.heads.append(head)
                await asyncio.sleep(self.delay)
                reply = self.answer(self.seen[-1])
                if reply is None:
                    return
                whole = _http(*reply)
                writer.write(whole[:-20] if self.cut_body else whole)
                await writer.drain()
                if self.cut_body:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def _http(status: int, body: Any, headers: dict[str, str]) -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    length = {"content-length": str(len(text.encode())), "content-type": "application/json"}
    lines = [f"{name}: {value}" for name, value in (length | headers).items()]
    return "\r\n".join([f"HTTP/1.1 {status} Some", *lines, "", text]).encode()


@pytest.fixture
def voyage() -> Iterator[Voyage]:
    """A server in a thread of its own, so that any event loop may call it."""
    server = Voyage()
    ready = threading.Event()
    stop: list[Callable[[], object]] = []

    async def run() -> None:
        done, loop = asyncio.Event(), asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(done.set))
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        ready.set()
        await done.wait()
        listening.close()
        for writer in server.writers:
            writer.close()
        # Those that wait for their next request see the end of it.
        await asyncio.sleep(0.05)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    ready.wait(10)
    yield server
    stop[0]()
    thread.join(10)


@pytest.fixture
async def embedder(voyage: Voyage) -> AsyncGenerator[VoyageEmbedder]:
    """An embedder before the server."""
    client = VoyageEmbedder(api_key="pa-my-own-key", base_url=voyage.url, timeout=5.0)
    yield client
    await client.aclose()

"""One call through each of the library's clients, batch and live, to a server of the test's."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

from ai_batch.anthropic import AnthropicChat
from ai_batch.anthropic.api import AnthropicApi
from ai_batch.anthropic.client import ClientSettings as AnthropicSettings
from ai_batch.core import ChatRequest, EmbeddingRequest
from ai_batch.gemini import GeminiChat, GeminiEmbedder
from ai_batch.gemini.api import GoogleApi
from ai_batch.gemini.client import ClientSettings as GoogleSettings
from ai_batch.gemini.storage import Storage
from ai_batch.openai import OpenAIChat, OpenAIEmbedder
from ai_batch.openai.api import OpenAIApi
from ai_batch.openai.client import ClientSettings as OpenAISettings
from ai_batch.voyage import VoyageEmbedder

KEY = "sk-canary-4f1d2c7e9b8a"
HEADER = "canary-header-77c1a0"
PROMPT = "canary-prompt-5be20d"
HEADERS = {"X-Team-Secret": HEADER}
QUESTION = ChatRequest(id="q", messages=PROMPT)
TEXT = EmbeddingRequest(id="e", texts=[PROMPT])

Call: TypeAlias = Callable[[str, Path], Awaitable[object]]
"""Calls the server at a URL; the path is for what is downloaded or sent."""


@contextlib.asynccontextmanager
async def _closed(client: Any) -> AsyncGenerator[Any]:
    try:
        yield client
    finally:
        closing = client.aclose() if hasattr(client, "aclose") else client.close()
        if closing is not None:
            await closing


def _call(make: Callable[[str], Any], use: Callable[[Any, Path], Awaitable[object]]) -> Call:
    async def call(url: str, path: Path) -> object:
        async with _closed(make(url)) as client:
            return await use(client, path)

    return call


def _openai(url: str) -> OpenAIApi:
    settings = OpenAISettings(api_key=KEY, base_url=f"{url}/v1", extra_headers=HEADERS)
    return OpenAIApi(settings)


def _anthropic(url: str) -> AnthropicApi:
    return AnthropicApi(AnthropicSettings(api_key=KEY, base_url=url, extra_headers=HEADERS))


def _gemini(url: str) -> GoogleApi:
    return GoogleApi(GoogleSettings(api_key=KEY, base_url=url, extra_headers=HEADERS))


def credentials() -> Any:
    """Credentials of Google's whose access token is the key."""
    from google.oauth2.credentials import Credentials

    made: Any = Credentials
    return made(KEY)


def _vertex_settings(url: str) -> GoogleSettings:
    return GoogleSettings(
        vertex=True,
        credentials=credentials(),
        project="p",
        location="us-central1",
        base_url=url,
        extra_headers=HEADERS,
        storage_url=url,
    )


def _vertex(url: str) -> GoogleApi:
    return GoogleApi(_vertex_settings(url))


def _storage(url: str) -> Storage:
    with patch.dict(os.environ, STORAGE_EMULATOR_HOST=url):
        return Storage(_vertex_settings(url))


def _live(kind: Callable[..., Any], path: str = "", **options: Any) -> Callable[[str], Any]:
    def make(url: str) -> Any:
        given: Mapping[str, Any] = {"model": "m", "api_key": KEY, "extra_headers": HEADERS}
        return kind(**{**given, **options}, base_url=f"{url}{path}")

    return make


def _voyage(url: str) -> VoyageEmbedder:
    return VoyageEmbedder(model="m", api_key=KEY, base_url=f"{url}/v1")


def _vertex_chat(url: str) -> GeminiChat:
    return GeminiChat(
        model="m",
        backend="vertex",
        credentials=credentials(),
        project="p",
        location="us-central1",
        base_url=url,
        extra_headers=HEADERS,
    )


READS: dict[str, Call] = {
    "openai poll": _call(_openai, lambda api, _: api.batch("b")),
    "openai list": _call(_openai, lambda api, _: api.batches()),
    "anthropic poll": _call(_anthropic, lambda api, _: api.batch("b")),
    "gemini poll": _call(_gemini, lambda api, _: api.get("batches/b")),
    "vertex poll": _call(_vertex, lambda api, _: api.get("batchPredictionJobs/b")),
}
"""Calls whose answer is read whole."""

DOWNLOADS: dict[str, Call] = {
    "openai download": _call(_openai, lambda api, path: api.download("file-1", path)),
    "anthropic download": _call(_anthropic, lambda api, path: api.download("b", path)),
    "gemini download": _call(_gemini, lambda api, path: api.download("files/b", path)),
}
"""Calls whose answer goes to disk as it comes."""

STORAGE: dict[str, Call] = {
    "storage list": _call(_storage, lambda api, _: api.names("gs://bucket/x")),
    "storage download": _call(_storage, lambda api, path: api.download(["gs://b/x"], path)),
    "storage upload": _call(_storage, lambda api, path: api.upload(path, "gs://b/x")),
}

SENDS: dict[str, Call] = {
    "openai upload": _call(_openai, lambda api, path: api.upload(path, "x.jsonl")),
    "openai create": _call(_openai, lambda api, _: api.create_batch({"prompt": PROMPT})),
    "anthropic create": _call(_anthropic, lambda api, path: api.create_batch(path, {})),
    "gemini upload": _call(_gemini, lambda api, path: api.upload(path, "f1")),
    "gemini create": _call(_gemini, lambda api, _: api.post("models/m:x", {"prompt": PROMPT})),
    "vertex create": _call(_vertex, lambda api, _: api.post("x", {"prompt": PROMPT})),
}
"""Calls that hold requests, or make a batch."""

LIVE: dict[str, Call] = {
    "openai chat": _call(_live(OpenAIChat, "/v1"), lambda chat, _: chat.chat(QUESTION)),
    "openai embed": _call(_live(OpenAIEmbedder, "/v1"), lambda one, _: one.embed(TEXT)),
    "anthropic chat": _call(_live(AnthropicChat), lambda chat, _: chat.chat(QUESTION)),
    "gemini chat": _call(_live(GeminiChat), lambda chat, _: chat.chat(QUESTION)),
    "gemini embed": _call(_live(GeminiEmbedder), lambda one, _: one.embed(TEXT)),
    "vertex chat": _call(_vertex_chat, lambda chat, _: chat.chat(QUESTION)),
    "voyage embed": _call(_voyage, lambda one, _: one.embed(TEXT)),
}
"""Calls that are answered at once; over aiohttp, which is installed here."""

CALLS = {**READS, **DOWNLOADS, **STORAGE, **SENDS, **LIVE}


def run(name: str, url: str, path: Path) -> object:
    """Make the call; its answer."""

    async def main() -> object:
        return await CALLS[name](url, path)

    return asyncio.run(main())

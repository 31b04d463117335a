"""What every live client has to be able to do, of OpenAI's."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from ai_batch.emulator.contract.live_chats import LiveChatContract
from ai_batch.emulator.contract.live_subject import KEY, LiveSubject
from ai_batch.emulator.contract.live_suite import LiveContract
from ai_batch.openai import OpenAIChat, OpenAIEmbedder


def chat(url: str, **options: Any) -> OpenAIChat:
    """A chat client before a server."""
    return OpenAIChat(model="gpt-4o-mini", api_key=KEY, base_url=f"{url}/v1", **options)


def responses(url: str, **options: Any) -> OpenAIChat:
    """The same, of the other endpoint."""
    return chat(url, endpoint="/v1/responses", **options)


def embedder(url: str, **options: Any) -> OpenAIEmbedder:
    """An embedder before a server."""
    model = "text-embedding-3-small"
    return OpenAIEmbedder(model=model, api_key=KEY, base_url=f"{url}/v1", **options)


def vectors(body: Any) -> Any:
    """A vector for each text."""
    rows = [{"index": n, "embedding": [0.5, float(n)]} for n in range(len(body["input"]))]
    return {"model": body["model"], "data": rows, "usage": {"prompt_tokens": 3}}


def refusal(status: int, words: str) -> Any:
    """The body of an error."""
    return {"error": {"message": words, "type": "some_error", "code": f"code_{status}"}}


def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if aiohttp were not installed."""

    def missing(**_: object) -> None:
        raise RuntimeError("install the extra")

    monkeypatch.setattr(openai, "DefaultAioHttpClient", missing)


class TestOpenAIChat(LiveChatContract):
    """Chat completions."""

    subject = LiveSubject(
        name="openai",
        make=chat,
        model="gpt-4o-mini",
        refusal=refusal,
        endpoint="/v1/chat/completions",
        plain=plain,
        recursive_types=True,
    )


class TestOpenAIResponses(LiveChatContract):
    """The Responses API."""

    subject = LiveSubject(
        name="openai-responses",
        make=responses,
        model="gpt-4o-mini",
        refusal=refusal,
        endpoint="/v1/responses",
        plain=plain,
        recursive_types=True,
    )


class TestOpenAIEmbedder(LiveContract):
    """Embeddings."""

    subject = LiveSubject(
        name="openai-embeddings",
        make=embedder,
        model="text-embedding-3-small",
        refusal=refusal,
        kind="embedding",
        vectors=vectors,
        plain=plain,
    )

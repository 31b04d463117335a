"""What every live client has to be able to do, of Gemini's."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from ai_batch.emulator.contract.live_chats import LiveChatContract
from ai_batch.emulator.contract.live_subject import KEY, LiveSubject
from ai_batch.emulator.contract.live_suite import LiveContract
from ai_batch.gemini import GeminiChat, GeminiEmbedder

# What the SDK's own session is made of is not ours to change.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")


def chat(url: str, **options: Any) -> GeminiChat:
    """A chat client before a server."""
    return GeminiChat(model="gemini-2.5-flash", api_key=KEY, base_url=url, **options)


def embedder(url: str, **options: Any) -> GeminiEmbedder:
    """An embedder before a server."""
    return GeminiEmbedder(model="gemini-embedding-001", api_key=KEY, base_url=url, **options)


def vectors(body: Any) -> Any:
    """A vector for each text."""
    found = [{"values": [0.5, float(n)]} for n in range(len(body["requests"]))]
    return {"embeddings": found, "usageMetadata": {"promptTokenCount": 3}}


def refusal(status: int, words: str) -> Any:
    """The body of an error."""
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    return {
        "error": {
            "code": status,
            "message": words,
            "status": f"STATUS_{status}",
            "details": [retry],
        }
    }


def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if aiohttp were not installed."""
    found = importlib.util.find_spec

    def missing(name: str, package: str | None = None) -> Any:
        return None if name == "aiohttp" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", missing)


class TestGeminiChat(LiveChatContract):
    """Chats of the Developer API."""

    subject = LiveSubject(
        name="gemini",
        make=chat,
        model="gemini-2.5-flash",
        refusal=refusal,
        endpoint="generateContent",
        plain=plain,
    )


class TestGeminiEmbedder(LiveContract):
    """Embeddings of the Developer API."""

    subject = LiveSubject(
        name="gemini-embeddings",
        make=embedder,
        model="gemini-embedding-001",
        refusal=refusal,
        kind="embedding",
        vectors=vectors,
        plain=plain,
    )

"""Which live client is tested: how it is made, and how its vendor words things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ai_batch.core import ChatRequest, EmbeddingRequest
from ai_batch.emulator.contract.live_server import Asked, Reply
from ai_batch.emulator.contract.spoken import spoken
from ai_batch.emulator.contract.subject import Kind
from ai_batch.emulator.json_types import JsonObject

__all__ = ["KEY", "LiveSubject"]

KEY = "my-very-own-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSubject:
    """A client under test.

    ``make(url, **options)`` gives one with the key ``KEY`` for a server at that address, with
    these options of it. ``model`` has a known price. ``endpoint`` names the vendor's way to word
    answers to chats, ``vectors(body)`` is the answer to a request of embeddings, and
    ``refusal(status, words)`` the body of an error that asks to come again in seven seconds.
    ``plain(monkeypatch)`` takes away what its SDK uses instead of its own HTTP library.
    """

    name: str
    make: Callable[..., Any]
    model: str
    refusal: Callable[[int, str], JsonObject]
    kind: Kind = "chat"
    endpoint: str = ""
    vectors: Callable[[JsonObject], JsonObject] | None = None
    plain: Callable[[pytest.MonkeyPatch], None] | None = None
    recursive_types: bool = False

    def request(self, text: str = "hello", **fields: Any) -> ChatRequest | EmbeddingRequest:
        """A request of the client's kind."""
        if self.kind == "chat":
            return ChatRequest(messages=text, **fields)
        return EmbeddingRequest(texts=[text, f"{text} too"], **fields)

    def reply(self, asked: Asked, text: str = "hi") -> Reply:
        """A good answer: this text, or vectors."""
        if self.vectors is not None:
            return Reply(body=self.vectors(asked.body))
        return Reply(body=spoken(self.endpoint, asked.body, text))

    async def ask(self, client: Any, request: Any = None) -> Any:
        """What the client gives."""
        asked = self.request() if request is None else request
        return await (client.chat(asked) if self.kind == "chat" else client.embed(asked))

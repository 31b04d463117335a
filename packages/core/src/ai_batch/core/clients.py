"""What answers one request at once: the clients that the concurrent runner works with.

Any object with the one method is a client. What it raises of ``ai_batch.core.errors`` says
whether, and when, asking again may help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ai_batch.core.errors import Problem
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request
from ai_batch.core.results import ChatResponse, EmbeddingResponse, Usage

__all__ = ["ChatClient", "DescribedClient", "Embedder"]


class ChatClient(Protocol):
    """Answers chats."""

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """The answer, by one call at most: whoever calls this tries again.

        Raises ``ProviderError``, whose ``retryable`` and ``retry_after`` are heeded.
        """
        ...


class Embedder(Protocol):
    """Embeds texts."""

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """One vector per text, in the order of the texts, by one call at most.

        Raises ``ProviderError``, whose ``retryable`` and ``retry_after`` are heeded.
        """
        ...


@runtime_checkable
class DescribedClient(Protocol):
    """What a client may say of itself beside its one method; the vendors' clients do."""

    @property
    def model(self) -> str:
        """The model of requests that name none."""
        ...

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; part of a job's fingerprint."""
        ...

    def check(self, request: Request) -> Sequence[Problem]:
        """What this client cannot do of the request; place and id are filled in by the plan."""
        ...

    def cost(self, model: str, usage: Usage) -> float | None:
        """USD for the tokens of ``model``; None where the price is not known."""
        ...

    async def aclose(self) -> None:
        """Close the connections that were made here."""
        ...

"""What a user constructs: ``ConcurrentProcessor`` and its options."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, Unpack, cast

from ai_batch.concurrent.settings import Settings
from ai_batch.core import (
    ChatClient,
    ChatRequest,
    ChatResponse,
    Embedder,
    EmbeddingRequest,
    EmbeddingResponse,
    Options,
    UsageError,
)
from ai_batch.core.options import Duration, GeneralOptions, JobOptions, seconds
from ai_batch.core.processor import DurableProcessor

if TYPE_CHECKING:
    from ai_batch.concurrent.clients import Kind, LiveClient
    from ai_batch.core.jobs import Workshop

__all__ = ["ConcurrentProcessor"]

ChatLike: TypeAlias = (
    ChatClient | Callable[[ChatRequest], ChatResponse | Awaitable[ChatResponse]] | object
)
"""A client, a plain or async function, a LangChain chat model, or a Pydantic AI model."""

EmbedderLike: TypeAlias = (
    Embedder
    | Callable[[EmbeddingRequest], EmbeddingResponse | Awaitable[EmbeddingResponse]]
    | object
)
"""A client, a plain or async function, or LangChain embeddings."""


class ConcurrentProcessor(DurableProcessor):
    """Answers requests by live calls: many at once, paced, and durable like any other job.

    For what has no batch API of its own, at the live price. Killed and run again, it sends only
    what has no answer yet: at most the calls that were out are paid for twice.
    """

    def __init__(
        self,
        *,
        chat: ChatLike | None = None,
        embedder: EmbedderLike | None = None,
        max_concurrency: int = 10,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        adaptive: bool = False,
        timeout: Duration = 60.0,
        max_attempts: int = 5,
        retry_budget: float = 1.0,
        retry_invalid: bool = False,
        **general: Unpack[JobOptions],
    ) -> None:
        """All options are explained in ``docs/concurrent.md``, those of ``general`` as well.

        Raises ``UsageError`` for values that can't be meant. Nothing is sent or opened yet.
        """
        for name in GeneralOptions.__annotations__.keys() - JobOptions.__annotations__.keys():
            if name in general:
                raise UsageError(f"{name} is about batches at a vendor, of which there are none")
        settings = Settings(
            max_concurrency=max_concurrency,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            adaptive=adaptive,
            timeout=seconds("timeout", timeout) or 0.0,
            max_attempts=max_attempts,
            retry_budget=retry_budget,
            retry_invalid=retry_invalid,
        )
        # Only now: asyncio and the adapters take a while to import.
        from ai_batch.concurrent.clients import clients_of

        clients = clients_of(chat, embedder)
        options = Options.of(ConcurrentProcessor, cast("GeneralOptions", general))
        super().__init__(partial(_workshop, clients, settings), options)


def _workshop(clients: Mapping[Kind, LiveClient], settings: Settings) -> Workshop:
    from ai_batch.concurrent.workshop import workshop_of

    return workshop_of(clients, settings)

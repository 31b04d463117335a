"""Whatever a user passes as ``chat=`` or ``embedder=``, as one kind of client."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from ai_batch.concurrent import langchain, pydantic_ai
from ai_batch.concurrent.calling import Call, call_of
from ai_batch.concurrent.threads import DaemonThreads
from ai_batch.core import DescribedClient, Problem, Request, Usage, UsageError

__all__ = ["Kind", "LiveClient", "client_of", "clients_of"]

Kind = Literal["chat", "embedding"]

METHODS: dict[Kind, str] = {"chat": "chat", "embedding": "embed"}

OPTIONS: dict[Kind, str] = {"chat": "chat", "embedding": "embedder"}


@dataclass(frozen=True, slots=True)
class LiveClient:
    """A client of one kind of request, and what it says of itself."""

    call: Call
    name: str
    described: DescribedClient | None = None

    @property
    def model(self) -> str:
        """The model of requests that name none; empty where the client does not say."""
        return "" if self.described is None else self.described.model

    @property
    def identity(self) -> dict[str, str]:
        """What tells this client from others; part of a job's fingerprint."""
        own = {} if self.described is None else self.described.identity
        return {"client": self.name, **own}

    def check(self, request: Request) -> Sequence[Problem]:
        """What the client cannot do of the request."""
        return () if self.described is None else self.described.check(request)

    def cost(self, model: str, usage: Usage) -> float | None:
        """USD for the tokens; None where the price is not known."""
        return None if self.described is None else self.described.cost(model, usage)

    async def aclose(self) -> None:
        """Close the connections that the client has made."""
        if self.described is not None:
            await self.described.aclose()


def clients_of(chat: object, embedder: object) -> dict[Kind, LiveClient]:
    """The clients that were given, by what they answer. Raises ``UsageError`` for none."""
    given: dict[Kind, object] = {"chat": chat, "embedding": embedder}
    threads = DaemonThreads()
    found: dict[Kind, LiveClient] = {
        kind: client_of(kind, client, threads)
        for kind, client in given.items()
        if client is not None
    }
    if not found:
        raise UsageError("there is no client: give chat=, embedder=, or both")
    return found


def client_of(kind: Kind, given: object, threads: DaemonThreads) -> LiveClient:
    """The client that was given. Raises ``UsageError`` for what is none."""
    method = getattr(given, METHODS[kind], None)
    if callable(method) and not isinstance(given, type):
        function = cast("Callable[[Any], object]", method)
    elif (adapter := _adapter(kind, given)) is not None:
        function = cast("Callable[[Any], object]", getattr(adapter, METHODS[kind]))
        return LiveClient(call_of(function, threads), _name_of(given), adapter)
    elif callable(given) and not isinstance(given, type):
        function = cast("Callable[[Any], object]", given)
    else:
        raise UsageError(
            f"{OPTIONS[kind]}= takes a client with a method {METHODS[kind]}(request), or a "
            f"function of one request; found {given!r}"
        )
    return LiveClient(call_of(function, threads), _name_of(given), _described(given))


def _adapter(kind: Kind, given: object) -> DescribedClient | None:
    """Models of other libraries, known by their methods: nothing of theirs is imported."""
    if isinstance(given, type):
        return None
    if kind == "embedding":
        return langchain.LangChainEmbedder(given) if langchain.is_embeddings(given) else None
    if langchain.is_chat_model(given):
        return langchain.LangChainChat(given)
    return pydantic_ai.PydanticAIChat(given) if pydantic_ai.is_model(given) else None


def _described(given: object) -> DescribedClient | None:
    return given if isinstance(given, DescribedClient) else None


def _name_of(given: object) -> str:
    """A name that the same program gives to the same client whenever it is run."""
    while isinstance(given, functools.partial):
        given = given.func
    owner = given if hasattr(given, "__qualname__") else type(given)
    # Methods of built-in types have no module.
    return f"{getattr(owner, '__module__', None) or ''}.{getattr(owner, '__qualname__', '')}"

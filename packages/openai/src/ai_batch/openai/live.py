"""Answers one request at once: for a compatible vendor without batches, or in a hurry.

Bodies and answers go through the same formats as those of batches, so that a request is answered
alike. What the SDK does to a body and to an answer beyond that takes most of its time, and is
left out: bytes go in and bytes come out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ai_batch.core.direct_calls import DirectCalls
from ai_batch.core.errors import Problem, UsageError
from ai_batch.core.live import answered, embedded, ready, wrong_kind
from ai_batch.core.options import Duration, seconds
from ai_batch.core.prices import token_cost
from ai_batch.core.provider import Route
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request
from ai_batch.core.results import ChatResponse, EmbeddingResponse, Outcome, Usage
from ai_batch.core.vendor_calls import Calls
from ai_batch.openai import wire
from ai_batch.openai.client import ClientSettings, is_async, make_live_client
from ai_batch.openai.errors import translated_answer
from ai_batch.openai.settings import CHAT_ENDPOINTS, TokenParameter

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["OpenAIChat", "OpenAIEmbedder"]

HEADERS = {"Content-Type": "application/json"}

RequestT = TypeVar("RequestT", ChatRequest, EmbeddingRequest)


class _LiveClient:
    """What chats and embeddings have in common."""

    def __init__(
        self,
        *,
        model: str,
        base_url: str | None,
        api_key: str | None,
        timeout: Duration,
        extra_headers: Mapping[str, str] | None,
        client: AsyncOpenAI | OpenAI | None,
    ) -> None:
        if not model:
            raise UsageError("there is no model: give model=")
        if client is not None and (api_key or base_url or extra_headers):
            raise UsageError("client= brings its own key, URL and headers: give either or")
        self._model = model
        self._connection = settings = ClientSettings(
            api_key=api_key,
            base_url=base_url,
            extra_headers=extra_headers,
            timeout=seconds("timeout", timeout) or 60.0,
            client=client,
        )
        settings.check()
        # Asked for with every request, and not cheap to find out.
        self._is_openai = settings.is_openai
        self._calls: Calls[DirectCalls | AsyncOpenAI | OpenAI] = Calls(
            lambda: make_live_client(settings),
            own=client is None,
            is_async=lambda made: isinstance(made, DirectCalls) or is_async(made),
            translate=lambda error, _: translated_answer(error, secret=settings.secret),
        )

    @property
    def model(self) -> str:
        """The model of requests that name none."""
        return self._model

    def cost(self, model: str, usage: Usage) -> float | None:
        """USD by OpenAI's list prices; None for other servers and unknown models."""
        return token_cost("openai", model, usage) if self._connection.is_priced else None

    async def aclose(self) -> None:
        """Close the connections that were made here; a client of the user's stays open."""
        await self._calls.aclose()

    async def _ask(self, route: Route, body: bytes) -> tuple[Outcome, str | None]:
        """What came back for a body, and the server's name for the call."""
        import httpx2

        path = route.endpoint.removeprefix("/v1")

        def work(client: Any) -> Any:
            if isinstance(client, DirectCalls):
                return client.post(path, body, HEADERS, kind=path)
            if _rewrites_bodies(client):
                return client.post(path, body=wire.readable(body), cast_to=httpx2.Response)
            options = {"headers": HEADERS}
            return client.post(path, content=body, cast_to=httpx2.Response, options=options)

        response = await self._calls.run(work)
        outcome = wire.decode_body(response.content, route)
        return outcome, response.headers.get("x-request-id")


def _rewrites_bodies(client: object) -> bool:
    """Whether the client looks into bodies: Azure's for the model, whose name is in its URLs."""
    return type(client).__name__ not in {"AsyncOpenAI", "OpenAI"}


class OpenAIChat(_LiveClient):
    """Answers chats by one call each, of OpenAI or any server that speaks its API (``base_url``).

    The SDK works over aiohttp where that is installed (``ai-batch-openai[aiohttp]``), which makes
    many calls at once far cheaper. Source: https://developers.openai.com/api/reference/overview
    """

    def __init__(
        self,
        *,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        endpoint: str = "/v1/chat/completions",
        max_tokens: int | None = None,
        token_parameter: TokenParameter | None = None,
        timeout: Duration = 60.0,
        extra_headers: Mapping[str, str] | None = None,
        client: AsyncOpenAI | OpenAI | None = None,
    ) -> None:
        """``max_tokens`` is for requests without their own; other options as the processor's.

        Raises ``UsageError`` for values that can't be meant. Nothing is sent or opened yet.
        """
        if endpoint not in CHAT_ENDPOINTS:
            allowed = " or ".join(CHAT_ENDPOINTS)
            raise UsageError(f"endpoint must be {allowed}, found {endpoint!r}")
        if max_tokens is not None and max_tokens < 1:
            raise UsageError(f"max_tokens must be 1 or more, found {max_tokens!r}")
        super().__init__(
            model=model,
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            extra_headers=extra_headers,
            client=client,
        )
        self._endpoint = endpoint
        self._max_tokens = max_tokens
        self._parameter: TokenParameter | None = token_parameter

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; the key does not."""
        return {
            "base_url": self._connection.url,
            "endpoint": self._endpoint,
            "model": self._model,
            "max_tokens": str(self._max_tokens or ""),
            "token_parameter": self._parameter or "",
        }

    def check(self, request: Request) -> Sequence[Problem]:
        """What the server can't do of the request."""
        wrong = wrong_kind(request, ChatRequest)
        return wire.check(request, self._endpoint) if wrong is None else [wrong]

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """The answer, by one call at most.

        Raises ``UsageError`` for what can't be done of the request, before anything is sent, and
        ``ProviderError`` where no answer came.
        """
        request = ready(request, self.check)
        route = Route("chat", self._endpoint, request.model or self._model)
        parameter = self._parameter or wire.token_parameter(route.model, self._is_openai)
        body = wire.encode_body(
            request, route, max_tokens=self._max_tokens, token_parameter=parameter
        )
        outcome, request_id = await self._ask(route, body)
        return answered(outcome, request, request_id)


class OpenAIEmbedder(_LiveClient):
    """Embeds texts by one call for each request, at OpenAI or a compatible server."""

    def __init__(
        self,
        *,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: Duration = 60.0,
        extra_headers: Mapping[str, str] | None = None,
        client: AsyncOpenAI | OpenAI | None = None,
    ) -> None:
        """All options are as those of ``OpenAIChat``.

        Raises ``UsageError`` for values that can't be meant. Nothing is sent or opened yet.
        """
        super().__init__(
            model=model,
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            extra_headers=extra_headers,
            client=client,
        )

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; the key does not."""
        return {"base_url": self._connection.url, "model": self._model}

    def check(self, request: Request) -> Sequence[Problem]:
        """What the server can't do of the request."""
        wrong = wrong_kind(request, EmbeddingRequest)
        return wire.check(request, "/v1/embeddings") if wrong is None else [wrong]

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """One vector per text, in the order of the texts, by one call at most.

        Raises ``UsageError`` for what can't be done of the request, before anything is sent, and
        ``ProviderError`` where no vectors came.
        """
        request = ready(request, self.check)
        route = Route("embedding", "/v1/embeddings", request.model or self._model)
        body = wire.encode_body(request, route)
        outcome, request_id = await self._ask(route, body)
        return embedded(outcome, request, request_id)

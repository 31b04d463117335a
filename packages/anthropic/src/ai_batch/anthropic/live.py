"""Answers one request at once, in a hurry.

Bodies and answers go through the same formats as those of batches, so that a request is answered
alike. What the SDK does to a body and to an answer beyond that takes most of its time, and is
left out: bytes go in and bytes come out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ai_batch.anthropic import wire
from ai_batch.anthropic.client import ClientSettings, check_client, is_async, make_live_client
from ai_batch.anthropic.errors import translated_answer
from ai_batch.anthropic.prices import cost_of
from ai_batch.anthropic.settings import MAX_TOKENS, check_options
from ai_batch.anthropic.versions import headers_of, variant_of, version_for, version_problems
from ai_batch.core.direct_calls import DirectCalls
from ai_batch.core.errors import Problem, UsageError
from ai_batch.core.live import answered, ready, wrong_kind
from ai_batch.core.options import Duration, seconds
from ai_batch.core.requests import ChatRequest, Request
from ai_batch.core.results import ChatResponse, Usage
from ai_batch.core.vendor_calls import Calls

if TYPE_CHECKING:
    from anthropic import Anthropic, AsyncAnthropic

__all__ = ["AnthropicChat"]

ENDPOINT = "/v1/messages"


class AnthropicChat:
    """Answers chats by one call each.

    The SDK works over aiohttp where that is installed (``ai-batch-anthropic[aiohttp]``), which
    makes many calls at once far cheaper. Source: https://platform.claude.com/docs/en/api/messages
    """

    def __init__(
        self,
        *,
        model: str,
        max_tokens: int = MAX_TOKENS,
        betas: Sequence[str] = (),
        api_version: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: Duration = 60.0,
        extra_headers: Mapping[str, str] | None = None,
        client: AsyncAnthropic | Anthropic | None = None,
    ) -> None:
        """The options are those of ``AnthropicProcessor``.

        Raises ``UsageError`` for values that can't be meant. Nothing is sent or opened yet.
        """
        check_options(max_tokens, betas, api_version)
        if not model:
            raise UsageError("there is no model: give model=")
        if client is not None:
            if api_key or base_url or extra_headers:
                raise UsageError("client= brings its own key, URL and headers: give either or")
            check_client(client)
        self._model = model
        self._max_tokens = max_tokens
        self._betas = tuple(betas)
        self._version = api_version
        self._connection = ClientSettings(
            api_key=api_key,
            base_url=base_url,
            extra_headers=extra_headers,
            timeout=seconds("timeout", timeout) or 60.0,
            client=client,
        )
        self._connection.check()
        self._headers: dict[str, dict[str, str]] = {}
        self._calls = _calls(self._connection)

    @property
    def model(self) -> str:
        """The model of requests that name none."""
        return self._model

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; the key does not."""
        return {
            "base_url": self._connection.url,
            "model": self._model,
            "max_tokens": str(self._max_tokens),
            "betas": ",".join(sorted(self._betas)),
            "api_version": self._version or "",
        }

    def check(self, request: Request) -> Sequence[Problem]:
        """What Anthropic can't do of the request."""
        if (wrong := wrong_kind(request, ChatRequest)) is not None:
            return [wrong]
        problems = wire.check(request, live=True)
        if self._version is not None and isinstance(request, ChatRequest):
            problems += version_problems(request, self._version)
        return problems

    def cost(self, model: str, usage: Usage) -> float | None:
        """USD by Anthropic's list prices; None for other servers and unknown models."""
        return cost_of(model, usage, batch=False) if self._connection.is_priced else None

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """The answer, by one call at most.

        Raises ``UsageError`` for what can't be done of the request, before anything is sent, and
        ``ProviderError`` where no answer came.
        """
        request = ready(request, self.check)
        model = request.model or self._model
        body = wire.encode_params(request, model, max_tokens=self._max_tokens)
        response = await self._post(body, self._version or version_for(request))
        outcome = wire.decode_body(response.content)
        return answered(outcome, request, response.headers.get("request-id"))

    def _headers_for(self, version: str) -> dict[str, str]:
        if (headers := self._headers.get(version)) is None:
            headers = headers_of(variant_of(version, self._betas))
            headers["Content-Type"] = "application/json"
            self._headers[version] = headers
        return headers

    async def _post(self, body: bytes, version: str) -> Any:
        import httpx2

        headers = self._headers_for(version)

        def work(client: Any) -> Any:
            if isinstance(client, DirectCalls):
                return client.post(ENDPOINT, body, headers, kind=version)
            options = {"headers": headers}
            return client.post(ENDPOINT, content=body, cast_to=httpx2.Response, options=options)

        return await self._calls.run(work)

    async def aclose(self) -> None:
        """Close the connections that were made here; a client of the user's stays open."""
        await self._calls.aclose()


def _calls(settings: ClientSettings) -> Calls[DirectCalls | AsyncAnthropic | Anthropic]:
    return Calls(
        lambda: make_live_client(settings),
        own=settings.client is None,
        is_async=lambda made: isinstance(made, DirectCalls) or is_async(made),
        translate=lambda error, _: translated_answer(error, secret=settings.secret),
    )

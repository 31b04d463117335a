"""Embeds texts by one call for each request.

The SDK's ``AsyncClient`` connects anew for each call, takes vectors in whatever order they come,
and drops the model's name. What is used is the public call that it makes itself, with a session
that keeps its connections.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ai_batch.core.connections import Clients, check_url
from ai_batch.core.errors import Problem, ProviderNotInstalled, RequestRefused, UsageError, hide
from ai_batch.core.live import embedded, ready, wrong_kind
from ai_batch.core.messages import JSONObject
from ai_batch.core.options import Duration, seconds
from ai_batch.core.prices import token_cost
from ai_batch.core.requests import EmbeddingRequest, Request
from ai_batch.core.results import EmbeddingResponse, Usage
from ai_batch.core.vendor_calls import MANY
from ai_batch.voyage import wire
from ai_batch.voyage.errors import translated
from ai_batch.voyage.secrecy import Server, masked_logs

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["VoyageEmbedder"]

URL = "https://api.voyageai.com/v1"

ATLAS_URL = "https://ai.mongodb.com/v1"
"""For keys of MongoDB Atlas, which begin with ``al-``."""

PRICED = frozenset({"api.voyageai.com", "ai.mongodb.com", "127.0.0.1", "localhost", "::1"})
"""Where the list prices hold; a server on this machine stands in for Voyage's."""


class VoyageEmbedder:
    """Embeds texts with Voyage AI's models: ``voyage-4-large``, ``voyage-4``, ``voyage-4-lite``...

    A request's ``task`` (query or document) becomes the ``input_type``, its ``dimensions`` the
    ``output_dimension``. Source: https://docs.voyageai.com/reference/embeddings-api
    """

    def __init__(
        self,
        *,
        model: str = "voyage-4",
        api_key: str | None = None,
        base_url: str | None = None,
        truncation: bool = True,
        timeout: Duration = 60.0,
    ) -> None:
        """``truncation`` cuts texts that are too long; without it they are refused.

        Raises ``UsageError`` for values that can't be meant. Nothing is sent or opened yet.
        """
        if not model:
            raise UsageError("there is no model: give model=")
        key = api_key or os.environ.get("VOYAGE_API_KEY")
        self._server = Server((base_url or _url_of(key)).rstrip("/"), key)
        hide(key)
        check_url(self._server.url)
        host = urlsplit(self._server.url).hostname or ""
        if not key and host in {"api.voyageai.com", "ai.mongodb.com"}:
            raise UsageError("there is no API key: set VOYAGE_API_KEY, or pass api_key=")
        self._priced = host in PRICED
        self._model = model
        self._truncation = truncation
        self._timeout = seconds("timeout", timeout) or 60.0
        self._sessions: Clients[ClientSession] = Clients(_session, _close)

    @property
    def model(self) -> str:
        """The model of requests that name none."""
        return self._model

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; the key does not."""
        truncation = str(self._truncation)
        return {"base_url": self._server.url, "model": self._model, "truncation": truncation}

    def check(self, request: Request) -> Sequence[Problem]:
        """What Voyage can't do of the request."""
        wrong = wrong_kind(request, EmbeddingRequest)
        if wrong is not None or not isinstance(request, EmbeddingRequest):
            return [] if wrong is None else [wrong]
        return list(wire.check(request))

    def cost(self, model: str, usage: Usage) -> float | None:
        """USD by Voyage's list prices; None for other servers and unknown models."""
        return token_cost("voyageai", model, usage) if self._priced else None

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """One vector per text, in the order of the texts, by one call at most.

        Raises ``UsageError`` for what can't be done of the request, before anything is sent, and
        ``ProviderError`` where no vectors came.
        """
        request = ready(request, self.check)
        model = request.model or self._model
        asked = wire.parameters(request, model, truncation=self._truncation)
        return embedded(wire.decode(await self._call(asked)), request, None)

    async def _call(self, asked: JSONObject) -> Any:
        sdk = _load_sdk()
        session = await self._sessions.here()
        before = sdk.aiosession.set(session)
        try:
            with masked_logs(self._server.key):
                return await sdk.Embedding.acreate(
                    **asked,
                    # Servers of one's own may want no key, the SDK always does.
                    api_key=self._server.key or "none",
                    base_url=self._server.url,
                    request_timeout=self._timeout,
                )
        except Exception as error:  # noqa: BLE001 - the border: everything is translated
            failure = translated(error, secret=self._server.key)
        finally:
            sdk.aiosession.reset(before)
        raise failure from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sessions.aclose()


def _url_of(key: str | None) -> str:
    return ATLAS_URL if (key or "").startswith("al-") else URL


def _load_sdk() -> Any:
    try:
        import voyageai
    except ImportError as error:
        raise ProviderNotInstalled(
            f"Voyage's SDK can't be imported ({error}): pip install ai-batch-voyage"
        ) from None
    return voyageai


def _session() -> ClientSession:
    import aiohttp

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    connector = aiohttp.TCPConnector(limit=MANY)
    return aiohttp.ClientSession(connector=connector, trust_env=True, trace_configs=[trace])


async def _refuse_redirect(*_: object) -> None:
    """The texts are for nobody else's eyes."""
    raise RequestRefused("the server sends the call on to another address, and is not followed")


async def _close(session: ClientSession) -> None:
    await session.close()

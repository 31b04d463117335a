"""Answers one request at once: at the Developer API or on Vertex AI.

Bodies and answers go through the same formats as those of batches, so that a request is answered
alike. The SDK's ``generate_content`` transforms every request and answer, at several times the
cost of a call; what is used is the call that it makes itself, as for batches.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import msgspec

from ai_batch.core.connections import Clients
from ai_batch.core.errors import (
    AIBatchError,
    Problem,
    ProviderError,
    UsageError,
)
from ai_batch.core.guards import guards
from ai_batch.core.live import answered, as_answer_error, embedded, ready, wrong_kind
from ai_batch.core.messages import JSONObject
from ai_batch.core.options import Duration, seconds
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request
from ai_batch.core.results import (
    ChatResponse,
    EmbeddingResponse,
    ItemError,
    Outcome,
    Usage,
)
from ai_batch.core.wire_faults import invalid
from ai_batch.core.wire_json import decoded
from ai_batch.gemini import wire
from ai_batch.gemini.client import (
    CONNECT_SECONDS,
    ClientSettings,
    close_client,
    is_download,
    make_client,
)
from ai_batch.gemini.errors import translated
from ai_batch.gemini.prices import cost_of
from ai_batch.gemini.sdk import inner, one_attempt
from ai_batch.gemini.settings import Backend
from ai_batch.gemini.wire_chat import chat_body
from ai_batch.gemini.wire_embeddings import instances, joined_vectors
from ai_batch.gemini.wire_rows import CHAT, EMBEDDINGS, PREDICTIONS

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.genai import Client

__all__ = ["GeminiChat", "GeminiEmbedder"]

OLDER_MODELS = ("text-embedding-", "text-multilingual-embedding-", "textembedding-gecko")
"""Models of Vertex AI that are asked by ``predict``."""

MANY = 1000
"""Calls that may be in flight at once, each with a connection of its own."""


class Who(TypedDict, total=False):
    """Who asks, and where."""

    api_key: str | None
    project: str | None
    location: str | None
    credentials: Credentials | None
    base_url: str | None
    api_version: str | None
    extra_headers: Mapping[str, str] | None


class ClientOptions(Who, total=False):
    """The options that both clients have; those of ``GeminiProcessor``."""

    backend: Backend
    timeout: Duration
    client: Client | None


class _LiveClient:
    """What chats and embeddings have in common."""

    def __init__(
        self,
        *,
        model: str,
        backend: Backend = "developer",
        timeout: Duration = 60.0,
        client: Client | None = None,
        **given: Unpack[Who],
    ) -> None:
        _check(model, backend, given, client)
        self._model = model
        self._vertex = backend == "vertex"
        self._connection = settings = ClientSettings(
            vertex=self._vertex,
            **given,
            timeout=seconds("timeout", timeout) or 60.0,
            client=client,
        )
        settings.check()
        close = close_client if client is None else None
        self._clients: Clients[Client] = Clients(lambda: make_client(settings, _transport), close)

    @property
    def model(self) -> str:
        """The model of requests that name none."""
        return self._model

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; the key does not."""
        settings = self._connection
        project, location = settings.place if self._vertex else (None, None)
        return {
            "base_url": settings.url,
            "api_version": settings.api_version or "",
            "model": self._model,
            "project": project or "",
            "location": location or "",
        }

    def cost(self, model: str, usage: Usage) -> float | None:
        """USD by Google's list prices; None for other servers and unknown models."""
        known = self._connection.is_google or self._connection.is_here
        return cost_of(model, usage) if known else None

    async def aclose(self) -> None:
        """Close the connections that were made here; a client of the user's stays open."""
        await self._clients.aclose()

    async def _post(self, model: str, method: str, body: JSONObject) -> bytes:
        settings = self._connection
        place = "publishers/google/models" if self._vertex else "models"
        name = model if "/" in model else f"{place}/{model}"
        client = await self._clients.here()
        try:
            # A client of ours knows its options; those of a call cost as much as the call.
            options = None if settings.client is None else one_attempt(settings.timeout)
            answer = await inner(client).async_request("post", f"{name}:{method}", body, options)
            return str(answer.body or "").encode()
        except Exception as error:  # noqa: BLE001 - the border: everything is translated
            failure = _translated(error, settings.hidden)
        raise failure from None


def _check(model: str, backend: str, given: Mapping[str, object], client: object) -> None:
    """Raises ``UsageError`` for options that do not go together."""
    names = {name for name, value in given.items() if value}
    if not model:
        raise UsageError("there is no model: give model=")
    if backend not in {"developer", "vertex"}:
        raise UsageError(f"backend must be developer or vertex, found {backend!r}")
    if client is not None and names:
        raise UsageError(
            "client= brings its own key, project, URL, version and headers: give either or"
        )
    others = {"api_key"} if backend == "vertex" else {"project", "location", "credentials"}
    if wrong := ", ".join(sorted(others & names)):
        fitting = "developer" if backend == "vertex" else "vertex"
        raise UsageError(f"{wrong} is for the other API: use backend={fitting!r}, or leave it out")


def _transport(settings: ClientSettings) -> dict[str, Any]:
    """Many connections; where aiohttp is installed the SDK takes it, at half the cost of a call."""
    import httpx2
    from google.genai import types

    given: dict[str, Any] = {
        # Else the SDK sends a call that was cut over aiohttp a second time.
        "retry_options": types.HttpRetryOptions(attempts=1),
        # aiohttp takes off no key but that of ``Authorization``.
        "async_client_args": {"allow_redirects": False},
    }
    if importlib.util.find_spec("aiohttp") is None:
        connect = min(CONNECT_SECONDS, settings.timeout)
        timeout = httpx2.Timeout(settings.timeout, connect=connect, pool=None)
        limits = httpx2.Limits(max_connections=MANY, max_keepalive_connections=MANY)
        hooks = guards(settings.url, httpx2, is_download)
        given["httpx_async_client"] = httpx2.AsyncClient(
            timeout=timeout, limits=limits, event_hooks=hooks
        )
    return given


def _translated(error: Exception, secret: str | None) -> AIBatchError:
    """The error to raise: with the server's own words, and its code as the rows of batches."""
    failure = translated(error, creating=False, secret=secret)
    failure = as_answer_error(failure, getattr(error, "details", None), secret)
    if isinstance(failure, ProviderError) and failure.code is not None:
        failure.code = failure.code.lower()
    return failure


class GeminiChat(_LiveClient):
    """Answers chats by one call each, of the Developer API or (``backend``) of Vertex AI.

    Where aiohttp is installed the SDK uses it, which makes many calls at once far cheaper.
    Source: https://ai.google.dev/api/generate-content
    """

    def __init__(
        self, *, model: str, max_tokens: int | None = None, **options: Unpack[ClientOptions]
    ) -> None:
        """``max_tokens`` is for requests without their own; other options as the processor's.

        Raises ``UsageError`` for values that can't be meant. Nothing is sent or opened yet.
        """
        if max_tokens is not None and max_tokens < 1:
            raise UsageError(f"max_tokens must be 1 or more, found {max_tokens!r}")
        super().__init__(model=model, **options)
        self._max_tokens = max_tokens

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; the key does not."""
        return {**super().identity, "max_tokens": str(self._max_tokens or "")}

    def check(self, request: Request) -> Sequence[Problem]:
        """What Gemini can't do of the request."""
        wrong = wrong_kind(request, ChatRequest)
        return wire.check(request, request.model or self._model) if wrong is None else [wrong]

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """The answer, by one call at most.

        Raises ``UsageError`` for what can't be done of the request, before anything is sent, and
        ``ProviderError`` where no answer came.
        """
        request = ready(request, self.check)
        model = request.model or self._model
        body = chat_body(request, model, max_tokens=self._max_tokens)
        answer = await self._post(model, "generateContent", body)
        return answered(CHAT.decode_body(answer), request, None)


class GeminiEmbedder(_LiveClient):
    """Embeds texts by one call for each request, at the Developer API or on Vertex AI.

    Source: https://ai.google.dev/api/embeddings
    """

    def __init__(self, *, model: str, **options: Unpack[ClientOptions]) -> None:
        """The options are those of ``GeminiProcessor``.

        Raises ``UsageError`` for values that can't be meant. Nothing is sent or opened yet.
        """
        super().__init__(model=model, **options)

    def check(self, request: Request) -> Sequence[Problem]:
        """What Gemini can't do of the request."""
        wrong = wrong_kind(request, EmbeddingRequest)
        return wire.check(request, request.model or self._model) if wrong is None else [wrong]

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """One vector per text, in the order of the texts, by one call at most.

        Raises ``UsageError`` for what can't be done of the request, before anything is sent, and
        ``ProviderError`` where no vectors came.
        """
        request = ready(request, self.check)
        model = request.model or self._model
        method, body = self._asked(request, model)
        answer = await self._post(model, method, body)
        return embedded(_vectors(answer), request, None)

    def _asked(self, request: EmbeddingRequest, model: str) -> tuple[str, JSONObject]:
        """The method of the model, and its body."""
        if not self._vertex:
            name = model if "/" in model else f"models/{model}"
            parts = [{"model": name, **one} for one in instances(request, "developer")]
            return "batchEmbedContents", {"requests": parts}
        if model.rpartition("/")[2].startswith(OLDER_MODELS):
            body: JSONObject = {"instances": instances(request, "predict")}
            if request.dimensions is not None:
                body["parameters"] = {"outputDimensionality": request.dimensions}
            return "predict", body
        parts = instances(request, "vertex")
        return (
            ("embedContent", parts[0]) if len(parts) == 1 else ("batchEmbedContents", _all(parts))
        )


def _all(parts: list[JSONObject]) -> JSONObject:
    return {"requests": parts}


_NULL = msgspec.Raw(b"null")


class _Vectors(msgspec.Struct, rename="camel", gc=False):
    """The answer of any of the methods."""

    embedding: msgspec.Raw = _NULL
    embeddings: tuple[msgspec.Raw, ...] = ()
    predictions: tuple[msgspec.Raw, ...] = ()
    usage_metadata: msgspec.Raw = _NULL


_VECTORS = msgspec.json.Decoder(_Vectors)


def _vectors(answer: bytes) -> Outcome:
    """The vectors of an answer, in their order; never raises."""
    try:
        outcomes = _outcomes(decoded(_VECTORS, answer), answer)
    except ValueError as error:
        return invalid(f"the vendor's answer can't be read: {error}")
    vectors = [one for one in outcomes if isinstance(one, EmbeddingResponse)]
    if vectors and len(vectors) == len(outcomes):
        return joined_vectors(vectors)
    wrong = [one for one in outcomes if isinstance(one, ItemError)]
    return wrong[0] if wrong else invalid("the vendor's answer has no vectors")


def _outcomes(found: _Vectors, answer: bytes) -> list[Outcome]:
    if found.predictions:
        return [PREDICTIONS.decode_body(bytes(one)) for one in found.predictions]
    if found.embedding != _NULL:
        return [EMBEDDINGS.decode_body(answer)]
    # The tokens are counted for all vectors together, and so with the first of them only.
    usage = [b',"usageMetadata":%b' % bytes(found.usage_metadata)] + [b""] * len(found.embeddings)
    parts = zip(found.embeddings, usage, strict=False)
    return [EMBEDDINGS.decode_body(b'{"embedding":%b%b}' % (bytes(v), u)) for v, u in parts]

"""What the Developer API and Vertex AI have in common, as the engine's provider."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Literal
from urllib.parse import urlsplit

from ai_batch.core.errors import Problem, ProviderError, RemoteNotFound
from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import Candidate, Limits, RemoteStatus, Route, Scan, Submission
from ai_batch.core.requests import ChatRequest, Request
from ai_batch.core.results import Outcome, Usage
from ai_batch.gemini import wire
from ai_batch.gemini.api import GoogleApi
from ai_batch.gemini.prices import batch_cost_of, cost_of
from ai_batch.gemini.settings import GeminiSettings

__all__ = ["GoogleProvider"]

SINGLE_POLLS = 4
"""Up to so many batches are asked for one by one; more of them by listing."""

PAGE = 100
"""Batches asked for at once. Without a size, lists were seen to be empty
(googleapis/python-genai#1250)."""

MAX_PAGES = 100

ENDED = frozenset({400, 409})
"""HTTP statuses for cancelling a batch that has ended already."""


class GoogleProvider(ABC):
    """Fulfils the provider contract of ``ai_batch.core.provider`` but for what files need."""

    name: str
    verbatim = True

    def __init__(self, settings: GeminiSettings) -> None:
        """Raises ``UsageError`` when it is not told who asks."""
        settings.connection.check()
        self._settings = settings
        self._api = GoogleApi(settings.connection)
        # Made for every request otherwise, and there are only a few of them.
        self._routes: dict[tuple[str, str], Route] = {}

    @property
    def account(self) -> str:
        """The server and a fingerprint of the key, or of the project and location."""
        connection = self._settings.connection
        return f"{self.name}:{urlsplit(connection.url).netloc}:{connection.key_fingerprint}"

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; the key does not."""
        settings = self._settings
        return {
            "base_url": settings.connection.url,
            "api_version": settings.connection.api_version or "",
            "model": settings.model or "",
            "embedding_model": settings.embedding_model or "",
            "max_tokens": str(settings.max_tokens or ""),
        }

    # -- pure -------------------------------------------------------------------------------

    @abstractmethod
    def _endpoint(self, request: Request, model: str) -> str:
        """The kind of batch that a request belongs into."""

    @abstractmethod
    def _default_limits(self, route: Route) -> Limits:
        """What one batch may hold, where the user does not say."""

    def limits(self, route: Route) -> Limits:
        """What one batch may hold; a text to embed takes a line of its own."""
        limits = self._settings.limits or self._default_limits(route)
        if route.kind == "embedding" and limits.max_inputs is None:
            return replace(limits, max_inputs=limits.max_requests)
        return limits

    def check(self, request: Request) -> Sequence[Problem]:
        """What Gemini can't do of the request, and a missing model."""
        model = self._model(request)
        if not model:
            option = "model" if isinstance(request, ChatRequest) else "embedding_model"
            message = f"no model: set it on the request, or {option}= on the processor"
            return [*wire.check(request, ""), Problem(message, field="model")]
        predict = self._endpoint(request, model) == wire.PREDICT_ENDPOINT
        return wire.check(request, model, predict=predict)

    def _model(self, request: Request) -> str | None:
        settings = self._settings
        if isinstance(request, ChatRequest):
            return request.model or settings.model
        fallback = settings.model if "embed" in (settings.model or "") else None
        return request.model or settings.embedding_model or fallback

    def route(self, request: Request) -> Route:
        """One kind of batch and one model per batch."""
        kind: Literal["chat", "embedding"] = "embedding"
        if isinstance(request, ChatRequest):
            kind = "chat"
        model = self._model(request) or ""
        if (route := self._routes.get((kind, model))) is None:
            made = Route(kind, self._endpoint(request, model), model)
            route = self._routes[kind, model] = made
        return route

    def encode(self, request: Request, route: Route, wire_id: str) -> bytes:
        """The request as a line of the input, or as a line for each of its texts."""
        return wire.encode(request, route, wire_id, max_tokens=self._settings.max_tokens)

    def max_output_tokens(self, request: Request) -> int:
        """The request's own limit, else the processor's."""
        if not isinstance(request, ChatRequest):
            return 0
        return request.max_tokens or self._settings.max_tokens or 0

    def scan(self, row: bytes, route: Route) -> Scan:
        """Whose row it is and how it ended."""
        return wire.scan(row, route)

    def decode(self, row: bytes, route: Route) -> tuple[str, Outcome]:
        """The wire id and the answer."""
        return wire.decode(row, route)

    def cost(self, route: Route, usage: Usage, *, batch: bool) -> float | None:
        """By Google's list prices; None for other servers and unknown models."""
        connection = self._settings.connection
        # A server on this machine stands in for Google, so that costs can be tried out.
        if not (connection.is_google or connection.is_here):
            return None
        if batch:
            return batch_cost_of(route, usage, vertex=connection.vertex)
        return cost_of(route.model, usage)

    # -- calls ------------------------------------------------------------------------------

    async def mark(self, submission: Submission) -> str | None:
        """Not needed: batches carry a name of ours."""
        del submission
        return None

    @abstractmethod
    def _read(self, batch: JSONObject) -> RemoteStatus:
        """What a batch object says."""

    @abstractmethod
    def _path(self, remote_id: str) -> str:
        """Where a batch is asked for."""

    @abstractmethod
    def _pages(self, token: str | None = None) -> AsyncIterator[list[JSONObject]]:
        """All batches by pages; only those of a token, where the vendor can tell."""

    async def _all_pages(
        self, path: str, key: str, **query: str | None
    ) -> AsyncIterator[list[JSONObject]]:
        following: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._api.page(path, pageSize=PAGE, pageToken=following, **query)
            found: list[JSONObject] = page.get(key) or []
            yield found
            following = page.get("nextPageToken") or None
            if following is None:
                return

    @abstractmethod
    def _belongs_to(self, batch: JSONObject, submission: Submission) -> bool:
        """Whether a batch came of the submission."""

    async def find(self, submission: Submission) -> Sequence[Candidate]:
        """Batches with the submission's token in their name, or with its input."""
        found: list[str] = []
        async for page in self._pages(submission.token):
            mine = [batch for batch in page if self._belongs_to(batch, submission)]
            found += [self._read(batch).remote_id for batch in mine]
        # Newest first, by both services.
        return [Candidate(remote_id) for remote_id in reversed(found)]

    async def poll(self, remote_ids: Sequence[str]) -> dict[str, RemoteStatus]:
        """A few batches one by one, many by listing."""
        found: dict[str, RemoteStatus] = {}
        wanted = set(remote_ids)
        if len(wanted) > SINGLE_POLLS:
            async for page in self._pages():
                statuses = map(self._read, page)
                found |= {one.remote_id: one for one in statuses if one.remote_id in wanted}
                wanted -= found.keys()
                if len(wanted) <= SINGLE_POLLS:
                    break
        singles = await asyncio.gather(*map(self._status, sorted(wanted)))
        return found | {one.remote_id: one for one in singles if one is not None}

    async def _status(self, remote_id: str) -> RemoteStatus | None:
        try:
            status = self._read(await self._api.get(self._path(remote_id)))
        except RemoteNotFound:
            return None
        # The engine knows it by the name under which it was asked for.
        return replace(status, remote_id=remote_id)

    async def cancel(self, remote_id: str) -> None:
        """Ask for the batch to be stopped; one that has ended already is no error."""
        try:
            await self._api.cancel(self._path(remote_id))
        except ProviderError as error:
            if error.status not in ENDED:
                raise

    async def _cancel_strays(self, submission: Submission) -> None:
        for token in submission.strays:
            stray = replace(submission, token=token, input_id=None)
            for candidate in await self.find(stray):
                if candidate.remote_id != submission.remote_id:
                    await self.cancel(candidate.remote_id)

    async def aclose(self) -> None:
        """Close connections."""
        await self._api.aclose()

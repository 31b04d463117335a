"""Anthropic's Message Batches API as the engine's provider.

Batches carry neither a name nor metadata, and what was put into one can't be read back. One whose
create call was cut is found by elimination: it came after the mark, and has as many requests;
that it is ours shows for certain in its rows, once it has ended, by the token in their ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ai_batch.anthropic import wire
from ai_batch.anthropic.api import AnthropicApi
from ai_batch.anthropic.batches import (
    created_at,
    is_archived,
    is_marked,
    is_over,
    mark_of,
    may_belong_to,
    read_status,
    token_of_row,
)
from ai_batch.anthropic.listing import listed, newest
from ai_batch.anthropic.prices import cost_of
from ai_batch.anthropic.settings import AnthropicSettings
from ai_batch.anthropic.versions import headers_of, variant_of, version_for, version_problems
from ai_batch.core.errors import Problem, ProviderError, RemoteNotFound, RequestRefused
from ai_batch.core.listing import created_id, pages, statuses
from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import Candidate, Limits, RemoteStatus, Route, Scan, Submission
from ai_batch.core.requests import ChatRequest, Request
from ai_batch.core.results import Outcome, Usage
from ai_batch.core.transfers import longest

__all__ = ["AnthropicProvider"]

ENDPOINT = "/v1/messages"

CLOCK_SLACK = 300.0
"""Seconds by which the server's clock may be behind ours, where there is no mark."""


class AnthropicProvider:
    """Fulfils the provider contract of ``ai_batch.core.provider``."""

    name = "anthropic"
    verbatim = True

    def __init__(self, settings: AnthropicSettings) -> None:
        """Raises ``UsageError`` when there is no key for Anthropic itself."""
        settings.connection.check()
        self._settings = settings
        self._api = AnthropicApi(settings.connection)
        # Made for every request otherwise, and there are two of them at most.
        self._routes: dict[tuple[str, str], Route] = {}

    @property
    def account(self) -> str:
        """The server and a fingerprint of the key."""
        connection = self._settings.connection
        return f"anthropic:{urlsplit(connection.url).netloc}:{connection.key_fingerprint}"

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; the key does not."""
        settings = self._settings
        return {
            "base_url": settings.connection.url,
            "model": settings.model or "",
            "max_tokens": str(settings.max_tokens),
            "betas": ",".join(sorted(settings.betas)),
            "api_version": settings.api_version or "",
        }

    # -- pure -------------------------------------------------------------------------------

    def limits(self, route: Route) -> Limits:
        """100,000 requests and 256 MB, less a margin."""
        return self._settings.limits

    def check(self, request: Request) -> Sequence[Problem]:
        """What Anthropic can't do of the request, and a missing model."""
        problems = wire.check(request)
        if not isinstance(request, ChatRequest):
            return problems
        if self._settings.api_version is not None:
            problems += version_problems(request, self._settings.api_version)
        if not (request.model or self._settings.model):
            message = "no model: set it on the request, or model= on the processor"
            problems.append(Problem(message, field="model"))
        return problems

    def route(self, request: Request) -> Route:
        """One model, one API version and one set of betas per batch."""
        chat = _chat(request)
        version = self._settings.api_version or version_for(chat)
        key = (chat.model or self._settings.model or "", version)
        if (route := self._routes.get(key)) is None:
            variant = variant_of(version, self._settings.betas)
            route = self._routes[key] = Route("chat", ENDPOINT, key[0], variant)
        return route

    def encode(self, request: Request, route: Route, wire_id: str) -> bytes:
        """One item of the batch."""
        return wire.encode(_chat(request), route, wire_id, max_tokens=self._settings.max_tokens)

    def max_output_tokens(self, request: Request) -> int:
        """The request's own limit, else the processor's."""
        chat = _chat(request)
        extra: int | None = (chat.extra or {}).get("max_tokens")
        return extra or chat.max_tokens or self._settings.max_tokens

    def scan(self, row: bytes, route: Route) -> Scan:
        """Whose row it is and how it ended."""
        return wire.scan(row)

    def decode(self, row: bytes, route: Route) -> tuple[str, Outcome]:
        """The wire id and the answer."""
        return wire.decode(row)

    def cost(self, route: Route, usage: Usage, *, batch: bool) -> float | None:
        """By Anthropic's list prices; None for other servers and unknown models."""
        if not self._settings.connection.is_priced:
            return None
        return cost_of(route.model, usage, batch=batch)

    # -- calls ------------------------------------------------------------------------------

    async def upload(self, submission: Submission) -> str | None:
        """Nothing is sent: the requests travel with the create call."""
        return None

    async def mark(self, submission: Submission) -> str | None:
        """Which batch is the newest now: ours will be a newer one."""
        return mark_of(await newest(self._api))

    async def create(self, submission: Submission) -> str:
        """Create the batch, streaming its requests from disk."""
        headers = headers_of(submission.route.variant)
        batch = await self._api.create_batch(submission.input_path, headers)
        return created_id(batch)

    async def find(self, submission: Submission) -> Sequence[Candidate]:
        """Batches newer than the mark that may be the submission's.

        Where one is certain, the others are not.
        """

        def is_older(batch: JSONObject) -> bool:
            if submission.high_water is not None:
                return is_marked(batch, submission.high_water)
            since = (submission.intent_at or 0.0) - CLOCK_SLACK
            return (created_at(batch) or since) < since

        found: list[Candidate] = []
        async for batch in listed(self._api, is_older):
            if may_belong_to(batch, submission):
                found += await self._candidates(batch, submission)
        found.reverse()
        return [candidate for candidate in found if candidate.certain] or found

    async def _candidates(self, batch: JSONObject, submission: Submission) -> list[Candidate]:
        batch_id = str(batch["id"])
        token = await self._token(batch_id) if is_over(batch) else None
        if token is None:
            return [Candidate(batch_id, certain=False)]
        return [Candidate(batch_id)] if token == submission.token else []

    async def _token(self, batch_id: str) -> str | None:
        try:
            row = await self._api.first_row(batch_id)
        except RemoteNotFound:
            return None
        return None if row is None else token_of_row(row)

    async def revoke(self, submission: Submission) -> None:
        """There is nothing that could be taken away from a create call under way."""

    async def poll(self, remote_ids: Sequence[str]) -> dict[str, RemoteStatus]:
        """A few batches one by one, many by listing."""
        return await statuses(
            remote_ids,
            listed=lambda: pages(self._api.batches),
            read=read_status,
            ask=self._status,
        )

    async def _status(self, batch_id: str) -> RemoteStatus | None:
        try:
            return read_status(await self._api.batch(batch_id))
        except RemoteNotFound:
            # Also of one that exists: reads lag behind (anthropics/anthropic-sdk-python#1432).
            return None

    async def fetch(self, submission: Submission, output: Path, errors: Path) -> None:
        """Stream the results; there is one file, errors included."""
        remote_id = submission.remote_id or ""
        try:
            await self._api.download(remote_id, output, longest(submission.count))
        except RemoteNotFound as error:
            if not is_archived(await self._api.batch(remote_id)):
                raise
            gone = "Anthropic has deleted the results, 29 days after the batch was made"
            status, request_id = error.status, error.request_id
            raise RequestRefused(gone, status=status, request_id=request_id) from None

    async def cancel(self, remote_id: str) -> None:
        """Ask for the batch to be stopped, unless it has ended already."""
        try:
            await self._api.cancel_batch(remote_id)
        except ProviderError as error:
            # What is answered for a batch that has ended is not documented.
            if error.status not in {400, 409} or not is_over(await self._api.batch(remote_id)):
                raise

    async def cleanup(self, submission: Submission) -> None:
        """There is nothing to delete: no file was uploaded.

        A batch that a lost create call left behind can't be told from another program's while
        it runs, and costs nothing more once it has ended.
        """

    async def aclose(self) -> None:
        """Close connections."""
        await self._api.aclose()


def _chat(request: Request) -> ChatRequest:
    if not isinstance(request, ChatRequest):
        raise TypeError(wire.NO_EMBEDDINGS)
    return request

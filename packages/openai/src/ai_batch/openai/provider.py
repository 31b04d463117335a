"""OpenAI's batch API, and compatible ones, as the engine's provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from ai_batch.core.errors import Problem, ProviderError, RemoteNotFound
from ai_batch.core.listing import created_id, pages, statuses
from ai_batch.core.messages import JSONObject
from ai_batch.core.prices import token_cost
from ai_batch.core.provider import Candidate, Limits, RemoteStatus, Route, Scan, Submission
from ai_batch.core.requests import ChatRequest, Request
from ai_batch.core.results import Outcome, Usage
from ai_batch.core.transfers import longest
from ai_batch.openai import wire
from ai_batch.openai.api import OpenAIApi
from ai_batch.openai.batches import belongs_to, create_body, is_over, read_status, token_of
from ai_batch.openai.settings import OpenAISettings

__all__ = ["OpenAIProvider"]

MAX_EMBEDDING_INPUTS = 50_000
"""Over all requests of a batch; same page."""

BATCH_DISCOUNT = 0.5
"""Of the live price, for all endpoints of a batch, embeddings included, of which the price tables
have no batch price: https://developers.openai.com/api/docs/guides/batch, November 2026."""

CLOCK_SLACK = 300.0
"""Seconds by which the server's clock may be behind ours."""


class OpenAIProvider:
    """Fulfils the provider contract of ``ai_batch.core.provider``."""

    name = "openai"
    verbatim = True

    def __init__(self, settings: OpenAISettings) -> None:
        """Raises ``UsageError`` when there is no key for OpenAI itself."""
        settings.connection.check()
        self._settings = settings
        # Asked for with every request, and not cheap to find out.
        self._is_openai = settings.connection.is_openai
        self._api = OpenAIApi(settings.connection)

    @property
    def account(self) -> str:
        """The server and a fingerprint of the key."""
        connection = self._settings.connection
        return f"openai:{urlsplit(connection.url).netloc}:{connection.key_fingerprint}"

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; the key does not."""
        settings = self._settings
        return {
            "base_url": settings.connection.url,
            "endpoint": settings.endpoint,
            "model": settings.model or "",
            "embedding_model": settings.embedding_model or "",
            "max_tokens": str(settings.max_tokens or ""),
            "token_parameter": settings.token_parameter or "",
            "window": settings.window,
        }

    # -- pure -------------------------------------------------------------------------------

    def limits(self, route: Route) -> Limits:
        """50,000 requests and 200 MB; embeddings 50,000 texts as well."""
        if route.kind == "embedding" and self._settings.limits.max_inputs is None:
            return replace(self._settings.limits, max_inputs=MAX_EMBEDDING_INPUTS)
        return self._settings.limits

    def check(self, request: Request) -> Sequence[Problem]:
        """What OpenAI can't do of the request, and a missing model."""
        problems = wire.check(request, self._endpoint(request))
        if not self._model(request):
            option = "model" if isinstance(request, ChatRequest) else "embedding_model"
            message = f"no model: set it on the request, or {option}= on the processor"
            problems = [*problems, Problem(message, field="model")]
        return problems

    def _endpoint(self, request: Request) -> str:
        return self._settings.endpoint if isinstance(request, ChatRequest) else "/v1/embeddings"

    def _model(self, request: Request) -> str | None:
        settings = self._settings
        if isinstance(request, ChatRequest):
            return request.model or settings.model
        fallback = settings.model if "embed" in (settings.model or "") else None
        return request.model or settings.embedding_model or fallback

    def route(self, request: Request) -> Route:
        """One endpoint and one model per batch."""
        endpoint, model = self._endpoint(request), self._model(request) or ""
        if isinstance(request, ChatRequest):
            return Route("chat", endpoint, model)
        return Route("embedding", endpoint, model)

    def encode(self, request: Request, route: Route, wire_id: str) -> bytes:
        """One line of the input file."""
        parameter = self._settings.token_parameter or wire.token_parameter(
            route.model, self._is_openai
        )
        return wire.encode(
            request,
            route,
            wire_id,
            max_tokens=self._settings.max_tokens,
            token_parameter=parameter,
        )

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
        """By OpenAI's list prices; None for other servers and unknown models."""
        if not self._settings.connection.is_priced:
            return None
        discount = BATCH_DISCOUNT if batch else 1.0
        return token_cost("openai", route.model, usage, discount=discount)

    # -- calls ------------------------------------------------------------------------------

    async def upload(self, submission: Submission) -> str | None:
        """Send the input file, under a name by which a lost upload is found."""
        return await self._api.upload(submission.input_path, _filename(submission.token))

    async def mark(self, submission: Submission) -> str | None:
        """Not needed: batches carry metadata."""
        return None

    async def create(self, submission: Submission) -> str:
        """Create the batch, with the token in its metadata."""
        batch = await self._api.create_batch(create_body(submission, self._settings.window))
        return created_id(batch)

    async def find(self, submission: Submission) -> Sequence[Candidate]:
        """Batches with the submission's token or input file, by listing back to its intent."""
        since = (submission.intent_at or 0.0) - CLOCK_SLACK
        found = [
            str(batch["id"]) async for batch in self._listed(since) if belongs_to(batch, submission)
        ]
        return [Candidate(batch_id) for batch_id in reversed(found)]

    async def _listed(self, since: float) -> AsyncIterator[JSONObject]:
        async for page in self._pages(since):
            for batch in page:
                yield batch

    async def _pages(self, since: float = 0.0) -> AsyncIterator[list[JSONObject]]:
        # Azure calls them "value".
        async for batches in pages(self._api.batches, ("data", "value")):
            yield batches
            if batches and _older(batches[-1], since):
                return

    async def revoke(self, submission: Submission) -> None:
        """Delete the input: a late create then fails at the vendor, who checks for it."""
        if submission.input_id is not None:
            await self._delete(submission.input_id)

    async def _delete(self, file_id: str) -> None:
        try:
            await self._api.delete_file(file_id)
        except RemoteNotFound:
            return

    async def poll(self, remote_ids: Sequence[str]) -> dict[str, RemoteStatus]:
        """A few batches one by one, many by listing."""
        return await statuses(remote_ids, listed=self._pages, read=read_status, ask=self._status)

    async def _status(self, batch_id: str) -> RemoteStatus | None:
        try:
            return read_status(await self._api.batch(batch_id))
        except RemoteNotFound:
            return None

    async def fetch(self, submission: Submission, output: Path, errors: Path) -> None:
        """Stream the output and the error file; either may not exist."""
        for key, path in (("output", output), ("errors", errors)):
            file_id = submission.details.get(key)
            if file_id:
                await self._api.download(file_id, path, longest(submission.count))

    async def cancel(self, remote_id: str) -> None:
        """Ask for the batch to be stopped; HTTP 409 says that it has ended already."""
        try:
            await self._api.cancel_batch(remote_id)
        except ProviderError as error:
            if error.status != 409:
                raise

    async def cleanup(self, submission: Submission) -> None:
        """Delete the batch's files, and whatever was made under a stray token."""
        ids = {submission.input_id, *submission.details.values()}
        if submission.strays:
            ids |= await self._stray_files(submission)
            await self._cancel_strays(submission)
        for file_id in sorted(filter(None, ids)):
            await self._delete(file_id)

    async def _stray_files(self, submission: Submission) -> set[str | None]:
        names = {_filename(token) for token in submission.strays}
        return {
            str(file["id"])
            async for files in pages(self._api.files)
            for file in files
            if file.get("filename") in names
        }

    async def _cancel_strays(self, submission: Submission) -> None:
        since = (submission.intent_at or 0.0) - 2 * 86400.0
        async for batch in self._listed(since):
            stray = token_of(batch) in submission.strays and batch["id"] != submission.remote_id
            if stray and not is_over(batch):
                await self.cancel(str(batch["id"]))

    async def aclose(self) -> None:
        """Close connections."""
        await self._api.aclose()


def _filename(token: str) -> str:
    return f"ai-batch-{token}.jsonl"


def _older(batch: JSONObject, since: float) -> bool:
    created = batch.get("created_at")
    return isinstance(created, int | float) and created < since

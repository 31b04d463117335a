"""Batch prediction on Vertex AI, for Google Cloud projects, with files in Cloud Storage."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from ai_batch.core.errors import RemoteNotFound
from ai_batch.core.listing import created_id
from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import Limits, RemoteStatus, Route, Submission
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request
from ai_batch.core.transfers import longest, private_file
from ai_batch.gemini import wire
from ai_batch.gemini.batches import label_of
from ai_batch.gemini.keyless import give_keys, instances_of
from ai_batch.gemini.provider import GoogleProvider
from ai_batch.gemini.settings import VERTEX_LIMITS, GeminiSettings
from ai_batch.gemini.storage import Storage, check_installed
from ai_batch.gemini.vertex_jobs import (
    ANSWERED,
    create_body,
    input_uri,
    job_belongs_to,
    job_path,
    output_prefix,
    read_job,
)
from ai_batch.gemini.wire_embeddings import task_type

__all__ = ["VertexProvider"]

MAX_PREDICTIONS = 30_000
"""Texts in a batch of the older models of embeddings; the page of ``wire_embeddings``."""

OLDER_MODELS = ("text-embedding-", "text-multilingual-embedding-", "textembedding-gecko")


class VertexProvider(GoogleProvider):
    """Fulfils the provider contract of ``ai_batch.core.provider``."""

    name = "vertex"

    def __init__(self, settings: GeminiSettings) -> None:
        """Raises ``UsageError`` without a project, a location or Cloud Storage's library."""
        super().__init__(settings)
        check_installed()
        self._folder = (settings.gcs_uri or "").rstrip("/")
        self._storage = Storage(settings.connection)

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; where files lie does not."""
        project, location = self._settings.connection.place
        return {**super().identity, "project": project or "", "location": location or ""}

    def _endpoint(self, request: Request, model: str) -> str:
        if isinstance(request, ChatRequest):
            return wire.VERTEX_CHAT_ENDPOINT
        older = model.rpartition("/")[2].startswith(OLDER_MODELS)
        return wire.PREDICT_ENDPOINT if older else wire.VERTEX_EMBEDDING_ENDPOINT

    def route(self, request: Request) -> Route:
        """One kind of batch and one model per batch; of older models, one set of options."""
        route = super().route(request)
        if route.endpoint == wire.PREDICT_ENDPOINT and isinstance(request, EmbeddingRequest):
            return route._replace(variant=_options(request))
        return route

    def _default_limits(self, route: Route) -> Limits:
        if route.endpoint == wire.PREDICT_ENDPOINT:
            largest = VERTEX_LIMITS.max_bytes
            return Limits(max_requests=MAX_PREDICTIONS, max_bytes=largest)
        return VERTEX_LIMITS

    def _read(self, batch: JSONObject) -> RemoteStatus:
        return read_job(batch)

    def _path(self, remote_id: str) -> str:
        return job_path(remote_id)

    def _pages(self, token: str | None = None) -> AsyncIterator[list[JSONObject]]:
        query = None if token is None else f'display_name="{label_of(token)}"'
        return self._all_pages("batchPredictionJobs", "batchPredictionJobs", filter=query)

    def _belongs_to(self, batch: JSONObject, submission: Submission) -> bool:
        return job_belongs_to(batch, submission)

    async def upload(self, submission: Submission) -> str | None:
        """Write the input to Cloud Storage, under a name that is this submission's alone."""
        uri = input_uri(self._folder, submission.token)
        path = submission.input_path
        if submission.route.endpoint != wire.PREDICT_ENDPOINT:
            await self._storage.upload(path, uri)
            return uri
        aside = _aside(path)
        try:
            with private_file(aside) as file:
                file.writelines(instances_of(path))
            await self._storage.upload(aside, uri)
        finally:
            aside.unlink(missing_ok=True)
        return uri

    async def create(self, submission: Submission) -> str:
        """Create the job, with the token in its name and in the place of its results."""
        job = await self._api.post("batchPredictionJobs", create_body(submission, self._folder))
        return created_id(job, "name")

    async def revoke(self, submission: Submission) -> None:
        """Delete the input: a job that is created late then finds none."""
        if submission.input_id is not None:
            await self._storage.delete(submission.input_id)

    async def fetch(self, submission: Submission, output: Path, errors: Path) -> None:
        """Stream all files of results, however many there are and whatever they are called."""
        del errors
        prefix = submission.details.get("output") or output_prefix(self._folder, submission.token)
        names = await self._storage.names(f"{prefix.rstrip('/')}/")
        rows = [name for name in names if name.endswith(".jsonl")]
        if not rows and submission.details.get(ANSWERED):
            # Somebody, or a rule of the bucket's, was quicker: they are paid for all the same.
            raise RemoteNotFound(f"there are no results any more under {prefix}")
        most = longest(submission.count)
        if submission.route.endpoint != wire.PREDICT_ENDPOINT:
            await self._storage.download(rows, output, most)
            return
        aside = _aside(output)
        try:
            await self._storage.download(rows, aside, most)
            give_keys(aside, submission.input_path, output)
        finally:
            aside.unlink(missing_ok=True)

    async def cleanup(self, submission: Submission) -> None:
        """Delete the input and the results, and whatever was made under a stray token."""
        await self._cancel_strays(submission)
        for token in (submission.token, *submission.strays):
            uris = await self._storage.names(output_prefix(self._folder, token))
            for uri in (input_uri(self._folder, token), *uris):
                await self._storage.delete(uri)

    async def aclose(self) -> None:
        """Close connections."""
        await super().aclose()
        self._storage.close()


def _aside(path: Path) -> Path:
    """Where the lines of a file lie for a while without their keys."""
    return path.with_name(f"{path.name}.keyless")


def _options(request: EmbeddingRequest) -> str:
    options = {"task_type": task_type(request.task) if request.task else None}
    facts = {**options, **(request.extra or {})}
    return msgspec.json.encode(facts, order="sorted").decode()

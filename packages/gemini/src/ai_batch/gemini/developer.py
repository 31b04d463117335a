"""The batch API of the Gemini Developer API, for keys of Google AI Studio.

The input is a file, whatever its size, unless ``inline_bytes`` says otherwise: keys of requests
that travel with the create call do not always come back (googleapis/python-genai#2008), and only
a file can be deleted so that a create call that was cut can't take effect later.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

from ai_batch.core.errors import RemoteNotFound, RequestRefused
from ai_batch.core.listing import created_id
from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import Limits, RemoteStatus, Route, Submission
from ai_batch.core.requests import ChatRequest, Request
from ai_batch.core.transfers import longest, private_file
from ai_batch.gemini import wire
from ai_batch.gemini.api import size_of
from ai_batch.gemini.batches import (
    belongs_to,
    create_body,
    ended_before,
    file_id,
    inline_answers,
    name_of,
    read_status,
)
from ai_batch.gemini.provider import GoogleProvider
from ai_batch.gemini.settings import LIMITS

__all__ = ["DeveloperProvider"]

KEPT = 40 * 86400.0
"""Seconds for which results are kept: six weeks, less a margin; same page as the limits."""


class DeveloperProvider(GoogleProvider):
    """Fulfils the provider contract of ``ai_batch.core.provider``."""

    name = "gemini"

    def _endpoint(self, request: Request, model: str) -> str:
        del model
        chat = isinstance(request, ChatRequest)
        return wire.CHAT_ENDPOINT if chat else wire.EMBEDDING_ENDPOINT

    def _default_limits(self, route: Route) -> Limits:
        del route
        return LIMITS

    def _read(self, batch: JSONObject) -> RemoteStatus:
        return read_status(batch)

    def _path(self, remote_id: str) -> str:
        return remote_id

    def _pages(self, token: str | None = None) -> AsyncIterator[list[JSONObject]]:
        del token
        return self._all_pages("batches", "operations")

    def _belongs_to(self, batch: JSONObject, submission: Submission) -> bool:
        return belongs_to(batch, submission)

    async def upload(self, submission: Submission) -> str | None:
        """Send the input file, under a name by which a lost upload is found."""
        if self._travels_inline(submission):
            return None
        return await self._api.upload(submission.input_path, file_id(submission.token))

    def _travels_inline(self, submission: Submission) -> bool:
        # Vectors of requests that travel inline can't be told apart: they have no keys at all.
        if submission.route.kind != "chat":
            return False
        return size_of(submission.input_path) < self._settings.inline_bytes

    async def create(self, submission: Submission) -> str:
        """Create the batch, with the token in its name."""
        route = submission.route
        model = route.model if "/" in route.model else f"models/{route.model}"
        lines = () if submission.input_id else _lines_of(submission.input_path)
        batch = await self._api.post(f"{model}:{route.endpoint}", create_body(submission, lines))
        return created_id({"name": name_of(batch)}, "name")

    async def revoke(self, submission: Submission) -> None:
        """Delete the input: a late create then fails at the vendor, who needs it."""
        if submission.input_id is not None:
            await self._delete(submission.input_id)

    async def _delete(self, name: str) -> None:
        try:
            await self._api.delete(name)
        except RemoteNotFound:
            return

    async def fetch(self, submission: Submission, output: Path, errors: Path) -> None:
        """Stream the file of results, or write down the answers that are in the batch itself."""
        del errors
        remote_id = submission.remote_id or ""
        name = submission.details.get("output")
        if not name:
            # Asked again: a batch may have ended a moment before its results are named.
            batch = await self._api.get(remote_id)
            status, answers = read_status(batch), inline_answers(batch)
            name = status.details.get("output")
            if not name and not answers and status.completed:
                # They are paid for: to take them for missing would be to pay again.
                raise RemoteNotFound("the batch has answers, and does not say where they are")
            if not name:
                _write_rows(submission, answers, output)
                return
        await self._download(name, submission, output)

    async def _download(self, name: str, submission: Submission, output: Path) -> None:
        try:
            await self._api.download(name, output, longest(submission.count))
        except RemoteNotFound as error:
            if await self._is_known(submission.remote_id or ""):
                raise
            gone = "Google has deleted the results, six weeks after the batch was made"
            raise RequestRefused(gone, status=error.status) from None

    async def _is_known(self, remote_id: str) -> bool:
        try:
            batch = await self._api.get(remote_id)
        except RemoteNotFound:
            return False
        return not ended_before(batch, time.time() - KEPT)

    async def cleanup(self, submission: Submission) -> None:
        """Delete the input, and whatever was made under a stray token.

        Files of results can't be deleted. The batch stays: with it, Google keeps the results for
        six weeks, should those here be lost.
        """
        names = {submission.input_id} - {None}
        names |= {f"files/{file_id(token)}" for token in submission.strays}
        await self._cancel_strays(submission)
        for name in sorted(filter(None, names)):
            await self._delete(name)


def _lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def _write_rows(submission: Submission, answers: list[JSONObject], to: Path) -> None:
    """Answers without keys are of use only where there is no more than one request."""
    if not answers:
        return
    alone = submission.count == len(answers) == 1 and submission.input_path.exists()
    only_key = wire.key_of(submission.input_path.read_bytes()) if alone else None
    rows = [wire.inline_row(answer, only_key) for answer in answers]
    if not any(wire.has_key(row) for row in rows):
        raise RequestRefused(
            "the answers came back without the keys of their requests, so that it can't be told "
            "whose they are; leave out inline_bytes, and the input travels as a file"
        )
    with private_file(to) as file:
        file.writelines(row + b"\n" for row in rows)

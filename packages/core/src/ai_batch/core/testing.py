"""A vendor in memory, and time that passes at once: for testing engines, options and programs.

``FakeProvider`` is a complete example of the ``Provider`` contract. It speaks to a ``FakeVendor``,
which keeps books of what it executed, so that a test can tell whether anything was paid for twice:

    vendor = FakeVendor(fate=lambda batch: Fate(seconds=3600))
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        options = Options(home=home, runtime=virtual_runtime(runner.get_loop()))
        processor = NativeProcessor(lambda: FakeProvider(vendor), options)
        response = runner.run(processor.aprocess(["How are you?"]))  # an hour, at once
    assert vendor.executed == {"How are you?": 1}

What goes wrong is up to the test: ``fate`` decides what becomes of a batch, ``answer`` what each
request gets, ``damage`` what a download looks like, and ``gate`` is awaited around each call: an
exception raised before it means that nothing was done, one after it that the answer was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from ai_batch.core.errors import Problem, RemoteNotFound
from ai_batch.core.fakes import FakeBatch, FakeVendor, Fate, Line, read_line, write_line
from ai_batch.core.provider import (
    Candidate,
    Limits,
    RemoteStatus,
    Route,
    Scan,
    Submission,
)
from ai_batch.core.requests import EmbeddingRequest, Request
from ai_batch.core.results import ChatResponse, EmbeddingResponse, ItemError, Outcome, Usage
from ai_batch.core.virtual import START, VirtualLoop, virtual_runtime

__all__ = [
    "FakeBatch",
    "FakeProvider",
    "FakeVendor",
    "Fate",
    "Gate",
    "VirtualLoop",
    "virtual_runtime",
]

Gate: TypeAlias = Callable[[str, Literal["before", "after"]], Awaitable[None]]
"""Awaited before a call of the named method takes effect, and after it."""


async def _open(method: str, moment: Literal["before", "after"]) -> None:
    """The gate through which everything passes."""


class FakeProvider:
    """The contract over a ``FakeVendor``, for one program.

    With ``metadata`` a batch can be found by its token; without, as at Anthropic, batches of the
    same size since the high-water mark are candidates and only their rows tell. With ``uploads``
    the input is a file of its own, which ``revoke`` deletes.
    """

    name = "fake"
    account = "fake-account"
    verbatim = True

    def __init__(
        self,
        vendor: FakeVendor,
        *,
        clock: Callable[[], float] = lambda: START + asyncio.get_running_loop().time(),
        gate: Gate = _open,
        metadata: bool = True,
        uploads: bool = True,
        max_requests: int = 100,
    ) -> None:
        """``clock`` gives the vendor's time in Unix seconds."""
        self.vendor = vendor
        self.identity: dict[str, str] = {}
        self._clock = clock
        self._gate = gate
        self._metadata = metadata
        self._uploads = uploads
        self._limits = Limits(max_requests=max_requests, max_bytes=1 << 20)

    def limits(self, route: Route) -> Limits:
        """The same on every route."""
        return self._limits

    def check(self, request: Request) -> Sequence[Problem]:
        """Everything can be asked."""
        return ()

    def route(self, request: Request) -> Route:
        """One for chats and one for embeddings, by model."""
        if isinstance(request, EmbeddingRequest):
            return Route("embedding", "/embeddings", request.model or "fake-embedding")
        return Route("chat", "/chat", request.model or "fake-chat")

    def encode(self, request: Request, route: Route, wire_id: str) -> bytes:
        """The wire id and the text, as JSON."""
        if isinstance(request, EmbeddingRequest):
            return write_line(Line(wire_id, " ".join(request.texts)))
        return write_line(Line(wire_id, " ".join(message.text for message in request.messages)))

    def scan(self, row: bytes, route: Route) -> Scan:
        """The id, how it ended, and the tokens."""
        wire_id, outcome = self.decode(row, route)
        if isinstance(outcome, ItemError):
            return Scan(wire_id, outcome)
        return Scan(wire_id, None, outcome.usage.input_tokens, outcome.usage.output_tokens)

    def decode(self, row: bytes, route: Route) -> tuple[str, Outcome]:
        """The id and the answer."""
        found = read_line(row)  # Its errors are ValueErrors, as the contract wants.
        if found.error:
            message = f"the vendor answered {found.error}"
            return found.id, ItemError(code=found.error, message=message, retryable=found.retryable)
        usage = Usage(input_tokens=found.tokens, output_tokens=1)
        if route.kind == "chat":
            return found.id, ChatResponse(content=found.text, usage=usage)
        vectors = EmbeddingResponse.model_validate({"vectors": [found.vector], "usage": usage})
        return found.id, vectors

    def max_output_tokens(self, request: Request) -> int:
        """What the request allows."""
        return 0 if isinstance(request, EmbeddingRequest) else request.max_tokens or 0

    def cost(self, route: Route, usage: Usage, *, batch: bool) -> float | None:
        """A dollar per million tokens, and half of it in a batch."""
        return usage.total_tokens / 1e6 * (0.5 if batch else 1.0)

    async def upload(self, submission: Submission) -> str | None:
        """Keep the input as a file."""
        if not self._uploads:
            return None
        await self._gate("upload", "before")
        id = self.vendor.add_file(submission.token, submission.input_path.read_bytes())
        await self._gate("upload", "after")
        return id

    async def mark(self, submission: Submission) -> str | None:
        """The newest batch that is listed, where there is no metadata."""
        if self._metadata:
            return None
        await self._gate("mark", "before")
        return max((batch.remote_id for batch in self._listed()), default="")

    def _listed(self) -> list[FakeBatch]:
        now = self._clock()
        return [
            batch
            for batch in self.vendor.batches.values()
            if now >= batch.created_at + batch.fate.listed_after
        ]

    async def create(self, submission: Submission) -> str:
        """A batch of the uploaded file, or of the input as it is on disk."""
        await self._gate("create", "before")
        if not self._uploads:
            data = submission.input_path.read_bytes()
        elif submission.input_id in self.vendor.files:
            data = self.vendor.files[submission.input_id][1]
        else:
            raise RemoteNotFound(f"no file {submission.input_id}", status=404)
        batch = self.vendor.add_batch(submission.token, data, self._clock())
        await self._gate("create", "after")
        return batch.remote_id

    async def find(self, submission: Submission) -> Sequence[Candidate]:
        """By token where there is metadata, else by size, and since the mark."""
        await self._gate("find", "before")
        if self._metadata:
            mine = [batch for batch in self._listed() if batch.token == submission.token]
            return [Candidate(batch.remote_id) for batch in mine]
        return [
            Candidate(batch.remote_id, certain=False)
            for batch in self._listed()
            if batch.remote_id > (submission.high_water or "")
            and batch.remote_id not in submission.rejected
            and len(batch.requests) == submission.count
        ]

    async def revoke(self, submission: Submission) -> None:
        """Delete the input file."""
        await self._gate("revoke", "before")
        self.vendor.files.pop(submission.input_id or "", None)
        await self._gate("revoke", "after")

    async def poll(self, remote_ids: Sequence[str]) -> dict[str, RemoteStatus]:
        """What became of each; a young batch may not be known yet."""
        await self._gate("poll", "before")
        now = self._clock()
        known = [self.vendor.batches[id] for id in remote_ids if id in self.vendor.batches]
        return {
            batch.remote_id: self.vendor.status(batch, now)
            for batch in known
            if now >= batch.created_at + batch.fate.known_after
        }

    async def fetch(self, submission: Submission, output: Path, errors: Path) -> None:
        """All rows go to one file, in no particular order."""
        await self._gate("fetch", "before")
        batch = self.vendor.batches[submission.remote_id or ""]
        rows = self.vendor.damage(batch, batch.rows[::-1])
        with output.open("wb") as file:
            file.writelines(row + b"\n" for row in rows)
        await self._gate("fetch", "after")

    async def cancel(self, remote_id: str) -> None:
        """Stop where the batch has come to."""
        await self._gate("cancel", "before")
        self.vendor.cancel(self.vendor.batches[remote_id], self._clock())
        await self._gate("cancel", "after")

    async def cleanup(self, submission: Submission) -> None:
        """Delete the files, and stop and delete what the strays left."""
        await self._gate("cleanup", "before")
        now = self._clock()
        loose = {submission.input_id, *submission.details.values()}
        for id, (token, _) in list(self.vendor.files.items()):
            if id in loose or token in submission.strays:
                del self.vendor.files[id]
        for batch in self._listed() if self._metadata else ():
            if batch.token in submission.strays:
                self.vendor.cancel(batch, now)
        await self._gate("cleanup", "after")

    async def aclose(self) -> None:
        """There is nothing to close."""

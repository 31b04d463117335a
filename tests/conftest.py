"""An emulator with ai-batch before it, and what has to hold after every job."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ai_batch.core import BatchResponse, ChatRequest, EmbeddingRequest, Result
from ai_batch.core.provider import Limits as BatchLimits
from ai_batch.emulator import Emulator, item_key
from ai_batch.emulator.contract.fast_clock import FastClock
from ai_batch.emulator.surface import Surface
from ai_batch.openai import OpenAIProcessor

MODEL = "gpt-4o-mini"
EMBEDDING_MODEL = "text-embedding-3-small"


class Lab:
    """One emulator, one home, and processors on both."""

    def __init__(self, emulator: Surface, home: Path, speed: float = 50.0) -> None:
        self.emulator = emulator
        self.home = home
        self.fast = FastClock(speed)
        self._stack = ExitStack()

    def options(self, **options: Any) -> dict[str, Any]:
        """Options under which a job takes moments."""
        runtime = self.fast.runtime()
        given: dict[str, Any] = {
            "home": self.home,
            "poll_interval": 0.02 * self.fast.speed,
            "settle_wait": 0.2 * self.fast.speed,
            "runtime": runtime,
        }
        return given | options

    def processor(self, *, shard: int = 50_000, **options: Any) -> OpenAIProcessor:
        """A processor whose batches hold up to `shard` requests; closed after the test."""
        server = ("api_key", "base_url", "client", "extra_headers", "timeout")
        request = ("endpoint", "max_tokens")
        given: dict[str, Any] = {"model": MODEL, "embedding_model": EMBEDDING_MODEL}
        if "client" not in options:
            given |= {"api_key": "sk-lab-key", "base_url": self.emulator.openai_url}
        names = {*given, *server, *request} & options.keys()
        given |= {name: options.pop(name) for name in names}
        processor = OpenAIProcessor(
            limits=BatchLimits(max_requests=shard, max_bytes=10_000_000),
            **self.options(**options),
            **given,
        )
        return self._stack.enter_context(processor)

    def budget(self) -> tuple[int, int]:
        """The batches and tokens that the ledger takes for being in the vendor's queue."""
        ledger = sqlite3.connect(self.home / "ledger.db")
        try:
            query = "SELECT TOTAL(used_batches), TOTAL(used_tokens) FROM budget"
            batches, tokens = ledger.execute(query).fetchone()
        finally:
            ledger.close()
        return int(batches), int(tokens)

    def close(self) -> None:
        """Close all processors."""
        self._stack.close()

    def questions(self, count: int, start: int = 0) -> list[ChatRequest]:
        """Different requests: the emulator's answer to each is its own words."""
        numbers = range(start, start + count)
        return [ChatRequest(id=f"q{n}", messages=f"question {n}") for n in numbers]

    def texts(self, count: int) -> list[EmbeddingRequest]:
        """Different requests for vectors."""
        return [EmbeddingRequest(id=f"e{n}", texts=f"text {n}") for n in range(count)]

    def check(
        self,
        requests: Sequence[ChatRequest],
        found: BatchResponse | Iterable[Result],
        *,
        failed: Iterable[str] = (),
        files: int = 0,
    ) -> None:
        """Each request has its own answer, was executed and billed once, and all is cleaned up.

        Requests named in `failed` have an error instead and were not billed. What the emulator
        lost by itself may have been executed again. `files` may be left at the vendor.
        """
        results = list(found)
        without = set(failed)
        assert [result.id for result in results] == [request.id for request in requests]
        assert [result.index for result in results] == list(range(len(requests)))
        for request, result in zip(requests, results, strict=True):
            assert (result.error is not None) == (request.id in without), result
            if result.chat is not None:
                assert result.chat.content == request.messages[-1].text
        stats = self.emulator.stats
        assert stats.billed_twice() == []
        assert stats.items_billed - stats.items_lost == len(requests) - len(without)
        assert stats.files_live == files
        assert self.budget() == (0, 0)

    def executions_of(self, requests: Iterable[ChatRequest]) -> Counter[str]:
        """How often each plain request was executed, by its id."""
        executions = self.emulator.stats.executions
        counts: Counter[str] = Counter()
        for request in requests:
            content = request.messages[-1].text
            body: Any = {"model": MODEL, "messages": [{"role": "user", "content": content}]}
            counts[request.id or ""] = executions.get(item_key("/v1/chat/completions", body), 0)
        return counts


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make a laboratory whose emulator has these options."""
    with ExitStack() as stack:

        def make(emulator: Surface | None = None, speed: float = 50.0, **options: Any) -> Lab:
            if emulator is None:
                emulator = stack.enter_context(Emulator(**options))
            lab = Lab(emulator, tmp_path / "home", speed)
            stack.callback(lab.close)
            return lab

        yield make


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """A laboratory with an emulator as it comes."""
    return make_lab()


@dataclass(frozen=True)
class Call:
    """One HTTP request of ours: when (by the laboratory's clock), what, and the answer's status."""

    at: float
    name: str
    status: int | None


@pytest.fixture
def calls(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Every HTTP request that the SDK sends, in order."""
    seen: list[Call] = []
    transport: Any = httpx2.AsyncHTTPTransport
    original = transport.handle_async_request

    async def handle(self: object, request: httpx2.Request) -> httpx2.Response:
        at = lab.fast.now()
        name = f"{request.method} {request.url.path}"
        try:
            response: httpx2.Response = await original(self, request)
        except httpx2.TransportError:
            seen.append(Call(at, name, None))
            raise
        seen.append(Call(at, name, response.status_code))
        return response

    monkeypatch.setattr(transport, "handle_async_request", handle)
    return seen

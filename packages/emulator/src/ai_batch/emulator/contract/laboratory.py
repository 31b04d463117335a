"""An emulator with processors of one subject before it, and what has to hold after every job."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeGuard

from ai_batch.core import ChatRequest, EmbeddingRequest, NativeProcessor, Result
from ai_batch.core.provider import Limits
from ai_batch.emulator.contract.fast_clock import FastClock
from ai_batch.emulator.contract.subject import Subject
from ai_batch.emulator.emulator import Emulator
from ai_batch.emulator.surface import Surface

__all__ = ["Laboratory"]

Asked = ChatRequest | EmbeddingRequest

SHARD_BYTES = 10_000_000
OTHER_SEED = 7


class Laboratory:
    """One emulator, one home, and processors on both."""

    def __init__(
        self, subject: Subject, emulator: Surface, home: Path, speed: float = 50.0
    ) -> None:
        """``speed`` is how much faster than the real clock that of the processors runs."""
        self.subject = subject
        self.emulator = emulator
        self.home = home
        self.clock = FastClock(speed)
        self._stack = ExitStack()
        self._billed = 0

    def processor(
        self, *, shard: int = 50_000, shard_bytes: int = SHARD_BYTES, **options: Any
    ) -> NativeProcessor:
        """A processor whose batches hold so much; its jobs take moments. Closed at the end."""
        given: dict[str, Any] = {
            "home": self.home,
            "limits": Limits(max_requests=shard, max_bytes=shard_bytes),
            "poll_interval": 0.02 * self.clock.speed,
            "settle_wait": 0.3 * self.clock.speed,
            "runtime": self.clock.runtime(),
        }
        return self._stack.enter_context(self.subject.make(self.emulator, **given | options))

    def close(self) -> None:
        """Close all processors."""
        self._stack.close()

    def requests(self, count: int, start: int = 0, word: str = "question") -> list[Asked]:
        """Different requests: the emulator's answer to a chat is its own words."""
        numbers = range(start, start + count)
        return [self.subject.request(f"q{n}", f"{word} {n}") for n in numbers]

    def budget(self, home: Path | None = None) -> tuple[int, int]:
        """The batches and tokens that the ledger takes for being in the vendor's queue."""
        ledger = sqlite3.connect((home or self.home) / "ledger.db")
        try:
            query = "SELECT TOTAL(used_batches), TOTAL(used_tokens) FROM budget"
            batches, tokens = ledger.execute(query).fetchone()
        finally:
            ledger.close()
        return int(batches), int(tokens)

    def check(
        self, requests: Sequence[Asked], found: Iterable[Result], *, failed: Iterable[str] = ()
    ) -> None:
        """Each request has its own answer, was billed once, and nothing is left at the vendor.

        Requests named in ``failed`` have an error instead and were not billed. What the emulator
        lost by itself may have been billed again. Adds up over the jobs of one laboratory.
        """
        results, without = list(found), set(failed)
        self.check_answers(requests, results, without)
        self._billed += len(requests) - len(without)
        stats = self.emulator.stats
        assert stats.billed_twice() == [], "something was paid for twice"
        assert stats.items_billed - stats.items_lost == self._billed
        assert stats.files_live == 0, "files are left at the vendor"
        assert self.budget() == (0, 0), "the ledger holds room that nobody needs"

    def check_answers(
        self, requests: Sequence[Asked], results: Sequence[Result], without: set[str]
    ) -> None:
        """One result per request, in order, with the answer to just this request."""
        assert [result.id for result in results] == [request.id for request in requests]
        assert [result.index for result in results] == list(range(len(requests)))
        vectors = vectors_of(self.subject, requests)
        for request, result in zip(requests, results, strict=True):
            assert (result.error is not None) == (request.id in without), result
            if result.chat is not None:
                assert isinstance(request, ChatRequest)
                assert result.chat.content == request.messages[-1].text
            if result.embedding is not None:
                assert isinstance(request, EmbeddingRequest)
                assert result.embedding.vectors == [vectors[text] for text in request.texts]


def vectors_of(subject: Subject, requests: Iterable[Asked]) -> dict[str, list[float]]:
    """The vector of each text to embed, from an emulator that gives its rows in another order."""
    texts = sorted({text for each in requests if is_embedding(each) for text in each.texts})
    return _reference(subject, tuple(texts)) if texts else {}


def is_embedding(request: Asked) -> TypeGuard[EmbeddingRequest]:
    """Whether vectors are asked for."""
    return isinstance(request, EmbeddingRequest)


@cache
def _reference(subject: Subject, texts: tuple[str, ...]) -> dict[str, list[float]]:
    with TemporaryDirectory() as home, Emulator(seed=OTHER_SEED) as emulator:
        other = Laboratory(subject, emulator, Path(home))
        found = list(other.processor().process([EmbeddingRequest(texts=text) for text in texts]))
        other.close()
    vectors = [result.embedding.vectors[0] for result in found if result.embedding]
    assert len({tuple(vector) for vector in vectors}) == len(texts), "vectors must differ"
    return dict(zip(texts, vectors, strict=True))

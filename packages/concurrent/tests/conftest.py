"""Concurrent processors in virtual time, and clients that misbehave as they are told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import BatchResponse, ChatRequest, ChatResponse, Text, Usage
from ai_batch.core.testing import VirtualLoop, virtual_runtime

Value = TypeVar("Value")


def text_of(request: ChatRequest) -> str:
    """The text of a request's only message."""
    [part] = request.messages[0].parts
    assert isinstance(part, Text)
    return part.text


def told(response: BatchResponse) -> list[str]:
    """The answers' texts and the errors' codes, in the order of the requests."""
    return [
        result.chat.content if result.chat else result.error.code if result.error else ""
        for result in response
    ]


class Ask(NamedTuple):
    """What is asked, and the how manieth time."""

    text: str
    call: int


class Moody:
    """A chat client in virtual time that counts its calls; ``mood`` may raise, wait or answer."""

    def __init__(self, mood: Callable[[Ask], Awaitable[object]] | None = None) -> None:
        self.mood = mood
        self.calls: Counter[str] = Counter()
        self.times: list[float] = []
        self.out = self.most_out = 0

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Answers with the text, in a tenth of a second."""
        text = text_of(request)
        self.calls[text] += 1
        self.times.append(asyncio.get_running_loop().time())
        self.out += 1
        self.most_out = max(self.out, self.most_out)
        try:
            found = None if self.mood is None else await self.mood(Ask(text, self.calls[text]))
            await asyncio.sleep(0.1)
        finally:
            self.out -= 1
        if found is not None:
            return found  # type: ignore[return-value]
        usage = Usage(input_tokens=len(text), output_tokens=2)
        return ChatResponse(content=f"answer to {text}", usage=usage)


class Bench:
    """One home; each ``run`` is a program of its own, in virtual time."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.elapsed = 0.0

    def run(
        self,
        client: object,
        script: Callable[[ConcurrentProcessor], Awaitable[Value]],
        **options: Any,
    ) -> Value:
        """What the script gives; ``elapsed`` is when it ended, in virtual seconds."""
        loop = VirtualLoop(start=self.elapsed)

        async def program() -> Value:
            processor = ConcurrentProcessor(
                chat=client, home=self.home, runtime=virtual_runtime(loop), **options
            )
            try:
                return await script(processor)
            finally:
                self.elapsed = loop.time()
                await processor.aclose()

        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(program())

    def ask(self, client: object, *texts: str, **options: Any) -> list[str]:
        """The answers' texts and the errors' codes, in the order of the requests."""

        async def script(processor: ConcurrentProcessor) -> list[str]:
            requests = [ChatRequest(messages=text) for text in texts]
            return told(await processor.aprocess(requests))

        return self.run(client, script, **options)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty home."""
    return Bench(tmp_path / "home")

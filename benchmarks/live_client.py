"""Live calls in a process of their own: a plain loop of the SDK's, our client, or ai-batch.

Prints one line of JSON. Memory is the highest above what the imports took.
"""

import argparse
import asyncio
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import openai

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import ChatRequest, user
from ai_batch.openai import OpenAIChat
from benchmarks.batch_client import TEXT
from benchmarks.launch import memory, processor_seconds

MODEL = "gpt-4o-mini"

IMPORTED_WHEN_USED = (
    "ai_batch.concurrent.workshop",
    "anyio._backends._asyncio",
    "openai.resources.chat.completions",
)


def texts(count: int) -> Iterator[str]:
    """Prompts of about 1 KB that differ."""
    return (f"{number}: {TEXT}" for number in range(count))


async def bounded(count: int, concurrency: int, ask: Callable[[str], Awaitable[bool]]) -> int:
    """As many calls at once as workers; the number of answers."""
    source, answered = texts(count), 0

    async def work() -> None:
        nonlocal answered
        for text in source:
            found = await ask(text)
            answered += found

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return answered


def loop(url: str, count: int, concurrency: int) -> int:
    """What people write: the SDK's own call, under a bound."""

    async def main() -> int:
        async with openai.AsyncOpenAI(base_url=url, api_key="test", max_retries=0) as client:

            async def ask(text: str) -> bool:
                answer = await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": text}]
                )
                return bool(answer.choices[0].message.content)

            return await bounded(count, concurrency, ask)

    return asyncio.run(main())


def client(url: str, count: int, concurrency: int) -> int:
    """The live client alone, without anything kept: the most that ai-batch could reach."""

    async def main() -> int:
        chat = OpenAIChat(model=MODEL, base_url=url, api_key="test")

        async def ask(text: str) -> bool:
            return bool((await chat.chat(ChatRequest(messages=text))).content)

        try:
            return await bounded(count, concurrency, ask)
        finally:
            await chat.aclose()

    return asyncio.run(main())


def ours(url: str, count: int, concurrency: int) -> int:
    """A job: planned, answered, on disk, and read back."""
    with tempfile.TemporaryDirectory() as home:
        client = OpenAIChat(model=MODEL, base_url=url, api_key="test")
        requests = (ChatRequest(messages=[user(text)]) for text in texts(count))
        with ConcurrentProcessor(chat=client, max_concurrency=concurrency, home=home) as processor:
            response = processor.process(requests)
            return sum(result.chat is not None and bool(result.chat.content) for result in response)


WAYS: dict[str, Callable[[str, int, int], int]] = {"loop": loop, "client": client, "ai-batch": ours}


def main() -> None:
    """Make the calls and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--way", choices=WAYS, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--concurrency", type=int, default=100)
    arguments = parser.parse_args()
    for name in IMPORTED_WHEN_USED:
        importlib.import_module(name)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Forget the peak so far.
    baseline, started, cpu = memory("VmRSS"), time.perf_counter(), processor_seconds()
    answered = WAYS[arguments.way](arguments.url, arguments.count, arguments.concurrency)
    took = time.perf_counter() - started
    figures = {
        "way": arguments.way,
        "requests": arguments.count,
        "concurrency": arguments.concurrency,
        "wall_s": took,
        "cpu_s": processor_seconds() - cpu,
        "per_second": answered / took,
        "peak_mb": memory("VmHWM") - baseline,
    }
    sys.stdout.write(json.dumps(figures) + os.linesep)
    if answered != arguments.count:
        sys.exit(f"only {answered} of {arguments.count} requests were answered")


if __name__ == "__main__":
    main()

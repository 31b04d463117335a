"""autobatcher: `BatchOpenAI` with `completion_window="24h"`, gathered as in its documentation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from autobatcher import BatchOpenAI

if TYPE_CHECKING:
    from benchmarks.launch import Row, Task


def _client(task: Task) -> BatchOpenAI:
    return BatchOpenAI(
        base_url=task.url,
        api_key="test",
        completion_window="24h",
        batch_size=50_000,
        batch_window_seconds=2.0,
        poll_interval_seconds=1.0,
    )


def native(task: Task) -> list[Row]:
    """As many batches as are needed; answers by position, exceptions among them."""

    async def run() -> list[Row]:
        async with _client(task) as client:
            calls = (
                client.chat.completions.create(
                    model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}]
                )
                for _, prompt in task.requests()
            )
            found = await asyncio.gather(*calls, return_exceptions=True)
        return [
            (None, None, str(one))
            if isinstance(one, BaseException)
            else (None, one.choices[0].message.content, None)
            for one in found
        ]

    return asyncio.run(run())


def native_embeddings(task: Task) -> list[Row]:
    """As many batches as are needed, a text a request."""

    async def run() -> list[Row]:
        async with _client(task) as client:
            calls = (
                client.embeddings.create(model="text-embedding-3-small", input=text)
                for _, text in task.requests()
            )
            found = await asyncio.gather(*calls)
        return [(None, task.brief(one.data[0].embedding), None) for one in found]

    return asyncio.run(run())

"""lm-deluge: `LLMClient` for calls, its batch jobs, and `embed_parallel_async`.

https://github.com/taylorai/lm_deluge. Addresses of batches and embeddings are fixed in it: calls to
api.openai.com go to the benchmark's server. It polls every 30 s by default, here every second.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
from lm_deluge import LLMClient
from lm_deluge.batches import wait_for_batch_completion_async
from lm_deluge.embed import embed_parallel_async
from lm_deluge.models import registry

if TYPE_CHECKING:
    from benchmarks.launch import Row, Task

FIXED = "https://api.openai.com/v1"
_request = aiohttp.ClientSession._request  # noqa: SLF001 - no other way leads elsewhere.


def _lead_to(url: str) -> None:
    async def request(self: aiohttp.ClientSession, method: str, to: Any, **options: Any) -> Any:
        return await _request(self, method, str(to).replace(FIXED, url), **options)

    aiohttp.ClientSession._request = request  # noqa: SLF001
    registry["gpt-4o-mini"].api_base = url


def _client(task: Task) -> LLMClient:
    _lead_to(task.url)
    return LLMClient(
        "gpt-4o-mini",
        max_requests_per_minute=100_000_000,
        max_tokens_per_minute=10**12,
        max_concurrent_requests=task.at_once,
        max_new_tokens=512,
    )


def native(task: Task) -> list[Row]:
    """As many batches as are needed; the vendor's rows, by position."""

    async def run() -> list[Row]:
        client = _client(task)
        prompts = [prompt for _, prompt in task.requests()]
        ids = await client.submit_batch_job(prompts)
        found = await wait_for_batch_completion_async(ids, "openai", poll_interval=1)
        return [
            (None, row["response"]["body"]["choices"][0]["message"]["content"], None)
            for row in found
        ]

    return asyncio.run(run())


def concurrent(task: Task) -> list[Row]:
    """Live calls; answers by position."""

    async def run() -> list[Row]:
        prompts = [prompt for _, prompt in task.requests()]
        found = await _client(task).process_prompts_async(prompts, show_progress=False)
        return [(None, one.completion, one.error_message) for one in found]

    return asyncio.run(run())


def embeddings(task: Task) -> list[Row]:
    """Live calls of many texts each."""

    async def run() -> list[Row]:
        _lead_to(task.url)
        found = await embed_parallel_async(
            [text for _, text in task.requests()],
            model="text-embedding-3-small",
            max_requests_per_minute=100_000_000,
            max_tokens_per_minute=10**12,
            max_concurrent_requests=task.at_once,
            batch_size=96,
            show_progress=False,
        )
        return [(None, task.brief(one), None) for part in found for one in part.embeddings]

    return asyncio.run(run())

"""batchwork-ai, as its quickstart has it: https://batchwork.ajanraj.com/docs/guides/jobs.

A job holds 50,000 requests at most; there is a registry of jobs in its command line only.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from batchwork import BatchEmbeddingRequest, BatchRequest, Batchwork

if TYPE_CHECKING:
    from batchwork import BatchJob, BatchResult

    from benchmarks.launch import Row, Task


async def _results(job: BatchJob) -> list[BatchResult]:
    await job.wait(poll_interval=1)
    return await job.collect()


def native(task: Task) -> list[Row]:
    """One job."""

    async def run() -> list[BatchResult]:
        async with Batchwork() as client:
            job = await client.batch(
                model="openai/gpt-4o-mini",
                requests=[BatchRequest(custom_id=id, prompt=text) for id, text in task.requests()],
                api_key="test",
                base_url=task.url,
            )
            return await _results(job)

    return [(one.custom_id, one.text, one.error and str(one.error)) for one in asyncio.run(run())]


def native_embeddings(task: Task) -> list[Row]:
    """One job, a text a request."""

    async def run() -> list[BatchResult]:
        async with Batchwork() as client:
            rows = task.requests()
            job = await client.batch_embeddings(
                model="openai/text-embedding-3-small",
                requests=[BatchEmbeddingRequest(custom_id=id, value=text) for id, text in rows],
                api_key="test",
                base_url=task.url,
            )
            return await _results(job)

    return [(one.custom_id, task.brief(one.embedding or []), None) for one in asyncio.run(run())]

"""async-batch-llm: `process_prompts` with a checkpoint file, as in its "production runs"."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import openai.resources.chat.completions
from async_batch_llm import (
    ArtifactIdentity,
    JsonlArtifactStore,
    ProcessorConfig,
    ResumePolicy,
    llm,
    process_prompts,
)

if TYPE_CHECKING:
    from benchmarks.launch import Row, Task

IMPORTED = (openai,)


def concurrent(task: Task) -> list[Row]:
    """Live calls; running it again takes what the checkpoint file has."""

    async def run() -> list[Row]:
        identity = ArtifactIdentity(provider="openai", model="gpt-4o-mini")
        done = await process_prompts(
            llm("openai-compatible:gpt-4o-mini", base_url=task.url, api_key="test"),
            list(task.requests()),
            config=ProcessorConfig(concurrency=task.at_once),
            artifact_store=JsonlArtifactStore(task.home / "run.jsonl", identity=identity),
            resume=ResumePolicy.REUSE_SUCCESSES,
            preserve_order=True,
        )
        return [(one.item_id, one.output, one.error) for one in done.results]

    return asyncio.run(run())

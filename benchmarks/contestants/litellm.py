"""LiteLLM: its calls for files and batches, and `acompletion` under a semaphore.

https://docs.litellm.ai/docs/batches: lines are written and read by the user.
"""

from __future__ import annotations

import asyncio
import io
import json
import time
from itertools import islice
from typing import TYPE_CHECKING

import litellm

if TYPE_CHECKING:
    from benchmarks.launch import Row, Task

TEXTS_A_CALL = 96


def native(task: Task) -> list[Row]:
    """One batch, by hand."""
    given = {"custom_llm_provider": "openai", "api_base": task.url, "api_key": "test"}
    lines = io.BytesIO()
    for id, prompt in task.requests():
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]}
        line = {"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}
        lines.write(json.dumps(line).encode() + b"\n")
    file = litellm.create_file(file=("in.jsonl", lines.getvalue()), purpose="batch", **given)
    batch = litellm.create_batch(
        completion_window="24h", endpoint="/v1/chat/completions", input_file_id=file.id, **given
    )
    while batch.status != "completed":
        if batch.status in {"failed", "expired", "cancelled"}:
            raise RuntimeError(batch.status)
        time.sleep(1)
        batch = litellm.retrieve_batch(batch_id=batch.id, **given)
    found: list[Row] = []
    for name in filter(None, (batch.output_file_id, batch.error_file_id)):
        for line in litellm.file_content(file_id=name, **given).content.splitlines():
            row = json.loads(line)
            if row["response"]["status_code"] == 200:
                text = row["response"]["body"]["choices"][0]["message"]["content"]
                found.append((row["custom_id"], text, None))
            else:
                found.append((row["custom_id"], None, json.dumps(row["response"])))
    return found


def concurrent(task: Task) -> list[Row]:
    """Live calls under a semaphore; answers by position."""

    async def run() -> list[Row]:
        limit = asyncio.Semaphore(task.at_once)

        async def ask(prompt: str) -> Row:
            async with limit:
                done = await litellm.acompletion(
                    model="openai/gpt-4o-mini",
                    messages=[{"role": "user", "content": prompt}],
                    api_base=task.url,
                    api_key="test",
                )
                return None, done.choices[0].message.content, None

        return list(await asyncio.gather(*(ask(prompt) for _, prompt in task.requests())))

    return asyncio.run(run())


def embeddings(task: Task) -> list[Row]:
    """Live calls of many texts each, under a semaphore; answers by position."""

    async def run() -> list[Row]:
        limit, rows = asyncio.Semaphore(task.at_once), task.requests()

        async def ask(texts: list[str]) -> list[Row]:
            async with limit:
                done = await litellm.aembedding(
                    model="openai/text-embedding-3-small",
                    input=texts,
                    api_base=task.url,
                    api_key="test",
                )
                return [(None, task.brief(one["embedding"]), None) for one in done.data]

        groups = iter(lambda: [text for _, text in islice(rows, TEXTS_A_CALL)], [])
        found = await asyncio.gather(*map(ask, groups))
        return [row for group in found for row in group]

    return asyncio.run(run())

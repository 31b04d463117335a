"""Pydantic AI's direct requests: `model_request_batch`, and `model_request` under a limiter.

https://ai.pydantic.dev/batch/. OpenAI's batches go to the endpoint `/v1/responses`.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic_ai import ModelRequest
from pydantic_ai.direct import model_request, model_request_batch
from pydantic_ai.models.batch import BatchRequest
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from benchmarks.launch import Row, Task


def native(task: Task) -> list[Row]:
    """As many batches as are needed; answers by position, exceptions among them."""

    async def run() -> list[Row]:
        provider = OpenAIProvider(base_url=task.url, api_key="test")
        found = await model_request_batch(
            OpenAIResponsesModel("gpt-4o-mini", provider=provider),
            [
                BatchRequest(custom_id=id, messages=[ModelRequest.user_text_prompt(prompt)])
                for id, prompt in task.requests()
            ],
            poll_interval=timedelta(seconds=1),
            max_poll_interval=timedelta(seconds=1),
        )
        return [
            (None, None, str(one)) if isinstance(one, Exception) else (None, one.text, None)
            for one in found
        ]

    return asyncio.run(run())


def concurrent(task: Task) -> list[Row]:
    """Live calls under a semaphore."""

    async def run() -> list[Row]:
        provider = OpenAIProvider(base_url=task.url, api_key="test")
        model = OpenAIChatModel("gpt-4o-mini", provider=provider)
        limit = asyncio.Semaphore(task.at_once)

        async def ask(prompt: str) -> Row:
            async with limit:
                done = await model_request(model, [ModelRequest.user_text_prompt(prompt)])
                return None, done.text, None

        return list(await asyncio.gather(*(ask(prompt) for _, prompt in task.requests())))

    return asyncio.run(run())

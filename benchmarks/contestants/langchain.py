"""LangChain: `ChatOpenAI.abatch` with `max_concurrency`, and `OpenAIEmbeddings`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import openai.resources.chat.completions
import openai.resources.embeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

if TYPE_CHECKING:
    from benchmarks.launch import Row, Task

IMPORTED = (openai,)


def concurrent(task: Task) -> list[Row]:
    """Live calls; answers by position, exceptions among them."""
    model = ChatOpenAI(model="gpt-4o-mini", base_url=task.url, api_key="test")
    prompts = [prompt for _, prompt in task.requests()]
    config = {"max_concurrency": task.at_once}
    found = asyncio.run(model.abatch(prompts, config=config, return_exceptions=True))
    return [
        (None, None, str(one)) if isinstance(one, Exception) else (None, one.text, None)
        for one in found
    ]


def embeddings(task: Task) -> list[Row]:
    """Live calls of many texts each, one after another: it has no more than that."""
    model = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=task.url,
        api_key="test",
        chunk_size=96,
        check_embedding_ctx_length=False,
    )
    found = asyncio.run(model.aembed_documents([text for _, text in task.requests()]))
    return [(None, task.brief(one), None) for one in found]

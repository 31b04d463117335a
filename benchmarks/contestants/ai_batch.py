"""ai-batch: `OpenAIProcessor` for batches, `ConcurrentProcessor` with `OpenAIChat` for calls.

What it else imports when it is used is imported first, so that it counts as imports, as it does
with all others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import anyio._backends._asyncio
import httpcore2
import openai.resources.batches
import openai.resources.chat.completions
import openai.resources.embeddings
import openai.resources.files

import ai_batch.concurrent.workshop
import ai_batch.core.jobs
import ai_batch.openai.provider
from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import ChatRequest, EmbeddingRequest
from ai_batch.openai import OpenAIChat, OpenAIEmbedder, OpenAIProcessor

if TYPE_CHECKING:
    from ai_batch.core import NativeProcessor, Result
    from benchmarks.launch import Row, Task

IMPORTED = (ai_batch, anyio, httpcore2, openai)
TEXTS_A_CALL = 96


def _row(result: Result) -> Row:
    if result.chat is not None:
        return result.id, result.chat.content, None
    return result.id, None, str(result.error)


def _processor(task: Task) -> NativeProcessor:
    return OpenAIProcessor(
        model="gpt-4o-mini",
        embedding_model="text-embedding-3-small",
        base_url=task.url,
        api_key="test",
        home=task.home,
        poll_interval=1,
    )


def native(task: Task) -> Iterator[Row]:
    """A job of batches; running it again continues it."""
    requests = (ChatRequest(id=id, messages=prompt) for id, prompt in task.requests())
    with _processor(task) as processor:
        yield from map(_row, processor.process(requests))


def native_embeddings(task: Task) -> Iterator[Row]:
    """A job of batches, a text a request."""
    requests = (EmbeddingRequest(id=id, texts=[text]) for id, text in task.requests())
    with _processor(task) as processor:
        for result in processor.process(requests):
            if result.embedding is None:
                yield result.id, None, str(result.error)
            else:
                yield result.id, task.brief(result.embedding.vectors[0]), None


def concurrent(task: Task) -> Iterator[Row]:
    """Live calls; running it again continues it."""
    client = OpenAIChat(model="gpt-4o-mini", base_url=task.url, api_key="test")
    requests = (ChatRequest(id=id, messages=prompt) for id, prompt in task.requests())
    with ConcurrentProcessor(
        chat=client, max_concurrency=task.at_once, home=task.home
    ) as processor:
        yield from map(_row, processor.process(requests))


def embeddings(task: Task) -> Iterator[Row]:
    """Live calls of many texts each."""
    client = OpenAIEmbedder(model="text-embedding-3-small", base_url=task.url, api_key="test")
    rows = task.requests()
    groups = iter(lambda: list(itertools.islice(rows, TEXTS_A_CALL)), [])
    requests = (EmbeddingRequest(texts=[text for _, text in group]) for group in groups)
    with ConcurrentProcessor(
        embedder=client, max_concurrency=task.at_once, home=task.home
    ) as processor:
        for result in processor.process(requests):
            if result.embedding is None:
                raise RuntimeError(str(result.error))
            yield from ((None, task.brief(vector), None) for vector in result.embedding.vectors)

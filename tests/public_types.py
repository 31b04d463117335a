"""Public names, used as users use them. Never run: mypy and pyright, both strict, read it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import assert_type

from pydantic import BaseModel

from ai_batch.core import (
    BatchResponse,
    ChatRequest,
    ChatResponse,
    CompleteEvent,
    EmbeddingRequest,
    EmbeddingResponse,
    ErrorEvent,
    ItemEvent,
    Job,
    ProgressEvent,
    Request,
    Result,
    Tool,
    Usage,
    assistant,
    system,
    user,
)
from ai_batch.emulator import Emulator
from ai_batch.openai import OpenAIProcessor


class City(BaseModel):
    """What an answer is parsed into."""

    name: str


def weather(city: str) -> str:
    """What a tool is made from."""
    return city


REQUESTS: list[Request] = [
    ChatRequest(id="q1", messages="What is the capital of France?", output_type=City),
    ChatRequest(messages=[system("Be brief."), user("And of Japan?"), assistant("Tokyo.")]),
    ChatRequest(messages=user("Rain?"), tools=[Tool.from_function(weather)], stop="\n"),
    EmbeddingRequest(id="e1", texts="one text", dimensions=256),
    EmbeddingRequest(texts=["one", "two"], metadata={"source": "test"}),
]


def options() -> OpenAIProcessor:
    """Every kind of option: plain, a duration, and one that is off."""
    return OpenAIProcessor(
        model="gpt-5-mini",
        poll_interval=timedelta(seconds=30),
        timeout=60,
        max_attempts=3,
        max_cost=1.5,
        deadline=None,
    )


def one_call(processor: OpenAIProcessor) -> None:
    """A batch as one call, and what it gives."""
    response = processor.process(REQUESTS)
    assert_type(response, BatchResponse)
    assert_type(response.usage, Usage)
    assert_type(response.completed + response.failed + response.total, int)
    for result in response:
        one_result(result)


def one_result(result: Result) -> None:
    """Exactly one of chat, embedding and error is there."""
    assert_type(result.id, str)
    assert_type(result.ok, bool)
    if result.error:
        assert_type(result.error.retryable, bool)
    if result.chat:
        assert_type(result.chat, ChatResponse)
        assert_type(result.chat.content, str)
    if result.embedding:
        assert_type(result.embedding, EmbeddingResponse)
        assert_type(result.embedding.vectors, list[list[float]])


async def without_blocking(processor: OpenAIProcessor, more: AsyncIterator[Request]) -> None:
    """The same in async code; requests may come from anywhere, a file among others."""
    assert_type(await processor.aprocess(more), BatchResponse)
    assert_type(await processor.aplan("requests.jsonl"), Job)
    assert_type(await processor.asubmit("requests.jsonl"), Job)
    async for event in processor.astream([{"id": "q1", "messages": "Hello"}]):
        if isinstance(event, ItemEvent):
            one_result(event.result)
        elif isinstance(event, CompleteEvent):
            assert_type(event.response, BatchResponse)
        elif isinstance(event, ProgressEvent):
            assert_type(event.progress.total, int)
        else:
            assert_type(event, ErrorEvent)


def by_type(processor: OpenAIProcessor) -> None:
    """The `type` of an event tells it apart for the checkers, too."""
    for event in processor.stream(REQUESTS):
        if event.type == "item":
            assert_type(event, ItemEvent)


def later(processor: OpenAIProcessor) -> None:
    """A job that is submitted now and joined by another process."""
    assert_type(processor.plan(REQUESTS), Job)
    job = processor.submit(REQUESTS)
    assert_type(processor.attach(job.id), Job)
    assert_type(job.join(timeout=10), BatchResponse)
    for result in job.results():
        one_result(result)
    job.cancel()
    assert_type(job.retry_failed(), Job)


def against_the_emulator() -> None:
    """The emulator is a context manager with an address for each vendor."""
    with Emulator() as emulator:
        assert_type(emulator.openai_url, str)

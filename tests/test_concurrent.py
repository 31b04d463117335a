"""The concurrent runner over HTTP: real SDKs, and the emulator's live endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai_batch.anthropic import AnthropicChat
from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import (
    AuthenticationFailed,
    ChatRequest,
    EmbeddingRequest,
    Request,
    Result,
    Usage,
)
from ai_batch.emulator import AnthropicLimits, Emulator, Fault, GeminiLimits, Latency, Limits
from ai_batch.emulator.contract.output_types import CASES
from ai_batch.emulator.contract.spoken import TOKENS, Scripted
from ai_batch.gemini import GeminiChat, GeminiEmbedder
from ai_batch.openai import OpenAIChat, OpenAIEmbedder, OpenAIProcessor


def openai_chat(emulator: Emulator) -> OpenAIChat:
    """A client of OpenAI's chats."""
    return OpenAIChat(model="gpt-4o-mini", base_url=emulator.openai_url, api_key="test")


def anthropic_chat(emulator: Emulator) -> AnthropicChat:
    """A client of Anthropic's messages."""
    return AnthropicChat(model="claude-haiku-4-5", base_url=emulator.anthropic_url, api_key="test")


def gemini_chat(emulator: Emulator) -> GeminiChat:
    """A client of Gemini's chats."""
    return GeminiChat(model="gemini-2.5-flash", base_url=emulator.gemini_url, api_key="test")


CHATS: dict[str, Callable[[Emulator], Any]] = {
    "openai": openai_chat,
    "anthropic": anthropic_chat,
    "gemini": gemini_chat,
}


def prompts(count: int) -> list[ChatRequest]:
    """Requests that differ."""
    return [ChatRequest(id=f"r{n}", messages=f"say {n}") for n in range(count)]


def check_answers(response: Any, count: int) -> None:
    """Each request has its own answer."""
    assert [result.chat and result.chat.content for result in response] == [
        f"say {n}" for n in range(count)
    ]


@pytest.mark.parametrize("vendor", CHATS)
def test_a_troubled_vendor_answers_everything(tmp_path: Path, vendor: Any) -> None:
    """20 % of 429s with Retry-After and 5 % of 503s cost no item, and no call beyond their own."""
    # Whole seconds are the only other form of OpenAI's and Anthropic's, and many of them.
    form: dict[str, Any] = {} if vendor == "gemini" else {"retry_after_as": "milliseconds"}
    faults = [
        Fault(vendor=vendor, probability=0.2, status=429, retry_after=0.05, **form),
        Fault(vendor=vendor, probability=0.05, status=503),
    ]
    with Emulator() as emulator:
        for fault in faults:
            emulator.inject(fault)
        client = CHATS[vendor](emulator)
        with ConcurrentProcessor(chat=client, max_concurrency=20, home=tmp_path) as processor:
            check_answers(processor.process(prompts(300)), 300)
        live = emulator.stats.live[vendor]

    assert live.answered == 300
    assert live.received == 300 + live.faulted
    assert live.faulted > 40


@pytest.mark.parametrize("vendor", CHATS)
def test_the_vendors_own_limits_are_lived_with(tmp_path: Path, vendor: Any) -> None:
    """Where the emulator refuses what is too much, everything is answered in the end."""
    limits: dict[str, Any] = {
        "limits": Limits(requests_per_minute=60),
        "anthropic_limits": AnthropicLimits(requests_per_minute=60),
        "gemini_limits": GeminiLimits(requests_per_minute=60),
    }
    with Emulator(**limits) as emulator:
        client = CHATS[vendor](emulator)
        with ConcurrentProcessor(chat=client, max_concurrency=10, home=tmp_path) as processor:
            check_answers(processor.process(prompts(64)), 64)
        live = emulator.stats.live[vendor]

    assert live.answered == 64
    assert live.limited > 0


@pytest.mark.parametrize("spoil", ["broken_json", "empty", "html", "null"])
@pytest.mark.parametrize("vendor", CHATS)
def test_an_answer_that_is_none_is_asked_again(tmp_path: Path, vendor: Any, spoil: Any) -> None:
    """Whatever comes instead of it."""
    with Emulator() as emulator:
        emulator.inject(Fault(vendor=vendor, nth=2, spoil=spoil))
        client = CHATS[vendor](emulator)
        with ConcurrentProcessor(chat=client, home=tmp_path) as processor:
            response = processor.process(prompts(5))
            check_answers(response, 5)
            assert sorted(result.attempts for result in response) == [1, 1, 1, 1, 2]


@pytest.mark.parametrize("vendor", CHATS)
def test_cut_and_hanging_calls_are_made_again(tmp_path: Path, vendor: Any) -> None:
    """Before and after the answer was made."""
    with Emulator() as emulator:
        emulator.inject(Fault(vendor=vendor, nth=1, cut="before"))
        emulator.inject(Fault(vendor=vendor, nth=3, cut="after"))
        emulator.inject(Fault(vendor=vendor, nth=5, hang="before"))
        client = CHATS[vendor](emulator)
        with ConcurrentProcessor(
            chat=client, home=tmp_path, max_concurrency=2, timeout=2
        ) as processor:
            check_answers(processor.process(prompts(10)), 10)


@pytest.mark.parametrize("vendor", CHATS)
def test_a_wrong_key_stops_the_run_and_can_be_mended(tmp_path: Path, vendor: Any) -> None:
    """The error is the vendor's, without the key in it."""
    with Emulator(api_keys=["right"]) as emulator:
        client = CHATS[vendor](emulator)
        with (
            ConcurrentProcessor(chat=client, home=tmp_path) as processor,
            pytest.raises(AuthenticationFailed),
        ):
            processor.process(prompts(50))
        assert emulator.stats.live[vendor].answered == 0


def test_live_and_batch_answers_are_alike(tmp_path: Path) -> None:
    """Chats and embeddings: only ids and prices differ."""
    embedding = EmbeddingRequest(id="e", texts=["a", "b"], dimensions=8)
    requests: list[Request] = [*prompts(2), embedding]
    chats, vectors = "gpt-4o-mini", "text-embedding-3-small"
    with Emulator() as emulator:
        address: dict[str, Any] = {"base_url": emulator.openai_url, "api_key": "test"}
        batch = OpenAIProcessor(
            model=chats, embedding_model=vectors, home=tmp_path / "batch", **address
        )
        live = ConcurrentProcessor(
            chat=OpenAIChat(model=chats, **address),
            embedder=OpenAIEmbedder(model=vectors, **address),
            home=tmp_path / "live",
        )
        with batch, live:
            for one, other in zip(batch.process(requests), live.process(requests), strict=True):
                assert contents(one) == contents(other)
                assert one.usage == other.usage


def contents(result: Result) -> object:
    """What was answered."""
    if result.chat is not None:
        return result.chat.content, result.chat.finish_reason
    assert result.embedding is not None
    return result.embedding.vectors


def test_geminis_vectors_come_at_once_too(tmp_path: Path) -> None:
    """One for each text."""
    with Emulator() as emulator:
        embedder = GeminiEmbedder(
            model="gemini-embedding-001", base_url=emulator.gemini_url, api_key="test"
        )
        with ConcurrentProcessor(embedder=embedder, home=tmp_path) as processor:
            [result] = processor.process([EmbeddingRequest(texts=["a", "b", "c"])])

    assert result.embedding is not None
    assert result.embedding.count == 3


def test_hundreds_of_calls_are_out_at_once(tmp_path: Path) -> None:
    """A latency of some seconds is waited for by all of them together."""
    with Emulator(latency=Latency(median=3.0, sigma=0.1)) as emulator:
        client = openai_chat(emulator)
        with ConcurrentProcessor(chat=client, max_concurrency=300, home=tmp_path) as processor:
            check_answers(processor.process(prompts(300)), 300)
        assert emulator.stats.live["openai"].most_in_flight > 250


def test_a_client_serves_several_event_loops(tmp_path: Path) -> None:
    """The same client in a blocking call, and in an event loop of the caller's."""
    with Emulator() as emulator:
        client = openai_chat(emulator)
        with ConcurrentProcessor(chat=client, home=tmp_path) as processor:
            check_answers(processor.process(prompts(3)), 3)

            async def script() -> None:
                check_answers(await processor.aprocess(prompts(4)), 4)

            asyncio.run(script())


@pytest.mark.parametrize("vendor", CHATS)
def test_every_type_comes_back_as_itself(tmp_path: Path, vendor: str) -> None:
    """What did not fit was asked again at once; each answer is in its item's usage and cost."""
    script = {f"an example of {name}": ["no JSON", case.text] for name, case in CASES.items()}
    requests = [
        ChatRequest(id=name, messages=f"an example of {name}", output_type=case.output_type)
        for name, case in CASES.items()
    ]
    with Emulator(answer=Scripted(script)) as emulator:
        client = CHATS[vendor](emulator)
        with ConcurrentProcessor(chat=client, home=tmp_path, retry_invalid=True) as processor:
            response = processor.process(requests)
        found = {one.id: one.chat and one.chat.parsed for one in response}
        assert emulator.stats.live[vendor].answered == 2 * len(CASES)

    assert found == {name: case.parsed for name, case in CASES.items()}
    twice = Usage(input_tokens=2 * TOKENS[0], output_tokens=2 * TOKENS[1])
    assert [one.usage for one in response] == [twice] * len(CASES)
    assert [one.attempts for one in response] == [2] * len(CASES)
    assert response.usage.total_tokens == twice.total_tokens * len(CASES)
    assert response.cost == pytest.approx(len(CASES) * client.cost(client.model, twice))

"""What a user of the concurrent processor sees."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from packages.concurrent.tests.conftest import Ask, Bench, Moody, text_of, told
from pydantic import BaseModel

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import (
    AuthenticationFailed,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ItemEvent,
    ProviderError,
    ProviderUnavailable,
    QuotaExhausted,
    RateLimited,
    RequestRefused,
    Usage,
    UsageError,
)
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.ledger import Ledger


def answers(*texts: str) -> list[str]:
    """What an untroubled client gives."""
    return [f"answer to {text}" for text in texts]


# -- the same interface as a native processor --------------------------------------------------


def test_results_come_in_the_order_of_the_requests(bench: Bench) -> None:
    """However long each of them takes."""

    async def mood(ask: Ask) -> object:
        await asyncio.sleep(10.0 if ask.text == "a" else 1.0)
        return None

    assert bench.ask(Moody(mood), *"abc") == answers(*"abc")
    assert 10.0 < bench.elapsed < 12.0


def test_items_are_delivered_as_they_finish(bench: Bench) -> None:
    """A slow request holds up nobody else's result."""

    async def mood(ask: Ask) -> object:
        await asyncio.sleep(float(ask.text))
        return None

    async def script(processor: ConcurrentProcessor) -> list[tuple[str, float]]:
        loop = asyncio.get_running_loop()
        requests = [ChatRequest(messages=text) for text in ("300", "20", "1")]
        return [
            (event.result.id, round(loop.time(), -1))
            async for event in processor.astream(requests)
            if isinstance(event, ItemEvent)
        ]

    assert bench.run(Moody(mood), script, timeout=1000) == [
        ("req_2", 0.0),
        ("req_1", 20.0),
        ("req_0", 300.0),
    ]


def test_each_item_comes_once(bench: Bench) -> None:
    """Also to one who looks at the job late, or is slow himself."""

    async def mood(ask: Ask) -> object:
        await asyncio.sleep(random.Random(ask.text).random())
        return None

    async def script(processor: ConcurrentProcessor) -> list[int]:
        job = await processor.asubmit([ChatRequest(messages=str(n)) for n in range(200)])
        await asyncio.sleep(3.0)
        found: list[int] = []
        async for event in job.aevents():
            if isinstance(event, ItemEvent):
                found.append(event.result.index)
                await asyncio.sleep(0.01)
        return found

    found = bench.run(Moody(mood), script, max_concurrency=5)
    assert sorted(found) == list(range(200))
    assert found != sorted(found)


def test_no_more_calls_are_out_than_allowed(bench: Bench) -> None:
    """But as many as that."""
    client = Moody()

    assert bench.ask(client, *map(str, range(100)), max_concurrency=7) == answers(
        *map(str, range(100))
    )
    assert client.most_out == 7


def test_usage_counts_attempts_and_totals_are_there(bench: Bench) -> None:
    """As with a batch: sums over the job, and attempts for each item."""

    async def mood(ask: Ask) -> object:
        if ask.text == "bb" and ask.call < 3:
            raise ProviderUnavailable("503")
        return None

    async def script(processor: ConcurrentProcessor) -> tuple[Any, ...]:
        response = await processor.aprocess(["a", "bb"])
        attempts = [result.attempts for result in response]
        return response.total, response.failed, response.usage.total_tokens, attempts

    assert bench.run(Moody(mood), script) == (2, 0, 3 + 4, [1, 3])


def test_chats_and_embeddings_run_side_by_side(tmp_path: Path) -> None:
    """Each through its own client, in one response."""

    def chat(request: ChatRequest) -> ChatResponse:
        return ChatResponse(content=text_of(request).upper())

    async def embed(request: EmbeddingRequest) -> EmbeddingResponse:
        return EmbeddingResponse(vectors=[[float(len(text))] for text in request.texts])

    with ConcurrentProcessor(chat=chat, embedder=embed, home=tmp_path) as processor:
        found = processor.process([ChatRequest(messages="a"), EmbeddingRequest(texts=["b", "cc"])])
        results = list(found)

    assert results[0].chat is not None
    assert results[0].chat.content == "A"
    assert results[1].embedding is not None
    assert results[1].embedding.vectors == [[1.0], [2.0]]


def test_a_missing_client_is_the_items_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told of when the job is planned, and the other kind is answered."""

    def chat(_: ChatRequest) -> ChatResponse:
        return ChatResponse(content="yes")

    with (
        caplog.at_level(logging.WARNING),
        ConcurrentProcessor(chat=chat, home=tmp_path) as processor,
    ):
        found = list(processor.process(["a", EmbeddingRequest(texts=["b"])]))

    assert found[0].ok
    assert found[1].error is not None
    assert found[1].error.code == "no_client"
    assert "embedder=" in found[1].error.message
    assert "no client for embedding requests" in caplog.text


class City(BaseModel):
    """What is asked for."""

    name: str


def test_structured_output_is_parsed(tmp_path: Path) -> None:
    """In the response as well as in the stream; what does not fit is that item's error."""

    def chat(request: ChatRequest) -> ChatResponse:
        return ChatResponse(content='{"name":"Oslo"}' if text_of(request) == "a" else "Oslo")

    requests = [ChatRequest(messages=text, output_type=City) for text in "ab"]
    with ConcurrentProcessor(chat=chat, home=tmp_path) as processor:
        events = list(processor.stream(requests))

    items = {event.result.id: event.result for event in events if isinstance(event, ItemEvent)}
    assert items["req_0"].chat is not None
    assert items["req_0"].chat.parsed == City(name="Oslo")
    assert items["req_1"].error is not None
    assert items["req_1"].error.code == "invalid_output"


# -- clients that misbehave --------------------------------------------------------------------


async def _raise(_: Ask) -> object:
    raise ValueError("I never work")


async def _hang(_: Ask) -> None:
    await asyncio.sleep(1e9)


async def _hang_on(_: Ask) -> None:
    try:
        await asyncio.sleep(1e6)
    except asyncio.CancelledError:
        await asyncio.sleep(1e6)


async def _exit(_: Ask) -> object:
    raise SystemExit(3)


async def _cancel(_: Ask) -> object:
    raise asyncio.CancelledError


async def _text(_: Ask) -> object:
    return "only a text"


@pytest.mark.parametrize(
    ("mood", "code"),
    [
        (_raise, "client_error"),
        (_hang, "timeout"),
        (_hang_on, "timeout"),
        (_exit, "client_error"),
        (_cancel, "client_error"),
        (_text, "client_error"),
    ],
    ids=["raises", "hangs", "ignores its cancellation", "exits", "cancels itself", "wrong type"],
)
def test_a_bad_call_costs_one_item(bench: Bench, mood: Any, code: str) -> None:
    """Never the run."""

    async def only_b(ask: Ask) -> object:
        return await mood(ask) if ask.text == "b" else None

    assert bench.ask(Moody(only_b), *"abc", max_attempts=2) == [
        "answer to a",
        code,
        "answer to c",
    ]


def test_none_is_no_answer(tmp_path: Path) -> None:
    """A function that forgets to return costs its items only."""
    with ConcurrentProcessor(chat=lambda _: None, home=tmp_path) as processor:
        [result] = processor.process(["a"])

    assert result.error is not None
    assert "NoneType instead of a ChatResponse" in result.error.message


def test_too_few_vectors_are_no_answer(tmp_path: Path) -> None:
    """There must be one for each text."""

    def embed(_: EmbeddingRequest) -> EmbeddingResponse:
        return EmbeddingResponse(vectors=[[1.0]])

    with ConcurrentProcessor(embedder=embed, home=tmp_path) as processor:
        [result] = processor.process([EmbeddingRequest(texts=["a", "b"])])

    assert result.error is not None
    assert "2 texts (1 came)" in result.error.message


def test_blocking_functions_run_side_by_side(tmp_path: Path) -> None:
    """In threads; one that hangs is left alone, and the others go on."""
    release = threading.Event()
    together = threading.Barrier(4)

    def chat(request: ChatRequest) -> ChatResponse:
        if text_of(request) == "hang":
            release.wait(60)
        else:
            together.wait(20)
        return ChatResponse(content="done")

    begun = time.monotonic()
    with ConcurrentProcessor(chat=chat, home=tmp_path, timeout=2, max_attempts=1) as processor:
        found = list(processor.process(["hang", *"abcd"]))
    release.set()

    assert [result.ok for result in found] == [False, True, True, True, True]
    assert time.monotonic() - begun < 30


# -- errors, retries, back-off -----------------------------------------------------------------


def test_a_passing_error_is_retried(bench: Bench) -> None:
    """Up to max_attempts, and then it is the item's error."""

    async def mood(ask: Ask) -> object:
        if ask.text == "never" or ask.call < 4:
            raise ProviderUnavailable("503", status=503)
        return None

    client = Moody(mood)

    assert bench.ask(client, "late", "never") == ["answer to late", "ProviderUnavailable"]
    assert client.calls == {"late": 4, "never": 5}


def test_a_permanent_error_is_not_retried(bench: Bench) -> None:
    """Asking again would cost money and change nothing."""

    async def mood(_: Ask) -> object:
        raise RequestRefused("no such model", status=404, code="model_not_found")

    client = Moody(mood)

    assert bench.ask(client, "a") == ["model_not_found"]
    assert client.calls == {"a": 1}


def test_one_429_slows_everybody(bench: Bench) -> None:
    """Nobody calls before the vendor's Retry-After is over, and then not all at once."""

    async def mood(ask: Ask) -> object:
        if ask.text == "0" and ask.call == 1:
            raise RateLimited("429", status=429, retry_after=30.0)
        return None

    client = Moody(mood)
    texts = [str(n) for n in range(40)]

    assert bench.ask(client, *texts, max_concurrency=8) == answers(*texts)
    early = [at for at in client.times if at < 1.0]
    late = sorted(at for at in client.times if at >= 1.0)
    assert len(early) == 8
    assert late[0] >= 30.0
    assert late[7] - late[0] > 0.5


def test_refusals_do_not_use_up_attempts(bench: Bench) -> None:
    """A busy vendor says nothing of the request."""

    async def mood(ask: Ask) -> object:
        if ask.call <= 12:
            raise RateLimited("429", status=429, retry_after=1.0)
        return None

    assert bench.ask(Moody(mood), "a", max_attempts=2) == ["answer to a"]


def test_an_outage_is_not_answered_with_a_storm(bench: Bench) -> None:
    """Retries stay in proportion to requests, whatever max_attempts allows for one of them."""

    async def mood(_: Ask) -> object:
        raise ProviderUnavailable("503", status=503)

    client = Moody(mood)
    found = bench.ask(client, *map(str, range(2000)), retry_budget=0.1, max_concurrency=50)

    assert found == ["ProviderUnavailable"] * 2000
    assert client.calls.total() <= 2000 + 100 + 200


def test_a_troubled_vendor_answers_everything(bench: Bench) -> None:
    """With 20 % of 429s and 5 % of 503s each item is answered, without a call too many."""
    dice = random.Random(7)
    failures = 0

    async def mood(_: Ask) -> object:
        nonlocal failures
        chance = dice.random()
        failures += chance < 0.25
        if chance < 0.2:
            raise RateLimited("429", status=429, retry_after=0.5)
        if chance < 0.25:
            raise ProviderUnavailable("503", status=503)
        return None

    client = Moody(mood)
    texts = [str(n) for n in range(2000)]

    assert bench.ask(client, *texts, max_concurrency=50) == answers(*texts)
    assert client.calls.total() == 2000 + failures


@pytest.mark.parametrize("kind", [AuthenticationFailed, QuotaExhausted])
def test_what_a_person_must_mend_stops_the_run(bench: Bench, kind: type[ProviderError]) -> None:
    """The job is kept, and goes on with the same call once that is done."""
    broken = True

    async def mood(_: Ask) -> object:
        if broken:
            raise kind("no", status=401)
        return None

    client = Moody(mood)
    texts = [str(n) for n in range(300)]
    with pytest.raises(kind):
        bench.ask(client, *texts)
    assert client.calls.total() <= 30

    broken = False
    assert bench.ask(client, *texts) == answers(*texts)


def test_one_forbidden_request_is_its_own_error(bench: Bench) -> None:
    """Where others are answered, the key can't be what is wrong."""

    async def mood(ask: Ask) -> object:
        if ask.text == "b":
            raise AuthenticationFailed("not this model", status=403, code="forbidden")
        return None

    assert bench.ask(Moody(mood), *"abc") == ["answer to a", "forbidden", "answer to c"]


# -- pacing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [30, 600])
def test_no_minute_has_more_calls_than_allowed(bench: Bench, limit: int) -> None:
    """Whichever minute one looks at, retries included; and the limit is made use of."""
    dice = random.Random(1)

    async def mood(_: Ask) -> object:
        if dice.random() < 0.1:
            raise ProviderUnavailable("503", status=503)
        await asyncio.sleep(dice.random() * 3)
        return None

    client = Moody(mood)
    texts = [str(n) for n in range(limit * 3)]

    assert bench.ask(client, *texts, requests_per_minute=limit, max_concurrency=100) == answers(
        *texts
    )
    times = client.times
    for first, last in zip(times, times[limit:], strict=False):
        assert last - first >= 60.0
    assert bench.elapsed < 60 * (len(times) / limit + 0.5)


def test_tokens_are_paced_too(bench: Bench) -> None:
    """By what the requests are estimated to take, and by what the answers then took."""

    async def mood(_: Ask) -> object:
        return ChatResponse(content="x", usage=Usage(input_tokens=100, output_tokens=900))

    client = Moody(mood)

    bench.ask(client, *map(str, range(30)), tokens_per_minute=10_000, max_concurrency=1)

    assert bench.elapsed > 110.0
    assert sum(at < 60.0 for at in client.times) <= 11


def test_adaptive_concurrency_finds_its_level(bench: Bench) -> None:
    """It grows while all is well, and shrinks where the vendor complains."""
    capacity = 20

    async def mood(_: Ask) -> object:
        if client.out > capacity:
            raise ProviderUnavailable("503", status=503)
        await asyncio.sleep(1.0)
        return None

    client = Moody(mood)
    texts = [str(n) for n in range(1000)]

    assert bench.ask(client, *texts, adaptive=True, max_concurrency=500) == answers(*texts)
    assert client.calls.total() < 1300
    assert bench.elapsed < 1000 / capacity * 1.1 * 3


# -- ending early, and going on ----------------------------------------------------------------


def test_a_cancelled_program_keeps_what_it_has(bench: Bench) -> None:
    """Run again, it sends only what has no answer; nothing goes on behind."""

    async def mood(ask: Ask) -> object:
        await asyncio.sleep(float(ask.text))
        return None

    client = Moody(mood)
    texts = [str(n) for n in range(20)]

    async def script(processor: ConcurrentProcessor) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(9.5):
                await processor.aprocess([ChatRequest(messages=text) for text in texts])
        assert client.out == 0

    bench.run(client, script, max_concurrency=20)
    assert client.calls.total() == 20
    assert bench.ask(client, *texts) == answers(*texts)
    assert {text for text, calls in client.calls.items() if calls > 1} == set(texts[10:])


def test_a_cancelled_job_gives_what_there_is(bench: Bench) -> None:
    """The rest are errors that say so, and no call is left out."""

    async def mood(ask: Ask) -> object:
        await asyncio.sleep(float(ask.text))
        return None

    client = Moody(mood)

    async def script(processor: ConcurrentProcessor) -> list[str]:
        job = await processor.asubmit(["1", "2", "5000"])
        await asyncio.sleep(60.0)
        response = await job.acancel()
        assert client.out == 0
        return told(response)

    assert bench.run(client, script, timeout=1e6) == ["answer to 1", "answer to 2", "cancelled"]
    assert bench.elapsed < 70


def test_a_deadline_ends_the_job(bench: Bench) -> None:
    """In time, with what there is."""

    async def mood(ask: Ask) -> object:
        await asyncio.sleep(float(ask.text))
        return None

    client = Moody(mood)

    assert bench.ask(client, "1", "5000", deadline=7, timeout=1e6) == ["answer to 1", "cancelled"]
    assert 7.0 <= bench.elapsed < 9.0
    assert client.out == 0


def test_failed_items_can_be_asked_again(bench: Bench) -> None:
    """Just these, as a job of their own."""

    async def mood(ask: Ask) -> object:
        if ask.text == "b" and ask.call == 1:
            raise RequestRefused("not today", status=400)
        return None

    client = Moody(mood)

    with ConcurrentProcessor(chat=client, home=bench.home) as processor:
        job = processor.submit(["a", "b"])
        assert [result.ok for result in job.join()] == [True, False]
        again = job.retry_failed().join()
        assert [(result.id, result.ok) for result in again] == [("req_1", True)]
    assert client.calls == {"a": 1, "b": 2}


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give chat=, embedder="),
        ({"chat": 5}, "chat= takes a client with a method chat"),
        ({"embedder": "text"}, "embedder= takes a client with a method embed"),
        ({"chat": print, "max_concurrency": 0}, "max_concurrency must be 1 or more"),
        ({"chat": print, "requests_per_minute": 0}, "requests_per_minute must be more than 0"),
        ({"chat": print, "timeout": -1}, "timeout must not be negative"),
        ({"chat": print, "retry_budget": -1}, "retry_budget must not be negative"),
        ({"chat": print, "poll_interval": 30}, "poll_interval is about batches"),
        ({"chat": print, "max_concurency": 3}, "did you mean max_concurrency"),
    ],
)
def test_options_that_cannot_be_meant(options: Any, message: str) -> None:
    """They are refused when the processor is made."""
    with pytest.raises(UsageError, match=message):
        ConcurrentProcessor(**options)


def test_the_ledger_knows_how_a_job_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its event log has the counts now and then, each further than the one before."""
    monkeypatch.setattr("ai_batch.concurrent.work.NOTE_SECONDS", 0.01)

    async def chat(request: ChatRequest) -> ChatResponse:
        await asyncio.sleep(0.02)
        return ChatResponse(content=text_of(request))

    with ConcurrentProcessor(chat=chat, home=tmp_path / "home", max_concurrency=2) as processor:
        response = processor.process([str(number) for number in range(100)])
    ledger = Ledger(SQLiteDatabase(tmp_path / "home" / "ledger.db"))
    counts = [
        json.loads(event["detail"])["ok"]
        for event in ledger.events(response.job_id)
        if event["seq"] is not None and event["to_state"] is None
    ]
    ledger.close()

    assert 5 <= len(counts) <= 20
    assert counts == sorted(set(counts))

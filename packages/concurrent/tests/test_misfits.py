"""Answers that do not fit their type: whether they are asked again, and what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from packages.concurrent.tests.conftest import Ask, Bench, Moody
from pydantic import BaseModel

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import (
    BatchResponse,
    ChatRequest,
    ChatResponse,
    ProviderUnavailable,
    Result,
    Usage,
)
from ai_batch.core.events import Progress

GOOD = '{"name":"Oslo"}'
PROSE = "The city is Oslo."


class City(BaseModel):
    """What is asked for."""

    name: str


def said(text: str, **fields: object) -> ChatResponse:
    """An answer of a few tokens."""
    usage = Usage(input_tokens=10, output_tokens=3, cached_input_tokens=1)
    return ChatResponse.model_validate({"content": text, "usage": usage, **fields})


def fitting_at(call: int) -> Moody:
    """A client whose answers to ``late`` fit only from this call on; others do at once."""

    async def mood(ask: Ask) -> object:
        return said(PROSE if ask.text == "late" and ask.call < call else GOOD)

    return Moody(mood)


def ask(bench: Bench, client: Moody, *texts: str, **options: object) -> tuple[list[Result], int]:
    """The results, and the input tokens of the job."""

    async def script(processor: ConcurrentProcessor) -> tuple[list[Result], int]:
        requests = [ChatRequest(messages=text, output_type=City) for text in texts]
        response = await processor.aprocess(requests)
        return list(response), response.usage.input_tokens

    return bench.run(client, script, **options)


def test_a_misfit_is_asked_again_at_once(bench: Bench) -> None:
    """It counts as an attempt, without a pause; what it took is in the item's usage."""
    client = fitting_at(3)

    [soon, late], tokens = ask(bench, client, "soon", "late", retry_invalid=True)

    assert client.calls == {"soon": 1, "late": 3}
    assert bench.elapsed < 0.5
    assert soon.chat is not None
    assert late.chat is not None
    assert late.chat.parsed == City(name="Oslo")
    assert (soon.attempts, late.attempts) == (1, 3)
    assert soon.chat.usage.input_tokens == 10
    assert late.chat.usage == Usage(input_tokens=30, output_tokens=9, cached_input_tokens=3)
    assert tokens == 40


def test_the_last_misfit_is_the_items_error(bench: Bench) -> None:
    """After ``max_attempts`` calls, all of which are in the job's usage."""
    client = fitting_at(9)

    [late], tokens = ask(bench, client, "late", retry_invalid=True, max_attempts=4)

    assert client.calls == {"late": 4}
    assert late.error is not None
    assert (late.error.code, late.error.raw, late.attempts) == ("invalid_output", PROSE, 4)
    assert tokens == 40


def test_a_misfit_is_not_asked_again_by_itself(bench: Bench) -> None:
    """It was paid for: only who wants it pays twice."""
    client = fitting_at(2)

    [late], tokens = ask(bench, client, "late")

    assert late.error is not None
    assert (late.error.raw, late.error.retryable) == (PROSE, False)
    assert (client.calls, tokens) == ({"late": 1}, 10)


def test_what_was_cut_is_not_asked_again(bench: Bench) -> None:
    """It would be cut at the same place."""

    async def mood(_: Ask) -> object:
        return said('{"name":"Os', finish_reason="length")

    client = Moody(mood)

    [found], _ = ask(bench, client, "a", retry_invalid=True)

    assert client.calls == {"a": 1}
    assert found.error is not None
    assert "max_tokens" in found.error.message


def test_misfits_and_failures_share_the_attempts(bench: Bench) -> None:
    """The error of the last call is the item's, and the misfit is paid for all the same."""

    async def mood(ask: Ask) -> object:
        if ask.call == 1:
            return said(PROSE)
        raise ProviderUnavailable("503", status=503)

    client = Moody(mood)

    [found], tokens = ask(bench, client, "a", retry_invalid=True, max_attempts=3)

    assert client.calls == {"a": 3}
    assert found.error is not None
    assert (found.error.code, found.attempts) == ("ProviderUnavailable", 3)
    assert tokens == 10


@pytest.mark.parametrize("retry", [True, False])
def test_misfits_never_turn_progress_back(bench: Bench, retry: bool) -> None:
    """They are known as such when they come, and not when the batch is closed."""
    seen: list[Progress] = []

    async def mood(ask: Ask) -> object:
        await asyncio.sleep(int(ask.text) % 17)
        return said(PROSE if int(ask.text) % 3 else GOOD)

    async def script(processor: ConcurrentProcessor) -> BatchResponse:
        requests = [ChatRequest(messages=str(n), output_type=City) for n in range(120)]
        return await processor.aprocess(requests)

    response = bench.run(
        Moody(mood), script, on_progress=seen.append, retry_invalid=retry, max_attempts=2
    )

    assert (response.completed, response.failed) == (40, 80)
    counts: list[Callable[[Progress], int]] = [
        lambda one: one.completed,
        lambda one: one.failed,
        lambda one: one.usage.input_tokens,
    ]
    for count in counts:
        told = [count(one) for one in seen]
        assert told == sorted(told)
        assert len(set(told)) > 3


def test_calls_that_are_out_are_in_flight(bench: Bench) -> None:
    """As many as are waited for at the time, and none before and after."""
    seen: list[Progress] = []

    async def mood(_: Ask) -> object:
        await asyncio.sleep(5.0)
        return None

    texts = [str(n) for n in range(20)]
    bench.ask(Moody(mood), *texts, max_concurrency=8, on_progress=seen.append)

    told = [one.in_flight for one in seen]
    assert max(told) == 8
    assert (told[0], told[-1]) == (0, 0)
    assert all(one.in_flight + one.done <= one.total for one in seen)


def test_a_cancelled_job_counts_what_was_discarded(bench: Bench) -> None:
    """Its misfit is the result of a request that is not asked again: it was paid for."""

    async def mood(ask: Ask) -> object:
        if ask.call > 1:
            await asyncio.sleep(1e6)
        return said(PROSE)

    async def script(processor: ConcurrentProcessor) -> tuple[list[Result], int]:
        requests = [ChatRequest(messages=text, output_type=City) for text in "ab"]
        job = await processor.asubmit(requests)
        await asyncio.sleep(5.0)
        await job.acancel()
        response = await job.ajoin()
        return list(response), response.usage.input_tokens

    results, tokens = bench.run(Moody(mood), script, retry_invalid=True, timeout=1e7)

    assert [one.error and (one.error.code, one.error.raw) for one in results] == [
        ("invalid_output", PROSE)
    ] * 2
    assert [one.attempts for one in results] == [1, 1]
    assert tokens == 20


def test_a_type_is_needed_for_a_misfit(bench: Bench) -> None:
    """Plain answers are what they are."""
    client = Moody()

    assert bench.ask(client, "a", retry_invalid=True) == ["answer to a"]
    assert client.calls == {"a": 1}

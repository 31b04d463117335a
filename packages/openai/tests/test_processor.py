"""What a user does with a processor, end to end over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from ai_batch.core import (
    ChatRequest,
    CompleteEvent,
    EmbeddingRequest,
    ErrorEvent,
    ItemEvent,
    Progress,
    ProgressEvent,
    Tool,
)
from ai_batch.core.provider import Limits
from ai_batch.emulator import Emulator, Fault, Timing
from ai_batch.openai import OpenAIProcessor

if TYPE_CHECKING:
    from packages.openai.tests.conftest import MakeProcessor

SMALL = Limits(max_requests=1, max_bytes=1_000_000)


class City(BaseModel):
    """What an answer is parsed into."""

    name: str
    people: int


# -- the calls -------------------------------------------------------------------------------


def test_results_come_in_order_with_their_sums(
    processor: OpenAIProcessor, questions: list[ChatRequest]
) -> None:
    """The response counts, adds up, and may be read any number of times and in any way."""
    response = processor.process(questions)
    assert (response.completed, response.failed, response.total, len(response)) == (3, 0, 3, 3)
    first, second = list(response), list(response)
    assert first == second
    assert [result.id for result in first] == ["q0", "q1", "q2"]
    assert response.usage.total_tokens == sum(result.usage.total_tokens for result in first)
    assert response[-1] == first[2]
    assert response[0:2] == first[0:2]
    assert list(response.errors) == []
    assert first[1].chat
    assert first[1].chat.raw["choices"][0]["message"]["content"] == "question 1"


def test_a_result_reads_its_request_when_asked(
    processor: OpenAIProcessor, questions: list[ChatRequest]
) -> None:
    """``result.request`` is the request as it was planned, read from disk."""
    result = processor.process(questions)[1]
    assert callable(result._request)
    assert result.request == questions[1]
    assert not callable(result._request)


async def test_it_works_within_a_running_loop(
    processor: OpenAIProcessor, questions: list[ChatRequest]
) -> None:
    """``process`` may be called where an event loop runs, as in a notebook."""
    assert [result.ok for result in processor.process(questions)] == [True] * 3


async def test_the_async_calls_do_not_block(
    processor: OpenAIProcessor, questions: list[ChatRequest]
) -> None:
    """``aprocess`` leaves the loop to others."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    response = await processor.aprocess(questions)
    ticking.cancel()
    assert response.completed == 3
    assert ticks > 5


def test_one_processor_serves_loop_after_loop(
    emulator: Emulator, make_processor: MakeProcessor, questions: list[ChatRequest]
) -> None:
    """``asyncio.run`` may be called again and again, and the processor closed afterwards."""
    processor = make_processor(emulator)
    for _ in range(2):
        assert asyncio.run(processor.aprocess(questions)).completed == 3
    assert processor.process(questions).completed == 3
    processor.close()


def test_a_processor_may_be_closed_within_a_loop(
    emulator: Emulator, make_processor: MakeProcessor, questions: list[ChatRequest]
) -> None:
    """A ``with`` block in an async function ends without waiting for the loop that it blocks."""

    async def ask() -> int:
        with make_processor(emulator) as processor:
            return (await processor.aprocess(questions)).completed

    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(asyncio.run(ask())), daemon=True)
    thread.start()
    thread.join(20)
    assert done == [3]


def test_it_works_in_threads(processor: OpenAIProcessor, emulator: Emulator) -> None:
    """Several threads may share a processor, each with its own requests."""
    found: list[int] = []

    def ask(number: int) -> None:
        own = [ChatRequest(messages=f"thread {number}, question {n}") for n in range(3)]
        found.append(processor.process(own).completed)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [3, 3, 3]
    assert emulator.stats.items_executed == 9


@pytest.mark.parametrize("kind", ["strings", "dicts", "generator", "file"])
def test_requests_come_in_many_forms(processor: OpenAIProcessor, tmp_path: Path, kind: str) -> None:
    """Strings, dicts, a generator or a JSONL file: each is read once."""
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps({"messages": f"m{n}"}) + "\n" for n in range(3)), "utf-8")

    def generate() -> Iterator[ChatRequest]:
        for n in range(3):
            yield ChatRequest(messages=f"m{n}")

    forms: dict[str, Any] = {
        "strings": ["m0", "m1", "m2"],
        "dicts": [{"messages": f"m{n}"} for n in range(3)],
        "generator": generate(),
        "file": path,
    }
    results = list(processor.process(forms[kind]))
    assert [result.chat and result.chat.content for result in results] == ["m0", "m1", "m2"]
    assert [result.id for result in results] == ["req_0", "req_1", "req_2"]


async def test_requests_may_come_asynchronously(processor: OpenAIProcessor) -> None:
    """An async generator is read in the caller's loop."""

    async def generate() -> AsyncIterator[str]:
        for n in range(3):
            await asyncio.sleep(0)
            yield f"m{n}"

    response = await processor.aprocess(generate())
    assert response.completed == 3


def test_no_requests_are_no_network(processor: OpenAIProcessor, emulator: Emulator) -> None:
    """An empty input gives an empty response, whichever way it is asked."""
    response = processor.process([])
    assert (response.total, list(response), response.cost) == (0, [], 0.0)
    assert [event.type for event in processor.stream([])] == ["complete"]
    assert processor.estimate([]).requests == 0
    assert emulator.stats.requests == {}


# -- events ----------------------------------------------------------------------------------


def test_items_are_streamed_before_the_end(
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
    questions: list[ChatRequest],
) -> None:
    """Each request's item comes once, with its batch; the last event holds the response."""
    emulator = make_emulator(timing=Timing(in_progress=(0.0, 0.5)))
    processor = make_processor(emulator, limits=SMALL)
    events = list(processor.stream(questions))
    items = [event.result for event in events if isinstance(event, ItemEvent)]
    assert sorted(result.id for result in items) == ["q0", "q1", "q2"]
    done = [event.progress.done for event in events if isinstance(event, ProgressEvent)]
    assert done == sorted(done)
    assert done[-1] == 3
    last = events[-1]
    assert isinstance(last, CompleteEvent)
    assert [result.id for result in last.response] == ["q0", "q1", "q2"]
    assert events.index(last) == len(events) - 1


async def test_events_come_asynchronously(
    processor: OpenAIProcessor, questions: list[ChatRequest]
) -> None:
    """``astream`` gives the same events."""
    types = [event.type async for event in processor.astream(questions)]
    assert types.count("item") == 3
    assert types[-1] == "complete"


def test_a_stream_that_cannot_go_on_ends_with_an_error(
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
    questions: list[ChatRequest],
) -> None:
    """What ``process`` would raise is the stream's last event."""
    emulator = make_emulator(api_keys=["sk-other-key"])
    events = list(make_processor(emulator).stream(questions))
    last = events[-1]
    assert isinstance(last, ErrorEvent)
    assert type(last.error).__name__ == "AuthenticationFailed"


def test_a_stream_that_is_left_keeps_the_job(
    emulator: Emulator, make_processor: MakeProcessor, questions: list[ChatRequest]
) -> None:
    """Breaking out of the loop leaves a job that the next call continues."""
    processor = make_processor(emulator, limits=SMALL)
    for event in processor.stream(questions):
        if event.type == "item":
            break
    assert processor.process(questions).completed == 3
    assert emulator.stats.items_executed == 3


async def test_a_call_that_is_cancelled_leaves_nothing_running(
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
    questions: list[ChatRequest],
) -> None:
    """A call that the user cancels works on nothing any more; the next one goes on with the job."""
    emulator = make_emulator(timing=Timing(in_progress=3600))
    processor = make_processor(emulator)
    before = asyncio.all_tasks()
    call = asyncio.create_task(processor.aprocess(questions))
    while not emulator.stats.requests.get("batches.get"):  # noqa: ASYNC110 - the server's count
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert asyncio.all_tasks() == before
    emulator.advance(hours=1)
    assert (await processor.aprocess(questions)).completed == 3
    assert emulator.stats.batches_created == 1


async def test_a_call_may_be_cancelled_at_any_moment(
    emulator: Emulator, make_processor: MakeProcessor, questions: list[ChatRequest]
) -> None:
    """Whenever the user gives up, the next call goes on at once, as nobody holds the job."""
    processor = make_processor(emulator, limits=SMALL)
    for moment in range(15):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.004 * moment):
                await processor.aprocess(questions)
    async with asyncio.timeout(20):
        assert (await processor.aprocess(questions)).completed == 3
    assert emulator.stats.items_executed == 3


def test_progress_is_told_to_a_callback(
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
    questions: list[ChatRequest],
) -> None:
    """``on_progress`` hears of the beginning and of the end, with counts that only grow."""
    heard: list[Progress] = []
    emulator = make_emulator(timing=Timing(in_progress=0.4))
    make_processor(emulator, on_progress=heard.append, limits=SMALL).process(questions)
    done = [progress.done for progress in heard]
    assert done == sorted(done)
    assert heard[-1].state == "completed"
    assert (heard[-1].completed, heard[-1].batches, heard[-1].batches_done) == (3, 3, 3)
    assert heard[-1].fraction == 1.0


def test_a_callback_that_raises_does_no_harm(
    emulator: Emulator,
    make_processor: MakeProcessor,
    questions: list[ChatRequest],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An exception of ``on_progress`` is logged and the job goes on."""

    def fail(_: Progress) -> None:
        raise ValueError("in the callback")

    assert make_processor(emulator, on_progress=fail).process(questions).completed == 3
    assert "on_progress raised; the job goes on" in caplog.text


# -- jobs ------------------------------------------------------------------------------------


def test_a_job_is_joined_from_another_process(
    emulator: Emulator, make_processor: MakeProcessor, tmp_path: Path
) -> None:
    """A job submitted by a process that has ended is attached to by its id."""
    script = """
import sys
from ai_batch.openai import OpenAIProcessor
processor = OpenAIProcessor(model="gpt-4o-mini", api_key="sk-test-key", base_url=sys.argv[1],
                            home=sys.argv[2], poll_interval=0.02)
print(processor.submit(["m0", "m1"]).id)
"""
    command = [sys.executable, "-c", script, emulator.openai_url, str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    job_id = done.stdout.strip()
    processor = make_processor(emulator)
    assert [job.id for job in processor.jobs()] == [job_id]
    job = processor.attach(job_id)
    assert job.total == 2
    assert [result.chat and result.chat.content for result in job.join()] == ["m0", "m1"]
    assert job.status().state == "completed"
    assert emulator.stats.items_executed == 2


def test_a_job_can_be_waited_for_in_turns(
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
    questions: list[ChatRequest],
) -> None:
    """``join`` with a timeout raises while the job goes on; its status tells where it stands."""
    emulator = make_emulator(timing=Timing(in_progress=3600))
    job = make_processor(emulator).submit(questions)
    with pytest.raises(TimeoutError, match=f"job {job.id} is still running after 0.2 s"):
        job.join(timeout=0.2)
    status = job.status()
    assert (status.state, status.in_flight, status.done) == ("running", 3, 0)
    emulator.advance(hours=1)
    assert job.join().completed == 3
    assert [result.id for result in job.results()] == ["q0", "q1", "q2"]


async def test_a_job_is_used_asynchronously(
    processor: OpenAIProcessor, questions: list[ChatRequest]
) -> None:
    """``asubmit``, ``aevents``, ``ajoin`` and ``aresults`` are the same without blocking."""
    job = await processor.asubmit(questions)
    types = [event.type async for event in job.aevents()]
    assert types[-1] == "complete"
    assert (await job.ajoin()).completed == 3
    assert [result.id async for result in job.aresults()] == ["q0", "q1", "q2"]


def test_what_failed_is_retried_alone(
    make_emulator: Callable[..., Emulator], make_processor: MakeProcessor
) -> None:
    """``retry_failed`` is a new job of just the failed requests, under their own ids."""
    broken = {"m1": 1}

    def answer(_: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        content = body["messages"][-1]["content"]
        if broken.pop(content, 0):
            error = {"message": "no", "type": "invalid_request_error", "param": None, "code": "x"}
            return 400, {"error": error}
        return None

    emulator = make_emulator(answer=answer)
    processor = make_processor(emulator)
    job = processor.submit(ChatRequest(id=f"q{n}", messages=f"m{n}") for n in range(3))
    assert [result.id for result in job.join().errors] == ["q1"]
    again = job.retry_failed()
    assert again.id != job.id
    (result,) = again.join()
    assert (result.id, result.chat and result.chat.content) == ("q1", "m1")
    assert emulator.stats.items_billed == 3


def test_an_estimate_sends_nothing(
    emulator: Emulator, make_processor: MakeProcessor, tmp_path: Path
) -> None:
    """``estimate`` counts requests, batches and tokens, and prices them at half the live price."""
    processor = make_processor(emulator, limits=SMALL)
    estimate = processor.estimate([ChatRequest(messages="word " * 100, max_tokens=50)] * 3)
    assert (estimate.requests, estimate.batches, estimate.output_tokens) == (3, 3, 150)
    assert estimate.batch_cost
    assert estimate.live_cost == pytest.approx(2 * estimate.batch_cost)
    assert emulator.stats.requests == {}
    assert list((tmp_path / "home" / "jobs").iterdir()) == []


# -- what is asked ---------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ["/v1/chat/completions", "/v1/responses"])
def test_answers_are_parsed_into_types(
    emulator: Emulator, make_processor: MakeProcessor, endpoint: str
) -> None:
    """With a pydantic model as ``output_type``, ``parsed`` is an instance of it."""
    processor = make_processor(emulator, endpoint=endpoint)
    requests = [ChatRequest(messages="Where?", output_type=City), ChatRequest(messages="plain")]
    first, second = processor.process(requests)
    assert first.chat
    assert isinstance(first.chat.parsed, City)
    assert second.chat
    assert second.chat.parsed is None


def test_an_answer_that_does_not_fit_is_an_error(
    make_emulator: Callable[..., Emulator], make_processor: MakeProcessor
) -> None:
    """An answer that breaks the schema was paid for: it is an error that keeps the text."""

    def answer(_: str, body: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": '{"name": "Oslo"}', "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }

    processor = make_processor(make_emulator(answer=answer))
    (result,) = processor.process([ChatRequest(messages="Where?", output_type=City)])
    assert result.error
    assert result.error.code == "invalid_output"
    assert "people" in result.error.message
    assert result.error.raw == '{"name": "Oslo"}'


@pytest.mark.parametrize("endpoint", ["/v1/chat/completions", "/v1/responses"])
def test_tools_are_called(emulator: Emulator, make_processor: MakeProcessor, endpoint: str) -> None:
    """A function becomes a tool, and the model's call comes back with its arguments parsed."""

    def weather(city: str) -> str:
        return city

    processor = make_processor(emulator, endpoint=endpoint)
    request = ChatRequest(
        messages="Weather?", tools=(Tool.from_function(weather),), tool_choice="required"
    )
    (result,) = processor.process([request])
    assert result.chat
    assert result.chat.finish_reason == "tool_calls"
    assert [call.name for call in result.chat.tool_calls] == ["weather"]
    assert set(result.chat.tool_calls[0].arguments) == {"city"}


def test_the_responses_endpoint_answers_alike(
    emulator: Emulator, make_processor: MakeProcessor, questions: list[ChatRequest]
) -> None:
    """/v1/responses gives the same results; only ``raw`` differs."""
    response = make_processor(emulator, endpoint="/v1/responses").process(questions)
    contents = [result.chat and result.chat.content for result in response]
    assert contents == ["question 0", "question 1", "question 2"]
    assert response.usage.output_tokens > 0


def test_embeddings_come_as_lists_and_arrays(processor: OpenAIProcessor) -> None:
    """Vectors keep the order of the texts, with the asked dimensions."""
    request = EmbeddingRequest(texts=("a", "b", "c"), model="text-embedding-3-small", dimensions=4)
    (result,) = processor.process([request])
    assert result.embedding
    assert (result.embedding.count, result.embedding.dimensions) == (3, 4)
    assert result.embedding.array.shape == (3, 4)
    assert result.embedding.array.tolist() == result.embedding.vectors
    assert len({tuple(vector) for vector in result.embedding.vectors}) == 3


def test_the_same_text_twice_is_two_requests(
    processor: OpenAIProcessor, emulator: Emulator
) -> None:
    """Equal requests are not merged: each has its own id and its own answer."""
    response = processor.process(["same", "same"])
    assert [result.id for result in response] == ["req_0", "req_1"]
    assert emulator.stats.items_executed == 2


def test_a_damaged_download_is_not_seen_by_the_user(
    emulator: Emulator, processor: OpenAIProcessor, questions: list[ChatRequest]
) -> None:
    """The stream shows each item once, whatever the download went through."""
    emulator.inject(Fault(route="files.content", nth=1, row="garbage"))
    items = [event for event in processor.stream(questions) if event.type == "item"]
    assert len(items) == 3

"""What a user does with a processor, end to end over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from pydantic import BaseModel

from ai_batch.anthropic import AnthropicProcessor
from ai_batch.core import (
    BatchFailed,
    ChatRequest,
    EmbeddingRequest,
    QuotaExhausted,
    RequestRefused,
    Tool,
    UsageError,
    assistant,
    system,
    tool_result,
    user,
)
from ai_batch.core.provider import Limits
from ai_batch.core.runtime import Runtime
from ai_batch.emulator import AnthropicLimits, Emulator, Fault, Timing

if TYPE_CHECKING:
    from packages.anthropic.tests.conftest import MakeProcessor

SMALL = Limits(max_requests=1, max_bytes=1_000_000)


class City(BaseModel):
    """What an answer is parsed into."""

    name: str
    people: int


def creates(sent: list[httpx2.Request]) -> list[httpx2.Request]:
    """The create calls among what was sent."""
    return [
        request
        for request in sent
        if request.method == "POST" and request.url.path.endswith("/batches")
    ]


def test_results_come_in_order_with_their_sums(
    processor: AnthropicProcessor, questions: list[ChatRequest]
) -> None:
    """Rows come shuffled; the response does not, and adds up."""
    response = processor.process(questions)
    assert (response.completed, response.failed, response.total) == (3, 0, 3)
    assert [result.id for result in response] == ["q0", "q1", "q2"]
    assert [result.chat and result.chat.content for result in response] == [
        f"question {n}" for n in range(3)
    ]
    assert response.usage.total_tokens == sum(result.usage.total_tokens for result in response)
    assert response.cost
    assert response[0].chat
    assert response[0].chat.raw["usage"]["service_tier"] == "batch"


def test_the_body_is_streamed_with_its_length(
    processor: AnthropicProcessor, questions: list[ChatRequest], sent: list[httpx2.Request]
) -> None:
    """One create call without chunks, in the newest version, whose answer is not retried."""
    assert processor.process(questions).completed == 3
    [create] = creates(sent)
    assert int(create.headers["content-length"]) > 200
    assert "transfer-encoding" not in create.headers
    assert create.headers["content-type"] == "application/json"
    assert create.headers["anthropic-version"] == "2026-10-21"
    assert "anthropic-beta" not in create.headers


def test_versions_do_not_share_a_batch(
    processor: AnthropicProcessor, emulator: Emulator, sent: list[httpx2.Request]
) -> None:
    """Requests with sampling go under the version that still has it; all are answered."""
    requests = [
        ChatRequest(messages="plain"),
        ChatRequest(messages="warm", temperature=0.7),
        ChatRequest(messages="narrow", extra={"top_k": 5}),
    ]
    response = processor.process(requests)
    assert [result.error for result in response] == [None] * 3
    assert sorted(create.headers["anthropic-version"] for create in creates(sent)) == [
        "2023-06-01",
        "2026-10-21",
    ]
    assert emulator.stats.batches_created == 2


def test_betas_are_sent_with_every_batch(
    emulator: Emulator, make_processor: MakeProcessor, sent: list[httpx2.Request]
) -> None:
    """Such as the one for answers of 300,000 tokens, which exists in batches only."""
    request = ChatRequest(messages="long", max_tokens=200_000, model="claude-opus-5")
    beta = "output-300k-2026-03-24"
    [result] = make_processor(emulator, betas=[beta]).process([request])
    assert result.ok
    assert [create.headers["anthropic-beta"] for create in creates(sent)] == [beta]
    [result] = make_processor(emulator).process([request])
    assert result.error
    assert (result.error.code, result.error.retryable) == ("invalid_request_error", False)
    assert "maximum allowed number of output tokens" in result.error.message


def test_a_fixed_version_refuses_what_it_does_not_have(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """Before anything is sent."""
    processor = make_processor(emulator, api_version="2026-10-21")
    with pytest.raises(UsageError, match="temperature: API version 2026-10-21 does not take"):
        processor.process([ChatRequest(messages="x", temperature=0.5)])
    assert emulator.stats.requests == {}


def test_embeddings_are_refused_before_anything_is_sent(
    processor: AnthropicProcessor, emulator: Emulator
) -> None:
    """The message says who has them."""
    with pytest.raises(UsageError, match=r"no embeddings API.*Voyage AI"):
        processor.process([ChatRequest(messages="x"), EmbeddingRequest(texts="y")])
    assert emulator.stats.requests == {}


def test_a_model_is_needed(emulator: Emulator, make_processor: MakeProcessor) -> None:
    """On the request or on the processor."""
    processor = make_processor(emulator, model=None)
    with pytest.raises(UsageError, match="no model: set it on the request, or model="):
        processor.process(["x"])
    request = ChatRequest(messages="x", model="claude-sonnet-5")
    assert processor.process([request]).completed == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tokens": 0}, "max_tokens must be 1 or more"),
        ({"betas": "one-beta"}, "betas must be a list of names"),
        ({"betas": ["one, two"]}, "betas must be a list of names"),
        ({"api_version": ""}, "api_version must be a date"),
        ({"timeout": -1}, "timeout must not be negative"),
        ({"base_url": "https://api.anthropic.com/v1/"}, "must not end in /v1"),
        ({"api_key": None, "base_url": None}, "no API key: set ANTHROPIC_API_KEY"),
        ({"embedding_model": "x"}, "has no option 'embedding_model'"),
    ],
)
def test_options_that_can_not_be_meant(
    options: dict[str, Any], message: str, emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """Are said to be wrong before anything is sent."""
    with pytest.raises(UsageError, match=message):
        make_processor(emulator, **options).process(["x"])


def test_answers_become_python_values(processor: AnthropicProcessor) -> None:
    """``output_type`` is sent as a schema, and the answer is an instance."""
    [result] = processor.process([ChatRequest(messages="Paris", output_type=City)])
    assert result.chat
    assert isinstance(result.chat.parsed, City)


def test_tools_are_called_and_answered(processor: AnthropicProcessor) -> None:
    """The call comes back with parsed arguments, and its result goes on with the conversation."""

    def weather(city: str) -> str:
        """The weather in a city."""
        return f"Rain in {city}."

    tools = [Tool.from_function(weather, strict=True)]
    question = [system("Be brief."), user("Do I need an umbrella in Paris?")]
    [result] = processor.process(
        [ChatRequest(messages=question, tools=tools, tool_choice="required")]
    )
    assert result.chat
    assert result.chat.finish_reason == "tool_calls"
    [call] = result.chat.tool_calls
    turn = [assistant(call), tool_result(call.id, weather(**call.arguments)), user("So?")]
    [result] = processor.process([ChatRequest(messages=[*question, *turn], tools=tools)])
    assert result.chat
    assert result.chat.finish_reason == "stop"


def test_thoughts_come_back_and_go_on(processor: AnthropicProcessor) -> None:
    """A thought is apart from the answer, and may be sent back with its signature."""
    extra = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    question = user("hard question")
    [result] = processor.process([ChatRequest(messages=[question], extra=extra)])
    assert result.chat
    assert result.chat.content == "hard question"
    assert result.chat.thinking
    assert result.chat.usage.reasoning_tokens > 0
    turn = assistant(*result.chat.thoughts, result.chat.content)
    again = ChatRequest(messages=[question, turn, user("sure?")], extra=extra)
    assert processor.process([again]).completed == 1


def test_one_bad_request_does_not_cost_the_others(processor: AnthropicProcessor) -> None:
    """What the vendor refuses is the error of its request, and is not asked again."""
    requests = [
        ChatRequest(id="good", messages="x"),
        ChatRequest(id="bad", messages="x", extra={"unheard_of": 1}),
        ChatRequest(id="none", messages="x", model="no-such-model"),
    ]
    good, bad, none = processor.process(requests)
    assert good.ok
    assert bad.error
    assert (bad.error.code, bad.attempts) == ("invalid_request_error", 1)
    assert "unheard_of: Extra inputs are not permitted" in bad.error.message
    assert none.error
    assert (none.error.code, none.attempts) == ("not_found_error", 1)


def test_what_expired_is_asked_again(
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
    questions: list[ChatRequest],
) -> None:
    """After 24 hours the rest of a batch expires, unbilled; up to ``max_attempts`` it goes on."""
    emulator = make_emulator(timing=Timing(in_progress=10_000_000))
    job = make_processor(emulator, max_attempts=2).submit(questions)
    for attempt in (1, 2):
        while emulator.stats.batches_created < attempt:
            time.sleep(0.02)
        emulator.advance(hours=25)
    results = list(job.join())
    assert [result.error and result.error.code for result in results] == ["batch_expired"] * 3
    assert [result.attempts for result in results] == [2, 2, 2]
    assert (emulator.stats.batches_created, emulator.stats.items_billed) == (2, 0)


def test_a_job_is_cancelled(
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
    questions: list[ChatRequest],
) -> None:
    """What was not executed is told so, and the same for a batch that has ended meanwhile."""
    emulator = make_emulator(timing=Timing(in_progress=3600))
    job = make_processor(emulator).submit(questions)
    job.cancel()
    codes = {result.error.code for result in job.join() if result.error}
    assert codes == {"batch_cancelled"}
    assert emulator.stats.items_billed == 0


def test_results_are_taken_from_the_servers_own_address(
    processor: AnthropicProcessor,
    emulator: Emulator,
    questions: list[ChatRequest],
    sent: list[httpx2.Request],
) -> None:
    """The key goes nowhere else, whatever address the batch names for its results."""
    emulator.inject(Fault(route="batches.get", quirk="null_output"))
    assert processor.process(questions).completed == 3
    assert {str(request.url.copy_with(path="/", query=None)) for request in sent} == {
        emulator.anthropic_url.removesuffix("anthropic")
    }


@pytest.mark.parametrize("route", ["batches.get", "batches.results"])
def test_reads_may_lag_behind(
    route: str,
    emulator: Emulator,
    processor: AnthropicProcessor,
    questions: list[ChatRequest],
) -> None:
    """A batch that was just made, or has just ended, may be unknown for a while."""
    emulator.inject(Fault(route=route, not_found_seconds=0.3))
    assert processor.process(questions).completed == 3
    assert emulator.stats.batches_created == 1


def test_an_account_without_money_stops_the_job_and_keeps_it(
    emulator: Emulator, processor: AnthropicProcessor, questions: list[ChatRequest]
) -> None:
    """The spend limit of a tier is a 429 that no waiting heals; the same call goes on later."""
    body: Any = {
        "type": "error",
        "error": {
            "type": "rate_limit_error",
            "message": "You have reached the monthly limit of your tier.",
            "details": {"error_code": "enforced_spend_limit_reached"},
        },
    }
    emulator.inject(Fault(route="batches.create", status=429, body=body, nth=1))
    with pytest.raises(QuotaExhausted, match="monthly limit"):
        processor.process(questions)
    assert processor.process(questions).completed == 3
    assert emulator.stats.batches_created == 1


def test_a_full_queue_is_waited_for(
    make_emulator: Callable[..., Emulator], make_processor: MakeProcessor
) -> None:
    """Batches wait until others have ended; nothing fails."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / 200)

    start = time.time()
    runtime = Runtime(clock=lambda: start + (time.time() - start) * 200, sleep=sleep)
    emulator = make_emulator(
        anthropic_limits=AnthropicLimits(queued_requests=2), timing=Timing(in_progress=0.2)
    )
    limits = Limits(max_requests=2, max_bytes=1_000_000)
    processor = make_processor(emulator, limits=limits, runtime=runtime, poll_interval=4)
    assert processor.process([f"m{n}" for n in range(6)]).completed == 6
    assert emulator.stats.creates_attempted > emulator.stats.batches_created == 3
    assert emulator.stats.billed_twice() == []


def test_a_body_that_is_too_large_says_what_to_do(
    make_emulator: Callable[..., Emulator], make_processor: MakeProcessor
) -> None:
    """A gateway may take less than the vendor; each request has the reason as its error."""
    emulator = make_emulator(anthropic_limits=AnthropicLimits(max_body_bytes=1000))
    with pytest.raises(BatchFailed, match="lower max_bytes in limits="):
        make_processor(emulator).process(["x" * 2000])
    limits = Limits(max_requests=100, max_bytes=900)
    assert make_processor(emulator, limits=limits).process(["x" * 200] * 8).completed == 8


def test_a_wrong_address_is_said_at_once(emulator: Emulator, make_processor: MakeProcessor) -> None:
    """A server without message batches is not waited for."""
    processor = make_processor(emulator, base_url=f"{emulator.anthropic_url}/elsewhere")
    with pytest.raises(RequestRefused, match="check base_url"):
        processor.process(["x"])


def test_two_processors_with_other_betas_are_two_jobs(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """What changes the question changes the job."""
    for options in ({}, {"betas": ["a"]}, {"max_tokens": 5}, {"api_version": "2023-06-01"}):
        assert make_processor(emulator, **options).process(["x"]).completed == 1
    assert emulator.stats.batches_created == 4

"""What a user does with a processor, end to end over HTTP, through both of Google's APIs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from pydantic import BaseModel

from ai_batch.core import (
    AuthenticationFailed,
    BatchFailed,
    ChatRequest,
    EmbeddingRequest,
    QuotaExhausted,
    Tool,
    UsageError,
    assistant,
    system,
    tool_result,
    user,
)
from ai_batch.core.provider import Limits
from ai_batch.core.runtime import Runtime
from ai_batch.emulator import Emulator, Fault, GeminiLimits, Timing
from ai_batch.gemini import GeminiProcessor, VertexProcessor

if TYPE_CHECKING:
    from packages.gemini.tests.conftest import MakeProcessor


class City(BaseModel):
    """What an answer is parsed into."""

    name: str
    people: int


def creates(sent: list[httpx2.Request]) -> list[httpx2.Request]:
    """The create calls among what was sent."""
    ends = (":batchGenerateContent", ":asyncBatchEmbedContent", "/batchPredictionJobs")
    return [
        request for request in sent if request.method == "POST" and request.url.path.endswith(ends)
    ]


def test_results_come_in_order_with_their_sums(
    processor: GeminiProcessor, questions: list[ChatRequest], emulator: Emulator
) -> None:
    """Rows come shuffled; the response does not, and adds up. Nothing is left at Google."""
    response = processor.process(questions)
    assert (response.completed, response.failed, response.total) == (3, 0, 3)
    assert [result.id for result in response] == ["q0", "q1", "q2"]
    assert [result.chat and result.chat.content for result in response] == [
        f"question {n}" for n in range(3)
    ]
    assert response.usage.total_tokens == sum(result.usage.total_tokens for result in response)
    assert response.cost
    assert (emulator.stats.batches_created, emulator.stats.files_live) == (1, 0)


def test_the_processor_of_vertex_needs_no_backend(
    emulator: Emulator, make_processor: MakeProcessor, questions: list[ChatRequest]
) -> None:
    """It is the other's with that option, and continues its jobs."""
    first = make_processor(emulator, VertexProcessor).process(questions)
    second = make_processor(emulator, backend="vertex").process(questions)
    assert [result.chat for result in first] == [result.chat for result in second]
    assert emulator.stats.requests["objects.upload"] == emulator.stats.batches_created


def test_chats_and_embeddings_may_be_mixed(
    processor: GeminiProcessor, emulator: Emulator, sent: list[httpx2.Request]
) -> None:
    """Each kind in a batch of its own, each with its model."""
    requests: list[ChatRequest | EmbeddingRequest] = [
        ChatRequest(messages="one"),
        EmbeddingRequest(texts=["two", "three"], dimensions=8),
        ChatRequest(messages="four"),
        EmbeddingRequest(texts="two", dimensions=8, task="query"),
    ]
    one, two, four, five = processor.process(requests)
    assert [each.chat and each.chat.content for each in (one, four)] == ["one", "four"]
    assert two.embedding
    assert five.embedding
    assert [len(vector) for vector in two.embedding.vectors] == [8, 8]
    assert five.embedding.vectors[0] == two.embedding.vectors[0]
    assert two.embedding.vectors[1] != two.embedding.vectors[0]
    assert len(creates(sent)) == emulator.stats.batches_created == 2


def test_older_models_of_embeddings_give_vectors_too(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """Vertex AI's, in rows without keys: equal texts too, and options in batches of their own."""
    processor = make_processor(emulator, VertexProcessor, embedding_model="text-embedding-005")
    requests = [
        EmbeddingRequest(texts=["same", "other"]),
        EmbeddingRequest(texts="same"),
        EmbeddingRequest(texts="same", task="query"),
    ]
    first, second, third = processor.process(requests)
    assert first.embedding
    assert second.embedding
    assert third.ok
    assert first.embedding.vectors[0] == second.embedding.vectors[0]
    assert first.embedding.vectors[1] != first.embedding.vectors[0]
    assert emulator.stats.batches_created == 2
    assert emulator.stats.files_live == 0


def test_answers_become_python_values(processor: GeminiProcessor) -> None:
    """``output_type`` is sent as a schema, and the answer is an instance."""
    [result] = processor.process([ChatRequest(messages="Paris", output_type=City)])
    assert result.chat
    assert isinstance(result.chat.parsed, City)


def test_tools_are_called_and_answered(processor: GeminiProcessor) -> None:
    """The call comes back with parsed arguments, and its result goes on with the conversation."""

    def weather(city: str) -> str:
        """The weather in a city."""
        return f"Rain in {city}."

    tools = [Tool.from_function(weather)]
    question = [system("Be brief."), user("Do I need an umbrella in Paris?")]
    [result] = processor.process(
        [ChatRequest(messages=question, tools=tools, tool_choice="required")]
    )
    assert result.chat
    assert result.chat.finish_reason == "tool_calls"
    [call] = result.chat.tool_calls
    assert call.name == "weather"
    turn = [assistant(call), tool_result(call.id, weather(**call.arguments)), user("So?")]
    [result] = processor.process([ChatRequest(messages=[*question, *turn], tools=tools)])
    assert result.chat
    assert result.chat.finish_reason == "stop"


def test_one_bad_request_does_not_cost_the_others(processor: GeminiProcessor) -> None:
    """What Google refuses is the error of its request, and is not asked again."""
    requests = [
        ChatRequest(id="good", messages="x"),
        ChatRequest(id="bad", messages="x", extra={"unheard_of": 1}),
    ]
    good, bad = processor.process(requests)
    assert good.ok
    assert bad.error
    assert (bad.error.code, bad.error.retryable, bad.attempts) == ("invalid_argument", False, 1)


def test_a_model_that_there_is_not_fails_its_requests(
    processor: GeminiProcessor, emulator: Emulator
) -> None:
    """And those of no other model; nothing is paid for it."""
    requests = [
        ChatRequest(id="good", messages="x"),
        ChatRequest(id="none", messages="x", model="no-such-model"),
    ]
    good, none = processor.process(requests)
    assert good.ok
    assert none.error
    assert (none.error.retryable, none.attempts) == (False, 1)
    assert (emulator.stats.items_billed, emulator.stats.files_live) == (1, 0)


def test_small_batches_travel_inline(
    emulator: Emulator, make_processor: MakeProcessor, questions: list[ChatRequest]
) -> None:
    """``inline_bytes`` saves the upload; texts to embed are uploaded all the same."""
    processor = make_processor(
        emulator, inline_bytes=1_000_000, embedding_model="gemini-embedding-001"
    )
    assert processor.process(questions).completed == 3
    assert emulator.stats.files_uploaded == 0
    assert processor.process([EmbeddingRequest(texts=["a", "b"])]).completed == 1
    assert emulator.stats.files_uploaded == 1


def test_what_expired_is_asked_again(
    backend: str,
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
    questions: list[ChatRequest],
) -> None:
    """After a day or two a batch expires, unbilled; up to ``max_attempts`` it goes on."""
    emulator = make_emulator(timing=Timing(in_progress=10_000_000))
    job = make_processor(emulator, backend=backend, max_attempts=2).submit(questions)
    for attempt in (1, 2):
        until = time.monotonic() + 30
        while emulator.stats.batches_created < attempt and time.monotonic() < until:
            time.sleep(0.02)
        emulator.advance(hours=80)
    results = list(job.join())
    assert [result.error and result.error.code for result in results] == ["batch_expired"] * 3
    assert [result.attempts for result in results] == [2, 2, 2]
    assert (emulator.stats.batches_created, emulator.stats.items_billed) == (2, 0)


def test_a_job_is_cancelled(
    backend: str,
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
    questions: list[ChatRequest],
) -> None:
    """What was not executed is told so, and nothing is left behind."""
    emulator = make_emulator(timing=Timing(in_progress=3600))
    job = make_processor(emulator, backend=backend).submit(questions)
    job.cancel()
    codes = {result.error.code for result in job.join() if result.error}
    assert codes == {"batch_cancelled"}
    assert (emulator.stats.items_billed, emulator.stats.files_live) == (0, 0)


@pytest.mark.parametrize("quirk", ["partially_succeeded", "null_output", "gradual_counts"])
def test_oddities_of_batches_are_seen_through(
    quirk: Any, emulator: Emulator, make_processor: MakeProcessor, questions: list[ChatRequest]
) -> None:
    """A state that the SDK takes for one on the way; results in one of two places; slow counts."""
    emulator.inject(Fault(route="batches.*", quirk=quirk, times=2))
    assert make_processor(emulator).process(questions).completed == 3
    assert emulator.stats.billed_twice() == []


@pytest.mark.parametrize("route", ["batches.get", "files.content", "objects.download"])
def test_reads_may_lag_behind(
    route: str, emulator: Emulator, processor: GeminiProcessor, questions: list[ChatRequest]
) -> None:
    """A batch that was just made, or has just ended, may be unknown for a while."""
    emulator.inject(Fault(route=route, not_found_seconds=0.3))
    assert processor.process(questions).completed == 3
    assert emulator.stats.batches_created == 1


@pytest.mark.parametrize("route", ["files.upload", "batches.create"])
def test_an_account_without_money_stops_the_job_and_keeps_it(
    route: str, emulator: Emulator, make_processor: MakeProcessor, questions: list[ChatRequest]
) -> None:
    """No waiting heals it; the same call goes on later."""
    message = "This API method requires billing to be enabled."
    body: Any = {"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}
    emulator.inject(Fault(route=route, status=403, body=body, nth=1))
    processor = make_processor(emulator)
    with pytest.raises(QuotaExhausted, match="billing"):
        processor.process(questions)
    assert processor.process(questions).completed == 3
    assert emulator.stats.batches_created == 1


def test_a_refused_token_stops_the_job_and_keeps_it(
    emulator: Emulator, make_processor: MakeProcessor, questions: list[ChatRequest]
) -> None:
    """Vertex AI's, and Cloud Storage's, which would like to renew it."""
    processor = make_processor(emulator, VertexProcessor)
    for route in ("objects.upload", "batches.create"):
        emulator.inject(Fault(route=route, status=401, nth=1))
        with pytest.raises(AuthenticationFailed):
            processor.process(questions)
    assert processor.process(questions).completed == 3
    assert emulator.stats.batches_created == 1


def test_a_bucket_that_does_not_exist_is_said(
    emulator: Emulator, make_processor: MakeProcessor, questions: list[ChatRequest]
) -> None:
    """Nothing waits for it to appear."""
    emulator.inject(Fault(route="objects.upload", status=404))
    with pytest.raises(BatchFailed, match="check gcs_uri"):
        make_processor(emulator, VertexProcessor).process(questions)
    assert emulator.stats.creates_attempted == 0


def test_a_full_queue_is_waited_for(
    make_emulator: Callable[..., Emulator], make_processor: MakeProcessor
) -> None:
    """Batches wait until others have ended; nothing fails."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / 200)

    start = time.time()
    runtime = Runtime(clock=lambda: start + (time.time() - start) * 200, sleep=sleep)
    emulator = make_emulator(
        gemini_limits=GeminiLimits(concurrent_batches=1), timing=Timing(in_progress=0.2)
    )
    limits = Limits(max_requests=2, max_bytes=1_000_000)
    processor = make_processor(emulator, limits=limits, runtime=runtime, poll_interval=4)
    assert processor.process([f"m{n}" for n in range(6)]).completed == 6
    assert emulator.stats.creates_attempted > emulator.stats.batches_created == 3
    assert emulator.stats.billed_twice() == []


def test_what_changes_the_question_changes_the_job(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """Such as the version, the length and the place; the key does not."""
    developer: list[dict[str, Any]] = [{}, {"max_tokens": 5}, {"api_version": "v1beta"}]
    for options in developer:
        assert make_processor(emulator, **options).process(["x"]).completed == 1
    for options in ({}, {"location": "europe-west1"}, {"project": "other"}):
        made = make_processor(emulator, VertexProcessor, **options)
        assert made.process(["x"]).completed == 1
    assert emulator.stats.batches_created == 6


def test_a_model_is_needed(emulator: Emulator, make_processor: MakeProcessor) -> None:
    """On the request or on the processor; each kind has its own."""
    processor = make_processor(emulator, model=None)
    with pytest.raises(UsageError, match="no model: set it on the request, or model="):
        processor.process(["x"])
    with pytest.raises(UsageError, match=r"no model: .* or embedding_model="):
        processor.process([EmbeddingRequest(texts="x")])
    assert emulator.stats.requests == {}
    request = ChatRequest(messages="x", model="gemini-2.5-pro")
    assert processor.process([request]).completed == 1


GCS = {"gcs_uri": "gs://bucket"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "azure"}, "backend must be developer or vertex, found 'azure'"),
        ({"project": "p"}, "project is for Vertex AI: use backend='vertex'"),
        ({"location": "us", **GCS}, "location, gcs_uri is for Vertex AI"),
        ({"credentials": object()}, "credentials is for Vertex AI"),
        ({"inline_bytes": -1}, "inline_bytes must be within 0 and 20000000, found -1"),
        ({"inline_bytes": 20_000_001}, "inline_bytes must be within 0 and 20000000"),
        ({"inline_bytes": 0.5}, "inline_bytes must be within 0 and 20000000"),
        ({"backend": "vertex"}, "gcs_uri must be gs://bucket or gs://bucket/folder, found None"),
        ({"backend": "vertex", "gcs_uri": "s3://b"}, "gcs_uri must be gs://bucket"),
        ({"backend": "vertex", "gcs_uri": "gs://"}, "gcs_uri must be gs://bucket"),
        ({"backend": "vertex", "gcs_uri": "gs:///x"}, "gcs_uri must be gs://bucket"),
        ({"backend": "vertex", "gcs_uri": 7}, "gcs_uri must be gs://bucket"),
        ({"backend": "vertex", "api_key": "k", **GCS}, "Vertex AI has no batches with api_key"),
        (
            {"backend": "vertex", "inline_bytes": 5, **GCS},
            "Vertex AI has no batches with inline_bytes: leave it out",
        ),
        ({"timeout": -1}, "timeout must not be negative"),
        ({"betas": ["x"]}, "has no option 'betas'"),
    ],
)
def test_options_that_can_not_be_meant(options: dict[str, Any], message: str) -> None:
    """Are said to be wrong when the processor is made."""
    with pytest.raises(UsageError, match=message):
        GeminiProcessor(**options)


@pytest.mark.parametrize("option", ["api_key", "inline_bytes"])
def test_vertex_takes_only_options_that_it_has(option: str) -> None:
    """Batches of Vertex AI have neither a key nor requests within the call."""
    make: Any = VertexProcessor
    with pytest.raises(UsageError, match=f"has no (option|batches with) '?{option}"):
        make(gcs_uri="gs://b", **{option: "x"})


def test_max_tokens_are_sent(
    backend: str, emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """For requests that do not say so themselves."""
    processor = make_processor(emulator, backend=backend, max_tokens=2)
    longer = ChatRequest(messages="one two three four five", max_tokens=100)
    long = ChatRequest(messages="one two three four five six seven eight nine ten eleven")
    cut, whole = processor.process([long, longer])
    assert cut.chat
    assert whole.chat
    assert (cut.chat.finish_reason, whole.chat.finish_reason) == ("length", "stop")

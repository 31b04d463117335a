"""What a user of a processor sees, over the made-up vendor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from packages.core.tests.bench import Bench
from pydantic import BaseModel

from ai_batch.core import (
    BatchResponse,
    ChatRequest,
    ChatResponse,
    CompleteEvent,
    EmbeddingRequest,
    ErrorEvent,
    Estimate,
    Event,
    ItemError,
    ItemEvent,
    LedgerError,
    NativeProcessor,
    NotApproved,
    Options,
    ProgressEvent,
    Result,
    Usage,
    UsageError,
)
from ai_batch.core.errors import AuthenticationFailed
from ai_batch.core.provider import Route
from ai_batch.core.results import Outcome
from ai_batch.core.testing import FakeBatch, FakeProvider, FakeVendor, Fate


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A home and a vendor at which all goes well."""
    return Bench(tmp_path / "home")


def ask(bench: Bench, requests: Any, **options: Any) -> list[Result]:
    """The results of ``aprocess``."""

    async def script(processor: NativeProcessor) -> list[Result]:
        return (await processor.aprocess(requests))[:]

    return bench.run(script, **options)


def test_whoever_is_asked_sees_the_estimate_before_anything_is_sent(bench: Bench) -> None:
    """``approve`` is asked once per new job; a job that goes on was approved before."""
    seen: list[Estimate] = []

    def approve(estimate: Estimate) -> bool:
        assert not bench.vendor.batches
        seen.append(estimate)
        return True

    assert len(ask(bench, ["a", "b"], approve=approve)) == 2
    assert len(ask(bench, ["a", "b"], approve=approve, reuse=True)) == 2
    assert [(estimate.requests, estimate.batches) for estimate in seen] == [(2, 1)]


def test_a_job_that_is_not_approved_is_none(bench: Bench) -> None:
    """Without approval there is no job, no folder, and nothing is sent."""

    def approve(estimate: Estimate) -> bool:
        return estimate.requests > 1

    with pytest.raises(NotApproved, match="nothing was sent"):
        ask(bench, ["a"], approve=approve)

    assert not bench.vendor.files
    assert not list((bench.home / "jobs").iterdir())

    async def records(processor: NativeProcessor) -> int:
        return len(processor.jobs())

    assert bench.run(records) == 0


def test_a_finished_job_can_be_deleted(bench: Bench) -> None:
    """It goes from the ledger and from the disk; the same requests are a new job then."""

    async def script(processor: NativeProcessor) -> int:
        response = await processor.aprocess(["a"])
        processor.delete(response.job_id)
        with pytest.raises(LedgerError, match="no job"):
            processor.delete(response.job_id)
        return len(processor.jobs())

    assert bench.run(script) == 0
    assert not list((bench.home / "jobs").iterdir())


def test_results_come_in_the_order_of_the_requests(bench: Bench) -> None:
    """Chats and embeddings mixed, ids given or made up."""
    found = ask(
        bench,
        [
            ChatRequest(id="q1", messages="a"),
            EmbeddingRequest(texts=["bb"]),
            {"id": 7, "messages": "c"},
            "d",
        ],
    )

    assert [result.id for result in found] == ["q1", "req_1", "7", "req_3"]
    assert [result.index for result in found] == [0, 1, 2, 3]
    chats = [found[index].chat for index in (0, 2, 3)]
    assert [chat.content for chat in chats if chat] == [f"answer to {x} #1" for x in "acd"]
    assert found[1].embedding is not None
    assert found[1].embedding.vectors == [[2.0, 1.0]]
    assert found[1].request == EmbeddingRequest(id="req_1", texts=["bb"])


def test_no_requests_need_no_network(bench: Bench) -> None:
    """An empty response, and nothing on record."""

    async def script(processor: NativeProcessor) -> tuple[list[Result], int, float | None]:
        response = await processor.aprocess([])
        events = [event async for event in processor.astream([])]
        assert [event.type for event in events] == ["complete"]
        with pytest.raises(UsageError, match="there are no requests"):
            await processor.asubmit([])
        with pytest.raises(UsageError, match="there are no requests"):
            await processor.aplan([])
        return list(response), len(processor.jobs()), response.cost

    assert bench.run(script) == ([], 0, 0.0)
    assert not bench.vendor.batches


def test_requests_may_come_asynchronously(bench: Bench) -> None:
    """From a database cursor, say."""

    async def source() -> AsyncIterator[str]:
        for text in "abc":
            await asyncio.sleep(1.0)
            yield text

    assert [result.id for result in ask(bench, source())] == ["req_0", "req_1", "req_2"]


def test_all_faults_are_told_together_and_nothing_is_sent(bench: Bench) -> None:
    """Bad fields, empty texts and duplicate ids of one input in one error."""
    requests = [
        ChatRequest(id="a", messages=""),
        {"id": "b", "messages": "x", "bogus": 1},
        ChatRequest(id="c", messages="fine"),
        ChatRequest(id="c", messages="fine too"),
        42,
        EmbeddingRequest(id="d", texts=[""]),
    ]

    with pytest.raises(UsageError) as caught:
        ask(bench, requests)

    error = caught.value
    assert str(error).startswith("5 problems in 6 requests; nothing was sent")
    assert sorted((p.index, p.field) for p in error.problems if p.field) == [
        (0, "messages[0]"),
        (1, "bogus"),
        (3, "id"),
        (5, "texts[0]"),
    ]
    assert "duplicate id, first used by the request at index 2" in str(error)
    assert not bench.vendor.files
    assert list((bench.home / "jobs").iterdir()) == []


def test_a_given_id_may_not_equal_one_that_is_made_up(bench: Bench) -> None:
    """Blank ids become req_<index>, which is as good a duplicate as any."""
    with pytest.raises(UsageError, match=r"request 'req_1' \(index 1\): id: duplicate id"):
        ask(bench, [ChatRequest(id="req_1", messages="a"), "b"])


def test_a_request_that_no_batch_can_hold_is_told_of(bench: Bench) -> None:
    """With its size and what is allowed."""
    with pytest.raises(UsageError, match=r"takes 2,000,\d+ bytes, a batch may hold 1,048,576"):
        ask(bench, ["x" * 2_000_000])


def test_an_input_that_fails_in_the_middle_leaves_nothing(bench: Bench) -> None:
    """The user's own error comes through, and the home is clean."""

    def source() -> Any:
        yield "a"
        raise KeyError("row 2")

    with pytest.raises(KeyError, match="row 2"):
        ask(bench, source())

    assert list((bench.home / "jobs").iterdir()) == []


def test_a_limit_of_the_cost_is_checked_before_anything_is_sent(bench: Bench) -> None:
    """The estimate is above it: nothing was sent, and the error says how much it would be."""
    with pytest.raises(UsageError, match=r"would cost about .* more than max_cost=1e-09"):
        ask(bench, ["a" * 1000], max_cost=1e-9)
    assert not bench.vendor.files

    assert len(ask(bench, ["a" * 1000], max_cost=1.0)) == 1


def test_a_cost_that_nobody_knows_cannot_be_limited(bench: Bench) -> None:
    """Unknown is not below any limit."""

    class Unpriced(FakeProvider):
        def cost(self, *args: Any, **kwargs: Any) -> float | None:
            return None

    bench.make = Unpriced

    with pytest.raises(UsageError, match="the price of fake-chat is not known"):
        ask(bench, ["a"], max_cost=1.0)


def test_an_estimate_sends_nothing(bench: Bench) -> None:
    """Requests, batches, tokens and both prices."""
    bench.provider = {"max_requests": 2}

    async def script(processor: NativeProcessor) -> Any:
        asked = [ChatRequest(messages="word " * 100, max_tokens=50) for _ in range(5)]
        return processor.estimate(asked)

    found = bench.run(script)

    assert (found.requests, found.batches, found.output_tokens) == (5, 3, 250)
    assert found.input_tokens > 600
    assert found.live_cost == pytest.approx(2 * found.batch_cost)
    assert not bench.vendor.files
    assert list((bench.home / "jobs").iterdir()) == []


def test_cost_and_usage_are_summed(bench: Bench) -> None:
    """At the batch's price."""

    async def script(processor: NativeProcessor) -> tuple[int, float | None]:
        response = await processor.aprocess(["abc", "de"])
        return response.usage.input_tokens, response.cost

    tokens, cost = bench.run(script)

    assert tokens == 5
    assert cost == pytest.approx((5 + 2) / 1e6 * 0.5)


@pytest.mark.parametrize(("size", "count", "price"), [(50_000, 8, 1), (150_000, 3, 2)])
def test_each_request_is_priced_by_its_own_length(
    bench: Bench, size: int, count: int, price: int
) -> None:
    """Where long requests cost more per token, many short ones together are none of them."""

    class Tiered(FakeProvider):
        def cost(self, route: Route, usage: Usage, *, batch: bool) -> float | None:
            return usage.input_tokens * (2 if usage.input_tokens > 128_000 else 1)

    bench.make = Tiered
    requests = [f"{number:0{size}}" for number in range(count)]

    async def script(processor: NativeProcessor) -> tuple[float | None, float | None]:
        response = await processor.aprocess(requests)
        return response.cost, processor.estimate(requests).batch_cost

    cost, estimate = bench.run(script)

    assert cost == pytest.approx(size * count * price)
    assert estimate is not None
    assert estimate < size * count


# -- the stream -----------------------------------------------------------------------------------


def events_of(bench: Bench, requests: Any, **options: Any) -> list[Event]:
    """All events of a stream."""

    async def script(processor: NativeProcessor) -> list[Event]:
        return [event async for event in processor.astream(requests)]

    return bench.run(script, **options)


def test_items_come_as_soon_as_their_batch_is_collected(tmp_path: Path) -> None:
    """Once each, with progress in between, and the response at the end."""
    slow = {"a": 10.0, "b": 500.0}
    vendor = FakeVendor(fate=lambda batch: Fate(seconds=slow[batch.requests[0][1]]))
    bench = Bench(tmp_path, vendor, max_requests=1)
    times: dict[str, float] = {}

    async def script(processor: NativeProcessor) -> list[str]:
        kinds: list[str] = []
        async for event in processor.astream(["a", "b"]):
            kinds.append(event.type)
            if isinstance(event, ItemEvent):
                times[event.result.id] = asyncio.get_running_loop().time()
        return kinds

    kinds = bench.run(script)

    assert kinds.count("item") == 2
    assert kinds[-1] == "complete"
    assert kinds.count("complete") == 1
    assert times["req_0"] < 100
    assert times["req_1"] >= 500


def test_progress_never_goes_backwards(tmp_path: Path) -> None:
    """Whatever is retried on the way."""
    fates = iter([Fate(executed=0.5), Fate(executed=0.5), Fate()])
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: next(fates)))

    found = [e.progress for e in events_of(bench, list("abcd")) if isinstance(e, ProgressEvent)]

    for name in ("done", "completed", "failed", "batches_done"):
        values = [getattr(progress, name) for progress in found]
        assert values == sorted(values)
    assert (found[-1].completed, found[-1].fraction, found[-1].eta) == (4, 1.0, 0.0)


def test_a_stream_that_cannot_go_on_ends_with_the_error(tmp_path: Path) -> None:
    """As an event and not as an exception; the same stream later goes on."""
    errors = [AuthenticationFailed("bad key")]

    async def gate(call: str, moment: str) -> None:
        if (call, moment) == ("fetch", "before") and errors:
            raise errors.pop()

    bench = Bench(tmp_path, gate=gate)

    first = events_of(bench, ["a"])
    second = events_of(bench, ["a"])

    assert isinstance(first[-1], ErrorEvent)
    assert isinstance(first[-1].error, AuthenticationFailed)
    assert isinstance(second[-1], CompleteEvent)
    assert bench.vendor.executed == {"a": 1}


def test_a_stream_that_is_left_early_can_be_taken_up_again(tmp_path: Path) -> None:
    """The items that had come are there again, and nothing is paid twice."""
    bench = Bench(tmp_path, max_requests=1)

    async def leave(processor: NativeProcessor) -> None:
        stream = processor.astream(["a", "b"])
        async for event in stream:
            if isinstance(event, ItemEvent):
                break
        await stream.aclose()  # type: ignore[attr-defined]

    bench.run(leave)

    items = [e.result.id for e in events_of(bench, ["a", "b"]) if isinstance(e, ItemEvent)]
    assert sorted(items) == ["req_0", "req_1"]
    assert bench.vendor.executed == {"a": 1, "b": 1}


# -- jobs -----------------------------------------------------------------------------------------


def test_a_submitted_job_is_at_the_vendor_and_can_be_attached_to(tmp_path: Path) -> None:
    """By a program that knows nothing but its id."""
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=1000.0)))

    async def submit(processor: NativeProcessor) -> str:
        job = await processor.asubmit(["a"])
        assert job.total == 1
        assert job.id in repr(job)
        assert len(bench.vendor.batches) == 1
        assert (job.status().state, job.status().in_flight) == ("running", 1)
        await job.adetach()
        return job.id

    job_id = bench.run(submit)

    async def attach(processor: NativeProcessor) -> list[str]:
        assert [record.id for record in processor.jobs()] == [job_id]
        job = processor.attach(job_id)
        return [result.id async for result in job.aresults()]

    assert bench.run(attach) == ["req_0"]
    assert bench.vendor.executed == {"a": 1}


def test_a_planned_job_waits_for_whoever_works_on_it(tmp_path: Path) -> None:
    """Nothing is sent by planning, however long it is ago; another program brings it to its end."""
    bench = Bench(tmp_path)

    async def plan(processor: NativeProcessor) -> str:
        job = await processor.aplan(iter(["a", "b"]))
        await asyncio.sleep(3600)
        assert (job.total, job.status().state, job.status().in_flight) == (2, "running", 0)
        return job.id

    job_id = bench.run(plan)
    assert not bench.vendor.files
    assert not bench.vendor.batches

    async def collect(processor: NativeProcessor) -> list[str]:
        return [result.id async for result in processor.attach(job_id).aresults()]

    assert bench.run(collect) == ["req_0", "req_1"]


def test_planning_the_same_again_gives_the_same_job(tmp_path: Path) -> None:
    """Whoever is not sure whether it was planned plans again, at whatever step it is.

    Once somebody has read it to the end, it is another job.
    """
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=1000.0)))

    async def plan(processor: NativeProcessor) -> str:
        return (await processor.aplan(["a"])).id

    async def send(processor: NativeProcessor) -> str:
        job = await processor.asubmit(["a"])
        await job.adetach()
        return job.id

    async def end(processor: NativeProcessor) -> str:
        job = await processor.aplan(["a"])
        await job.ajoin()
        return job.id

    steps = (plan, plan, send, plan, end, plan)
    assert len({bench.run(step) for step in steps}) == 1
    assert bench.vendor.executed == {"a": 1}


def test_a_salt_makes_another_job_of_the_same_requests(tmp_path: Path) -> None:
    """Two purposes that ask the same have a job each, and each finds its own again."""
    bench = Bench(tmp_path)

    async def plan(processor: NativeProcessor) -> list[str]:
        salts = ("", "monday", "tuesday", "monday")
        return [(await processor.aplan(["a"], salt=salt)).id for salt in salts]

    plain, monday, tuesday, again = bench.run(plan)
    assert len({plain, monday, tuesday}) == 3
    assert again == monday


def test_a_plan_may_be_made_without_an_event_loop(bench: Bench) -> None:
    """What is wrong with the requests is said then, and nothing of them is kept."""
    options = Options(home=bench.home)
    processor = NativeProcessor(lambda: FakeProvider(bench.vendor), options)

    with processor:
        with pytest.raises(UsageError, match="duplicate id"):
            processor.plan([{"id": "x", "messages": "a"}, {"id": "x", "messages": "b"}])
        assert processor.jobs() == []
        job = processor.plan(["a"])
        assert [record.id for record in processor.jobs()] == [job.id]

    assert not bench.vendor.files


def test_a_job_that_ended_before_anybody_followed_it_tells_of_it_all(tmp_path: Path) -> None:
    """Its events end with the response, and do not wait for something that has been already."""
    bench = Bench(tmp_path / "home", FakeVendor(fate=lambda _: Fate(seconds=60.0)))

    async def script(processor: NativeProcessor) -> list[str]:
        job = await processor.asubmit(["a", "b"])
        await asyncio.sleep(3600)
        assert job.status().state == "completed"
        async with asyncio.timeout(60):
            return [event.type async for event in job.aevents()]

    assert bench.run(script) == ["item", "item", "progress", "complete"]


def test_a_join_may_be_given_up_and_taken_up(tmp_path: Path) -> None:
    """The job goes on behind it."""
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=1000.0)))

    async def script(processor: NativeProcessor) -> int:
        job = await processor.asubmit(["a"])
        with pytest.raises(TimeoutError, match=f"{job.id} is still running after 5 s"):
            await job.ajoin(timeout=5)
        return (await job.ajoin()).completed

    assert bench.run(script) == 1


def test_an_unknown_job_cannot_be_attached_to(bench: Bench) -> None:
    """The message says where to look."""

    async def script(processor: NativeProcessor) -> None:
        with pytest.raises(LedgerError, match="no job 'job_9' in this ledger"):
            processor.attach("job_9")

    bench.run(script)


def test_a_job_of_another_provider_is_refused(bench: Bench) -> None:
    """Its rows could not be read."""
    ask(bench, ["a"])

    async def script(processor: NativeProcessor) -> None:
        (record,) = processor.jobs()
        with pytest.raises(UsageError, match=f"{record.id} is of fake, not of other"):
            processor.attach(record.id)

    class Other(FakeProvider):
        name = "other"

    bench.make = Other
    bench.run(script)


def test_the_same_requests_again_are_the_same_job(bench: Bench) -> None:
    """Until its results have been read to the end."""
    ask(bench, ["a", "b"])
    ask(bench, ["a", "b"])

    assert bench.vendor.executed == {"a": 1, "b": 1}


@pytest.mark.parametrize("other", [["b"], ["a", "a"], [ChatRequest(id="x", messages="a")]])
def test_other_requests_are_another_job(bench: Bench, other: Any) -> None:
    """Texts, number and ids are part of the fingerprint."""
    ask(bench, ["a"])
    ask(bench, other)

    assert len(bench.vendor.batches) == 2


def test_only_what_failed_is_retried(tmp_path: Path) -> None:
    """A new job of these requests, under their own ids."""
    tries: list[str] = []

    def answer(text: str, _times: int) -> str | ItemError:
        tries.append(text)
        if text == "b" and tries.count("b") == 1:
            return ItemError(code="bad", message="no")
        return f"fine {text}"

    bench = Bench(tmp_path, FakeVendor(answer=answer))
    results = ask(bench, ["a", "b", "c"])
    assert [result.ok for result in results] == [True, False, True]
    again = [result.request for result in results if not result.ok]

    found = ask(bench, again)

    assert [(r.id, r.chat.content if r.chat else "") for r in found] == [("req_1", "fine b")]
    assert tries == ["a", "b", "c", "b"]


def test_metadata_comes_back_without_its_request(bench: Bench) -> None:
    """It is read along with the id, and not again with all the rest."""
    asked = [ChatRequest(messages="a", metadata={"row": "7"}), ChatRequest(messages="b")]

    first, second = ask(bench, asked)

    assert (first.metadata, second.metadata) == ({"row": "7"}, None)
    assert callable(first._request)
    assert first.request.metadata == {"row": "7"}


class City(BaseModel):
    name: str


def test_answers_become_instances_of_their_type(tmp_path: Path) -> None:
    """Those that do not fit are errors which keep the text."""
    answers = {"Germany": '{"name": "Berlin"}', "France": "Paris"}
    bench = Bench(tmp_path, FakeVendor(answer=lambda text, _times: answers[text]))
    requests = [ChatRequest(messages=text, output_type=City) for text in answers]

    first, second = ask(bench, requests)

    assert first.chat is not None
    assert first.chat.parsed == City(name="Berlin")
    assert second.error is not None
    assert (second.error.code, second.error.raw) == ("invalid_output", "Paris")


@pytest.mark.parametrize(
    ("answers", "attempts", "code"),
    [
        (["Paris", '{"name": "Paris"}'], 2, None),
        (["Paris", "{}", "[]"], 3, "invalid_output"),
    ],
    ids=["the second fits", "none fits"],
)
def test_answers_that_do_not_fit_are_asked_again_if_wanted(
    tmp_path: Path, answers: list[str], attempts: int, code: str | None
) -> None:
    """Within the attempts; all answers are paid for, and the fitting ones stay."""

    def answer(text: str, times: int) -> str:
        return answers[times - 1] if text == "France" else '{"name": "Berlin"}'

    vendor = FakeVendor(answer=answer)
    requests = [ChatRequest(messages=text, output_type=City) for text in ("Germany", "France")]

    async def script(processor: NativeProcessor) -> tuple[list[Result], int]:
        response = await processor.aprocess(requests)
        return response[:], response.usage.output_tokens

    results, tokens = Bench(tmp_path, vendor).run(script, retry_invalid=True)

    assert tokens == 1 + attempts
    assert results[0].chat is not None
    assert results[0].chat.parsed == City(name="Berlin")
    assert results[1].attempts == attempts
    assert (results[1].error.code if results[1].error else None) == code
    assert vendor.executed == {"Germany": 1, "France": attempts}


def test_an_answer_that_was_cut_is_not_asked_again(tmp_path: Path) -> None:
    """It would be cut at the same place."""

    class Cutting(FakeProvider):
        def decode(self, row: bytes, route: Route) -> tuple[str, Outcome]:
            identity, _ = super().decode(row, route)
            return identity, ChatResponse(content='{"name": "Par', finish_reason="length")

    bench = Bench(tmp_path)
    bench.make = Cutting

    (found,) = ask(bench, [ChatRequest(messages="a", output_type=City)], retry_invalid=True)

    assert found.error is not None
    assert (found.error.code, found.error.retryable, found.attempts) == ("invalid_output", False, 1)


def test_a_response_can_be_read_any_number_of_times(bench: Bench) -> None:
    """From disk, from any place."""

    async def script(processor: NativeProcessor) -> BatchResponse:
        response = await processor.aprocess(list("abcdef"))
        assert [r.index for r in response] == [r.index for r in response] == list(range(6))
        assert [r.index for r in response[4:2:-1]] == [4, 3]
        assert response[-1].request == ChatRequest(id="req_5", messages="f")
        return response

    assert bench.run(script).completed == 6


def test_a_large_mix_of_routes_and_retries_comes_out_in_order(tmp_path: Path) -> None:
    """Interleaved models and shards, a third of the rows expired at first."""
    tries: list[str] = []

    def fate(batch: FakeBatch) -> Fate:
        tries.append(batch.remote_id)
        return Fate(executed=0.7 if len(tries) < 20 else 1.0)

    bench = Bench(tmp_path, FakeVendor(fate=fate), max_requests=7)
    requests = [
        ChatRequest(messages=f"t{n}", model=f"m{n % 3}")
        if n % 4
        else EmbeddingRequest(texts=[f"t{n}"])
        for n in range(200)
    ]

    found = ask(bench, requests, max_attempts=9)

    assert [result.index for result in found] == list(range(200))
    for number, result in enumerate(found):
        assert result.ok
        if result.chat is not None:
            assert result.chat.content == f"answer to t{number} #1"
    assert set(bench.vendor.executed.values()) == {1}

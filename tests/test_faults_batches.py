"""Batches that do not go as they should: refused, expired, cancelled, late, or told of oddly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ai_batch.core import AuthenticationFailed, BatchFailed, ChatRequest, UsageError
from ai_batch.emulator import Fault, Limits, Timing

if TYPE_CHECKING:
    from tests.conftest import Lab

WITHOUT_MESSAGES = {"messages": None}


def broken(number: int) -> ChatRequest:
    """A request whose line the vendor's validation refuses."""
    return ChatRequest(id=f"q{number}", messages=f"question {number}", extra=WITHOUT_MESSAGES)


# -- refused as a whole ----------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [60, 25])
def test_a_small_queue_lets_all_batches_through_in_turn(
    make_lab: Callable[..., Lab], tokens: int
) -> None:
    """Batches that the vendor's queue has no room for wait for others, and none fails."""
    lab = make_lab(
        limits=Limits(enqueued_tokens=tokens), timing=Timing(in_progress=0.1), speed=600.0
    )
    requests = lab.questions(12)
    lab.check(requests, lab.processor(shard=3).process(requests))
    assert lab.emulator.stats.executed_twice() == []


def test_a_batch_that_is_too_large_for_the_queue_is_halved(make_lab: Callable[..., Lab]) -> None:
    """A batch that never fits, not even alone, is sent in parts."""
    lab = make_lab(limits=Limits(enqueued_tokens=30), speed=2000.0)
    requests = lab.questions(8)
    lab.check(requests, lab.processor().process(requests))


def test_a_queue_that_is_full_at_the_create_is_waited_for(lab: Lab) -> None:
    """Azure says at the create that there is no room."""
    body: Any = {
        "error": {
            "message": "Enqueued token limit reached",
            "type": "invalid_request_error",
            "param": None,
            "code": "token_limit_exceeded",
        }
    }
    lab.emulator.inject(Fault(route="batches.create", times=2, status=400, body=body))
    requests = lab.questions(4)
    lab.check(requests, lab.processor().process(requests))
    assert lab.emulator.stats.batches_created == 1


def test_lines_that_are_refused_do_not_take_the_others_down(lab: Lab) -> None:
    """Errors by line number end at the right requests; all others are sent again and answered."""
    requests = [broken(n) if n in {2, 5} else lab.questions(1, n)[0] for n in range(8)]
    results = list(lab.processor().process(requests))
    lab.check(requests, results, failed=["q2", "q5"])
    for result in (results[2], results[5]):
        assert result.error
        assert result.error.code == "missing_required_parameter"
        assert "messages" in result.error.message
        assert not result.error.retryable
    assert lab.emulator.stats.batches_by_status == {"failed": 1, "completed": 1}


def test_line_numbers_are_those_of_each_batch(lab: Lab) -> None:
    """In the second and third batch, line one is not the job's first request."""
    requests = [broken(n) if n in {3, 7} else lab.questions(1, n)[0] for n in range(9)]
    results = list(lab.processor(shard=3).process(requests))
    lab.check(requests, results, failed=["q3", "q7"])


def test_a_model_that_does_not_exist_fails_the_job(lab: Lab) -> None:
    """When every batch is refused, the error carries the job and the vendor's errors."""
    requests = lab.questions(3)
    with pytest.raises(BatchFailed) as caught:
        lab.processor(model="no-such-model").process(requests)
    assert [error.code for error in caught.value.errors] == ["model_not_found"]
    assert "no-such-model" in str(caught.value)
    results = list(caught.value.job.results())
    assert [result.error and result.error.code for result in results] == ["model_not_found"] * 3
    assert lab.emulator.stats.items_executed == 0
    assert lab.emulator.stats.files_live == 0


def test_one_refused_batch_does_not_fail_the_job(lab: Lab) -> None:
    """The batch of a model that does not exist leaves the answers of the other model alone."""
    requests = [*lab.questions(2), ChatRequest(id="q2", messages="question 2", model="no-such")]
    response = lab.processor().process(requests)
    assert (response.completed, response.failed) == (2, 1)
    lab.check(requests, response, failed=["q2"])


def test_a_wrong_key_stops_the_job_and_the_right_one_continues_it(
    make_lab: Callable[..., Lab],
) -> None:
    """A key that is not accepted is said at once; with a good one, nothing is lost."""
    lab = make_lab(api_keys=["sk-good-key"])
    requests = lab.questions(3)
    with pytest.raises(AuthenticationFailed) as caught:
        lab.processor(api_key="sk-wrong-key").process(requests)
    assert caught.value.status == 401
    right = lab.processor(api_key="sk-good-key")
    lab.check(requests, right.process(requests))
    assert len(right.jobs()) == 1


@pytest.mark.parametrize(
    "route", ["files.upload", "batches.create", "batches.get", "files.content"]
)
def test_a_key_that_is_revoked_on_the_way_stops_the_job(lab: Lab, route: str) -> None:
    """Whichever call is refused first, the job is kept and goes on once the key is good again."""
    lab.emulator.inject(Fault(route=route, nth=1, status=401))
    requests = lab.questions(3)
    processor = lab.processor()
    with pytest.raises(AuthenticationFailed):
        processor.process(requests)
    lab.check(requests, processor.process(requests))
    assert len(processor.jobs()) == 1
    assert lab.emulator.stats.executed_twice() == []


# -- cut short -------------------------------------------------------------------------------


def test_what_expired_is_sent_again_alone(make_lab: Callable[..., Lab]) -> None:
    """Of an expired batch the answered rows are kept; only the others are sent and billed again."""
    lab = make_lab(timing=Timing(in_progress=48 * 3600))
    requests = lab.questions(8)
    job = lab.processor().submit(requests)
    lab.emulator.advance(hours=25)
    with pytest.raises(TimeoutError):
        job.join(timeout=0.3)
    assert lab.emulator.stats.items_executed == 4
    lab.emulator.advance(hours=25)
    with pytest.raises(TimeoutError):
        job.join(timeout=0.3)
    lab.emulator.advance(hours=25)
    results = list(job.join())
    attempts = [result.attempts for result in results]
    assert max(attempts) == 3
    assert lab.emulator.stats.executed_twice() == []
    lab.check(requests, results, failed=[result.id for result in results if not result.ok])


def test_a_cancelled_job_keeps_what_was_finished(make_lab: Callable[..., Lab]) -> None:
    """What the vendor had answered before the cancel is paid for, and therefore collected."""
    lab = make_lab(timing=Timing(in_progress=1000, cancelling=1))
    requests = lab.questions(10)
    job = lab.processor(shard=5).submit(requests)
    lab.emulator.advance(seconds=500)
    results = list(job.cancel())
    failed = [result for result in results if result.error is not None]
    assert 0 < len(failed) < 10
    assert {result.error.code for result in failed if result.error} == {"batch_cancelled"}
    lab.check(requests, results, failed=[result.id for result in failed])
    assert job.status().state == "cancelled"


def test_a_deadline_cancels_and_collects(make_lab: Callable[..., Lab]) -> None:
    """At the deadline the rest is cancelled; what was answered is there."""
    lab = make_lab(timing=Timing(in_progress=3600))
    requests = lab.questions(4)
    response = lab.processor(deadline=timedelta(seconds=20)).process(requests)
    assert {result.error.code for result in response if result.error} == {"batch_cancelled"}
    lab.check(requests, response, failed=[request.id or "" for request in requests])


def test_a_batch_without_any_good_row_is_complete(make_lab: Callable[..., Lab]) -> None:
    """A completed batch may have no output file at all: each request has its error."""
    lab = make_lab()
    requests = [
        ChatRequest(id=f"q{n}", messages=f"question {n}", extra={"temperature": 5})
        for n in range(3)
    ]
    response = lab.processor().process(requests)
    assert {result.error.code for result in response if result.error} == {"decimal_above_max_value"}
    assert {result.error.status for result in response if result.error} == {400}
    lab.check(requests, response, failed=["q0", "q1", "q2"])
    assert lab.emulator.stats.batches_by_status == {"completed": 1}


# -- told of oddly ---------------------------------------------------------------------------


def test_empty_file_ids_mean_that_there_is_no_file(lab: Lab) -> None:
    """An id of ``""`` is no file to download."""
    lab.emulator.inject(Fault(route="batches.*", quirk="empty_string_ids"))
    requests = lab.questions(3)
    lab.check(requests, lab.processor().process(requests))
    assert lab.emulator.stats.requests["files.content"] == 1


def test_an_unknown_status_is_one_on_the_way(lab: Lab) -> None:
    """A status that nobody has heard of does not end the job."""
    lab.emulator.inject(Fault(route="batches.get", times=3, quirk="unknown_status"))
    requests = lab.questions(3)
    lab.check(requests, lab.processor().process(requests))
    assert lab.emulator.stats.requests["batches.get"] >= 4


def test_counts_of_a_cancelled_batch_are_not_believed(make_lab: Callable[..., Lab]) -> None:
    """The rows decide: counts that went back to zero hide no answer."""
    lab = make_lab(timing=Timing(in_progress=1000))
    lab.emulator.inject(Fault(route="batches.*", quirk="reset_counts"))
    requests = lab.questions(6)
    job = lab.processor().submit(requests)
    lab.emulator.advance(seconds=500)
    results = list(job.cancel())
    failed = [result.id for result in results if not result.ok]
    assert len(failed) == 3
    lab.check(requests, results, failed=failed)


# -- how many at once ------------------------------------------------------------------------


def test_no_more_batches_are_in_flight_than_allowed(
    make_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``max_batches_in_flight`` holds as the vendor sees it."""
    lab = make_lab(timing=Timing(in_progress=0.1), speed=200.0)
    processor = lab.processor(shard=1, max_batches_in_flight=2)
    api: Any = processor._jobs.provider
    create, most = api.create, 0

    async def watched(submission: Any) -> str:
        nonlocal most
        created: str = await create(submission)
        by_status = lab.emulator.stats.batches_by_status
        most = max(most, sum(by_status.values()) - by_status.get("completed", 0))
        return created

    monkeypatch.setattr(api, "create", watched)
    requests = lab.questions(6)
    lab.check(requests, processor.process(requests))
    assert 1 <= most <= 2
    assert lab.emulator.stats.batches_created == 6


def test_many_batches_are_polled_by_listing(make_lab: Callable[..., Lab]) -> None:
    """Twelve batches that are due together are asked for in one call, not in twelve."""
    lab = make_lab(timing=Timing(in_progress=3600))
    requests = lab.questions(12)
    job = lab.processor(shard=1, poll_interval=3600).submit(requests)
    lab.emulator.advance(hours=2)
    lab.fast.advance(2 * 3600)
    lab.check(requests, job.join())
    stats = lab.emulator.stats
    assert stats.requests["batches.list"] == 1
    assert "batches.get" not in stats.requests


def test_a_cost_above_the_limit_is_refused_before_anything_is_sent(lab: Lab) -> None:
    """``max_cost`` is held against the estimate; nothing is sent."""
    requests = [ChatRequest(messages="word " * 20_000, max_tokens=10_000)]
    with pytest.raises(UsageError, match=r"would cost about .* more than max_cost=0.001"):
        lab.processor(max_cost=0.001).process(requests)
    assert lab.emulator.stats.requests == {}


def test_chats_and_embeddings_mix(lab: Lab) -> None:
    """Both kinds in one job: a batch each, side by side, and all results in order."""
    chats, embeddings = lab.questions(3), lab.texts(3)
    requests = [request for pair in zip(chats, embeddings, strict=True) for request in pair]
    response = lab.processor().process(requests)
    assert [result.id for result in response] == ["q0", "e0", "q1", "e1", "q2", "e2"]
    assert [result.chat is not None for result in response] == [True, False] * 3
    assert all(result.embedding.count == 1 for result in response if result.embedding)
    assert lab.emulator.stats.batches_created == 2
    assert lab.emulator.stats.items_billed == 6
    assert lab.emulator.stats.files_live == 0

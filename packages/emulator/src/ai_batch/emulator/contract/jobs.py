"""Whole jobs: of every size, cut into batches, failing in part or as a whole, cut short."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_batch.core import BatchFailed, ChatRequest, EmbeddingRequest, NativeProcessor, Result
from ai_batch.core.messages import user
from ai_batch.emulator.contract.answers import REFUSED, STUMBLING, Moody
from ai_batch.emulator.contract.laboratory import Asked, Laboratory
from ai_batch.emulator.contract.laboratory_fixtures import MakeLab, WithLaboratory, needs
from ai_batch.emulator.emulator import Emulator
from ai_batch.emulator.faults import Fault
from ai_batch.emulator.options import Timing

__all__ = ["JobContract"]

ODD_TEXTS = [
    "plain",
    "Grüße, 世界 👋🏽",
    "line\u2028separators\u2029and\u0085next lines",
    'quotes " and \\ backslashes / and \\u0041',
    "tabs\t, newlines\r\n and a trailing space ",
    '{"key": "looks like JSON"}',
    "\ufeffa byte order mark, and \u200b nothing",
]

MEGABYTE = 1 << 20


def refused(requests: list[Asked], *places: int) -> list[str]:
    """Replace some of the requests by ones that are refused; their ids."""
    for place in places:
        requests[place] = _like(requests[place], f"{REFUSED} {place}")
    return [requests[place].id or "" for place in places]


def _like(request: Asked, text: str) -> Asked:
    if isinstance(request, ChatRequest):
        return request.model_copy(update={"messages": (user(text),)})
    return EmbeddingRequest(id=request.id, texts=text)


def of_no_model(requests: list[Asked]) -> list[Asked]:
    """The same requests to a model that does not exist."""
    return [request.model_copy(update={"model": "no-such-model"}) for request in requests]


def results_of(processor: NativeProcessor, requests: list[Asked]) -> list[Result]:
    """The results, also where the job failed as a whole."""
    try:
        return list(processor.process(requests))
    except BatchFailed as failed:
        return list(failed.job.results())


class JobContract(WithLaboratory):
    """Jobs from requests to results."""

    def test_a_job_is_cut_into_batches(self, lab: Laboratory) -> None:
        """Three batches, all results in the order of the requests, tokens counted."""
        requests = lab.requests(7)
        response = lab.processor(shard=3).process(requests)
        lab.check(requests, response)
        assert (response.completed, response.failed, response.total) == (7, 0, 7)
        assert response.usage.input_tokens > 0
        assert lab.emulator.stats.batches_created == 3
        assert lab.processor().jobs()[0].provider == lab.subject.provider

    def test_one_request_is_a_job(self, lab: Laboratory) -> None:
        """The smallest batch there is."""
        requests = lab.requests(1)
        lab.check(requests, lab.processor().process(requests))

    def test_no_request_is_no_call(self, lab: Laboratory) -> None:
        """Nothing asked, nothing sent."""
        assert list(lab.processor().process([])) == []
        assert lab.emulator.stats.requests == {}

    def test_any_text_survives(self, lab: Laboratory) -> None:
        """Unicode, line separators that are none in JSON, and quotes come back as they went."""
        requests = [lab.subject.request(f"q{n}", text) for n, text in enumerate(ODD_TEXTS)]
        lab.check(requests, lab.processor().process(requests))

    @needs("chat")
    def test_a_megabyte_of_text_survives(self, lab: Laboratory) -> None:
        """A long prompt beside a short one; its answer ends where the vendor's limit cuts it."""
        long = "0123456789abcdef" * (MEGABYTE // 16)
        requests = [lab.subject.request("long", long), lab.subject.request("short", "hello")]
        [first, second] = lab.processor().process(requests)
        assert first.chat is not None, first.error
        assert second.chat is not None, second.error
        assert long.startswith(first.chat.content)
        assert first.chat.content == long or first.chat.finish_reason == "length"
        assert first.chat.usage.input_tokens > MEGABYTE // 10
        assert second.chat.content == "hello"

    def test_bytes_limit_a_batch_too(self, lab: Laboratory) -> None:
        """A batch ends before it would become too large, whatever the number of requests."""
        requests = [lab.subject.request(f"q{n}", f"{n} " + "x" * 3000) for n in range(10)]
        lab.check(requests, lab.processor(shard_bytes=10_000).process(requests))
        assert 4 <= lab.emulator.stats.batches_created <= 5

    def test_rows_come_in_any_order(self, lab: Laboratory) -> None:
        """The vendor answers in an order of its own; the results are in that of the requests."""
        requests = lab.requests(100)
        lab.check(requests, lab.processor(shard=60).process(requests))

    @needs("embeddings", "chat")
    def test_chats_and_embeddings_mix(self, lab: Laboratory) -> None:
        """Both kinds in one job: a batch each, and all results in order."""
        chats = [ChatRequest(id=f"c{n}", messages=f"question {n}") for n in range(3)]
        embeddings = [EmbeddingRequest(id=f"e{n}", texts=f"text {n}") for n in range(3)]
        requests = [each for pair in zip(chats, embeddings, strict=True) for each in pair]
        lab.check(requests, lab.processor().process(requests))
        assert lab.emulator.stats.batches_created == 2

    @needs("embedding")
    def test_each_text_of_a_request_has_its_vector(self, lab: Laboratory) -> None:
        """Several texts in one request: as many vectors, in their order."""
        requests: list[Asked] = [
            EmbeddingRequest(id=f"q{n}", texts=[f"text {n}.{m}" for m in range(1 + n % 3)])
            for n in range(7)
        ]
        response = lab.processor().process(requests)
        lab.check_answers(requests, list(response), set())
        arrays = [result.embedding.array for result in response if result.embedding]
        assert [array.shape[0] for array in arrays] == [1, 2, 3, 1, 2, 3, 1]

    def test_a_job_may_fail_in_part(self, make_lab: MakeLab) -> None:
        """What the vendor refuses is an error value; what stumbled is asked again."""
        lab = make_lab(answer=Moody())
        requests = lab.requests(6)
        failed = refused(requests, 2, 5)
        requests[3] = _like(requests[3], f"{STUMBLING} once")
        results = list(lab.processor().process(requests))
        lab.check(requests, results, failed=failed)
        assert [result.attempts for result in results] == [1, 1, 1, 2, 1, 1]
        for result in results:
            if result.error is not None:
                assert "as you wish" in result.error.message
                assert not result.error.retryable

    def test_all_requests_may_fail(self, make_lab: MakeLab) -> None:
        """A batch without a single good answer gives each request its error, and no exception."""
        lab = make_lab(answer=Moody())
        requests = lab.requests(3)
        failed = refused(requests, 0, 1, 2)
        response = lab.processor().process(requests)
        lab.check(requests, response, failed=failed)
        assert (response.completed, response.failed) == (0, 3)

    def test_an_unknown_model_fails_them_all(self, lab: Laboratory) -> None:
        """Whether the vendor refuses the batch or each row: an error each, and nothing billed."""
        requests = of_no_model(lab.requests(3))
        results = results_of(lab.processor(), requests)
        lab.check(requests, results, failed=[result.id for result in results])
        assert all(result.error and "no-such-model" in result.error.message for result in results)

    @needs("refusal")
    def test_a_batch_that_is_refused_as_a_whole_is_an_exception(self, lab: Laboratory) -> None:
        """It holds the vendor's words and the job, whose results are errors."""
        with pytest.raises(BatchFailed, match="no-such-model") as caught:
            lab.processor().process(of_no_model(lab.requests(2)))
        assert len(list(caught.value.job.results())) == 2
        assert lab.emulator.stats.files_live == 0

    def test_an_expired_batch_is_continued(self, make_lab: MakeLab, tmp_path: Path) -> None:
        """What was not answered in time is asked again, and only that."""
        home = tmp_path / "server"
        with Emulator(home=home, timing=Timing(in_progress=100 * 3600)) as slow:
            lab = make_lab(slow)
            requests = lab.requests(8)
            job = lab.processor().submit(requests)
            slow.advance(hours=73)
        with Emulator(home=home, port=int(slow.url.rpartition(":")[2])) as quick:
            lab.emulator = quick
            results = list(job.join())
            lab.check(requests, results)
            assert quick.stats.executed_twice() == []
        assert {result.attempts for result in results} <= {1, 2}
        assert max(result.attempts for result in results) == 2

    def test_a_cancelled_job_keeps_what_was_finished(self, make_lab: MakeLab) -> None:
        """What the vendor had answered and gives out is there; the rest has an error."""
        lab = make_lab(timing=Timing(in_progress=1000, cancelling=1))
        requests = lab.requests(10)
        job = lab.processor(shard=5).submit(requests)
        lab.emulator.advance(seconds=500)
        results = list(job.cancel())
        failed = [result for result in results if not result.ok]
        assert failed
        assert all("cancel" in result.error.code for result in failed if result.error)
        lab.check_answers(requests, results, {result.id for result in failed})
        assert job.status().state == "cancelled"
        assert lab.emulator.stats.executed_twice() == []

    def test_a_job_is_resumed_by_another_processor(self, make_lab: MakeLab) -> None:
        """A second processor on the same home continues what the first one began."""
        lab = make_lab(timing=Timing(in_progress=3600))
        requests = lab.requests(5)
        first = lab.processor(shard=2).submit(requests)
        first.detach()
        lab.emulator.advance(hours=1)
        second = lab.processor(shard=2)
        assert [job.id for job in second.jobs()] == [first.id]
        lab.check(requests, second.process(requests))
        assert lab.emulator.stats.batches_created == 3

    def test_other_programs_batches_are_left_alone(self, make_lab: MakeLab) -> None:
        """Two programs on one account, batches of equal size, answers lost: each finds its own."""
        mine = make_lab(timing=Timing(in_progress=3600), home="mine")
        other = make_lab(mine.emulator, home="other")
        mine.emulator.inject(Fault(route="batches.create", nth=1, cut="after"))
        mine.emulator.inject(Fault(route="batches.create", nth=4, cut="after"))
        asked, also = mine.requests(4), other.requests(4, word="other")
        jobs = [lab.processor(shard=2) for lab in (mine, other)]
        first, second = jobs[0].submit(asked), jobs[1].submit(also)
        mine.emulator.advance(hours=2)
        results, others = list(first.join()), list(second.join())
        mine.check_answers(asked, results, set())
        other.check_answers(also, others, set())
        stats = mine.emulator.stats
        assert (stats.executed_twice(), stats.items_billed) == ([], 8)
        assert stats.batches_created == 4
        assert mine.budget() == other.budget() == (0, 0)

    @needs("upload")
    def test_files_stay_where_they_are_wanted(self, lab: Laboratory) -> None:
        """``cleanup=False`` deletes nothing at the vendor."""
        requests = lab.requests(2)
        response = lab.processor(cleanup=False).process(requests)
        lab.check_answers(requests, list(response), set())
        assert lab.emulator.stats.files_live >= 1
        assert lab.emulator.stats.files_deleted == 0

    @needs("priced")
    def test_what_it_costs_is_known(self, lab: Laboratory) -> None:
        """A batch costs half of what the same requests cost live."""
        requests = lab.requests(4)
        processor = lab.processor()
        estimate = processor.estimate(requests)
        response = processor.process(requests)
        assert estimate.requests == 4
        assert estimate.batch_cost is not None
        assert estimate.live_cost == pytest.approx(2 * estimate.batch_cost)
        assert response.cost is not None
        assert response.cost > 0.0

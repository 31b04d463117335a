"""The engine over the made-up vendor: what a user sees when things go well, late or wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from packages.core.tests.bench import Bench

from ai_batch.core import (
    AuthenticationFailed,
    BatchFailed,
    BatchResponse,
    ItemError,
    NativeProcessor,
    OutcomeUnknown,
    QueueFull,
    QuotaExhausted,
    RequestRefused,
    VendorFault,
)
from ai_batch.core.errors import ProviderError, RateLimited, RemoteNotFound
from ai_batch.core.provider import Candidate, RemoteState, RemoteStatus, Submission
from ai_batch.core.testing import FakeBatch, FakeProvider, FakeVendor, Fate

Moment = Literal["before", "after"]


class Calls:
    """Counts calls, and fails the ones it was told to."""

    def __init__(self, **errors: Sequence[ProviderError]) -> None:
        self.errors = {call: list(some) for call, some in errors.items()}
        self.count: Counter[str] = Counter()
        self.times: list[tuple[str, float]] = []

    async def __call__(self, call: str, moment: Moment) -> None:
        if moment == "after":
            return
        self.count[call] += 1
        self.times.append((call, asyncio.get_running_loop().time()))
        if self.errors.get(call):
            raise self.errors[call].pop(0)


def contents(response: BatchResponse) -> list[str]:
    """Answers, or the codes of errors."""
    return [r.chat.content if r.chat else r.error.code if r.error else "" for r in response[:]]


def answers(bench: Bench, *texts: str, **options: Any) -> list[str]:
    """Ask, and read the results before the ledger is closed."""

    async def script(processor: NativeProcessor) -> list[str]:
        return contents(await processor.aprocess(list(texts)))

    return bench.run(script, **options)


# -- polls ----------------------------------------------------------------------------------------


def test_one_poll_asks_for_all_batches(tmp_path: Path) -> None:
    """However many batches are under way, one call tells of all of them."""
    asked: list[int] = []

    class Counting(FakeProvider):
        async def poll(self, remote_ids: Sequence[str]) -> dict[str, RemoteStatus]:
            asked.append(len(remote_ids))
            return await super().poll(remote_ids)

    bench = Bench(tmp_path, max_requests=1)
    bench.make = Counting
    texts = [f"t{number}" for number in range(20)]

    assert len(answers(bench, *texts, poll_interval=60)) == 20
    assert asked == [20]


def test_a_fixed_interval_is_kept(tmp_path: Path) -> None:
    """Polls come when the user said, and not more often."""
    calls = Calls()
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=3600)), gate=calls)

    answers(bench, "a", poll_interval=600)

    polls = [time for call, time in calls.times if call == "poll"]
    assert polls == [600.0 * number for number in range(1, 7)]


def test_hours_are_waited_with_few_calls(tmp_path: Path) -> None:
    """The adaptive schedule asks less and less often: on average every 40 seconds."""
    calls = Calls()
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=10_000)), gate=calls)

    answers(bench, "a")

    assert calls.count["poll"] < 10_000 / 40
    assert bench.elapsed < 10_000 + 150


def forgetful(start: float, end: float) -> type[FakeProvider]:
    """A vendor that does not know its batches between two times."""

    class Forgetful(FakeProvider):
        async def poll(self, remote_ids: Sequence[str]) -> dict[str, RemoteStatus]:
            now = asyncio.get_running_loop().time()
            return {} if start <= now < end else await super().poll(remote_ids)

    return Forgetful


def test_a_batch_that_an_old_job_does_not_find_once_is_not_given_up(tmp_path: Path) -> None:
    """After ten hours of running the vendor does not know it for five: it is back, and answered."""
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=60_000)))
    bench.make = forgetful(36_000.0, 54_000.0)

    assert answers(bench, "a") == ["answer to a #1"]
    assert len(bench.vendor.batches) == 1


def test_a_batch_that_is_not_found_any_more_is_lost(tmp_path: Path) -> None:
    """After six hours of asking each request has an error; nothing is asked, or paid for, again."""
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=60_000)))
    bench.make = forgetful(36_000.0, 1e9)

    assert answers(bench, "a", "b") == ["batch_lost"] * 2
    assert len(bench.vendor.batches) == 1
    assert 36_000 + 6 * 3600 <= bench.elapsed < 36_000 + 7 * 3600


def test_a_failing_poll_ends_nothing(tmp_path: Path) -> None:
    """It is repeated, not before the vendor has asked for, and the answer comes all the same."""
    calls = Calls(poll=[RateLimited("slow down", retry_after=500.0)])
    bench = Bench(tmp_path, gate=calls)

    assert answers(bench, "a") == ["answer to a #1"]
    first, second, *_ = [time for call, time in calls.times if call == "poll"]
    assert second - first >= 500.0


# -- errors that only a person can mend -----------------------------------------------------------


@pytest.mark.parametrize("error", [AuthenticationFailed("bad key"), QuotaExhausted("no credit")])
@pytest.mark.parametrize("call", ["upload", "create", "poll", "fetch"])
def test_what_only_a_person_can_mend_is_raised_and_can_be_resumed(
    tmp_path: Path, error: ProviderError, call: str
) -> None:
    """The same call afterwards goes on where it stopped, and nothing is paid twice."""
    calls = Calls(**{call: [error]})
    bench = Bench(tmp_path, gate=calls)

    with pytest.raises(type(error)):
        answers(bench, "a")

    assert answers(bench, "a") == ["answer to a #1"]
    assert bench.vendor.executed == {"a": 1}
    assert len(bench.vendor.batches) == 1


def test_an_error_of_one_shard_leaves_nothing_running(tmp_path: Path) -> None:
    """When one download is refused for good, the others do not go on behind the user's back."""
    done: list[str] = []
    fetches = iter(range(10))

    async def gate(call: str, moment: Moment) -> None:
        if call == "fetch" and moment == "before":
            if next(fetches) == 0:
                await asyncio.sleep(1.0)
                raise AuthenticationFailed("bad key")
            await asyncio.sleep(50.0)
            done.append(call)

    bench = Bench(tmp_path, gate=gate, max_requests=1)

    async def script(processor: NativeProcessor) -> int:
        with pytest.raises(AuthenticationFailed):
            await processor.aprocess(["a", "b", "c"])
        await asyncio.sleep(100.0)
        return len(done)

    assert bench.run(script) == 0


# -- refused batches ------------------------------------------------------------------------------


def test_a_job_of_which_every_batch_was_refused_raises(tmp_path: Path) -> None:
    """With the vendor's errors and the job, whose results give one error per request."""
    fault = VendorFault("model not found", code="model_not_found")
    fate = Fate(state=RemoteState.REFUSED, faults=(fault,))
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: fate))

    async def script(processor: NativeProcessor) -> tuple[BatchFailed, list[str]]:
        with pytest.raises(BatchFailed) as caught:
            await processor.aprocess(["a", "b"])
        results = [r async for r in caught.value.job.aresults()]
        return caught.value, [r.error.code for r in results if r.error]

    failed, codes = bench.run(script)

    assert failed.errors == [fault]
    assert "model not found" in str(failed)
    assert codes == ["model_not_found"] * 2


def test_a_refused_job_can_be_asked_for_again(tmp_path: Path) -> None:
    """Nothing was paid, so the same call tries again once the cause is mended."""
    faults = (VendorFault("model not found"),)
    fates = iter([Fate(state=RemoteState.REFUSED, faults=faults), Fate()])
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: next(fates)))

    with pytest.raises(BatchFailed):
        answers(bench, "a")

    assert answers(bench, "a") == ["answer to a #1"]


def test_a_named_line_takes_down_nobody_else(tmp_path: Path) -> None:
    """The request with the fault gets its error, the others are sent again without it."""

    def fate(batch: FakeBatch) -> Fate:
        lines = [n for n, (_, text) in enumerate(batch.requests, 1) if text == "bad"]
        faults = tuple(VendorFault("bad line", code="bad", line=line) for line in lines)
        return Fate(state=RemoteState.REFUSED, faults=faults) if faults else Fate()

    bench = Bench(tmp_path, FakeVendor(fate=fate))

    found = answers(bench, "a", "bad", "b")

    assert found == ["answer to a #1", "bad", "answer to b #1"]


def test_a_create_that_is_refused_is_the_error_of_its_requests(tmp_path: Path) -> None:
    """Other batches of the job go on."""
    calls = Calls(create=[RequestRefused("no such endpoint", status=400, code="bad_endpoint")])
    bench = Bench(tmp_path, gate=calls, max_requests=1)

    assert sorted(answers(bench, "a", "b")) == ["answer to b #1", "bad_endpoint"]


# -- the queue ------------------------------------------------------------------------------------


def test_never_more_batches_in_flight_than_allowed(tmp_path: Path) -> None:
    """The vendor's view of it."""
    bench = Bench(tmp_path, max_requests=1)

    found = answers(bench, *"abcdefgh", max_batches_in_flight=2)

    assert len(found) == 8
    assert bench.vendor.running_most == 2


def test_a_full_queue_fails_nothing(tmp_path: Path) -> None:
    """The batch waits for its turn."""
    calls = Calls(create=[QueueFull("full")] * 5)
    bench = Bench(tmp_path, gate=calls, max_requests=1)

    assert answers(bench, "a", "b") == ["answer to a #1", "answer to b #1"]
    assert bench.vendor.executed == {"a": 1, "b": 1}


def test_a_batch_that_is_too_large_for_the_queue_comes_in_halves(tmp_path: Path) -> None:
    """When it is refused although nothing else of ours is in the queue."""

    def fate(batch: FakeBatch) -> Fate:
        large = len(batch.requests) > 2
        return Fate(seconds=5.0, state=RemoteState.QUEUE_FULL if large else RemoteState.ENDED)

    bench = Bench(tmp_path, FakeVendor(fate=fate))

    found = answers(bench, *"abcdefgh")

    assert found == [f"answer to {text} #1" for text in "abcdefgh"]


# -- expiry and retries ---------------------------------------------------------------------------


def test_what_expired_is_asked_again(tmp_path: Path) -> None:
    """Only the requests that were not worked through."""
    fates = iter([Fate(executed=0.5), Fate()])
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: next(fates)))

    async def script(processor: NativeProcessor) -> list[tuple[str, int]]:
        response = await processor.aprocess(list("abcd"))
        return [(r.chat.content if r.chat else "", r.attempts) for r in response[:]]

    assert bench.run(script) == [
        ("answer to a #1", 1),
        ("answer to b #1", 1),
        ("answer to c #1", 2),
        ("answer to d #1", 2),
    ]


def test_tries_are_counted(tmp_path: Path) -> None:
    """After max_attempts the error stands, and says what happened."""
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(executed=0.0)))

    assert answers(bench, "a", max_attempts=3) == ["batch_expired"]
    assert len(bench.vendor.batches) == 3


@pytest.mark.parametrize(("retryable", "asked"), [(True, 3), (False, 1)])
def test_only_passing_errors_are_asked_again(tmp_path: Path, retryable: bool, asked: int) -> None:
    """A permanent error would be the same the next time."""
    error = ItemError(code="overloaded", message="", retryable=retryable)
    bench = Bench(tmp_path, FakeVendor(answer=lambda _text, _times: error))

    assert answers(bench, "a") == ["overloaded"]
    assert len(bench.vendor.batches) == asked


def test_a_row_that_never_comes_is_an_error_in_the_end(tmp_path: Path) -> None:
    """Never a gap, and never somebody else's answer."""

    def damage(_batch: FakeBatch, rows: list[bytes]) -> list[bytes]:
        return [row for row in rows if b'"b"' not in row and b"answer to b" not in row]

    bench = Bench(tmp_path, FakeVendor(damage=damage))

    assert answers(bench, "a", "b", "c", max_attempts=2) == [
        "answer to a #1",
        "missing_row",
        "answer to c #1",
    ]


def test_a_cut_batch_without_a_promise_is_looked_at_twice(tmp_path: Path) -> None:
    """Its rows may end where a connection was cut: what is missing once may have been paid for."""
    downloads = 0

    def damage(_batch: FakeBatch, rows: list[bytes]) -> list[bytes]:
        nonlocal downloads
        downloads += 1
        return [] if downloads == 1 else rows

    class Silent(FakeProvider):
        async def poll(self, remote_ids: Sequence[str]) -> dict[str, RemoteStatus]:
            found = await super().poll(remote_ids)
            return {id: replace(one, rows=None, completed=0) for id, one in found.items()}

    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(executed=0.5), damage=damage))
    bench.make = Silent

    assert answers(bench, "a", "b", max_attempts=2) == ["answer to a #1", "batch_expired"]
    assert downloads == 4
    assert bench.vendor.executed == {"a": 1}


# -- cancelling and deadlines ---------------------------------------------------------------------


def test_cancelling_keeps_what_was_paid_for(tmp_path: Path) -> None:
    """Half of the batch was worked through: these answers come, the rest is cancelled."""
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=1000.0)), max_requests=4)

    async def script(processor: NativeProcessor) -> list[str]:
        job = await processor.asubmit(list("abcd"))
        await asyncio.sleep(500.0)
        return contents(await job.acancel())

    found = bench.run(script)

    assert found == ["answer to a #1", "answer to b #1", "batch_cancelled", "batch_cancelled"]


def test_what_was_not_sent_is_not_sent_any_more(tmp_path: Path) -> None:
    """A job that waits in the queue when it is cancelled costs nothing."""
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=1000.0)), max_requests=1)

    async def script(processor: NativeProcessor) -> list[str]:
        job = await processor.asubmit(list("abc"))
        return contents(await job.acancel())

    found = bench.run(script, max_batches_in_flight=1)

    assert sorted(found) == ["batch_cancelled", "cancelled", "cancelled"]
    assert len(bench.vendor.batches) == 1


def test_a_deadline_cancels_what_is_left(tmp_path: Path) -> None:
    """The job ends about then, with what there is."""
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=80_000.0)), max_requests=2)

    found = answers(bench, *"ab", deadline=3600)

    assert found == ["batch_cancelled"] * 2
    assert 3600 <= bench.elapsed <= 4200


def test_a_batch_adopted_on_suspicion_is_not_cancelled(tmp_path: Path) -> None:
    """It may be another program's: it is left alone until its rows show whose it is."""
    vendor = FakeVendor(fate=lambda _: Fate(seconds=1000.0))
    lines = b'{"id":"x-0","text":"foreign"}'

    async def gate(call: str, moment: Moment) -> None:
        if call == "create" and moment == "before" and not vendor.batches:
            now = 1_800_000_000.0 + asyncio.get_running_loop().time()
            vendor.add_batch("foreign", lines, now, ours=False)
            raise OutcomeUnknown("cut")

    bench = Bench(tmp_path, vendor, gate=gate, metadata=False, uploads=False)

    async def script(processor: NativeProcessor) -> list[str]:
        job = await processor.asubmit(["a"])
        await asyncio.sleep(100.0)
        return contents(await job.acancel())

    assert bench.run(script) == ["cancelled"]
    assert [batch.cancelled_at for batch in vendor.batches.values()] == [None]


def test_a_foreign_batch_is_downloaded_once(tmp_path: Path) -> None:
    """Rows of nobody here show at once that an adopted batch is another program's."""
    vendor = FakeVendor(fate=lambda _: Fate(seconds=10.0))
    lines = b'{"id":"x-0","text":"foreign"}\n{"id":"x-1","text":"foreign"}'
    fetched = 0

    async def gate(call: str, moment: Moment) -> None:
        nonlocal fetched
        fetched += call == "fetch" and moment == "before" and len(vendor.batches) == 1
        if call == "create" and moment == "before" and not vendor.batches:
            now = 1_800_000_000.0 + asyncio.get_running_loop().time()
            vendor.add_batch("foreign", lines, now, ours=False)
            raise OutcomeUnknown("cut")

    bench = Bench(tmp_path, vendor, gate=gate, metadata=False, uploads=False)

    assert answers(bench, "a", "b") == ["answer to a #1", "answer to b #1"]
    assert fetched == 1


@pytest.mark.parametrize("gone", ["rows", "batch", "trace"])
def test_a_batch_that_may_be_either_shards_is_lost_for_both(tmp_path: Path, gone: str) -> None:
    """Nobody can tell any more whose requests it held: none of them is asked, and paid for, again.

    One create never arrived and one did, both without an answer; then the batch's results, or
    the batch itself, are deleted, or it isn't even listed any more.
    """
    vendor = FakeVendor()
    creates = 0

    async def gate(call: str, moment: Moment) -> None:
        nonlocal creates
        creates += call == "create" and moment == "before"
        if call == "create" and creates <= 2 and (creates == 1 or moment == "after"):
            raise OutcomeUnknown("cut")
        if call == "fetch":
            raise RemoteNotFound("deleted", status=404)

    class Vanishing(FakeProvider):
        async def find(self, submission: Submission) -> Sequence[Candidate]:
            late = asyncio.get_running_loop().time() > 3600.0
            return [] if gone == "trace" and late else await super().find(submission)

        async def poll(self, remote_ids: Sequence[str]) -> dict[str, RemoteStatus]:
            return await super().poll(remote_ids) if gone == "rows" else {}

    bench = Bench(tmp_path, vendor, gate=gate, metadata=False, uploads=False, max_requests=1)
    bench.make = Vanishing

    found = answers(bench, "a", "b")

    assert found == ["results_unavailable" if gone == "rows" else "batch_lost"] * 2
    assert len(vendor.batches) == 1


@pytest.mark.parametrize("call", ["upload", "create"])
def test_what_is_too_large_for_the_server_is_halved(tmp_path: Path, call: str) -> None:
    """A proxy in front of the vendor may take less than the vendor itself."""
    calls = 0

    async def gate(name: str, moment: Moment) -> None:
        nonlocal calls
        if name == call and moment == "before":
            calls += 1
            if calls == 1:
                raise RequestRefused("413 Request Entity Too Large", status=413)

    bench = Bench(tmp_path, gate=gate)

    assert answers(bench, *"abc") == [f"answer to {text} #1" for text in "abc"]
    assert sorted(len(batch.requests) for batch in bench.vendor.batches.values()) == [1, 2]


def test_waiting_for_the_queue_does_not_use_up_mending(tmp_path: Path) -> None:
    """However often a batch had to wait, one bad line still takes down nobody else."""

    def fate(batch: FakeBatch) -> Fate:
        lines = [n for n, (_, text) in enumerate(batch.requests, 1) if text == "bad"]
        faults = tuple(VendorFault("bad line", code="bad", line=line) for line in lines)
        return Fate(state=RemoteState.REFUSED, faults=faults) if faults else Fate()

    bench = Bench(tmp_path, FakeVendor(fate=fate))

    async def script(processor: NativeProcessor) -> list[str]:
        job = await processor.asubmit(["bad", "good"])
        with processor._jobs.ledger._database.transaction() as tx:
            assert tx.change("UPDATE shard SET refusals = 20") == 1
        return contents(await job.ajoin())

    assert bench.run(script) == ["bad", "answer to good #1"]

"""Workers: whatever is open in a ledger comes to its end, whoever planned it."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from packages.core.tests.bench import Bench

from ai_batch.core import (
    AuthenticationFailed,
    JobRecord,
    Ledger,
    LedgerError,
    NativeProcessor,
    Options,
    UsageError,
    Worker,
    WorkEvent,
    WorkReport,
)
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.errors import VendorFault
from ai_batch.core.leases import Leases
from ai_batch.core.processor import DurableProcessor
from ai_batch.core.provider import RemoteState
from ai_batch.core.remaking import Remaking
from ai_batch.core.testing import FakeProvider, FakeVendor, Fate


class Works(Bench):
    """A bench with workers in the place of processors; each ``work`` is one worker's life."""

    def __init__(self, home: Path, vendor: FakeVendor | None = None, **provider: Any) -> None:
        super().__init__(home, vendor, **provider)
        self.events: list[WorkEvent] = []
        self.most = 0

    def plan(self, *texts: str) -> list[str]:
        """The ids of jobs of one request each."""

        async def script(processor: NativeProcessor) -> list[str]:
            jobs: list[str] = []
            for text in texts:
                jobs.append((await processor.aplan([text])).id)
                await asyncio.sleep(1)
            return jobs

        return self.run(script)

    def state(self, job_id: str) -> str:
        """The state of a job."""

        async def script(processor: NativeProcessor) -> str:
            return processor.attach(job_id).status().state

        return self.run(script)

    def work(
        self,
        beside: Callable[[Worker, NativeProcessor], Awaitable[None]] | None = None,
        *,
        drain: bool = True,
        make: Callable[[JobRecord], DurableProcessor | None] | None = None,
        **options: Any,
    ) -> WorkReport:
        """Let a worker work to its end, with a script at its side."""

        async def script(processor: NativeProcessor) -> WorkReport:
            def note(event: WorkEvent) -> None:
                self.note(event, worker)

            worker = Worker(
                make or (lambda _: processor),
                ledger=processor._options.ledger,
                home=self.home,
                on_event=note,
                runtime=processor._options.runtime,
                **options,
            )
            working = asyncio.create_task(worker.arun(drain=drain))
            if beside is not None:
                await beside(worker, processor)
            return await working

        return self.run(script)

    def note(self, event: WorkEvent, worker: Worker) -> None:
        """Keep what a worker tells, and how many jobs it had at once."""
        self.events.append(event)
        self.most = max(self.most, len(worker.working_on))

    @property
    def told(self) -> list[tuple[str, str]]:
        """What workers have told: what it was, and of which job."""
        return [(event.type, event.job.id) for event in self.events]


async def well(method: str, moment: Literal["before", "after"]) -> None:
    """All calls may pass."""
    del method, moment


@pytest.fixture
def works(tmp_path: Path) -> Works:
    """A home and a vendor at which all goes well, in a minute."""
    return Works(tmp_path / "home")


def test_planned_jobs_come_to_their_ends(works: Works) -> None:
    """A worker that drains sends what others have planned, and ends when all of it has."""
    planned = works.plan("a", "b", "c")

    report = works.work()

    assert (report.ended, report.left, report.stopped_by) == (3, {}, None)
    assert works.vendor.executed == {"a": 1, "b": 1, "c": 1}
    assert [works.state(job) for job in planned] == ["completed"] * 3
    assert Counter(works.told) == Counter(
        (what, job) for what in ("taken", "ended") for job in planned
    )
    assert works.events[-1].message == "1 of 1 answered, 0 failed"


def test_results_that_a_worker_brought_are_delivered_by_who_reads_them(works: Works) -> None:
    """Until then the same requests are the same job, and nothing is paid again."""
    [job_id] = works.plan("a")
    works.work()

    assert works.plan("a") == [job_id]

    async def collect(processor: NativeProcessor) -> list[str | None]:
        job = await processor.aplan(["a"])
        return [result.chat.content async for result in job.aresults() if result.chat]

    assert works.run(collect) == ["answer to a #1"]
    assert works.vendor.executed == {"a": 1}


def test_nothing_to_do_is_an_end(works: Works) -> None:
    """A worker that drains an empty ledger ends at once."""
    assert works.work() == WorkReport()


def test_a_job_that_is_planned_meanwhile_is_taken_up(works: Works) -> None:
    """Within a look at the ledger, while the worker has others or none; then it is stopped."""

    async def beside(worker: Worker, processor: NativeProcessor) -> None:
        await asyncio.sleep(600)
        job = await processor.aplan(["late"])
        await asyncio.sleep(10)
        assert list(worker.working_on) == [job.id]
        assert job.status().in_flight == 1
        await asyncio.sleep(600)
        assert not worker.working_on
        assert str(job.status().state) == "completed"
        worker.stop()

    assert works.work(beside, drain=False).ended == 1


def test_a_worker_that_is_stopped_leaves_all_on_record(tmp_path: Path) -> None:
    """No lease stays behind, nothing was cancelled, and the next worker pays for nothing again."""
    works = Works(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=7200.0)))
    works.plan("a", "b")

    async def beside(worker: Worker, _processor: NativeProcessor) -> None:
        await asyncio.sleep(120)
        assert len(worker.working_on) == 2
        worker.stop()
        worker.stop()

    began = works.elapsed
    report = works.work(beside, drain=False)
    assert (report.ended, works.elapsed - began < 130) == (0, True)
    ledger = Ledger(SQLiteDatabase(works.home / "ledger.db"))
    assert [ledger.owners(job.id) for job in ledger.jobs()] == [set(), set()]
    ledger.close()

    assert works.work().ended == 2
    assert len(works.vendor.batches) == 2
    assert works.vendor.executed == {"a": 1, "b": 1}


def test_a_batch_that_is_being_sent_arrives_before_the_worker_is_gone(works: Works) -> None:
    """A stop in the middle of a create call waits for its answer: nobody has to look for it."""
    sending = asyncio.Event()

    async def slow(method: str, moment: Literal["before", "after"]) -> None:
        if (method, moment) == ("create", "after"):
            sending.set()
            await asyncio.sleep(2)

    works.provider["gate"] = slow
    works.plan("a")

    async def beside(worker: Worker, _processor: NativeProcessor) -> None:
        await sending.wait()
        worker.stop()

    works.work(beside, drain=False)
    del works.provider["gate"]
    began = works.elapsed
    assert works.work().ended == 1
    assert works.elapsed - began < 120
    assert len(works.vendor.batches) == 1


def test_more_jobs_than_places_take_turns(tmp_path: Path) -> None:
    """Jobs that only wait for hours give their places to others, so that all are at the vendor."""
    works = Works(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=7200.0)))
    names = [f"q{number}" for number in range(10)]
    works.plan(*names)

    began = works.elapsed
    report = works.work(max_jobs=2)

    assert report.ended == 10
    assert works.most == 2
    assert works.vendor.running_most == 10
    assert works.elapsed - began < 2 * 7200
    assert works.vendor.executed == dict.fromkeys(names, 1)
    # A turn is no news.
    assert Counter(what for what, _ in works.told) == {"taken": 10, "ended": 10}


def test_a_refused_key_stops_no_other_job(works: Works, caplog: pytest.LogCaptureFixture) -> None:
    """The job is left alone for a while, with a line in the log, and tried again."""
    bad, good = works.plan("bad", "good")
    refused = 0

    async def revoked(method: str, moment: Literal["before", "after"]) -> None:
        nonlocal refused
        if (method, moment) == ("upload", "before") and refused < 2:
            refused += 1
            raise AuthenticationFailed("the key sk-verysecretkey is not known", status=401)

    def make(record: JobRecord) -> DurableProcessor:
        vendor = works.vendor
        gate = revoked if record.id == bad else well
        return NativeProcessor(lambda: FakeProvider(vendor, gate=gate), others[0]._options)

    others: list[NativeProcessor] = []

    async def beside(worker: Worker, processor: NativeProcessor) -> None:
        others.append(processor)
        await asyncio.sleep(600)
        worker.stop()

    with caplog.at_level(logging.INFO, "ai_batch.worker"):
        report = works.work(beside, drain=False, make=make)

    assert (report.ended, refused, report.left) == (2, 2, {})
    told = [what for what, job in works.told if job == bad]
    assert told == ["taken", "left", "taken", "left", "taken", "ended"]
    left = [event for event in works.events if event.type == "left"]
    assert [event.retry_after for event in left] == [60.0, 120.0]
    assert isinstance(left[0].error, AuthenticationFailed)
    assert [job for what, job in works.told if what == "ended"] == [good, bad]
    assert "the key *** is not known; tried again in 60 s" in caplog.text
    assert "sk-verysecretkey" not in caplog.text


def test_draining_does_not_wait_for_who_mends_a_key(works: Works) -> None:
    """It ends when no other job is left, and reports the job that is."""
    bad, _ = works.plan("bad", "good")

    def make(record: JobRecord) -> DurableProcessor:
        if record.id == bad:
            raise UsageError("there is no API key: set FAKE_API_KEY")
        return processors[0]

    processors: list[NativeProcessor] = []

    async def beside(_worker: Worker, processor: NativeProcessor) -> None:
        processors.append(processor)

    report = works.work(beside, make=make)

    assert (report.ended, list(report.left)) == (1, [bad])
    assert report.left[bad].message.startswith("there is no API key: set FAKE_API_KEY; tried again")
    assert isinstance(report.left[bad].error, UsageError)


def test_a_fault_of_one_provider_stops_no_other_job(
    works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody has foreseen is logged, without what may be a key in it."""
    bad, good = works.plan("bad", "good")

    async def broken(method: str, moment: Literal["before", "after"]) -> None:
        text = f"{method} {moment}: Authorization: Bearer abcdefghijklmnop"
        raise ZeroDivisionError(text)

    def make(record: JobRecord) -> DurableProcessor:
        gate = broken if record.id == bad else well
        return NativeProcessor(lambda: FakeProvider(works.vendor, gate=gate), others[0]._options)

    others: list[NativeProcessor] = []

    async def beside(_worker: Worker, processor: NativeProcessor) -> None:
        others.append(processor)

    report = works.work(beside, make=make)

    assert (report.ended, list(report.left)) == (1, [bad])
    assert works.state(good) == "completed"
    assert "ZeroDivisionError" in caplog.text
    assert "abcdefghijklmnop" not in caplog.text


def test_a_job_that_is_others_to_work_on_is_left_to_them(works: Works) -> None:
    """It is told once, however often the worker looks, and reported where it drains."""
    [job_id] = works.plan("a")

    async def beside(worker: Worker, _processor: NativeProcessor) -> None:
        await asyncio.sleep(3600)
        worker.stop()

    report = works.work(beside, drain=False, make=lambda _: None)

    assert works.told == [("skipped", job_id)]
    assert list(report.left) == [job_id]
    assert works.work(make=lambda _: None).ended == 0
    assert not works.vendor.batches


def test_a_home_that_is_not_here_is_told(works: Works) -> None:
    """Of a job whose folder this machine does not see, the log says so; others are worked on."""
    gone, _ = works.plan("gone", "here")
    shutil.move(works.home / "jobs" / gone, works.home / "elsewhere")

    async def beside(worker: Worker, _processor: NativeProcessor) -> None:
        await asyncio.sleep(30)
        # Such as when a network folder has been mounted after all.
        shutil.move(works.home / "elsewhere", works.home / "jobs" / gone)
        await asyncio.sleep(600)
        worker.stop()

    report = works.work(beside, drain=False)

    assert (report.ended, report.left) == (2, {})
    [left] = [event for event in works.events if event.type == "left"]
    assert f"{works.home / 'jobs' / gone} is not on this machine" in left.message


def test_only_the_jobs_that_were_named(works: Works) -> None:
    """With these at their ends there is nothing that the worker could wait for."""
    first, second = works.plan("a", "b")

    assert works.work(only=[second], drain=False).ended == 1

    assert (works.state(first), works.state(second)) == ("running", "completed")
    assert works.vendor.executed == {"b": 1}


def test_a_job_that_is_refused_as_a_whole_has_ended(tmp_path: Path) -> None:
    """It cost nothing; whoever collects it sees why, and planning it again is another job."""
    fault = VendorFault("no such model", code="model_not_found")
    fate = Fate(state=RemoteState.REFUSED, faults=(fault,))
    works = Works(tmp_path, FakeVendor(fate=lambda _: fate))
    [job_id] = works.plan("a")

    assert works.work().ended == 1

    assert works.state(job_id) == "refused"
    assert "no such model" in works.events[-1].message
    assert works.plan("a") != [job_id]


def test_a_job_that_is_being_cancelled_is_brought_to_its_end(tmp_path: Path) -> None:
    """Whoever cancelled it need not stay."""
    works = Works(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=7200.0)))
    [job_id] = works.plan("a")

    async def cancel(processor: NativeProcessor) -> None:
        await processor.asubmit(["a"])
        processor._jobs.ledger.cancel_job(job_id)

    works.run(cancel)
    began = works.elapsed

    assert works.work().ended == 1
    assert works.state(job_id) == "cancelled"
    assert works.elapsed - began < 600


def test_a_job_whose_last_step_was_missed_is_ended(works: Works) -> None:
    """A process may die when all is collected, before it has said so."""
    [job_id] = works.plan("a")
    works.work()

    async def forget(processor: NativeProcessor) -> None:
        processor._jobs.ledger.change_job(job_id, state="running", finished_at=None)

    works.run(forget)

    assert works.work().ended == 1
    assert works.state(job_id) == "completed"


def test_a_job_that_is_deleted_is_forgotten(tmp_path: Path) -> None:
    """What a worker knows of a job goes with it, also where it could not work on it."""
    works = Works(tmp_path / "home")
    [job_id] = works.plan("a")

    async def beside(worker: Worker, processor: NativeProcessor) -> None:
        await asyncio.sleep(20)
        processor.delete(job_id, force=True)
        await asyncio.sleep(20)
        worker.stop()

    assert works.work(beside, drain=False, make=lambda _: None).left == {}


def test_a_ledger_that_is_away_for_minutes_stops_nothing(
    works: Works, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that restarts is tried again; one that is gone for good ends the worker."""
    works.plan("a")
    loop_time: list[float] = []
    read = Leases.open_jobs

    def away(leases: Leases) -> list[tuple[str, float]]:
        now = leases.now()
        loop_time.append(now)
        if now - loop_time[0] < away_for:
            raise LedgerError("the database is starting up")
        return read(leases)

    monkeypatch.setattr(Leases, "open_jobs", away)
    away_for = 300.0
    assert works.work().ended == 1
    assert "the ledger can't be read, and is tried again: the database is starting" in caplog.text

    away_for = 1e9
    with pytest.raises(LedgerError, match="starting up"):
        works.work()
    assert loop_time[-1] - loop_time[0] > 600


def test_two_workers_share_the_jobs_of_a_ledger(works: Works) -> None:
    """Each job ends in both, and nothing is paid twice."""
    planned = works.plan(*"abcdef")

    async def script(processor: NativeProcessor) -> list[WorkReport]:
        given = processor._options
        workers = [
            Worker(
                lambda _: NativeProcessor(lambda: FakeProvider(works.vendor), given),
                ledger=given.ledger,
                home=works.home,
                runtime=given.runtime,
            )
            for _ in range(2)
        ]
        return await asyncio.gather(*(worker.arun(drain=True) for worker in workers))

    reports = works.run(script)

    assert [report.left for report in reports] == [{}, {}]
    assert sum(report.ended for report in reports) >= 6
    assert [works.state(job) for job in planned] == ["completed"] * 6
    assert set(works.vendor.executed.values()) == {1}
    assert len(works.vendor.batches) == 6


def test_connections_are_closed_once_no_job_needs_them(works: Works) -> None:
    """A worker that has nothing to do holds no connection, and opens it again for the next job."""
    closed: list[int] = []

    class Closing(FakeProvider):
        async def aclose(self) -> None:
            closed.append(len(self.vendor.batches))

    works.make = Closing

    async def beside(worker: Worker, processor: NativeProcessor) -> None:
        await processor.aplan(["a"])
        await asyncio.sleep(600)
        assert closed == [1]
        await processor.aplan(["b"])
        await asyncio.sleep(600)
        assert closed == [1, 2]
        worker.stop()

    assert works.work(beside, drain=False).ended == 2


def test_a_worker_keeps_nothing_of_jobs_that_have_ended(tmp_path: Path) -> None:
    """However many there were: what it holds after many jobs is what it held before."""
    works = Works(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=5.0)))
    held: list[tuple[int, ...]] = []

    async def beside(worker: Worker, processor: NativeProcessor) -> None:
        for number in range(60):
            await processor.aplan([f"q{number}"])
            await asyncio.sleep(1)
        await asyncio.sleep(600)
        sizes = (worker._held, worker._driven, worker._using, worker._left.events)
        held.append(tuple(len(size) for size in sizes))
        worker.stop()

    assert works.work(beside, drain=False).ended == 60
    assert held == [(0, 0, 0, 0)]


def test_a_worker_needs_a_place_for_a_job(tmp_path: Path) -> None:
    """None would never do anything."""
    with pytest.raises(UsageError, match="max_jobs must be 1 or more, found 0"):
        Worker(home=tmp_path, max_jobs=0)


def test_blocking_run_and_stop_from_another_thread(tmp_path: Path) -> None:
    """A worker that was stopped before it runs looks at nothing."""
    worker = Worker(home=tmp_path)
    worker.stop()

    assert worker.run() == WorkReport()


def record_of(provider: str, **spec: str) -> JobRecord:
    """A job as the ledger has it."""
    return JobRecord(id="job_1", fingerprint="f", provider=provider, folder="jobs/1", spec=spec)


def test_processors_are_made_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the record, with the key of this process; jobs that are asked alike share one."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-this-machine")
    remake = Remaking(Options(home=tmp_path))
    one = {"model": "gpt-5-mini", "base_url": "https://example.org/v1", "endpoint": "/v1/responses"}

    made = remake(record_of("openai", **one))

    assert made is not None
    assert remake(record_of("openai", **one)) is made
    assert remake(record_of("openai", **{**one, "model": "gpt-5"})) is not made
    identity = made.workshop.formats.identity
    assert {name: identity[name] for name in one} == one


def test_a_processor_of_a_client_can_not_be_made_again(tmp_path: Path) -> None:
    """A job of live calls is its program's."""
    assert Remaking(Options(home=tmp_path))(record_of("concurrent")) is None


def test_processors_that_were_made_are_not_kept_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of jobs that are each asked otherwise take no more room than hundreds."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-this-machine")
    remake = Remaking(Options(home=tmp_path))

    for number in range(300):
        remake(record_of("openai", model=f"ft:{number}"))

    assert len(remake._made) == 256

"""Jobs whose programs die, are started again, paused and cancelled, at a vendor with troubles."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ai_batch.core import BatchResponse, NativeProcessor
from ai_batch.core.provider import RemoteState
from ai_batch.core.testing import FakeBatch, FakeVendor, Fate
from tests.properties.in_memory import new_folder
from tests.properties.mortal import Program

UNANSWERED = {"batch_expired"}
"""Why a request may have no answer, after as many attempts as there may be."""

UNWANTED = {"cancelled", "batch_cancelled"}
"""The same where the user wanted no more."""

waits = st.sampled_from((0.5, 5.0, 61.0, 400.0, 4000.0, 90_000.0))
troubles = st.lists(st.booleans(), max_size=12)
fates = st.builds(
    Fate,
    seconds=st.sampled_from((1.0, 60.0, 3600.0)),
    state=st.sampled_from(
        (RemoteState.ENDED,) * 4 + (RemoteState.QUEUE_FULL, RemoteState.INPUT_LOST)
    ),
    executed=st.sampled_from((1.0, 1.0, 1.0, 0.5, 0.0)),
    listed_after=st.sampled_from((0.0, 0.0, 30.0)),
    known_after=st.sampled_from((0.0, 0.0, 30.0)),
)


@dataclass
class Asked:
    """A job as its user remembers it."""

    texts: list[str]
    cancelled: bool = False
    delivered: bool = False


@dataclass
class Weather:
    """What becomes of the next batches, the last one first; then all goes well."""

    fates: list[Fate] = field(default_factory=list[Fate])

    def __call__(self, batch: FakeBatch) -> Fate:
        return self.fates.pop() if self.fates else Fate()


class LifecycleMachine(RuleBasedStateMachine):
    """One user with one home and one vendor, and never more than one program at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.home = new_folder()
        self.weather = Weather()
        self.vendor = FakeVendor(fate=self.weather)
        self.now = 0.0
        self.jobs: list[Asked] = []

    def _run(self, work: Any, **how: Any) -> Any:
        program = Program(self.home, self.vendor, start=self.now, **how)
        found = program.run(work)
        self.now = program.loop.time()
        return found

    @rule(count=st.integers(1, 8))
    @precondition(lambda self: len(self.jobs) < 3)
    def ask(self, count: int) -> None:
        """A user thinks of a job; nothing is done of it yet."""
        number = len(self.jobs)
        self.jobs.append(Asked([f"job {number}, question {place}" for place in range(count)]))

    @rule(passed=waits)
    def wait(self, passed: float) -> None:
        """Nobody works; the vendor does."""
        self.now += passed

    @rule(fates=st.lists(fates, max_size=3))
    def vendor_troubles(self, fates: list[Fate]) -> None:
        """The next batches expire, find no room, or are seen late."""
        self.weather.fates = fates

    @rule(data=st.data(), seconds=waits, steps=st.none() | st.integers(0, 120), trouble=troubles)
    @precondition(lambda self: any(not job.delivered for job in self.jobs))
    def work_for_a_while(
        self, data: st.DataObject, seconds: float, steps: int | None, trouble: list[bool]
    ) -> None:
        """A program works on a job, and is killed, or stops as it should."""
        job = data.draw(self._open_jobs())
        cleanly = data.draw(st.booleans())

        async def work(processor: NativeProcessor) -> None:
            import asyncio

            handle = await processor.asubmit(job.texts)
            await asyncio.sleep(seconds)
            if cleanly:
                await handle.adetach()

        self._run(work, steps=steps, trouble=trouble)

    @rule(data=st.data(), steps=st.none() | st.integers(0, 60))
    @precondition(lambda self: any(not job.delivered for job in self.jobs))
    def cancel(self, data: st.DataObject, steps: int | None) -> None:
        """The user wants no more of it; what was answered is still delivered."""
        job = data.draw(self._open_jobs())
        job.cancelled = True

        async def work(processor: NativeProcessor) -> None:
            await (await processor.asubmit(job.texts)).acancel()

        self._run(work, steps=steps)

    @rule(data=st.data(), trouble=troubles)
    @precondition(lambda self: any(not job.delivered for job in self.jobs))
    def finish(self, data: st.DataObject, trouble: list[bool]) -> None:
        """The same script, run to its end, gives every result."""
        self._finish(data.draw(self._open_jobs()), trouble)

    def _open_jobs(self) -> st.SearchStrategy[Asked]:
        return st.sampled_from([job for job in self.jobs if not job.delivered])

    def _finish(self, job: Asked, trouble: list[bool]) -> None:
        async def work(processor: NativeProcessor) -> list[Any]:
            response: BatchResponse = await processor.aprocess(job.texts)
            return list(response)

        results = self._run(work, trouble=trouble)
        job.delivered = True
        assert [result.index for result in results] == list(range(len(job.texts)))
        for text, result in zip(job.texts, results, strict=True):
            if result.chat is None:
                reasons = UNANSWERED | UNWANTED if job.cancelled else UNANSWERED
                assert result.error.code in reasons, result
                assert self.vendor.executed[text] == 0
            else:
                assert result.chat.content == f"answer to {text} #1"

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        """Whatever died in between."""
        assert max(self.vendor.executed.values(), default=0) <= 1

    @invariant()
    def the_budget_is_never_negative(self) -> None:
        """The ledger's own check would have refused it."""
        assert min(self._budget()) >= 0

    def _budget(self) -> tuple[int, int]:
        path = self.home / "ledger.db"
        if not path.exists():
            return 0, 0
        ledger = sqlite3.connect(path)
        try:
            # A program may have died before it had made the tables.
            if not ledger.execute("SELECT 1 FROM sqlite_master WHERE name = 'budget'").fetchall():
                return 0, 0
            query = "SELECT TOTAL(used_batches), TOTAL(used_tokens) FROM budget"
            batches, tokens = ledger.execute(query).fetchone()
        finally:
            ledger.close()
        return int(batches), int(tokens)

    def teardown(self) -> None:
        """In the end every job is finished, the queue is empty, and no file is left."""
        try:
            self.weather.fates = []
            for job in self.jobs:
                if not job.delivered:
                    self._finish(job, [])
                    self.nothing_is_paid_twice()
            assert self._budget() == (0, 0)
        finally:
            shutil.rmtree(self.home)


TestLifecycle = LifecycleMachine.TestCase
TestLifecycle.settings = settings(max_examples=settings().max_examples // 4, stateful_step_count=20)

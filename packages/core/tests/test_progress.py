"""Progress as the user's callback sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from packages.core.tests.bench import Bench

from ai_batch.core import NativeProcessor, Progress
from ai_batch.core.provider import Route, Scan
from ai_batch.core.testing import FakeProvider, FakeVendor, Fate


def run(bench: Bench, *texts: str, on_progress: object) -> int:
    """Ask the texts; how many were answered."""

    async def script(processor: NativeProcessor) -> int:
        return (await processor.aprocess(list(texts))).completed

    return bench.run(script, on_progress=on_progress)


def test_the_callback_sees_the_beginning_and_the_end(tmp_path: Path) -> None:
    """And counts that only grow in between."""
    seen: list[Progress] = []

    run(Bench(tmp_path, max_requests=1), "a", "b", on_progress=seen.append)

    assert (seen[0].total, seen[0].done, seen[0].state) == (2, 0, "running")
    assert (seen[-1].done, seen[-1].state, seen[-1].fraction) == (2, "completed", 1.0)
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert seen[-1].usage.input_tokens == 2
    assert seen[-1].cost == pytest.approx(2e-6)


def test_a_callback_that_raises_does_not_stop_the_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the log, once, and nowhere else."""

    def fail(_progress: Progress) -> None:
        raise ValueError("my bar is broken")

    assert run(Bench(tmp_path), "a", on_progress=fail) == 1

    complaints = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in complaints] == ["on_progress raised; the job goes on"]
    assert complaints[0].exc_info is not None


def test_elapsed_and_eta_are_seconds(tmp_path: Path) -> None:
    """While nothing has ended nothing can be said of the rest."""
    seen: list[Progress] = []
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: Fate(seconds=100.0)))

    run(bench, "a", on_progress=seen.append)

    assert seen[0].eta is None
    assert seen[-1].eta == 0.0
    assert 100.0 <= seen[-1].elapsed <= 200.0


def test_without_requests_everything_is_done() -> None:
    """No division by nothing."""
    empty = Progress(job_id="j", state="completed", total=0)

    assert (empty.fraction, empty.done) == (1.0, 0)


class Silent(FakeProvider):
    """A vendor that does not say how many tokens an answer took."""

    def scan(self, row: bytes, route: Route) -> Scan:
        """Only whose it is, and how it ended."""
        found = super().scan(row, route)
        return Scan(found.wire_id, found.error)


def test_answers_without_their_tokens_are_not_free(tmp_path: Path) -> None:
    """What they cost is not known; nothing is free but what was not answered."""
    seen: list[Progress] = []
    bench = Bench(tmp_path)
    bench.make = Silent

    assert run(bench, "a", on_progress=seen.append) == 1

    assert (seen[0].cost, seen[-1].cost) == (0.0, None)

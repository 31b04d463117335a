"""The bar that a user sees while a job runs."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from packages.core.tests.bench import Bench

from ai_batch.core import NativeProcessor, Progress, display, progress
from ai_batch.core.display import Display, Lines, RichBar, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What a person at a terminal sees from now on; a fixture would come before pytest's own."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    return found


def run(tmp_path: Path, **options: Any) -> int:
    """A job of two batches; how many requests were answered."""

    async def script(processor: NativeProcessor) -> int:
        return (await processor.aprocess(["a", "b"])).completed

    return Bench(tmp_path, max_requests=1).run(script, progress=True, **options)


def at(done: int, **fields: Any) -> Progress:
    """A job of four requests on its way."""
    fields.setdefault("state", "running")
    return Progress(job_id="job_1", total=4, completed=done, **fields)


def test_rich_draws_a_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With counts, and how it ended; the cursor is given back."""
    terminal = terminal_of(monkeypatch)

    assert run(tmp_path) == 2

    shown = terminal.getvalue()
    assert "completed, 2/2 batches" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_counts_and_time_fit_into_narrow_terminals(
    monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    """What matters most comes first."""
    terminal = terminal_of(monkeypatch)
    monkeypatch.setenv("COLUMNS", columns)
    late = Progress(
        job_id="job_20261123-142027-cf5539fb",
        state="running",
        total=12_000,
        completed=3_000,
        failed=12,
        batches=5,
        cost=1.2345,
        eta=4000.0,
    )

    bar = RichBar(late)
    bar.show(late)
    bar.close()

    assert "cf5539fb" in terminal.getvalue()
    assert "3012/12000" in terminal.getvalue()
    assert "1 h 7 min left" in terminal.getvalue()


def test_without_rich_tqdm_draws_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either will do."""
    terminal = terminal_of(monkeypatch)
    for name in ("rich", "rich.console", "rich.progress"):
        monkeypatch.setitem(sys.modules, name, None)

    assert run(tmp_path) == 2

    assert "100%" in terminal.getvalue()
    assert "2/2 batches" in terminal.getvalue()


def test_without_both_there_are_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has to be installed."""
    terminal = terminal_of(monkeypatch)
    for name in ("rich", "rich.console", "rich.progress", "tqdm", "tqdm.auto"):
        monkeypatch.setitem(sys.modules, name, None)

    assert run(tmp_path) == 2

    last = terminal.getvalue().splitlines()[-1]
    assert last.endswith(": 2/2, completed, 2/2 batches, 0.0000 USD")


def test_where_there_is_no_terminal_there_are_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log file is no place for a bar."""
    assert run(tmp_path) == 2

    assert ": 2/2, completed," in capsys.readouterr().err.splitlines()[-1]


def test_lines_come_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """And only with news; the end comes at once."""
    clock = iter([0.0, 1.0, 5.0, 20.0, 21.0])
    lines = Lines(clock=lambda: next(clock))

    for shown in (at(0), at(1), at(2, failed=1, eta=4000.0), at(2, failed=1, eta=4000.0)):
        lines.show(shown)
    lines.show(at(4, state="completed", batches=2, batches_done=2, cost=1.5))

    assert capsys.readouterr().err.splitlines() == [
        "job_1: 0/4, 0/0 batches",
        "job_1: 3/4, 1 h 7 min left, 0/0 batches, 1 failed",
        "job_1: 4/4, completed, 2/2 batches, 1.50 USD",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0 s"), (29.0, "29 s"), (60.0, "1 min"), (7500.0, "2 h 5 min")]
)
def test_durations_are_as_people_say_them(seconds: float, text: str) -> None:
    """In the largest units that matter."""
    assert duration(seconds) == text


def test_it_goes_with_a_callback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are told."""
    seen: list[Progress] = []

    run(tmp_path, on_progress=seen.append)

    assert seen[-1].state == "completed"
    assert "completed" in capsys.readouterr().err


def test_a_display_that_raises_does_not_stop_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the log, once."""

    def fail(_progress: Progress) -> Any:
        raise ValueError("no such colour")

    monkeypatch.setattr(progress, "Display", lambda: Display(fail))

    assert run(tmp_path) == 2

    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["the progress display failed; the job goes on"]


def test_a_stuck_terminal_does_not_hold_the_job_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for a moment at the end, and left behind."""
    released = threading.Event()

    class Stuck:
        def show(self, progress: Progress) -> None:
            released.wait(60)

        def close(self) -> None:
            released.wait(60)

    monkeypatch.setattr(progress, "Display", lambda: Display(lambda _: Stuck()))
    monkeypatch.setattr(display, "PATIENCE", 0.01)

    try:
        assert run(tmp_path) == 2
    finally:
        released.set()


def test_nothing_is_drawn_after_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A late report starts no new bar."""
    shown = Display()
    shown.close()
    shown.show(at(1))

    assert shown._thread is None
    assert capsys.readouterr().err == ""

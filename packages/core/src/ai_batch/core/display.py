"""Shows where a job stands: a bar of rich or tqdm, or plain lines where there is no terminal."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from ai_batch.core.events import Progress

__all__ = ["Display"]

logger = logging.getLogger("ai_batch.progress")

LINE_SECONDS = 5.0
"""Seconds between two plain lines."""

PATIENCE = 1.0
"""Seconds for which the end of a job waits for a display that is busy."""


class Bar(Protocol):
    """What shows it."""

    def show(self, progress: Progress) -> None:
        """Draw; called by one thread at a time."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was found."""
        ...


class Display:
    """Draws one job's bar in a thread of its own, which nobody waits for but a moment at the end.

    A terminal may be stuck (Ctrl-S), and a library may fail: neither is to hold the job up.
    """

    def __init__(self, make: Callable[[Progress], Bar] | None = None) -> None:
        """``make`` gives the bar; by default whatever is installed and fits the terminal."""
        self._make = make or _bar_for
        self._news = threading.Condition()
        self._latest: Progress | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def show(self, progress: Progress) -> None:
        """Have it drawn as soon as the thread is free; what comes in between is left out."""
        with self._news:
            self._latest = progress
            self._news.notify()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._draw, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Draw the last one and take the bar down."""
        with self._news:
            self._closed = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _next(self) -> Progress | None:
        """What is to be drawn next; None at the end."""
        with self._news:
            self._news.wait_for(lambda: self._latest is not None or self._closed)
            latest, self._latest = self._latest, None
            return latest

    def _draw(self) -> None:
        bar: Bar | None = None
        try:
            while (progress := self._next()) is not None:
                bar = bar or self._make(progress)
                bar.show(progress)
            if bar is not None:
                bar.close()
        except Exception:
            logger.exception("the progress display failed; the job goes on")


def _bar_for(progress: Progress) -> Bar:
    if sys.stderr.isatty() or "ipykernel" in sys.modules:
        for kind in (RichBar, TqdmBar):
            try:
                return kind(progress)
            except ImportError:
                continue
    return Lines()


def note(progress: Progress, room: int = 200) -> str:
    """What a bar says beside its length: what matters most first, and what there is room for."""
    parts: list[str] = []
    if progress.state != "running":
        parts.append(progress.state)
    elif progress.eta is not None:
        parts.append(f"{duration(progress.eta)} left")
    parts.append(f"{progress.batches_done}/{progress.batches} batches")
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if progress.cost:
        parts.append(
            f"{progress.cost:.2f} USD" if progress.cost >= 1 else f"{progress.cost:.4f} USD"
        )
    if progress.in_flight:
        parts.append(f"{progress.in_flight} in flight")
    while len(parts) > 1 and len(", ".join(parts)) > room:
        parts.pop()
    return ", ".join(parts)


def short(progress: Progress) -> str:
    """The end of the job's id, by which it can be told from others: bars need the room."""
    return progress.job_id.rpartition("-")[2]


def duration(seconds: float) -> str:
    """Seconds as people say them, such as ``2 h 5 min``."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{round(seconds)} s"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def reached(progress: Progress) -> int:
    """Requests that are through, here or at the provider."""
    return min(progress.done + progress.done_remotely, progress.total)


LEAST_BAR = 15
"""Columns that are left to the bar itself, and to what stands between it and the rest."""


class RichBar:
    """A bar of rich, which draws itself also between two reports, and in notebooks."""

    def __init__(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
            refresh_per_second=4,
            expand=True,
        )
        self._task = self._bars.add_task(short(progress), total=progress.total, note="")
        self._bars.start()

    def show(self, progress: Progress) -> None:
        """Set the bar's length and what stands beside it."""
        beside = len(short(progress)) + 2 * len(str(progress.total)) + LEAST_BAR
        room = self._bars.console.width - beside
        self._bars.update(self._task, completed=reached(progress), note=note(progress, room))

    def close(self) -> None:
        """Draw once more and give the cursor back."""
        self._bars.stop()


class TqdmBar:
    """A bar of tqdm; in a notebook, the notebook's own."""

    def __init__(self, progress: Progress) -> None:
        from tqdm.auto import tqdm

        self._bar: Any = tqdm(total=progress.total, desc=short(progress), unit="req")

    def show(self, progress: Progress) -> None:
        """Set the bar's length and what stands beside it."""
        self._bar.n = reached(progress)
        self._bar.set_postfix_str(note(progress))

    def close(self) -> None:
        """End its line."""
        self._bar.close()


class Lines:
    """Plain lines on stderr, for logs: one every few seconds at most, and one at the end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = ""
        self._at = 0.0

    def show(self, progress: Progress) -> None:
        """Write a line, where there is news and the last one was a while ago."""
        line = f"{progress.job_id}: {reached(progress)}/{progress.total}, {note(progress)}\n"
        now = self._clock()
        due = not self._last or progress.state != "running" or now - self._at >= LINE_SECONDS
        if due and line != self._last:
            self._last, self._at = line, now
            sys.stderr.write(line)
            sys.stderr.flush()

    def close(self) -> None:
        """Each line has been written."""

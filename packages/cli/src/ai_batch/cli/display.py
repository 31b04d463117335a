"""Shows a job while it runs: live on a terminal, else in plain lines, or as JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Protocol

from ai_batch.cli.snapshot import Snapshot, age_of, batch_state, progress_fields
from ai_batch.cli.texts import age, count, money
from ai_batch.core.state import TERMINAL, Shard, ShardState

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

__all__ = ["Display", "JsonLines", "LiveDisplay", "PlainLines", "choose_display"]

PLAIN_SECONDS = 10.0
"""The shortest time between two plain lines while nothing but counts has changed."""

BAR_WIDTH = 30

LEAST_ROWS = 4
FRAME = 6
"""Lines of the display beside those of the batches."""


class Display(Protocol):
    """What is told where a job stands, several times a second."""

    def show(self, snapshot: Snapshot) -> None:
        """The job has come so far."""
        ...

    def close(self) -> None:
        """The display ends; what it has shown stays."""
        ...


def choose_display(*, as_json: bool) -> Display:
    """JSON where it was asked for, live where somebody looks, else plain lines."""
    if as_json:
        return JsonLines()
    return LiveDisplay() if sys.stderr.isatty() else PlainLines()


class JsonLines:
    """One JSON object per change on standard output."""

    def __init__(self) -> None:
        """Nothing has been told yet."""
        self._last: tuple[object, ...] = ()

    def show(self, snapshot: Snapshot) -> None:
        """Write where the job stands, if that has changed."""
        state = _counts(snapshot)
        if state != self._last:
            self._last = state
            line = {"type": "progress", **progress_fields(snapshot.progress)}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()

    def close(self) -> None:
        """Nothing is left to do."""


def _counts(snapshot: Snapshot) -> tuple[object, ...]:
    progress = snapshot.progress
    states = (progress.state, progress.batches, progress.batches_done, progress.in_flight)
    return (*states, progress.completed, progress.failed, progress.done_remotely)


class PlainLines:
    """A line on standard error when a batch has moved, and now and then between."""

    def __init__(self) -> None:
        """Nothing has been told yet."""
        self._moves: tuple[object, ...] = ()
        self._last: str = ""
        self._told_at = 0.0

    def show(self, snapshot: Snapshot) -> None:
        """Write a line if there is something new to say."""
        progress, line = snapshot.progress, _line(snapshot)
        moves = (progress.state, progress.batches, progress.batches_done, progress.in_flight)
        waited = snapshot.now - self._told_at >= PLAIN_SECONDS
        if line != self._last and (moves != self._moves or waited):
            self._moves, self._last, self._told_at = moves, line, snapshot.now
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def close(self) -> None:
        """Nothing is left to do."""


def _line(snapshot: Snapshot) -> str:
    progress = snapshot.progress
    parts = [
        f"{progress.job_id} {progress.state}",
        f"{count(progress.done)}/{count(progress.total)} done",
        f"{count(progress.failed)} failed",
        f"{count(progress.in_flight)} at the provider",
        f"{progress.batches_done}/{progress.batches} batches",
    ]
    return ", ".join([*parts, _spent(snapshot)])


def _spent(snapshot: Snapshot) -> str:
    usage = snapshot.progress.usage
    tokens = f"{count(usage.input_tokens)} + {count(usage.output_tokens)} tokens"
    return f"{tokens}, {money(snapshot.progress.cost)}"


class LiveDisplay:
    """A line per batch and a bar, drawn over and over on standard error."""

    def __init__(self) -> None:
        """Draws nothing before the first ``show``."""
        # Only now: half of the commands draw nothing.
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False)
        self._started = False

    def show(self, snapshot: Snapshot) -> None:
        """Draw where the job stands."""
        if not self._started:
            self._started = True
            self._live.start()
        rows = max(self._console.size.height - FRAME, LEAST_ROWS)
        self._live.update(render(snapshot, rows), refresh=True)

    def close(self) -> None:
        """Leave the last picture where it is."""
        if self._started:
            self._started = False
            self._live.stop()


def render(snapshot: Snapshot, rows: int) -> Group:
    """The picture of a job, with at most so many batches."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    progress = snapshot.progress
    shown, hidden = _most_telling(snapshot.batches, rows)
    table = _table(shown, snapshot.now)
    more = [Text(f"  ... and {hidden} more batches")] if hidden else []
    bar = Table.grid(padding=(0, 1))
    part = f"{progress.fraction:.0%}"
    speed = f"{snapshot.rate:,.1f}/s" if snapshot.rate else "-"
    left = f"ETA {age(progress.eta)}"
    drawn = ProgressBar(total=1.0, completed=progress.fraction, width=BAR_WIDTH)
    # As the bar has it: what the provider says to have done counts, before it is collected.
    done = f"{count(progress.done + progress.done_remotely)}/{count(progress.total)}"
    failed = Text(f"{count(progress.failed)} failed", style="red" if progress.failed else "")
    bar.add_row(drawn, part, done, failed, speed, left)
    head = Text(f"{progress.job_id}  {progress.state}  {age(progress.elapsed)}", style="bold")
    return Group(head, table, *more, bar, Text(_spent(snapshot)))


def _table(shards: list[Shard], now: float) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("batch")
    table.add_column("state")
    for name in ("requests", "done", "failed", "age"):
        table.add_column(name, justify="right")
    for shard in shards:
        over = shard.state in TERMINAL
        done = shard.ok if over else shard.live_completed
        failed = shard.failed if over else shard.live_failed
        again = f" (try {shard.attempt})" if shard.attempt > 1 else ""
        cells = [count(shard.count), count(done), count(failed), age(age_of(shard, now))]
        table.add_row(shard.name + again, batch_state(shard), *cells)
    return table


def _most_telling(shards: list[Shard], rows: int) -> tuple[list[Shard], int]:
    """The batches to show where not all fit: those on their way first, in their order."""
    if len(shards) <= rows:
        return shards, 0
    ranks = {ShardState.PLANNED: 1, ShardState.COLLECTED: 2}
    chosen = sorted(shards, key=lambda shard: (ranks.get(shard.state, 0), shard.seq))[:rows]
    return sorted(chosen, key=lambda shard: shard.seq), len(shards) - rows

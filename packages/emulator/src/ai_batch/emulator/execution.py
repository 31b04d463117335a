"""Runs the rows of a batch: input file in, result files out, with flat memory."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, TypeAlias

import msgspec

from ai_batch.emulator.agenda import Stopwatch
from ai_batch.emulator.answers import Answered, Answerer
from ai_batch.emulator.identity import generator
from ai_batch.emulator.items import item_number, marked
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.steps import Abandoned
from ai_batch.emulator.usage import TokenUsage, UsageReader, UsageSum
from ai_batch.emulator.world import World

_BLOCK = 512

Reason: TypeAlias = Literal["cancelled", "expired"]


class Row(msgspec.Struct):
    """One request of an input file.

    `id` is its id on the wire (as the vendor's `Wire` wants it again); a row that is `refused` has
    this answer without being asked.
    """

    id: bytes
    endpoint: str
    body: JsonObject
    refused: Answered | None = None


class Wire(Protocol):
    """How a vendor's batches look: input lines and rows of result files."""

    def read(self, line: bytes) -> Row:
        """Read an input line, which was found to be good before."""
        ...

    def answered(self, index: int, line: bytes, row: Row, answered: Answered) -> bytes:
        """Return the result row of a request that was executed, with its line feed."""
        ...

    def not_executed(self, index: int, line: bytes, reason: Reason) -> bytes:
        """Return the result row of a request that was not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be run: so many `rows`; the others get a row that says why not.

    Failed rows go to `errors`, or with all others to `output` if that is None.
    """

    batch_id: str
    source: Path
    output: Path
    errors: Path | None = None
    rows: int
    seed: int
    key: str
    track_items: bool
    usage_of: UsageReader | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a run ends early, in the emulator's time: it begins at `due`, whenever it is done.

    `was_cancelled` tells whether the job's rows were counted after a cancel.
    """

    due: float
    expires_at: float
    was_cancelled: bool
    is_cancelled: Callable[[], bool]

    def is_open(self, spent: float) -> bool:
        """Tell whether the run may go on after so many seconds."""
        if self.was_cancelled:
            return True
        if self.is_cancelled():
            return False
        return self.due >= self.expires_at or self.due + spent < self.expires_at

    def reason(self) -> Reason:
        """Return why rows were not executed."""
        return "cancelled" if self.is_cancelled() else "expired"


@dataclass(slots=True)
class Outcome:
    """What came of it: why some rows were not run, if so, and the real time that it took."""

    rows: int = 0
    completed: int = 0
    failed: int = 0
    reason: Reason | None = None
    lag: float = 0.0
    usage: TokenUsage = field(default_factory=TokenUsage)
    items: array[int] = field(default_factory=lambda: array("Q"))


def run_batch(
    world: World,
    job: Job,
    wire: Wire,
    answerer: Answerer,
    *,
    window: Window,
    report: Callable[[Outcome], None],
) -> Outcome:
    """Run a batch while its window is open; `report` hears of the progress.

    Raises:
        Abandoned: The emulator stops.
    """
    stopwatch = Stopwatch()

    def proceed(outcome: Outcome) -> bool:
        if world.agenda.closed:
            raise Abandoned
        report(outcome)
        time.sleep(0)  # other threads answer calls meanwhile
        return window.is_open(stopwatch.seconds())

    outcome = Execution(job, wire, answerer, proceed).run(window.reason)
    outcome.lag = stopwatch.seconds()
    return outcome


def count_executed(world: World, job: Job, outcome: Outcome) -> None:
    """Count what a run has done, once for each batch however often it was run."""
    world.store.add("items_executed", outcome.rows)
    world.store.add("items_billed", outcome.completed)
    if job.track_items:
        world.items.write(job.batch_id, outcome.items)


class Execution:
    """One run of one batch."""

    def __init__(
        self, job: Job, wire: Wire, answerer: Answerer, proceed: Callable[[Outcome], bool]
    ) -> None:
        self._job = job
        self._wire = wire
        self._answerer = answerer
        self._proceed = proceed
        self._outcome = Outcome()
        self._usage = None if job.usage_of is None else UsageSum(job.usage_of)
        self._offsets = line_offsets(job.source)
        self._order = row_order(job, len(self._offsets) - 1)

    def run(self, why_not: Callable[[], Reason]) -> Outcome:
        """Run the rows, as long as `proceed` says so before each block; then explain the rest."""
        job = self._job
        with ExitStack() as stack:
            source = stack.enter_context(job.source.open("rb", buffering=0))
            output = stack.enter_context(job.output.open("wb"))
            errors = output
            if job.errors is not None:
                errors = stack.enter_context(job.errors.open("wb"))
            pool = None
            if self._answerer.concurrency > 1:
                pool = stack.enter_context(ThreadPoolExecutor(self._answerer.concurrency))
            for block in self._blocks(self._order[: job.rows]):
                if not self._proceed(self._outcome):
                    break
                self._run_block(block, source, output, errors, pool)
            self._proceed(self._outcome)
            if self._usage is not None:
                self._outcome.usage = self._usage.total()
            rest = self._order[self._outcome.rows :]
            if rest:
                self._outcome.reason = reason = why_not()
                self._explain(rest, reason, source, errors)
        return self._outcome

    def _blocks(self, order: Sequence[int]) -> Iterator[Sequence[int]]:
        size = _BLOCK if self._answerer.concurrency == 1 else 2 * self._answerer.concurrency
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def _line(self, source: BinaryIO, index: int) -> bytes:
        start = self._offsets[index]
        source.seek(start)
        return source.read(self._offsets[index + 1] - start)

    def _run_block(
        self,
        block: Sequence[int],
        source: BinaryIO,
        output: BinaryIO,
        errors: BinaryIO,
        pool: Executor | None,
    ) -> None:
        lines = [self._line(source, index) for index in block]
        rows = [self._wire.read(line) for line in lines]
        answers = map(self._answer, rows) if pool is None else pool.map(self._answer, rows)
        good: list[bytes] = []
        # In a single file the rows stand in the order of their execution.
        bad: list[bytes] = good if errors is output else []
        for index, line, row, answered in zip(block, lines, rows, answers, strict=True):
            result = self._wire.answered(index, line, row, answered)
            (good if answered.ok else bad).append(result)
            self._count(row, answered)
        output.write(b"".join(good))
        if errors is not output:
            errors.write(b"".join(bad))

    def _answer(self, row: Row) -> Answered:
        if row.refused is not None:
            return row.refused
        return self._answerer.answer(row.endpoint, row.body, self._job.key)

    def _count(self, row: Row, answered: Answered) -> None:
        outcome = self._outcome
        outcome.rows += 1
        if answered.ok:
            outcome.completed += 1
            if self._usage is not None:
                self._usage.add(answered.body)
        else:
            outcome.failed += 1
        if self._job.track_items:
            number = item_number(row.endpoint, row.body)
            outcome.items.append(marked(number, billed=answered.ok))

    def _explain(
        self, rest: Sequence[int], reason: Reason, source: BinaryIO, errors: BinaryIO
    ) -> None:
        errors.writelines(
            b"".join(
                self._wire.not_executed(index, self._line(source, index), reason) for index in block
            )
            for block in self._blocks(rest)
        )


def line_offsets(path: Path) -> array[int]:
    """Return where each line starts, and the end of the file."""
    offsets = array("Q", [0])
    position = 0
    with path.open("rb") as source:
        for line in source:
            position += len(line)
            offsets.append(position)
    return offsets


def row_order(job: Job, total: int) -> Sequence[int]:
    """Return the order in which rows are run and written: shuffled, by the seed."""
    order = array("Q", range(total))
    generator(job.seed, f"order:{job.batch_id}").shuffle(order)
    return order

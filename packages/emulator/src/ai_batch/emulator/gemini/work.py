"""The work on batches when it is due: check the input, execute. Repeatable after a crash."""

from __future__ import annotations

import math
from array import array
from pathlib import Path

from msgspec.structs import replace

from ai_batch.emulator.execution import (
    Job,
    Outcome,
    Window,
    count_executed,
    row_order,
    run_batch,
)
from ai_batch.emulator.gemini.dialect import answerer_of
from ai_batch.emulator.gemini.ledger import GeminiLedger
from ai_batch.emulator.gemini.lifecycle import Work, end_of, next_work, rows_to_run
from ai_batch.emulator.gemini.records import Executed, GeminiBatch
from ai_batch.emulator.gemini.shelf import GeminiShelf
from ai_batch.emulator.gemini.wire import KEY, METADATA, GeminiWire, NotALine, line_of
from ai_batch.emulator.steps import Step, Steps
from ai_batch.emulator.world import World


class GeminiWork:
    """Does what is due for each batch."""

    def __init__(self, world: World, shelf: GeminiShelf, ledger: GeminiLedger) -> None:
        self._world = world
        self._shelf = shelf
        self._ledger = ledger
        self._answerer = answerer_of(world.options)
        self._keys: dict[str, str] = {}
        self.steps = Steps(world.agenda, world.clock, self._next)

    def resume(self) -> None:
        """Put every unfinished batch on the agenda."""
        self.steps.resume(batch.id for batch in self._ledger.book.oldest_first())

    def remember_key(self, batch_id: str, key: str) -> None:
        """Keep the caller's key for an upstream server: in memory only."""
        self._keys[batch_id] = key

    def _next(self, batch_id: str) -> Step | None:
        batch = self._ledger.book.find(batch_id)
        work = None if batch is None else next_work(batch)
        if batch is None or work is None:
            return None
        due, kind = work
        return Step(due, lambda: self._do(kind, batch, due))

    def _do(self, kind: Work, batch: GeminiBatch, due: float) -> bool:
        try:
            if kind == "check":
                self._check(batch)
            else:
                self._execute(batch, due)
        except FileNotFoundError:
            # The input goes with a batch that is deleted or cancelled.
            if not self._is_cancelled(batch.id):
                raise
        return True

    def _check(self, batch: GeminiBatch) -> None:
        failure = None if batch.oddities.fails else self._fault_of(self._ledger.held(batch.id))
        failed = batch.oddities.fails or failure is not None
        with self._world.lock:
            current = self._ledger.book.find(batch.id)
            if current is not None:
                self._ledger.book.save(
                    replace(current, check="failed" if failed else "passed", failure=failure)
                )
        if failed:
            self._forget_input(batch.id)

    @staticmethod
    def _fault_of(held: Path) -> str | None:
        """Return what is wrong with an input as a whole: an item's own fault fails it alone."""
        number = 0
        with held.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    line_of(line)
                except NotALine as error:
                    return f"Failed to parse line {number} of the input file: {error}"
        return None if number else "The input file has no requests."

    def _execute(self, batch: GeminiBatch, due: float) -> None:
        scratch = self._world.store.incoming / f"{batch.id}.output"
        job = Job(
            batch_id=batch.id,
            source=self._ledger.held(batch.id),
            output=scratch,
            rows=rows_to_run(batch),
            seed=self._world.options.seed,
            key=self._keys.get(batch.id, ""),
            track_items=self._world.options.track_items,
        )
        window = Window(
            due=due,
            expires_at=math.inf,  # `in_time` has seen to it.
            was_cancelled=batch.cancel_at is not None,
            is_cancelled=lambda: self._is_cancelled(batch.id),
        )

        def report(outcome: Outcome) -> None:
            self._ledger.progress[batch.id] = outcome.completed

        id_name = KEY if batch.input_file is not None else METADATA
        wire = GeminiWire(batch.model, batch.method, id_name)
        outcome = run_batch(self._world, job, wire, self._answerer, window=window, report=report)
        if batch.input_file is None and not batch.oddities.shuffled:
            _restore_order(job, outcome, batch.total)
        self._record(job, outcome)

    def _is_cancelled(self, batch_id: str) -> bool:
        batch = self._ledger.book.find(batch_id)
        return batch is None or batch.cancel_at is not None

    def _record(self, job: Job, outcome: Outcome) -> None:
        """Make output, items and counts known together, or not at all."""
        with self._world.lock, self._world.store.transaction():
            batch = self._ledger.book.find(job.batch_id)
            if batch is None or _ends_empty(batch):
                # Deleted or cancelled meanwhile: nobody is given, or charged for, anything.
                job.output.unlink()
            else:
                executed = Executed(
                    rows=outcome.rows,
                    completed=outcome.completed,
                    failed=outcome.failed,
                    lag=outcome.lag,
                )
                batch = self._ledger.book.save(replace(batch, executed=executed))
                self._shelf.add_output(batch.output_id, job.output, batch.id, end_of(batch))
                count_executed(self._world, job, outcome)
        self._forget_input(job.batch_id)

    def _forget_input(self, batch_id: str) -> None:
        self._ledger.held(batch_id).unlink(missing_ok=True)
        self._ledger.progress.pop(batch_id, None)
        self._keys.pop(batch_id, None)


def _ends_empty(batch: GeminiBatch) -> bool:
    return batch.cancel_at is not None and not batch.oddities.cancelled_output


def _restore_order(job: Job, outcome: Outcome, total: int) -> None:
    """Put the rows of an inline batch, and their items, into the order of the requests."""
    order = row_order(job, total)[: outcome.rows]
    places = sorted(range(len(order)), key=order.__getitem__)
    rows = job.output.read_bytes().splitlines(keepends=True)
    job.output.write_bytes(b"".join(rows[place] for place in places))
    if job.track_items:
        outcome.items = array("Q", (outcome.items[place] for place in places))

"""The work on batches when it is due: run the requests, and drop old results. Repeatable."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from ai_batch.emulator.answers import answerer_for
from ai_batch.emulator.anthropic.dialect import AnthropicDialect
from ai_batch.emulator.anthropic.ledger import BatchLedger
from ai_batch.emulator.anthropic.lifecycle import archived_at, expires_at, rows_by, work_due_at
from ai_batch.emulator.anthropic.params import Rules
from ai_batch.emulator.anthropic.records import BatchRecord, Executed
from ai_batch.emulator.anthropic.versions import is_strict
from ai_batch.emulator.anthropic.wire import AnthropicWire
from ai_batch.emulator.execution import Job, Outcome, Window, count_executed, run_batch
from ai_batch.emulator.steps import Step, Steps
from ai_batch.emulator.world import World


class BatchWork:
    """Does what is due for each batch."""

    def __init__(self, world: World, ledger: BatchLedger) -> None:
        self._world = world
        self._ledger = ledger
        self._answerer = answerer_for(world.options.answer, AnthropicDialect("batch"))
        self._keys: dict[str, str] = {}
        self.steps = Steps(world.agenda, world.clock, self._next)

    def resume(self) -> None:
        """Put every batch that has something ahead on the agenda."""
        self.steps.resume(batch.id for batch in self._ledger.newest_first())

    def remember_key(self, batch_id: str, key: str) -> None:
        """Keep the caller's key for an upstream server: in memory only."""
        self._keys[batch_id] = key

    def input(self, batch_id: str) -> Path:
        """Return where the requests of a batch lie until they are run."""
        return self._world.store.contents / f"{batch_id}.input"

    def results(self, batch_id: str) -> Path:
        """Return where the results of a batch lie."""
        return self._world.store.contents / f"{batch_id}.results"

    def _next(self, batch_id: str) -> Step | None:
        batch = self._ledger.find(batch_id)
        if batch is None or batch.archived:
            return None
        if batch.executed is None:
            return Step(work_due_at(batch), lambda: self._execute(batch))
        return Step(archived_at(batch), lambda: self._archive(batch))

    def _archive(self, batch: BatchRecord) -> bool:
        self.results(batch.id).unlink(missing_ok=True)
        with self._world.lock:
            # It may have been deleted meanwhile.
            if self._ledger.find(batch.id) is not None:
                self._ledger.save(replace(batch, archived=True))
        return True

    def _execute(self, batch: BatchRecord) -> bool:
        options = self._world.options
        due = work_due_at(batch)
        job = Job(
            batch_id=batch.id,
            source=self.input(batch.id),
            output=self._world.store.incoming / f"{batch.id}.results",
            rows=rows_by(batch, due),
            seed=options.seed,
            key=self._keys.get(batch.id, ""),
            track_items=options.track_items,
        )
        window = Window(
            due=due,
            expires_at=expires_at(batch),
            was_cancelled=batch.cancel_at is not None,
            is_cancelled=lambda: self._ledger.get(batch.id).cancel_at is not None,
        )

        def report(outcome: Outcome) -> None:
            self._ledger.progress[batch.id] = outcome.rows

        rules = Rules(
            strict=is_strict(batch.version),
            batched=True,
            known_model=options.known_model,
            betas=batch.betas,
        )
        wire = AnthropicWire(batch.id, rules.refusal)
        outcome = run_batch(self._world, job, wire, self._answerer, window=window, report=report)
        self._record(job, outcome)
        return True

    def _record(self, job: Job, outcome: Outcome) -> None:
        """Make results, items and counts known together, or not at all."""
        with self._world.lock, self._world.store.transaction():
            batch = self._ledger.get(job.batch_id)
            left = batch.total - outcome.rows
            job.output.replace(self.results(batch.id))
            count_executed(self._world, job, outcome)
            self._ledger.save(
                replace(
                    batch,
                    executed=Executed(
                        rows=outcome.rows,
                        succeeded=outcome.completed,
                        errored=outcome.failed,
                        canceled=left if outcome.reason == "cancelled" else 0,
                        expired=left if outcome.reason == "expired" else 0,
                        lag=outcome.lag,
                    ),
                )
            )
        self.input(batch.id).unlink(missing_ok=True)
        self._keys.pop(batch.id, None)
        self._ledger.progress.pop(batch.id, None)

"""The work on batches when it is due: validate, execute, announce. Repeatable after a crash."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from msgspec.structs import replace

from ai_batch.emulator.agenda import Stopwatch
from ai_batch.emulator.execution import Job, Outcome, Window, count_executed, run_batch
from ai_batch.emulator.openai.answering import answerer_of, usage_of
from ai_batch.emulator.openai.ledger import BatchLedger
from ai_batch.emulator.openai.lifecycle import (
    TERMINAL,
    cancelled_early,
    expires_at,
    moments,
    next_work,
    rows_by,
    status_at,
    validated_at,
    work_due_at,
)
from ai_batch.emulator.openai.lines import Inspection, Rules, inspect_lines
from ai_batch.emulator.openai.records import BatchRecord, Executed, LineError
from ai_batch.emulator.openai.shelf import FileShelf
from ai_batch.emulator.openai.webhooks import deliver, event_payload
from ai_batch.emulator.openai.wire import OpenAIWire
from ai_batch.emulator.steps import Step, Steps
from ai_batch.emulator.world import World

ORGANIZATION = "org-emulator"
_RETRY_FOR = 72 * 3600
_VALIDATION_PATIENCE = 10.0


class BatchWork:
    """Does what is due for each batch, and puts the next piece on the agenda."""

    def __init__(self, world: World, shelf: FileShelf, ledger: BatchLedger) -> None:
        self._world = world
        self._shelf = shelf
        self._ledger = ledger
        self._answerer = answerer_of(world.options)
        self._keys: dict[str, str] = {}
        self.steps = Steps(world.agenda, world.clock, self._next)

    def resume(self) -> None:
        """Put every unfinished batch on the agenda."""
        self.steps.resume(batch.id for batch in self._ledger.newest_first())

    def remember_key(self, batch_id: str, key: str) -> None:
        """Keep the caller's key for an upstream server: in memory only."""
        self._keys[batch_id] = key

    def _next(self, batch_id: str) -> Step | None:
        batch = self._ledger.find(batch_id)
        work = None if batch is None else next_work(batch)
        if batch is None or work is None:
            return None
        due, kind = work
        return Step(due, lambda: self._do(kind, batch))

    def _do(self, kind: str, batch: BatchRecord) -> bool:
        """Do one piece; False if the batch has to wait although it is due."""
        if kind == "announce":
            return self._announce(batch)
        if kind == "validate":
            self._validate(batch)
        else:
            self._execute(batch)
        return True

    async def until_validated(self, file_id: str) -> None:
        """Wait for validations of this input that are due, so that they still find the file."""
        for batch in self._ledger.newest_first():
            if batch.input_file_id == file_id and batch.validation == "pending":
                await self._until_validated(batch)

    async def _until_validated(self, batch: BatchRecord) -> None:
        stopwatch = Stopwatch()
        current: BatchRecord | None = batch
        while current is not None and current.validation == "pending":
            due = validated_at(batch) <= self._world.clock.now()
            if not due or cancelled_early(current) or stopwatch.seconds() > _VALIDATION_PATIENCE:
                return
            await asyncio.sleep(0.005)
            current = self._ledger.find(batch.id)

    # ---- validate

    def _validate(self, batch: BatchRecord) -> None:
        found = self._inspect(batch)
        if not found.errors:
            found.errors.extend(self._over_quota(found))
        if not found.errors:
            self._hold_input(batch)
        with self._world.lock:
            current = self._ledger.get(batch.id)
            if current.cancel_at is not None:
                return
            self._ledger.save(
                replace(
                    current,
                    validation="failed" if found.errors else "passed",
                    errors=tuple(found.errors),
                    model=found.model,
                    total=0 if found.errors else found.total,
                    tokens=0 if found.errors else found.tokens,
                )
            )

    def _inspect(self, batch: BatchRecord) -> Inspection:
        file = None if batch.file_never_found else self._shelf.find(batch.input_file_id)
        if file is None:
            message = (
                f"Cannot find file {batch.input_file_id}, "
                f"or organization {ORGANIZATION} does not have access to it."
            )
            return Inspection(errors=[LineError("invalid_request", message, "file_id")])
        if file.purpose != "batch":
            message = (
                f"The file {file.id} has the purpose '{file.purpose}'; "
                "the input file of a batch must have the purpose 'batch'."
            )
            return Inspection(errors=[LineError("invalid_request", message, "file_id")])
        limits = self._world.options.limits
        rules = Rules(
            batch.endpoint,
            limits.max_requests,
            limits.max_embedding_inputs,
            self._world.options.known_model,
        )
        with self._shelf.path(file.id).open("rb") as lines:
            return inspect_lines(lines, rules)

    def _over_quota(self, found: Inspection) -> list[LineError]:
        model = found.model or ""
        limit = self._world.options.limits.enqueued_tokens_of(model)
        if limit is None or self._ledger.enqueued_tokens(model) + found.tokens <= limit:
            return []
        message = (
            f"Enqueued token limit reached for {model} in organization {ORGANIZATION}. "
            f"Limit: {limit:,} enqueued tokens. "
            "Please try again once some in_progress batches have been completed."
        )
        return [LineError("token_limit_exceeded", message)]

    def _held(self, batch_id: str) -> Path:
        return self._world.store.contents / f"{batch_id}.input"

    def _scratch(self, batch_id: str, name: str) -> Path:
        return self._world.store.incoming / f"{batch_id}.{name}"

    def _hold_input(self, batch: BatchRecord) -> None:
        """Keep the input for the run, even if the client deletes the file meanwhile."""
        held = self._held(batch.id)
        held.unlink(missing_ok=True)
        held.hardlink_to(self._shelf.path(batch.input_file_id))

    # ---- execute

    def _execute(self, batch: BatchRecord) -> None:
        due = work_due_at(batch)
        job = Job(
            batch_id=batch.id,
            source=self._held(batch.id),
            output=self._scratch(batch.id, "output"),
            errors=self._scratch(batch.id, "error"),
            rows=rows_by(batch, due),
            seed=self._world.options.seed,
            key=self._keys.get(batch.id, ""),
            track_items=self._world.options.track_items,
            usage_of=usage_of,
        )
        window = Window(
            due=due,
            expires_at=expires_at(batch),
            was_cancelled=batch.cancel_at is not None,
            is_cancelled=lambda: self._ledger.get(batch.id).cancel_at is not None,
        )

        def report(outcome: Outcome) -> None:
            self._ledger.progress[batch.id] = (outcome.completed, outcome.failed)

        wire = OpenAIWire(batch.id, batch.endpoint)
        outcome = run_batch(self._world, job, wire, self._answerer, window=window, report=report)
        self._record(job, outcome)

    def _record(self, job: Job, outcome: Outcome) -> None:
        """Make files, items and counts known together, or not at all."""
        with self._world.lock, self._world.store.transaction():
            batch = self._ledger.get(job.batch_id)
            executed = Executed(
                rows=outcome.rows,
                completed=outcome.completed,
                failed=outcome.failed,
                lag=outcome.lag,
                usage=outcome.usage,
                output_file_id=None,
                error_file_id=None,
            )
            end = moments(replace(batch, executed=executed)).end
            self._ledger.save(
                replace(
                    batch,
                    executed=replace(
                        executed,
                        output_file_id=self._shelve(batch, "output", end),
                        error_file_id=self._shelve(batch, "error", end),
                    ),
                )
            )
            count_executed(self._world, job, outcome)
        self._held(batch.id).unlink(missing_ok=True)
        self._keys.pop(batch.id, None)
        self._ledger.progress.pop(batch.id, None)

    def _shelve(self, batch: BatchRecord, name: str, end: float | None) -> str | None:
        content = self._scratch(batch.id, name)
        if content.stat().st_size == 0:
            content.unlink()
            return None
        file = self._shelf.add(
            content,
            f"{batch.id}_{name}.jsonl",
            "batch_output",
            expires_after=batch.output_expires_after,
            visible_from=end,
            batch_id=batch.id,
        )
        return file.id

    # ---- announce

    def _announce(self, batch: BatchRecord) -> bool:
        now = self._world.clock.now()
        end = moments(batch).end or now
        if self._notify(batch, now) or now - end > _RETRY_FOR:
            with self._world.lock:
                self._ledger.save(replace(self._ledger.get(batch.id), announced=True))
            return True
        # The vendor retries with growing pauses; doubling the age of the event does just that.
        due = now + max(1.0, now - end)
        self.steps.put(batch.id, due)
        return False

    def _notify(self, batch: BatchRecord, now: float) -> bool:
        options = self._world.options
        status = status_at(batch, now)
        if options.webhooks is None or status not in TERMINAL:
            return True
        event_id = f"evt_{batch.id.removeprefix('batch_')}"
        payload = event_payload(event_id, f"batch.{status}", batch.id, int(now))
        # The receiver checks this time against its own clock, which `advance` does not move.
        timestamp = int(time.time())
        return deliver(options.webhooks, options.webhook_secret, event_id, payload, timestamp)

"""The work on batches when it is due: validate, execute, announce. Repeatable after a crash."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from msgspec.structs import replace

from ai_batch.emulator.agenda import Stopwatch
from ai_batch.emulator.openai.answering import answerer_of
from ai_batch.emulator.openai.execution import Execution, Job, Outcome
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
from ai_batch.emulator.world import World

ORGANIZATION = "org-emulator"
_RETRY_FOR = 72 * 3600
_VALIDATION_PATIENCE = 10.0


class _Abandoned(Exception):
    """The emulator stops; the work is done again after its next start."""


class BatchWork:
    """Does what is due for each batch, and puts the next piece on the agenda."""

    def __init__(self, world: World, shelf: FileShelf, ledger: BatchLedger) -> None:
        self._world = world
        self._shelf = shelf
        self._ledger = ledger
        self._answerer = answerer_of(world.options)
        self._keys: dict[str, str] = {}

    def resume(self) -> None:
        """Put every unfinished batch on the agenda."""
        for batch in self._ledger.newest_first():
            self.plan(batch.id)

    def remember_key(self, batch_id: str, key: str) -> None:
        """Keep the caller's key for an upstream server: in memory only."""
        self._keys[batch_id] = key

    def plan(self, batch_id: str) -> None:
        """Put the next piece of work of a batch on the agenda."""
        batch = self._ledger.find(batch_id)
        work = None if batch is None else next_work(batch)
        if work is not None:
            self._world.agenda.put(batch_id, work[0], lambda: self._step(batch_id))

    def _step(self, batch_id: str) -> None:
        while (batch := self._ledger.find(batch_id)) is not None:
            work = next_work(batch)
            if work is None:
                return
            if work[0] > self._world.clock.now():
                self.plan(batch_id)
                return
            try:
                if not self._do(work[1], batch):
                    return
            except _Abandoned:
                return

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

    def _hold_input(self, batch: BatchRecord) -> None:
        """Keep the input for the run, even if the client deletes the file meanwhile."""
        held = self._held(batch.id)
        held.unlink(missing_ok=True)
        held.hardlink_to(self._shelf.path(batch.input_file_id))

    # ---- execute

    def _execute(self, batch: BatchRecord) -> None:
        stopwatch = Stopwatch()
        scratch = self._world.store.incoming
        due = work_due_at(batch)
        job = Job(
            batch_id=batch.id,
            endpoint=batch.endpoint,
            source=self._held(batch.id),
            output=scratch / f"{batch.id}.output",
            errors=scratch / f"{batch.id}.errors",
            rows=rows_by(batch, due),
            seed=self._world.options.seed,
            key=self._keys.get(batch.id, ""),
            track_items=self._world.options.track_items,
        )

        def proceed(outcome: Outcome) -> bool:
            if self._world.agenda.closed:
                raise _Abandoned
            self._ledger.progress[batch.id] = (outcome.completed, outcome.failed)
            time.sleep(0)  # other threads answer calls meanwhile
            started_before_cancel = batch.cancel_at is None
            if started_before_cancel and self._ledger.get(batch.id).cancel_at is not None:
                return False
            return (
                batch.cancel_at is not None
                or due + stopwatch.seconds() < expires_at(batch)
                or (due >= expires_at(batch))
            )

        def why_not() -> str:
            cancelled = self._ledger.get(batch.id).cancel_at is not None
            return "batch_cancelled" if cancelled else "batch_expired"

        outcome = Execution(job, self._answerer, proceed).run(why_not)
        self._record(job, outcome, stopwatch.seconds())

    def _record(self, job: Job, outcome: Outcome, lag: float) -> None:
        """Make files, items and counts known together, or not at all."""
        store = self._world.store
        with self._world.lock, store.transaction():
            batch = self._ledger.get(job.batch_id)
            executed = Executed(
                rows=outcome.rows,
                completed=outcome.completed,
                failed=outcome.failed,
                lag=lag,
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
                        output_file_id=self._shelve(batch, job.output, "output", end),
                        error_file_id=self._shelve(batch, job.errors, "error", end),
                    ),
                )
            )
            store.add("items_executed", outcome.rows)
            store.add("items_billed", outcome.completed)
            if job.track_items:
                self._world.items.write(batch.id, outcome.items)
        self._held(batch.id).unlink(missing_ok=True)
        self._keys.pop(batch.id, None)
        self._ledger.progress.pop(batch.id, None)

    def _shelve(
        self, batch: BatchRecord, content: Path, name: str, end: float | None
    ) -> str | None:
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
        self._world.agenda.put(batch.id, due, lambda: self._step(batch.id))
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

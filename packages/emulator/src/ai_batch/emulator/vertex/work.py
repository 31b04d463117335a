"""The work on jobs when it is due: read the input, execute. Repeatable after a crash."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from ai_batch.emulator.execution import (
    Job,
    Outcome,
    Window,
    Wire,
    count_executed,
    run_batch,
)
from ai_batch.emulator.gcs.warehouse import Warehouse
from ai_batch.emulator.gemini.dialect import EMBED_CONTENT, GENERATE_CONTENT
from ai_batch.emulator.gemini.records import Executed
from ai_batch.emulator.steps import Step, Steps
from ai_batch.emulator.vertex.dialect import answerer_of
from ai_batch.emulator.vertex.ledger import VertexLedger
from ai_batch.emulator.vertex.lifecycle import Work, next_work, rows_to_run, work_due_at
from ai_batch.emulator.vertex.records import JobError, VertexJob, time_text
from ai_batch.emulator.vertex.wire import InstanceWire, PredictionWire, is_line
from ai_batch.emulator.world import World

_INVALID_ARGUMENT = 3
_NOT_FOUND = 5
_INTERNAL = 13
_FILES_OF_SEVERAL = 3


class _BadInput(Exception):
    """A job cannot begin."""

    def __init__(self, message: str, code: int = _INVALID_ARGUMENT) -> None:
        super().__init__(message)
        self.error = JobError(code, message)


class VertexWork:
    """Does what is due for each job."""

    def __init__(self, world: World, warehouse: Warehouse, ledger: VertexLedger) -> None:
        self._world = world
        self._warehouse = warehouse
        self._ledger = ledger
        self._answerer = answerer_of(world.options)
        self._keys: dict[str, str] = {}
        self.steps = Steps(world.agenda, world.clock, self._next)

    def resume(self) -> None:
        """Put every unfinished job on the agenda."""
        self.steps.resume(job.id for job in self._ledger.book.oldest_first())

    def remember_key(self, job_id: str, key: str) -> None:
        """Keep the caller's token for an upstream server: in memory only."""
        self._keys[job_id] = key

    def _next(self, job_id: str) -> Step | None:
        job = self._ledger.book.find(job_id)
        work = None if job is None else next_work(job)
        if job is None or work is None:
            return None
        due, kind = work
        return Step(due, lambda: self._do(kind, job))

    def _do(self, kind: Work, job: VertexJob) -> bool:
        if kind == "check":
            self._check(job)
        else:
            self._execute(job)
        return True

    # ---- check

    def _check(self, job: VertexJob) -> None:
        error: JobError | None = None
        total = 0
        try:
            total = self._hold_input(job)
        except _BadInput as bad:
            error = bad.error
        if job.fails:
            error = JobError(_INTERNAL, "An internal error has occurred.")
        with self._world.lock:
            current = self._ledger.book.find(job.id)
            if current is not None:
                check = "passed" if error is None else "failed"
                self._ledger.book.save(replace(current, check=check, error=error, total=total))

    def _hold_input(self, job: VertexJob) -> int:
        """Keep the input for the run, all objects in one file; return its number of lines."""
        scratch = self._world.store.incoming / f"vertex-{job.id}.input"
        limits = self._world.options.vertex_limits
        total = 0
        with scratch.open("wb") as sink:
            for uri, number, line in self._lines(job):
                total += 1
                if not is_line(line):
                    msg = f"Failed to parse line {number} of {uri}: it is no JSON object."
                    raise _BadInput(msg)
                sink.write(line if line.endswith(b"\n") else line + b"\n")
        if not 0 < total <= limits.max_requests:
            msg = f"The job has {total} requests, not 1 to {limits.max_requests}."
            raise _BadInput(msg)
        scratch.replace(self._ledger.held(job.id))
        return total

    def _lines(self, job: VertexJob) -> Iterator[tuple[str, int, bytes]]:
        most = self._world.options.vertex_limits.max_input_bytes
        for uri in job.input_uris:
            bucket, _, name = uri.removeprefix("gs://").partition("/")
            found = self._warehouse.find(bucket, name)
            if found is None:
                msg = f"The input {uri} does not exist, or cannot be read."
                raise _BadInput(msg, _NOT_FOUND)
            if found.bytes > most:
                msg = f"The input {uri} has {found.bytes} bytes: more than {most}."
                raise _BadInput(msg)
            with self._warehouse.path(found).open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    yield uri, number, line

    # ---- execute

    def _execute(self, job: VertexJob) -> None:
        due = work_due_at(job)
        run = Job(
            batch_id=f"vertex-{job.id}",
            source=self._ledger.held(job.id),
            output=self._world.store.incoming / f"vertex-{job.id}.output",
            rows=rows_to_run(job),
            seed=self._world.options.seed,
            key=self._keys.get(job.id, ""),
            track_items=self._world.options.track_items,
        )
        window = Window(
            due=due,
            expires_at=math.inf,
            was_cancelled=job.cancel_at is not None,
            is_cancelled=lambda: self._is_cancelled(job.id),
        )
        outcome = run_batch(
            self._world, run, _wire_of(job), self._answerer, window=window, report=lambda _: None
        )
        self._record(job, run, outcome)

    def _is_cancelled(self, job_id: str) -> bool:
        job = self._ledger.book.find(job_id)
        return job is None or job.cancel_at is not None

    def _record(self, job: VertexJob, run: Job, outcome: Outcome) -> None:
        """Put the predictions where they belong, then make items and counts known together.

        A crash in between repeats the run, whose predictions then replace the first ones.
        """
        self._publish(job, run)
        with self._world.lock, self._world.store.transaction():
            current = self._ledger.book.find(job.id) or job
            executed = Executed(
                rows=outcome.rows,
                completed=outcome.completed,
                failed=outcome.failed,
                lag=outcome.lag,
            )
            self._ledger.book.save(replace(current, executed=executed))
            count_executed(self._world, run, outcome)
        self._ledger.held(job.id).unlink(missing_ok=True)
        self._keys.pop(job.id, None)

    def _publish(self, job: VertexJob, run: Job) -> None:
        bucket, _, folder = job.output_directory.removeprefix("gs://").partition("/")
        if not job.several_files:
            resource = {"name": f"{folder}/predictions.jsonl", "contentType": "application/jsonl"}
            self._warehouse.put(bucket, run.output, resource, {}, run.batch_id)
            return
        # Which row is whose is then not known to the faults that damage rows.
        for number, part in enumerate(self._parts(run.output), start=1):
            self._warehouse.put(bucket, part, {"name": f"{folder}/predictions_{number}.jsonl"}, {})

    def _parts(self, content: Path) -> Iterator[Path]:
        lines = content.read_bytes().splitlines(keepends=True)
        content.unlink()
        for first in range(_FILES_OF_SEVERAL):
            part = self._warehouse.scratch()
            part.write_bytes(b"".join(lines[first::_FILES_OF_SEVERAL]))
            yield part


def _wire_of(job: VertexJob) -> Wire:
    if job.is_legacy:
        return InstanceWire(job.short_model)
    method = EMBED_CONTENT if job.embeds else GENERATE_CONTENT
    processed = time_text(work_due_at(job)).replace("Z", "+00:00")
    return PredictionWire(job.short_model, method, processed)

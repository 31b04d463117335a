"""The batches that the vendor knows, each change written through to the store."""

from __future__ import annotations

from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.openai.errors import VendorError
from ai_batch.emulator.openai.lifecycle import (
    TERMINAL,
    Moments,
    Status,
    cancelled_early,
    moments,
    rows_by,
    status_at,
    validated_at,
)
from ai_batch.emulator.openai.records import BatchRecord, LineError
from ai_batch.emulator.record_book import RecordBook
from ai_batch.emulator.usage import TokenUsage
from ai_batch.emulator.world import World

_KIND = "openai.batch"
_HOUR = 3600


class BatchLedger:
    """Finds, changes and shows batches. Changes are made under the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._book = RecordBook(world.store, _KIND, BatchRecord)
        self.progress: dict[str, tuple[int, int]] = {}

    def load(self) -> None:
        """Read all records from the store."""
        self._book.load()
        self.progress.clear()

    def find(self, batch_id: str) -> BatchRecord | None:
        """Return a batch, or None."""
        return self._book.find(batch_id)

    def get(self, batch_id: str) -> BatchRecord:
        """Return a batch, or raise the vendor's 404."""
        batch = self._book.find(batch_id)
        if batch is None:
            raise VendorError(f"No batch found with id '{batch_id}'.", status=404)
        return batch

    def save(self, batch: BatchRecord) -> BatchRecord:
        """Write a batch, in place of its former record."""
        return self._book.save(batch)

    def newest_first(self) -> list[BatchRecord]:
        """Return all batches."""
        return self._book.newest_first()

    def created_last_hour(self) -> int:
        """Return how many batches were made within the hour before now."""
        since = self._world.clock.now() - _HOUR
        return sum(batch.created_at > since for batch in self._book.oldest_first())

    def enqueued_tokens(self, model: str) -> int:
        """Return the tokens of all batches of a model that have not ended."""
        now = self._world.clock.now()
        return sum(
            batch.tokens
            for batch in self._book.oldest_first()
            if batch.model == model
            and not batch.announced
            and batch.validation == "passed"
            and status_at(batch, now) not in TERMINAL
        )

    def counts_by_status(self) -> dict[str, int]:
        """Return how many batches are in each state."""
        now = self._world.clock.now()
        counts: dict[str, int] = {}
        for batch in self._book.oldest_first():
            status = status_at(batch, now)
            counts[status] = counts.get(status, 0) + 1
        return counts

    def view(self, batch: BatchRecord) -> JsonObject:
        """Return the Batch object of the wire, every key present."""
        now = self._world.clock.now()
        status = status_at(batch, now)
        times = moments(batch)
        executed = batch.executed if status in TERMINAL else None
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.endpoint,
            "model": batch.model,
            "errors": _errors(batch.errors) if status == "failed" else None,
            "input_file_id": batch.input_file_id,
            "completion_window": "24h",
            "status": status,
            "output_file_id": None if executed is None else executed.output_file_id,
            "error_file_id": None if executed is None else executed.error_file_id,
            "created_at": int(batch.created_at),
            **_times(times, now),
            "request_counts": self._counts(batch, status, now),
            "metadata": None if batch.metadata is None else dict(batch.metadata),
            "usage": None if executed is None else _usage(executed.usage),
        }

    def _counts(self, batch: BatchRecord, status: Status, now: float) -> JsonObject:
        if status in {"validating", "failed"} or cancelled_early(batch):
            return {"total": 0, "completed": 0, "failed": 0}
        executed = batch.executed
        if executed is not None:
            completed, failed = executed.completed, executed.failed
        elif batch.id in self.progress:
            completed, failed = self.progress[batch.id]
        elif batch.durations.in_progress > 0 and now > validated_at(batch):
            until = now if batch.cancel_at is None else min(now, batch.cancel_at)
            completed, failed = rows_by(batch, until), 0
        else:
            completed, failed = 0, 0
        return {"total": batch.total, "completed": completed, "failed": failed}


def _times(times: Moments, now: float) -> JsonObject:
    names = (
        "in_progress_at",
        "finalizing_at",
        "completed_at",
        "failed_at",
        "expired_at",
        "cancelling_at",
        "cancelled_at",
    )
    shown: JsonObject = {name: times.at(name, now) for name in names}
    return {**shown, "expires_at": int(times.expires_at)}


def _usage(usage: TokenUsage) -> JsonObject:
    """Return the batch's `usage`, which has the names of the Responses API on all endpoints."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _errors(errors: tuple[LineError, ...]) -> JsonObject:
    return {
        "object": "list",
        "data": [
            {
                "code": error.code,
                "message": error.message,
                "param": error.param,
                "line": error.line,
            }
            for error in errors
        ],
    }

"""The batches that the vendor knows, and how it shows them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from ai_batch.emulator.anthropic.errors import not_found
from ai_batch.emulator.anthropic.lifecycle import (
    archived_at,
    ended_at,
    expires_at,
    rows_by,
    status_at,
)
from ai_batch.emulator.anthropic.records import BatchRecord
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.record_book import RecordBook
from ai_batch.emulator.world import World

_KIND = "anthropic.batch"


class BatchLedger:
    """Finds, changes and shows batches. Changes are made under the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._book = RecordBook(world.store, _KIND, BatchRecord)
        self.progress: dict[str, int] = {}

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
            raise not_found(batch_id)
        return batch

    def save(self, batch: BatchRecord) -> BatchRecord:
        """Write a batch, in place of its former record."""
        return self._book.save(batch)

    def remove(self, batch_id: str) -> None:
        """Forget a batch."""
        self._book.remove(batch_id)

    def newest_first(self) -> list[BatchRecord]:
        """Return all batches."""
        return self._book.newest_first()

    def queued_requests(self) -> int:
        """Return how many requests are in batches that have not ended."""
        now = self._world.clock.now()
        return sum(
            batch.total for batch in self._book.oldest_first() if status_at(batch, now) != "ended"
        )

    def counts_by_status(self) -> dict[str, int]:
        """Return how many batches are in each state."""
        now = self._world.clock.now()
        return dict(Counter[str](status_at(batch, now) for batch in self._book.oldest_first()))

    def view(self, batch: BatchRecord, base_url: str, *, gradual: bool = False) -> JsonObject:
        """Return the MessageBatch of the wire, every key present.

        The counts move all at once when the batch ends, unless they are to be `gradual`.
        """
        now = self._world.clock.now()
        status = status_at(batch, now)
        ended = status == "ended"
        archived = ended and now >= archived_at(batch)
        done = self._rows_done(batch, now) if gradual else 0
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": _ended_counts(batch) if ended else _counts(batch.total - done, done),
            "ended_at": _time(ended_at(batch)) if ended else None,
            "created_at": _time(batch.created_at),
            "expires_at": _time(expires_at(batch)),
            "archived_at": _time(archived_at(batch)) if archived else None,
            "cancel_initiated_at": _time(batch.cancel_at),
            "results_url": f"{base_url}/v1/messages/batches/{batch.id}/results" if ended else None,
        }

    def _rows_done(self, batch: BatchRecord, now: float) -> int:
        if batch.executed is not None:
            return batch.executed.rows
        until = now if batch.cancel_at is None else batch.cancel_at
        planned = rows_by(batch, until) if batch.durations.in_progress else 0
        return self.progress.get(batch.id, planned)


def _ended_counts(batch: BatchRecord) -> JsonObject:
    executed = batch.executed
    if executed is None:
        return _counts(batch.total, 0)
    return {
        "processing": 0,
        "succeeded": executed.succeeded,
        "errored": executed.errored,
        "canceled": executed.canceled,
        "expired": executed.expired,
    }


def _counts(processing: int, succeeded: int) -> JsonObject:
    return {
        "processing": processing,
        "succeeded": succeeded,
        "errored": 0,
        "canceled": 0,
        "expired": 0,
    }


def _time(seconds: float | None) -> str | None:
    """Return a time as the API was seen to write it: microseconds, and +00:00 instead of Z."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")

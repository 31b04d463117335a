"""Where a job stands at one moment, as displays show it and machines read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ai_batch.core import JobRecord, Progress
from ai_batch.core.ledger import Ledger
from ai_batch.core.progress import read_progress
from ai_batch.core.provider import Formats
from ai_batch.core.state import TERMINAL, Shard, ShardState

__all__ = ["Snapshot", "batch_fields", "batch_state", "progress_fields", "take"]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A job's sums and its batches, at ``now`` (Unix seconds)."""

    progress: Progress
    batches: list[Shard]
    now: float

    @property
    def rate(self) -> float:
        """Requests per second since the beginning, what the provider says of them included."""
        done = self.progress.done + self.progress.done_remotely
        return done / self.progress.elapsed if self.progress.elapsed > 0 else 0.0


def take(ledger: Ledger, record: JobRecord, formats: Formats) -> Snapshot:
    """Read where a job stands now."""
    progress = read_progress(ledger, formats, record.id)
    return Snapshot(progress=progress, batches=ledger.shards(record.id), now=ledger.now())


def progress_fields(progress: Progress) -> dict[str, Any]:
    """Progress for machines; times in seconds, cost in USD."""
    return {
        "job": progress.job_id,
        "state": progress.state,
        "total": progress.total,
        "completed": progress.completed,
        "failed": progress.failed,
        "in_flight": progress.in_flight,
        "done_remotely": progress.done_remotely,
        "batches": progress.batches,
        "batches_done": progress.batches_done,
        "input_tokens": progress.usage.input_tokens,
        "output_tokens": progress.usage.output_tokens,
        "cost": progress.cost,
        "elapsed": round(progress.elapsed, 3),
        "eta": None if progress.eta is None else round(progress.eta, 3),
    }


def batch_state(shard: Shard) -> str:
    """A batch's state in a word that a user knows."""
    words = {
        ShardState.PLANNED: "waiting",
        ShardState.RESERVED: "uploading",
        ShardState.UPLOADED: "uploaded",
        ShardState.INTENT: "submitting",
        ShardState.SUBMITTED: "at provider",
        ShardState.ENDED: "downloading",
        ShardState.COLLECTED: "collected",
        ShardState.FAILED: "refused",
    }
    return words[shard.state]


def batch_fields(shard: Shard, now: float) -> dict[str, Any]:
    """A batch for machines."""
    over = shard.state in TERMINAL
    return {
        "name": shard.name,
        "state": batch_state(shard),
        "model": shard.route.model,
        "kind": shard.route.kind,
        "batch_id": shard.remote_id,
        "requests": shard.count,
        "completed": shard.ok if over else shard.live_completed,
        "failed": shard.failed if over else shard.live_failed,
        "retried": shard.retried,
        "attempt": shard.attempt,
        "age": age_of(shard, now),
    }


def age_of(shard: Shard, now: float) -> float | None:
    """Seconds from the batch's submission to its end, or to now."""
    if shard.submitted_at is None:
        return None
    return max((shard.ended_at or now) - shard.submitted_at, 0.0)

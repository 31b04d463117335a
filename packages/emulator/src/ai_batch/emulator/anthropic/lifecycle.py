"""The state of a batch at a time: a pure function of its record and the clock.

The vendor shows one state until the end. The durations of validating, running and finalizing are
all spent in it; the rows are answered evenly over the second.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from ai_batch.emulator.anthropic.records import DAY, RETENTION, BatchRecord

Status: TypeAlias = Literal["in_progress", "canceling", "ended"]


def expires_at(batch: BatchRecord) -> float:
    """Return the end of the processing window."""
    return batch.created_at + DAY


def archived_at(batch: BatchRecord) -> float:
    """Return when the results go."""
    return batch.created_at + RETENTION


def work_due_at(batch: BatchRecord) -> float:
    """Return when the rows' answers are to be there: planned end, window's end, or cancel."""
    begin, duration = _begin(batch), batch.durations.in_progress
    ends = [begin + duration, expires_at(batch)]
    if batch.cancel_at is not None:
        ends.append(batch.cancel_at)
    return min(ends)


def rows_by(batch: BatchRecord, now: float) -> int:
    """Return how many rows are answered at a time."""
    begin, duration = _begin(batch), batch.durations.in_progress
    # The sum is the one of `work_due_at`: a difference would lose the last row to rounding.
    if now >= begin + duration:
        return batch.total
    return int(batch.total * (now - begin) / duration) if now > begin else 0


def _begin(batch: BatchRecord) -> float:
    return batch.created_at + batch.durations.validating


def ended_at(batch: BatchRecord) -> float | None:
    """Return when the batch has ended, once that is known."""
    executed = batch.executed
    if executed is None:
        return None
    done = work_due_at(batch) + executed.lag
    if batch.cancel_at is not None:
        return max(done, batch.cancel_at + batch.durations.cancelling)
    return expires_at(batch) if executed.expired else done + batch.durations.finalizing


def status_at(batch: BatchRecord, now: float) -> Status:
    """Return the state that the vendor shows at a time."""
    end = ended_at(batch)
    if end is not None and now >= end:
        return "ended"
    return "in_progress" if batch.cancel_at is None else "canceling"

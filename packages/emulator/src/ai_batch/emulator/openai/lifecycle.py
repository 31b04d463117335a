"""The state of a batch at a time: a pure function of its record and the clock.

Nothing moves a batch from state to state. Two pieces of work are done when they are due (validating
the input, executing the rows), and their outcomes go into the record; all else follows from times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ai_batch.emulator.openai.records import DAY, BatchRecord

Status: TypeAlias = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]
Work: TypeAlias = Literal["validate", "execute", "announce"]

TERMINAL: frozenset[Status] = frozenset({"failed", "completed", "expired", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """When a batch enters each state, as far as it is known and will happen."""

    expires_at: float
    in_progress_at: float | None = None
    finalizing_at: float | None = None
    completed_at: float | None = None
    failed_at: float | None = None
    expired_at: float | None = None
    cancelling_at: float | None = None
    cancelled_at: float | None = None

    def at(self, name: str, now: float) -> int | None:
        """Return one of the times as the vendor shows it: whole seconds, None before it."""
        value: float | None = getattr(self, name)
        return None if value is None or value > now else int(value)

    @property
    def end(self) -> float | None:
        """The time of the terminal state."""
        ends = (self.completed_at, self.failed_at, self.expired_at, self.cancelled_at)
        return next((end for end in ends if end is not None), None)


def expires_at(batch: BatchRecord) -> float:
    """Return the end of the completion window."""
    return batch.created_at + DAY


def validated_at(batch: BatchRecord) -> float:
    """Return when validation ends; never after the window."""
    return min(batch.created_at + batch.durations.validating, expires_at(batch))


def work_due_at(batch: BatchRecord) -> float:
    """Return when the rows' answers are to be there: planned end, window's end, or cancel."""
    ends = [validated_at(batch) + batch.durations.in_progress, expires_at(batch)]
    if batch.cancel_at is not None:
        ends.append(max(batch.cancel_at, validated_at(batch)))
    return min(ends)


def cancelled_early(batch: BatchRecord) -> bool:
    """Tell whether the batch was cancelled before its input was looked at."""
    return batch.cancel_at is not None and batch.validation == "pending"


def rows_by(batch: BatchRecord, now: float) -> int:
    """Return how many rows are answered at a time; they are answered evenly over `in_progress`."""
    begin, duration = validated_at(batch), batch.durations.in_progress
    # The sum is the one of `work_due_at`: a difference would lose the last row to rounding.
    if now >= begin + duration:
        return batch.total
    return max(0, int(batch.total * (now - begin) / duration))


def moments(batch: BatchRecord) -> Moments:
    """Return the known times of a batch."""
    window = expires_at(batch)
    if cancelled_early(batch):
        return _cancelled(batch, Moments(expires_at=window))
    if batch.validation == "pending":
        return Moments(expires_at=window)
    validated = validated_at(batch)
    if batch.validation == "failed":
        return Moments(expires_at=window, failed_at=validated)
    if batch.executed is None:
        return Moments(expires_at=window, in_progress_at=validated, cancelling_at=batch.cancel_at)
    return _worked(batch, Moments(expires_at=window, in_progress_at=validated))


def _cancelled(batch: BatchRecord, known: Moments) -> Moments:
    at = batch.cancel_at or 0.0
    return Moments(
        expires_at=known.expires_at,
        in_progress_at=known.in_progress_at,
        finalizing_at=known.finalizing_at,
        cancelling_at=at,
        cancelled_at=at + batch.durations.cancelling,
    )


def _worked(batch: BatchRecord, known: Moments) -> Moments:
    executed = batch.executed
    lag = 0.0 if executed is None else executed.lag
    rows = 0 if executed is None else executed.rows
    finalizing = work_due_at(batch) + lag
    ended = finalizing + batch.durations.finalizing
    if batch.cancel_at is not None:
        # Cancelled while finalizing: all rows are done, and yet it ends as cancelled.
        reached = finalizing if finalizing < batch.cancel_at else None
        return _cancelled(
            batch,
            Moments(
                expires_at=known.expires_at,
                in_progress_at=known.in_progress_at,
                finalizing_at=reached,
            ),
        )
    complete = rows == batch.total and batch.validation == "passed"
    return Moments(
        expires_at=known.expires_at,
        in_progress_at=known.in_progress_at,
        finalizing_at=finalizing,
        completed_at=ended if complete else None,
        expired_at=None if complete else ended,
    )


def status_at(batch: BatchRecord, now: float) -> Status:
    """Return the state that the vendor shows at a time."""
    times = moments(batch)
    if times.end is not None and now >= times.end:
        return _terminal(times)
    if batch.cancel_at is not None:
        return "cancelling"
    if batch.validation != "passed":
        return "validating"
    if times.finalizing_at is not None and now >= times.finalizing_at:
        return "finalizing"
    return "in_progress"


def _terminal(times: Moments) -> Status:
    if times.failed_at is not None:
        return "failed"
    if times.cancelled_at is not None:
        return "cancelled"
    return "completed" if times.completed_at is not None else "expired"


def next_work(batch: BatchRecord) -> tuple[float, Work] | None:
    """Return what is to be done next for a batch, and when."""
    if batch.validation == "pending" and not cancelled_early(batch):
        return validated_at(batch), "validate"
    if batch.validation == "passed" and batch.executed is None:
        return work_due_at(batch), "execute"
    end = moments(batch).end
    if end is None or batch.announced:
        return None
    return end, "announce"

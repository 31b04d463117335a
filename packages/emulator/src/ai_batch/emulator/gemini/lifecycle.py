"""The state of a batch at a time: a pure function of its record and the clock."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ai_batch.emulator.gemini.records import TWO_DAYS, GeminiBatch

State: TypeAlias = Literal[
    "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"
]
Work: TypeAlias = Literal["check", "execute"]

LIVE: frozenset[State] = frozenset({"PENDING", "RUNNING"})


def expires_at(batch: GeminiBatch) -> float:
    """Return when a batch that has not ended is given up, without results."""
    return batch.created_at + TWO_DAYS


def started_at(batch: GeminiBatch) -> float:
    """Return when a batch stops to be pending."""
    return batch.created_at + batch.durations.validating


def planned_end(batch: GeminiBatch) -> float:
    """Return when the rows' answers are to be there, if nothing comes between."""
    return started_at(batch) + batch.durations.in_progress


def in_time(batch: GeminiBatch) -> bool:
    """Tell whether a batch will end before it is given up."""
    return planned_end(batch) + batch.durations.finalizing < expires_at(batch)


def end_of(batch: GeminiBatch) -> float:
    """Return when a batch enters its last state, as far as it is known by now."""
    if batch.cancel_at is not None:
        return batch.cancel_at
    if batch.check == "failed":
        return min(started_at(batch), expires_at(batch))
    if batch.executed is None or not in_time(batch):
        return expires_at(batch)
    return planned_end(batch) + batch.executed.lag + batch.durations.finalizing


def state_at(batch: GeminiBatch, now: float) -> State:
    """Return the state that the vendor shows at a time."""
    end = end_of(batch)
    if now >= end:
        return _last_state(batch)
    return "PENDING" if now < started_at(batch) or batch.check == "pending" else "RUNNING"


def _last_state(batch: GeminiBatch) -> State:
    if batch.cancel_at is not None:
        return "CANCELLED"
    if batch.check == "failed":
        return "FAILED"
    if batch.executed is None or not in_time(batch):
        return "EXPIRED"
    return "PARTIALLY_SUCCEEDED" if batch.oddities.partial else "SUCCEEDED"


def rows_by(batch: GeminiBatch, now: float) -> int:
    """Return how many rows are answered at a time; they are answered evenly while it runs."""
    begin, duration = started_at(batch), batch.durations.in_progress
    # A difference would lose the last row to rounding.
    if now >= begin + duration:
        return batch.total
    return max(0, int(batch.total * (now - begin) / duration))


def rows_to_run(batch: GeminiBatch) -> int:
    """Return how many rows a batch answers before it ends."""
    if batch.cancel_at is not None:
        return rows_by(batch, batch.cancel_at)
    lost = max(1, batch.total // 10) if batch.oddities.partial else 0
    return batch.total - lost


def next_work(batch: GeminiBatch) -> tuple[float, Work] | None:
    """Return what is to be done next for a batch, and when."""
    if batch.cancel_at is not None and not batch.oddities.cancelled_output:
        return None
    if batch.check == "pending" and batch.cancel_at is None:
        due = started_at(batch)
        return (due, "check") if due < expires_at(batch) else None
    if batch.check != "passed" or batch.executed is not None:
        return None
    if batch.cancel_at is not None:
        return batch.cancel_at, "execute"
    return (planned_end(batch), "execute") if in_time(batch) else None

"""The state of a job at a time: a pure function of its record and the clock.

The limits are those of
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini:
a job waits for 72 hours at most, and what is not done 24 hours after its start is cancelled.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from ai_batch.emulator.vertex.records import DAY, VertexJob

State: TypeAlias = Literal[
    "PENDING",
    "RUNNING",
    "SUCCEEDED",
    "FAILED",
    "CANCELLING",
    "CANCELLED",
    "EXPIRED",
    "PARTIALLY_SUCCEEDED",
]
Work: TypeAlias = Literal["check", "execute"]

LIVE: frozenset[State] = frozenset({"PENDING", "RUNNING", "CANCELLING"})
_QUEUED_FOR = 3 * DAY


def queue_ends_at(job: VertexJob) -> float:
    """Return when a job that has not started is given up."""
    return job.created_at + _QUEUED_FOR


def started_at(job: VertexJob) -> float:
    """Return when a job stops to wait; never, if it waits too long or is cancelled before."""
    start = job.created_at + job.durations.validating
    too_late = start > queue_ends_at(job) or (job.cancel_at is not None and job.cancel_at < start)
    return math.inf if too_late else start


def work_due_at(job: VertexJob) -> float:
    """Return when the rows' answers are to be there: planned end, a day's end, or cancel."""
    start = started_at(job)
    ends = [start + job.durations.in_progress, start + DAY]
    if job.cancel_at is not None:
        ends.append(max(job.cancel_at, start))
    return min(ends)


def rows_to_run(job: VertexJob) -> int:
    """Return how many rows a job answers before it ends; they are answered evenly."""
    begin, duration, due = started_at(job), job.durations.in_progress, work_due_at(job)
    lost = max(1, job.total // 10) if job.partial else 0
    if due >= begin + duration:
        return job.total - lost
    return max(0, int(job.total * (due - begin) / duration))


def end_of(job: VertexJob) -> float | None:
    """Return when a job enters its last state, as far as it is known by now."""
    if started_at(job) == math.inf:
        if job.cancel_at is not None and job.cancel_at < queue_ends_at(job):
            return job.cancel_at + job.durations.cancelling
        return queue_ends_at(job)
    if job.check == "failed":
        return started_at(job)
    if job.executed is None:
        return None
    end = work_due_at(job) + job.executed.lag + job.durations.finalizing
    if job.cancel_at is not None and job.cancel_at < end:
        # The work is done as soon as it is told to stop; its state lags behind.
        return job.cancel_at + max(job.durations.cancelling, job.executed.lag)
    return end


def was_cancelled(job: VertexJob) -> bool:
    """Tell whether a cancel came in time, or the day was over before the work."""
    if job.cancel_at is not None:
        return True
    return job.executed is not None and job.executed.rows < job.total and not job.partial


def state_at(job: VertexJob, now: float) -> State:
    """Return the state that the vendor shows at a time."""
    end = end_of(job)
    if end is not None and now >= end:
        return _last_state(job)
    if job.cancel_at is not None:
        return "CANCELLING"
    return "PENDING" if now < started_at(job) or job.check == "pending" else "RUNNING"


def _last_state(job: VertexJob) -> State:
    if job.check == "failed":
        return "FAILED"
    if was_cancelled(job):
        return "CANCELLED"
    if started_at(job) == math.inf:
        return "EXPIRED"
    return "PARTIALLY_SUCCEEDED" if job.partial else "SUCCEEDED"


def next_work(job: VertexJob) -> tuple[float, Work] | None:
    """Return what is to be done next for a job, and when."""
    start = started_at(job)
    if start == math.inf or job.check == "failed" or job.executed is not None:
        return None
    return (start, "check") if job.check == "pending" else (work_due_at(job), "execute")

"""What a worker tells of its work, and which jobs it leaves alone for how long."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from ai_batch.core.errors import AIBatchError, mask
from ai_batch.core.records import JobRecord

__all__ = ["LeftAlone", "WorkEvent", "WorkReport"]

WAITS = (60.0, 120.0, 300.0, 900.0)
"""Seconds for which a job that can't go on is left alone, the first time and those after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkEvent:
    """What a worker did with a job.

    ``taken`` up; ``ended``, with the numbers of its requests that have an answer and an error;
    ``left`` alone after an ``error``, to be tried again after ``retry_after`` seconds;
    ``skipped``, since it is others' to work on.
    """

    type: Literal["taken", "ended", "left", "skipped"]
    job: JobRecord
    message: str
    error: AIBatchError | None = None
    retry_after: float | None = None
    completed: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkReport:
    """What a worker did until it ended: by which signal, if by one.

    ``ended`` counts the jobs that ended; ``left`` has the last word on each job that it could not
    work on, by its id.
    """

    ended: int = 0
    left: dict[str, WorkEvent] = field(default_factory=dict[str, WorkEvent])
    stopped_by: int | None = None


@dataclass(slots=True)
class _Pause:
    event: WorkEvent
    until: float
    times: int


class LeftAlone:
    """The jobs that a worker can't work on now, each with the reason."""

    def __init__(self) -> None:
        """None yet."""
        self._pauses: dict[str, _Pause] = {}

    def leave(self, record: JobRecord, error: Exception, now: float) -> WorkEvent:
        """Leave a job alone that can't go on; longer each time, and as long as the vendor says."""
        before = self._pauses.get(record.id)
        times = 0 if before is None else before.times + 1
        wait = WAITS[min(times, len(WAITS) - 1)]
        wait = max(wait, getattr(error, "retry_after", None) or 0.0)
        event = WorkEvent(
            type="left",
            job=record,
            message=mask(f"{str(error) or type(error).__name__}; tried again in {wait:.0f} s"),
            error=error if isinstance(error, AIBatchError) else None,
            retry_after=wait,
        )
        self._pauses[record.id] = _Pause(event, now + wait, times)
        return event

    def skip(self, record: JobRecord, message: str) -> WorkEvent:
        """Never work on a job."""
        event = WorkEvent(type="skipped", job=record, message=message)
        self._pauses[record.id] = _Pause(event, float("inf"), 0)
        return event

    def has(self, job_id: str, now: float) -> bool:
        """Whether a job is left alone now."""
        return job_id in self._pauses and self._pauses[job_id].until > now

    def forget(self, opened: Collection[str]) -> None:
        """Forget all jobs but those that are open."""
        for job_id in self._pauses.keys() - set(opened):
            del self._pauses[job_id]

    @property
    def events(self) -> dict[str, WorkEvent]:
        """Why each job is left alone, or was the last time."""
        return {job_id: pause.event for job_id, pause in self._pauses.items()}

"""What a running job tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ai_batch.core.errors import AIBatchError
from ai_batch.core.response import BatchResponse
from ai_batch.core.results import Result, Usage

__all__ = ["CompleteEvent", "ErrorEvent", "Event", "ItemEvent", "Progress", "ProgressEvent"]

JobState: TypeAlias = Literal["running", "cancelling", "completed", "cancelled", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a job stands; its counts never go backwards.

    ``in_flight`` requests are in batches that the provider has accepted, ``done_remotely`` of
    which it says to have worked through; without batches, it counts the calls that are out.
    ``cost`` is in USD and None where a price is not known;
    ``elapsed`` and ``eta`` are in seconds, ``eta`` None while nothing can be said.
    """

    job_id: str
    state: JobState
    total: int
    completed: int = 0
    failed: int = 0
    in_flight: int = 0
    done_remotely: int = 0
    batches: int = 0
    batches_done: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    started_at: float = 0.0
    elapsed: float = 0.0
    eta: float | None = None

    @property
    def done(self) -> int:
        """Requests that have their result."""
        return self.completed + self.failed

    @property
    def fraction(self) -> float:
        """Between 0 and 1: results here, and what the provider says of batches under way."""
        return min(1.0, (self.done + self.done_remotely) / self.total) if self.total else 1.0


@dataclass(frozen=True, slots=True)
class ItemEvent:
    """One request has its result."""

    result: Result
    type: Literal["item"] = "item"


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """The job has moved on."""

    progress: Progress
    type: Literal["progress"] = "progress"


@dataclass(frozen=True, slots=True)
class CompleteEvent:
    """Every request has its result; the last event of a job that ended."""

    response: BatchResponse
    type: Literal["complete"] = "complete"


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """The job could not go on; the last event. The same call later continues it."""

    error: AIBatchError
    type: Literal["error"] = "error"


Event: TypeAlias = ItemEvent | ProgressEvent | CompleteEvent | ErrorEvent

"""The options that every processor has, whatever its provider."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from ai_batch.core.errors import UsageError
from ai_batch.core.events import Progress
from ai_batch.core.policy import Policy
from ai_batch.core.runtime import Runtime

if TYPE_CHECKING:
    from ai_batch.core.estimate import Estimate
    from ai_batch.core.ledger import Ledger

__all__ = ["Duration", "GeneralOptions", "JobOptions", "Options", "seconds"]

Duration: TypeAlias = float | timedelta
"""Seconds, or a timedelta."""


def seconds(name: str, value: Duration | None) -> float | None:
    """A duration in seconds. Raises ``UsageError`` for a negative one."""
    if value is None:
        return None
    found = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if found < 0:
        raise UsageError(f"{name} must not be negative, found {value!r}")
    return found


class JobOptions(TypedDict, total=False):
    """The options of any job, wherever its requests are answered."""

    on_progress: Callable[[Progress], object] | None
    progress: bool
    deadline: Duration | datetime | None
    max_cost: float | None
    approve: Callable[[Estimate], bool] | None
    ledger: Ledger | str | os.PathLike[str] | None
    home: str | os.PathLike[str] | None
    reuse: bool
    runtime: Runtime


class GeneralOptions(JobOptions, total=False):
    """The options that every native processor takes by keyword; those of ``Options``."""

    poll_interval: Duration | None
    max_attempts: int
    retry_invalid: bool
    max_batches_in_flight: int | None
    max_enqueued_tokens: int | None
    cleanup: bool
    settle_wait: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How jobs are run and where their state lives; ``docs/options.md`` explains each."""

    on_progress: Callable[[Progress], object] | None = None
    progress: bool = False
    poll_interval: Duration | None = None
    deadline: Duration | datetime | None = None
    max_attempts: int = 3
    retry_invalid: bool = False
    max_batches_in_flight: int | None = None
    max_enqueued_tokens: int | None = None
    max_cost: float | None = None
    approve: Callable[[Estimate], bool] | None = None
    # An address may hold a password.
    ledger: Ledger | str | os.PathLike[str] | None = field(default=None, repr=False)
    home: str | os.PathLike[str] | None = None
    reuse: bool = False
    cleanup: bool = True
    settle_wait: Duration = 900.0
    runtime: Runtime = field(default_factory=Runtime)

    @classmethod
    def of(cls, owner: type, given: GeneralOptions) -> Options:
        """The options that were given by keyword when an ``owner`` was made.

        Raises ``UsageError`` for a name that there is not.
        """
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                names = [*inspect.signature(owner).parameters, *known]
                near = difflib.get_close_matches(name, names, 1)
                hint = f"; did you mean {near[0]}" if near else ""
                raise UsageError(f"{owner.__name__} has no option {name!r}{hint}")
        return cls(**given)

    def __post_init__(self) -> None:
        """Raises ``UsageError`` for values that can't be meant."""
        for name in ("max_attempts", "max_batches_in_flight", "max_enqueued_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} must be 1 or more, found {value!r}")
        if self.max_cost is not None and self.max_cost < 0:
            raise UsageError(f"max_cost must not be negative, found {self.max_cost!r}")
        seconds("poll_interval", self.poll_interval)
        seconds("settle_wait", self.settle_wait)
        if not isinstance(self.deadline, datetime):
            seconds("deadline", self.deadline)

    @property
    def policy(self) -> Policy:
        """What the engine needs of the options."""
        return Policy(
            max_attempts=self.max_attempts,
            poll_interval=seconds("poll_interval", self.poll_interval),
            settle_wait=seconds("settle_wait", self.settle_wait) or 0.0,
            cleanup=self.cleanup,
            retry_invalid=self.retry_invalid,
        )

    def deadline_at(self, now: float) -> float | None:
        """The deadline in Unix seconds."""
        if isinstance(self.deadline, datetime):
            return self.deadline.timestamp()
        after = seconds("deadline", self.deadline)
        return None if after is None else now + after

    @property
    def home_path(self) -> Path:
        """``home``, else ``AI_BATCH_HOME``, else the user's state directory."""
        given = self.home or os.environ.get("AI_BATCH_HOME")
        if given:
            return Path(given).expanduser().absolute()
        import platformdirs

        return platformdirs.user_state_path("ai-batch", appauthor=False)

"""What a user chooses of a concurrent run."""

from __future__ import annotations

from dataclasses import dataclass

from ai_batch.core import UsageError

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How calls are made. ``timeout`` is in seconds, for one call.

    ``retry_budget`` is how many retries a request may take on average; ``retry_invalid`` asks
    again where an answer does not fit its type.
    """

    max_concurrency: int = 10
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    adaptive: bool = False
    timeout: float = 60.0
    max_attempts: int = 5
    retry_budget: float = 1.0
    retry_invalid: bool = False

    def __post_init__(self) -> None:
        """Raises ``UsageError`` for values that can't be meant."""
        for name in ("max_concurrency", "max_attempts"):
            value = getattr(self, name)
            if value < 1:
                raise UsageError(f"{name} must be 1 or more, found {value!r}")
        for name in ("requests_per_minute", "tokens_per_minute", "timeout"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be more than 0, found {value!r}")
        if self.retry_budget < 0:
            raise UsageError(f"retry_budget must not be negative, found {self.retry_budget!r}")

"""How a job is driven, as the engine needs to know it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a job is driven. Times are in seconds.

    ``settle_wait`` is how long a create call of unknown outcome is looked for at the vendor
    before it is taken for not having happened.
    """

    max_attempts: int = 3
    poll_interval: float | None = None
    settle_wait: float = 900.0
    cleanup: bool = True
    retry_invalid: bool = False

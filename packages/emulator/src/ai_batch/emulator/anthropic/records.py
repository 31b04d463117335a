"""What is remembered of a batch."""

from __future__ import annotations

import msgspec

from ai_batch.emulator.durations import Durations

DAY = 86_400
RETENTION = 29 * DAY
"""Results are kept so long from the creation on.

https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a batch's work. `lag` is the real time that the work itself took."""

    rows: int
    succeeded: int
    errored: int
    canceled: int
    expired: int
    lag: float


class BatchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A batch: what was asked for, and what has been done about it so far."""

    id: str
    serial: int
    created_at: float
    version: str
    betas: tuple[str, ...]
    total: int
    durations: Durations
    cancel_at: float | None = None
    executed: Executed | None = None
    archived: bool = False

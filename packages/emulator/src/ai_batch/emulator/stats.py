"""What the emulator was asked to do, as a test wants to know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counters since the emulator's home was made (or reset).

    Items are told apart by `item_key`: two requests with equal endpoint and body are the same item.
    `lost` counts, by item, results that a persistent fault destroyed: to run those again is right.
    """

    files_uploaded: int = 0
    files_deleted: int = 0
    files_live: int = 0
    creates_attempted: int = 0
    batches_created: int = 0
    batches_by_status: Mapping[str, int] = field(default_factory=dict[str, int])
    items_executed: int = 0
    items_billed: int = 0
    live_calls: int = 0
    requests: Mapping[str, int] = field(default_factory=dict[str, int])
    executions: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)
    billings: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)
    lost: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)

    @property
    def items_lost(self) -> int:
        """Number of results that persistent faults destroyed."""
        return sum(self.lost.values())

    @property
    def items_executed_more_than_once(self) -> int:
        """Number of items that ran more than once without a loss that explains it."""
        return len(self.executed_twice())

    def executed_twice(self) -> list[str]:
        """Return the keys of items that ran again although no result of theirs was lost.

        A row that failed (4xx, 5xx) ran too; `billed_twice` counts only what was paid for.
        """
        return self._repeated(self.executions)

    def billed_twice(self) -> list[str]:
        """Return the keys of items that were paid for again although no result was lost."""
        return self._repeated(self.billings)

    def _repeated(self, counts: Mapping[str, int]) -> list[str]:
        return [key for key, count in counts.items() if count - self.lost.get(key, 0) > 1]

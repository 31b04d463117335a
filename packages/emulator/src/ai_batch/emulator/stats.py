"""What the emulator was asked to do, as a test wants to know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ai_batch.emulator.items import key_of_number, prompt_number


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStats:
    """Live calls of one vendor: each that was `received` is in flight, or ended in one way.

    - `answered`: an answer was sent;
    - `limited`: refused by a rate limit;
    - `faulted`: a fault took the answer's place, or destroyed it;
    - `failed`: refused for what it was, or because an `answer` function said so;
    - `abandoned`: the client had gone before there was an answer.

    `in_flight` are those that wait now, `most_in_flight` is how many have waited at once since the
    emulator was started.
    """

    received: int = 0
    answered: int = 0
    limited: int = 0
    faulted: int = 0
    failed: int = 0
    abandoned: int = 0
    in_flight: int = 0
    most_in_flight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counters since the emulator's home was made (or reset).

    Items are told apart by `item_key`: two requests with equal endpoint and body are the same item.
    `lost` counts, by item, results that a persistent fault destroyed, and live answers that any
    fault destroyed: to run those again is right.

    `live` has the live calls of each vendor that got some, and `prompts` how often each prompt was
    executed live; see `times_asked`.
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
    most_in_flight: int = 0
    live: Mapping[str, LiveStats] = field(default_factory=dict[str, LiveStats])
    requests: Mapping[str, int] = field(default_factory=dict[str, int])
    executions: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)
    billings: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)
    lost: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)
    prompts: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Stats:
        """Read what the control API gives."""
        known = {each.name for each in fields(cls)}
        found: dict[str, Any] = {name: value for name, value in data.items() if name in known}
        live = found.get("live", {})
        found["live"] = {vendor: LiveStats(**counts) for vendor, counts in live.items()}
        return cls(**found)

    def times_asked(self, prompt: str) -> int:
        """Return how often a live request with this prompt was executed, failed tries included.

        A prompt is the last user text (its parts joined by line feeds), or one text that was to be
        embedded. A call that a limit or a fault refused was not executed.
        """
        return self.prompts.get(key_of_number(prompt_number(prompt)), 0)

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

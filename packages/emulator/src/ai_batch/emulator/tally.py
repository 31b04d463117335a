"""Counts of live calls, kept in memory and written to the store a few times a second.

A live call is to cost no statement of SQL and no file; a kill loses what the last quarter of a
second has counted.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ai_batch.emulator.items import ItemLog, item_number, key_of_number, marked, prompt_number
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.store import Store

Outcome: TypeAlias = Literal["answered", "limited", "faulted", "failed", "abandoned"]

CALLS = "live:"
LOST = "lost:"
_REQUESTS = "requests:"
_LIVE = "live"
_PAUSE = 0.25


@dataclass(slots=True)
class Account:
    """What one call has come to: the items that it executed, and whether a limit refused it.

    It is `settled` when its end was counted.
    """

    items: list[int] = field(default_factory=list[int])
    limited: bool = False
    settled: bool = False


class Tally:
    """Counts live calls: by vendor and outcome, by item, and by prompt."""

    def __init__(self, store: Store, *, track_items: bool) -> None:
        self._store = store
        self._track_items = track_items
        self._items = ItemLog(store.items)
        self._prompts = ItemLog(store.items, "prompts")
        self._lock = threading.Lock()
        self._counters: Counter[str] = Counter()
        self._executed: list[int] = []
        self._asked: list[int] = []
        self._planned = False
        self.in_flight: Counter[str] = Counter()
        self.most_in_flight: dict[str, int] = {}
        self._all_in_flight = 0
        self.most_of_all = 0

    def begin(self, vendor: str, route: str) -> None:
        """Count a call that has come; on the server's thread only, as `end`."""
        with self._lock:
            self._counters[f"{_REQUESTS}{route}"] += 1
            self._counters[f"{CALLS}{vendor}:received"] += 1
            here = self.in_flight[vendor] = self.in_flight[vendor] + 1
            if here > self.most_in_flight.get(vendor, 0):
                self.most_in_flight[vendor] = here
            self._all_in_flight += 1
            self.most_of_all = max(self.most_of_all, self._all_in_flight)
        self._plan()

    def end(self, vendor: str, outcome: Outcome) -> None:
        """Count how a call has ended."""
        with self._lock:
            self._counters[f"{CALLS}{vendor}:{outcome}"] += 1
            # A reset forgets the calls that were in flight.
            if self.in_flight[vendor] > 0:
                self.in_flight[vendor] -= 1
                self._all_in_flight -= 1
        self._plan()

    def executed(
        self, account: Account, endpoint: str, body: JsonObject, prompts: Iterable[str], *, ok: bool
    ) -> None:
        """Count a request that was answered at once, outside of any batch."""
        with self._lock:
            self._counters["live_calls"] += 1
            self._counters["items_executed"] += 1
            self._counters["items_billed"] += ok
            if self._track_items:
                number = item_number(endpoint, body)
                account.items.append(number)
                self._executed.append(marked(number, billed=ok))
                self._asked += [marked(prompt_number(said), billed=ok) for said in prompts]

    def lose(self, account: Account) -> None:
        """Count the items of a call whose answer a fault destroyed."""
        with self._lock:
            self._counters.update(f"{LOST}{key_of_number(number)}" for number in account.items)

    def prompts(self) -> Counter[str]:
        """Return how often each prompt was executed, by its key."""
        return self._prompts.counts()[0]

    def _plan(self) -> None:
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(_PAUSE, self.flush)

    def flush(self) -> None:
        """Write what was counted since the last time."""
        with self._lock:
            self._planned = False
            counters, self._counters = self._counters, Counter()
            executed, self._executed = self._executed, []
            asked, self._asked = self._asked, []
            with self._store.transaction():
                for name, amount in counters.items():
                    self._store.add(name, amount)
            if executed:
                self._items.append(_LIVE, executed)
            if asked:
                self._prompts.append(_LIVE, asked)

    def clear(self) -> None:
        """Forget everything; the store and its files are cleared by others."""
        with self._lock:
            self._counters.clear()
            self._executed.clear()
            self._asked.clear()
            self.in_flight.clear()
            self.most_in_flight.clear()
            self._all_in_flight = self.most_of_all = 0

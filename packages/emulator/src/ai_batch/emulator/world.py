"""The parts that all emulated vendors share."""

from __future__ import annotations

import threading
from pathlib import Path

from ai_batch.emulator.agenda import Agenda
from ai_batch.emulator.clock import Clock
from ai_batch.emulator.faults import FaultPlan
from ai_batch.emulator.identity import base62_id, hex_id
from ai_batch.emulator.items import ItemLog, item_number, marked
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.options import Options
from ai_batch.emulator.store import Store

_LIVE_ITEMS = "live"


class World:
    """One emulator's clock, store, faults, agenda and item log."""

    def __init__(self, home: Path, options: Options, faults: FaultPlan) -> None:
        self.options = options
        self.faults = faults
        self.store = Store(home)
        self.clock = Clock(self.store)
        self.agenda = Agenda(self.clock)
        self.items = ItemLog(self.store.items)
        self.lock = threading.RLock()

    def new_hex(self, kind: str) -> str:
        """Return a new id of 32 hexadecimal digits."""
        return hex_id(self.options.seed, kind, self.store.serial())

    def new_base62(self, kind: str) -> str:
        """Return a new id of 22 letters and digits."""
        return base62_id(self.options.seed, kind, self.store.serial())

    def count_live(self, endpoint: str, body: JsonObject, *, ok: bool) -> None:
        """Count a request that was answered at once, outside of any batch."""
        self.store.add("live_calls")
        self.store.add("items_executed")
        self.store.add("items_billed", int(ok))
        if self.options.track_items:
            self.items.append(_LIVE_ITEMS, [marked(item_number(endpoint, body), billed=ok)])

    def advance(self, seconds: float) -> None:
        """Move the clock, and do what has become due.

        What was due before is done first, so that a batch in the middle of its work ends in time.
        """
        self.agenda.settle()
        self.clock.advance(seconds)
        self.agenda.settle()

    def close(self) -> None:
        """End all work and close the store."""
        try:
            self.agenda.close()
        finally:
            self.store.close()

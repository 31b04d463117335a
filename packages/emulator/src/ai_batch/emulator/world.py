"""The parts that all emulated vendors share."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

from ai_batch.emulator.agenda import Agenda
from ai_batch.emulator.clock import Clock
from ai_batch.emulator.faults import FaultPlan
from ai_batch.emulator.identity import base62_id, hex_id
from ai_batch.emulator.items import ItemLog
from ai_batch.emulator.options import Options
from ai_batch.emulator.patience import Patience
from ai_batch.emulator.store import Store
from ai_batch.emulator.tally import Tally


class World:
    """One emulator's clock, store, faults, agenda and item log."""

    def __init__(self, home: Path, options: Options, faults: FaultPlan) -> None:
        self.options = options
        self.faults = faults
        self.store = Store(home)
        self.clock = Clock(self.store)
        self.agenda = Agenda(self.clock)
        self.items = ItemLog(self.store.items)
        self.tally = Tally(self.store, track_items=options.track_items)
        self.patience = Patience(options.latency, options.seed)
        self.lock = threading.RLock()
        # Calls are numbered within a run, so that the id of one costs no statement of SQL.
        self._run = self.store.serial()
        self._calls = itertools.count()

    def new_hex(self, kind: str) -> str:
        """Return a new id of 32 hexadecimal digits."""
        return hex_id(self.options.seed, kind, self.store.serial())

    def new_base62(self, kind: str) -> str:
        """Return a new id of 22 letters and digits."""
        return base62_id(self.options.seed, kind, self.store.serial())

    def new_request_hex(self) -> str:
        """Return a new id of 32 hexadecimal digits for a call."""
        return hex_id(self.options.seed, "request", f"{self._run}.{next(self._calls)}")

    def new_request_base62(self) -> str:
        """Return a new id of 22 letters and digits for a call."""
        return base62_id(self.options.seed, "request", f"{self._run}.{next(self._calls)}")

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
            self.tally.flush()
        finally:
            self.store.close()

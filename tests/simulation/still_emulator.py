"""The emulator's parts that have threads or files of their own, without them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from ai_batch.emulator.agenda import Agenda
from ai_batch.emulator.clock import Clock
from ai_batch.emulator.store import _SCHEMA, Store

__all__ = ["MemoryStore", "StillAgenda"]


class MemoryStore(Store):
    """Records in memory; only contents are files."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.contents = home / "contents"
        self.incoming = home / "incoming"
        self.items = home / "items"
        home.mkdir()
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.executescript(_SCHEMA)
        self._make_folders()


class StillAgenda(Agenda):
    """Work that is done when somebody looks whether it is due, the earliest first.

    All that the emulator tells of a batch follows from times, so that it makes no difference when
    the work is really done, as long as it is before the next call.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[str, tuple[float, Callable[[], None]]] = {}

    def put(self, key: str, due: float, task: Callable[[], None]) -> None:
        self._due[key] = (due, task)

    def wake(self) -> None:
        self.settle()

    def is_due(self, key: str | None = None) -> bool:
        now = self._clock.now()
        return any(due <= now for name, (due, _) in self._due.items() if key in (None, name))

    def settle(self, key: str | None = None, timeout: float | None = None) -> bool:
        del key, timeout
        while self.is_due():
            first = min(self._due, key=lambda name: (self._due[name][0], name))
            self._due.pop(first)[1]()
        return True

    def clear(self) -> None:
        self._due.clear()

    def close(self) -> None:
        self.clear()

    @property
    def closed(self) -> bool:
        return False

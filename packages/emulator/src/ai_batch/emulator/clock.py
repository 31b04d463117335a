"""The emulator's clock: the real one, plus what `advance` has added."""

from __future__ import annotations

import time

from ai_batch.emulator.store import Store

_OFFSET = "clock.offset"


class Clock:
    """Seconds since the epoch, moved forward by an offset that the store keeps."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offset = 0.0
        self.reload()

    def reload(self) -> None:
        """Read the offset from the store again."""
        self._offset = float(self._store.setting(_OFFSET) or 0.0)

    def now(self) -> float:
        """Return the emulator's time."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the time forward; it never goes back."""
        if seconds < 0:
            msg = f"the clock only moves forward, not by {seconds} s"
            raise ValueError(msg)
        self._offset += seconds
        self._store.set_setting(_OFFSET, repr(self._offset))

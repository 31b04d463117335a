"""What can be done to an emulator besides calling its vendors' APIs, in this process or another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta

from ai_batch.emulator.faults import Fault
from ai_batch.emulator.stats import Stats


class Surface(ABC):
    """The controls that all kinds of emulators have."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The server's address, without a path."""

    @property
    @abstractmethod
    def stats(self) -> Stats:
        """What the emulator was asked to do until now."""

    @abstractmethod
    def inject(self, fault: Fault) -> Fault:
        """Arm a fault, and return it."""

    @abstractmethod
    def clear_faults(self) -> None:
        """Disarm all faults."""

    @abstractmethod
    def reset(self) -> None:
        """Forget everything: files, batches, stats, faults and the moved clock."""

    @abstractmethod
    def _advance(self, seconds: float) -> None: ...

    @property
    def openai_url(self) -> str:
        """The base URL for OpenAI clients; it ends in `/v1`."""
        return f"{self.url}/v1"

    def advance(
        self,
        by: timedelta | None = None,
        *,
        hours: float = 0.0,
        minutes: float = 0.0,
        seconds: float = 0.0,
    ) -> None:
        """Move the clock forward, and return when all work has been done that is due by then."""
        extra = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        self._advance(((by or timedelta()) + extra).total_seconds())

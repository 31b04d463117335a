"""What can be done to an emulator besides calling its vendors' APIs, in this process or another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING

from ai_batch.emulator.faults import Fault
from ai_batch.emulator.stats import Stats

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


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

    @property
    def anthropic_url(self) -> str:
        """The base URL for Anthropic clients, which add `/v1` themselves."""
        return f"{self.url}/anthropic"

    @property
    def gemini_url(self) -> str:
        """The base URL for clients of the Gemini Developer API."""
        return f"{self.url}/gemini"

    @property
    def vertex_url(self) -> str:
        """The base URL for clients of Vertex AI."""
        return f"{self.url}/vertex"

    @property
    def gcs_url(self) -> str:
        """The API endpoint for clients of Google Cloud Storage."""
        return self.url

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables under which the vendors' SDKs, and ai-batch, talk to it."""
        return {
            "OPENAI_API_KEY": "emulated",
            "OPENAI_BASE_URL": self.openai_url,
            "ANTHROPIC_API_KEY": "emulated",
            "ANTHROPIC_BASE_URL": self.anthropic_url,
            "GEMINI_API_KEY": "emulated",
            "GOOGLE_GEMINI_BASE_URL": self.gemini_url,
            "GOOGLE_VERTEX_BASE_URL": self.vertex_url,
            "GOOGLE_CLOUD_PROJECT": "emulated",
            "GOOGLE_CLOUD_LOCATION": "us-central1",
            "STORAGE_EMULATOR_HOST": self.gcs_url,
        }

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


class StartableEmulator(Surface):
    """An emulator that is started and stopped here, most simply as a context manager."""

    @abstractmethod
    def start(self) -> Self:
        """Start to answer; what an earlier emulator left in its home is there again."""

    @abstractmethod
    def stop(self) -> None:
        """Cut all connections and stop; without a home, everything is forgotten."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

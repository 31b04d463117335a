"""A local server that speaks the LLM vendors' batch APIs, for tests and for local models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_batch.emulator.faults import Fault
from ai_batch.emulator.items import item_key
from ai_batch.emulator.options import (
    AnthropicLimits,
    GeminiLimits,
    Latency,
    Limits,
    Timing,
    VertexLimits,
)
from ai_batch.emulator.stats import LiveStats, Stats

if TYPE_CHECKING:
    from ai_batch.emulator.emulator import Emulator
    from ai_batch.emulator.remote import RemoteEmulator, SpawnedEmulator

__all__ = [
    "AnthropicLimits",
    "Emulator",
    "Fault",
    "GeminiLimits",
    "Latency",
    "Limits",
    "LiveStats",
    "RemoteEmulator",
    "SpawnedEmulator",
    "Stats",
    "Timing",
    "VertexLimits",
    "item_key",
]

_LATE = {
    "Emulator": "ai_batch.emulator.emulator",
    "RemoteEmulator": "ai_batch.emulator.remote",
    "SpawnedEmulator": "ai_batch.emulator.remote",
}


def __getattr__(name: str) -> object:
    """Import the server only when it is asked for: pytest loads this package for its plugin."""
    if name not in _LATE:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    import importlib

    return getattr(importlib.import_module(_LATE[name]), name)

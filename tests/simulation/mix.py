"""Which provider a seed is about: quick ones more often, real ones often enough."""

from __future__ import annotations

__all__ = ["MIX", "provider_of"]

MIX = {
    "fake": 8,
    "fake-bare": 5,
    "fake-inline": 4,
    "fake-foreign": 6,
    "openai": 1,
    "anthropic": 1,
    "gemini": 1,
    "vertex": 1,
}
"""Histories of each provider among so many in a row."""

_TURNS = [name for name, share in MIX.items() for _ in range(share)]


def provider_of(seed: int) -> str:
    """The provider of a seed."""
    return _TURNS[seed % len(_TURNS)]

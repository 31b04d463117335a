"""Which provider a seed is about: quick ones more often, real ones often enough."""

from __future__ import annotations

__all__ = ["MIX", "provider_of"]

MIX = {
    "fake": 5,
    "fake-bare": 3,
    "fake-inline": 2,
    "fake-foreign": 3,
    "openai": 3,
    "anthropic": 3,
    "gemini": 2,
    "vertex": 2,
}
"""Histories of each provider among so many in a row."""

_TURNS = [name for name, share in MIX.items() for _ in range(share)]


def provider_of(seed: int) -> str:
    """The provider of a seed."""
    return _TURNS[seed % len(_TURNS)]

"""Embed texts with Voyage AI's models."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_batch.voyage.live import VoyageEmbedder

__all__ = ["VoyageEmbedder"]


def __getattr__(name: str) -> object:
    # Whoever lists the packages need not wait for pydantic.
    if name == "VoyageEmbedder":
        from ai_batch.voyage.live import VoyageEmbedder

        return VoyageEmbedder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

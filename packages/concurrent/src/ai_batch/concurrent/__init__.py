"""Answer requests by live calls: bounded, paced, durable, with any client."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_batch.concurrent.processor import ConcurrentProcessor

__all__ = ["ConcurrentProcessor"]


def __getattr__(name: str) -> object:
    # What lists the providers, such as a command line, need not wait for pydantic.
    if name == "ConcurrentProcessor":
        from ai_batch.concurrent.processor import ConcurrentProcessor

        return ConcurrentProcessor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

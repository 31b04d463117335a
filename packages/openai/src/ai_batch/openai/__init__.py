"""Answer requests through OpenAI's Batch API, or that of a compatible server."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_batch.openai.live import OpenAIChat, OpenAIEmbedder
    from ai_batch.openai.processor import OpenAIProcessor

__all__ = ["OpenAIChat", "OpenAIEmbedder", "OpenAIProcessor"]


def __getattr__(name: str) -> object:
    # What lists the providers, such as a command line, need not wait for pydantic.
    if name == "OpenAIProcessor":
        from ai_batch.openai.processor import OpenAIProcessor

        return OpenAIProcessor
    if name in __all__:
        from ai_batch.openai import live

        return getattr(live, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

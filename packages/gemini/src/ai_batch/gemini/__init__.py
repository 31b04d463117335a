"""Answer requests through the batch APIs of Gemini: the Developer API's and Vertex AI's."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_batch.gemini.live import GeminiChat, GeminiEmbedder
    from ai_batch.gemini.processor import GeminiProcessor, VertexProcessor

__all__ = ["GeminiChat", "GeminiEmbedder", "GeminiProcessor", "VertexProcessor"]


def __getattr__(name: str) -> object:
    # What lists the providers, such as a command line, need not wait for pydantic.
    if name in {"GeminiChat", "GeminiEmbedder"}:
        from ai_batch.gemini import live

        return getattr(live, name)
    if name in __all__:
        from ai_batch.gemini import processor

        return getattr(processor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

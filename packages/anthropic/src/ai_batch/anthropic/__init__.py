"""Answer requests through Anthropic's Message Batches API."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_batch.anthropic.live import AnthropicChat
    from ai_batch.anthropic.processor import AnthropicProcessor

__all__ = ["AnthropicChat", "AnthropicProcessor"]


def __getattr__(name: str) -> object:
    # What lists the providers, such as a command line, need not wait for pydantic.
    if name == "AnthropicProcessor":
        from ai_batch.anthropic.processor import AnthropicProcessor

        return AnthropicProcessor
    if name == "AnthropicChat":
        from ai_batch.anthropic.live import AnthropicChat

        return AnthropicChat
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

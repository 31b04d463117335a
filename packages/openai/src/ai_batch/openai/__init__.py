"""Answer requests through OpenAI's Batch API, or that of a compatible server."""

from ai_batch.openai.processor import OpenAIProcessor

__all__ = ["OpenAIProcessor"]

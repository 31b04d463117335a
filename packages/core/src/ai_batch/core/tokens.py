"""How many tokens a request may have, without a tokenizer and without a network."""

from __future__ import annotations

from ai_batch.core.messages import Text
from ai_batch.core.requests import ChatRequest, Request

__all__ = ["estimate_tokens"]

BYTES_PER_TOKEN = 4
"""English prose has a bit more, code and other scripts less."""

MARGIN = 1.2
"""Estimates are used to keep below limits: rather too high than too low."""

TOKENS_PER_MESSAGE = 4
"""What vendors add around each message."""

TOKENS_PER_MEDIUM = 1000
"""A picture, a page or some seconds of sound."""


def estimate_tokens(request: Request) -> int:
    """Input tokens of a request, estimated from its UTF-8 bytes."""
    if not isinstance(request, ChatRequest):
        size = sum(len(text.encode()) for text in request.texts)
        return int(size * MARGIN / BYTES_PER_TOKEN) + len(request.texts)
    size = extra = 0
    for message in request.messages:
        extra += TOKENS_PER_MESSAGE
        for part in message.parts:
            if type(part) is Text:
                size += len(part.text.encode())
            else:
                extra += TOKENS_PER_MEDIUM
    return int(size * MARGIN / BYTES_PER_TOKEN) + extra

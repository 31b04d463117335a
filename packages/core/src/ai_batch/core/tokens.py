"""How many tokens a request may have, without a tokenizer and without a network."""

from __future__ import annotations

from collections.abc import Iterable

from ai_batch.core.messages import Text
from ai_batch.core.requests import ChatRequest, Request

__all__ = ["estimate_tokens", "tokens_of_texts"]

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
        return int(_size(request.texts) * MARGIN / BYTES_PER_TOKEN) + len(request.texts)
    texts: list[str] = []
    media = 0
    for message in request.messages:
        for part in message.parts:
            if type(part) is Text:
                texts.append(part.text)
            else:
                media += 1
    return tokens_of_texts(texts, len(request.messages)) + media * TOKENS_PER_MEDIUM


def tokens_of_texts(texts: Iterable[str], messages: int) -> int:
    """The same for the texts of so many messages."""
    return int(_size(texts) * MARGIN / BYTES_PER_TOKEN) + messages * TOKENS_PER_MESSAGE


def _size(texts: Iterable[str]) -> int:
    size = 0
    for text in texts:
        # Python knows of each text whether it is ASCII: most are, and need not be copied.
        size += len(text) if text.isascii() else len(text.encode())
    return size

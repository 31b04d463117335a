"""What is asked, and of whom: the options of a processor as the provider takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ai_batch.core.provider import Limits
from ai_batch.openai.client import ClientSettings

__all__ = ["CHAT_ENDPOINTS", "LIMITS", "OpenAISettings", "TokenParameter"]

CHAT_ENDPOINTS = ("/v1/chat/completions", "/v1/responses")
"""What answers chats."""

TokenParameter: TypeAlias = Literal["max_completion_tokens", "max_tokens"]
"""How the limit on the answer's length is called in a chat completion."""

LIMITS = Limits(max_requests=50_000, max_bytes=200_000_000)
"""https://developers.openai.com/api/docs/guides/batch"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAISettings:
    """What is asked, and of whom."""

    connection: ClientSettings
    model: str | None = None
    embedding_model: str | None = None
    max_tokens: int | None = None
    endpoint: str = "/v1/chat/completions"
    window: str = "24h"
    token_parameter: TokenParameter | None = None
    limits: Limits = LIMITS

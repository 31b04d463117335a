"""What is asked, and of whom: the options of a processor as the provider takes them."""

from __future__ import annotations

from dataclasses import dataclass

from ai_batch.anthropic.client import ClientSettings
from ai_batch.core.provider import Limits

__all__ = ["LIMITS", "MAX_TOKENS", "AnthropicSettings"]

LIMITS = Limits(max_requests=100_000, max_bytes=250_000_000)
"""https://platform.claude.com/docs/en/build-with-claude/batch-processing says 256 MB, and not of
what size its megabytes are."""

MAX_TOKENS = 4096
"""The default length of an answer; Anthropic demands that one is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicSettings:
    """What is asked, and of whom."""

    connection: ClientSettings
    model: str | None = None
    max_tokens: int = MAX_TOKENS
    betas: tuple[str, ...] = ()
    api_version: str | None = None
    limits: Limits = LIMITS

"""What is asked, and of whom: the options of a processor as the provider takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_batch.anthropic.client import ClientSettings
from ai_batch.core.errors import UsageError
from ai_batch.core.provider import Limits

__all__ = ["LIMITS", "MAX_TOKENS", "AnthropicSettings", "check_options"]

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


def check_options(max_tokens: int, betas: Sequence[str], api_version: str | None) -> None:
    """Raises ``UsageError`` for values that can't be meant."""
    if max_tokens < 1:
        raise UsageError(f"max_tokens must be 1 or more, found {max_tokens!r}")
    if isinstance(betas, str) or any(not _is_word(beta) for beta in betas):
        raise UsageError(f"betas must be a list of names without spaces, found {betas!r}")
    if api_version is not None and not _is_word(api_version):
        raise UsageError(f"api_version must be a date such as 2026-10-21, found {api_version!r}")


def _is_word(text: str) -> bool:
    return bool(text) and not any(letter in text for letter in " ,\t\r\n")

"""What a user constructs: ``AnthropicProcessor`` and its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Unpack

from ai_batch.anthropic.client import ClientSettings, check_client
from ai_batch.anthropic.settings import LIMITS, MAX_TOKENS, AnthropicSettings, check_options
from ai_batch.core import NativeProcessor, Options, UsageError
from ai_batch.core.options import Duration, GeneralOptions, seconds
from ai_batch.core.provider import Limits, Provider

if TYPE_CHECKING:
    from anthropic import Anthropic, AsyncAnthropic

__all__ = ["AnthropicProcessor"]


class AnthropicProcessor(NativeProcessor):
    """Answers chat requests through Anthropic's Message Batches API, at half the live price.

    ``client`` may be one of the official SDK for Anthropic itself, the Claude Platform on AWS or
    Claude on Google Cloud as managed by Anthropic. Source of the limits and rules:
    https://platform.claude.com/docs/en/build-with-claude/batch-processing
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        max_tokens: int = MAX_TOKENS,
        betas: Sequence[str] = (),
        api_version: str | None = None,
        limits: Limits = LIMITS,
        client: AsyncAnthropic | Anthropic | None = None,
        timeout: Duration = 60.0,
        **general: Unpack[GeneralOptions],
    ) -> None:
        """Explained in ``docs/providers/anthropic.md``, those of ``general`` in ``options.md``.

        ``betas`` are sent with every batch. ``api_version`` fixes what is else chosen for each
        request: the newest version under which it is allowed.

        Raises ``UsageError`` for values that can't be meant. Nothing is sent or opened yet.
        """
        check_options(max_tokens, betas, api_version)
        if client is not None:
            if api_key or base_url or extra_headers:
                raise UsageError("client= brings its own key, URL and headers: give either or")
            check_client(client)
        connection = ClientSettings(
            api_key=api_key,
            base_url=base_url,
            extra_headers=extra_headers,
            timeout=seconds("timeout", timeout) or 60.0,
            client=client,
        )
        settings = AnthropicSettings(
            connection=connection,
            model=model,
            max_tokens=max_tokens,
            betas=tuple(betas),
            api_version=api_version,
            limits=limits,
        )
        super().__init__(partial(_provider, settings), Options.of(AnthropicProcessor, general))


def _provider(settings: AnthropicSettings) -> Provider:
    # Only now: the wire formats take a while to import.
    from ai_batch.anthropic.provider import AnthropicProvider

    return AnthropicProvider(settings)

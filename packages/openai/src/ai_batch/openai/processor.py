"""What a user constructs: ``OpenAIProcessor`` and its options."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Unpack

from ai_batch.core import NativeProcessor, Options, UsageError
from ai_batch.core.options import Duration, GeneralOptions, seconds
from ai_batch.core.provider import Limits, Provider
from ai_batch.openai.client import ClientSettings
from ai_batch.openai.settings import CHAT_ENDPOINTS, LIMITS, OpenAISettings, TokenParameter

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["OpenAIProcessor"]


class OpenAIProcessor(NativeProcessor):
    """Answers chat and embedding requests through OpenAI's Batch API, at half the live price.

    Works with every server that speaks the same API through the SDK (``base_url``, or ``client``
    for Azure). Source of the limits and rules: https://developers.openai.com/api/docs/guides/batch
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        embedding_model: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        endpoint: str = "/v1/chat/completions",
        max_tokens: int | None = None,
        token_parameter: TokenParameter | None = None,
        completion_window: str = "24h",
        limits: Limits = LIMITS,
        client: AsyncOpenAI | OpenAI | None = None,
        timeout: Duration = 60.0,
        **general: Unpack[GeneralOptions],
    ) -> None:
        """All options are explained in ``docs/options.md``, those of ``general`` as well.

        Raises ``UsageError`` for values that can't be meant. Nothing is sent or opened yet.
        """
        if endpoint not in CHAT_ENDPOINTS:
            allowed = " or ".join(CHAT_ENDPOINTS)
            raise UsageError(f"endpoint must be {allowed}, found {endpoint!r}")
        if client is not None and (api_key or base_url or extra_headers):
            raise UsageError("client= brings its own key, URL and headers: give either or")
        settings = OpenAISettings(
            connection=ClientSettings(
                api_key=api_key,
                base_url=base_url,
                extra_headers=extra_headers,
                timeout=seconds("timeout", timeout) or 60.0,
                client=client,
            ),
            model=model,
            embedding_model=embedding_model,
            max_tokens=max_tokens,
            endpoint=endpoint,
            window=completion_window,
            token_parameter=token_parameter,
            limits=limits,
        )
        super().__init__(partial(_provider, settings), Options.of(OpenAIProcessor, general))


def _provider(settings: OpenAISettings) -> Provider:
    # Only now: the wire formats take a while to import.
    from ai_batch.openai.provider import OpenAIProvider

    return OpenAIProvider(settings)

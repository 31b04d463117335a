"""Makes the SDK's client, or takes the user's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ai_batch.core.errors import ProviderNotInstalled, UsageError

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["ClientSettings", "make_client"]

DEFAULT_URL = "https://api.openai.com/v1"

CONNECT_SECONDS = 10.0

TENANT = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID")
"""What the SDK reads beside the key: each project has queues of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Where the server is and who asks. The key never shows in the repr."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    extra_headers: Mapping[str, str] | None = field(default=None, repr=False)
    timeout: float = 60.0
    client: AsyncOpenAI | OpenAI | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The server's base URL, without a slash at its end."""
        if self.client is not None:
            return str(self.client.base_url).rstrip("/")
        return (self.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL).rstrip("/")

    @property
    def is_openai(self) -> bool:
        """Whether the server is OpenAI's own, one of its regional hosts included."""
        host = urlsplit(self.url).hostname or ""
        return host == "api.openai.com" or host.endswith(".api.openai.com")

    @property
    def secret(self) -> str | None:
        """The key, for masking and fingerprints."""
        if self.client is not None:
            return getattr(self.client, "api_key", None)
        return self.api_key or os.environ.get("OPENAI_API_KEY")

    @property
    def key_fingerprint(self) -> str:
        """Tells accounts apart without giving the key away."""
        parts = [self.secret or "", *(os.environ.get(name, "") for name in TENANT)]
        parts += [f"{name}:{value}" for name, value in sorted((self.extra_headers or {}).items())]
        digest = hashlib.blake2b("\n".join(parts).encode(), digest_size=6, person=b"ai-batch")
        return digest.hexdigest()

    def check(self) -> None:
        """Raises ``UsageError`` when OpenAI itself is to be asked without a key."""
        if self.client is None and not self.secret and self.is_openai:
            raise UsageError("there is no API key: set OPENAI_API_KEY, or pass api_key=")


def make_client(settings: ClientSettings) -> AsyncOpenAI | OpenAI:
    """The SDK's client, with its retries off.

    Raises ``ProviderNotInstalled`` where the SDK is missing.
    """
    if settings.client is not None:
        return settings.client.with_options(max_retries=0, timeout=settings.timeout)
    try:
        import httpx2
        import openai
    except ImportError as error:
        raise ProviderNotInstalled(
            f"the OpenAI SDK can't be imported ({error}): pip install ai-batch-openai"
        ) from None
    return openai.AsyncOpenAI(
        # Servers of one's own often want no key, the SDK always does.
        api_key=settings.secret or "none",
        base_url=settings.url,
        default_headers=settings.extra_headers,
        max_retries=0,
        timeout=httpx2.Timeout(settings.timeout, connect=min(CONNECT_SECONDS, settings.timeout)),
    )

"""Makes the SDK's client, or takes the user's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ai_batch.core.connections import bare_url, check_url, fingerprint
from ai_batch.core.direct_calls import DirectCalls
from ai_batch.core.errors import ProviderNotInstalled, UsageError, hide
from ai_batch.core.vendor_calls import direct_calls, sdk_client

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["ClientSettings", "is_async", "make_client", "make_live_client"]

DEFAULT_URL = "https://api.openai.com/v1"

KEYS = ("OPENAI_API_KEY",)
"""Variables that hold a key."""

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
            return bare_url(str(self.client.base_url))
        return (self.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL).rstrip("/")

    @property
    def is_openai(self) -> bool:
        """Whether the server is OpenAI's own, one of its regional hosts included."""
        host = urlsplit(self.url).hostname or ""
        return host == "api.openai.com" or host.endswith(".api.openai.com")

    @property
    def is_priced(self) -> bool:
        """Whether OpenAI's list prices hold: also for a server on this machine, its stand-in."""
        host = urlsplit(self.url).hostname or ""
        return self.is_openai or host in {"127.0.0.1", "localhost", "::1"}

    @property
    def secret(self) -> str | None:
        """The key, for masking and fingerprints."""
        if self.client is not None:
            return getattr(self.client, "api_key", None)
        return self.api_key or os.environ.get("OPENAI_API_KEY")

    @property
    def key_fingerprint(self) -> str:
        """Tells accounts apart without giving the key away."""
        return fingerprint(self.secret, *map(os.environ.get, TENANT), headers=self.extra_headers)

    def check(self) -> None:
        """Raises ``UsageError`` when OpenAI itself is to be asked without a key.

        From now on errors hide what must not show.
        """
        # The environment's also where others are used: what is read may be about either.
        hide(self.secret, *map(os.environ.get, KEYS), *(self.extra_headers or {}).values())
        check_url(self.url)
        if self.client is None and not self.secret and self.is_openai:
            raise UsageError("there is no API key: set OPENAI_API_KEY, or pass api_key=")


def make_client(settings: ClientSettings) -> AsyncOpenAI | OpenAI:
    """The SDK's client, with its retries off.

    Raises ``ProviderNotInstalled`` where the SDK is missing.
    """
    if settings.client is not None:
        return settings.client.with_options(max_retries=0, timeout=settings.timeout)
    sdk, http = _load_sdk()
    make: Callable[..., AsyncOpenAI] = sdk.AsyncOpenAI
    return sdk_client(make, sdk, http, _who(settings), settings.timeout)


def make_live_client(settings: ClientSettings) -> DirectCalls | AsyncOpenAI | OpenAI:
    """What makes many calls at once: over aiohttp where it is installed, at twice the speed."""
    if settings.client is not None:
        return make_client(settings)
    sdk, http = _load_sdk()
    who = _who(settings)
    return direct_calls(sdk.AsyncOpenAI, sdk, http, who, settings.timeout, unwrap="error")


def _who(settings: ClientSettings) -> dict[str, Any]:
    return {
        # Servers of one's own often want no key, the SDK always does.
        "api_key": settings.secret or "none",
        "base_url": settings.url,
        "default_headers": settings.extra_headers,
        "max_retries": 0,
    }


def _load_sdk() -> tuple[Any, Any]:
    try:
        import httpx2
        import openai
    except ImportError as error:
        raise ProviderNotInstalled(
            f"the OpenAI SDK can't be imported ({error}): pip install ai-batch-openai"
        ) from None
    return openai, httpx2


def is_async(client: object) -> bool:
    """Whether the client's calls are awaited."""
    import openai

    return isinstance(client, openai.AsyncOpenAI)

"""Makes the SDK's client, or takes the user's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ai_batch.core.connections import bare_url, check_url, fingerprint
from ai_batch.core.direct_calls import DirectCalls
from ai_batch.core.errors import ProviderNotInstalled, UsageError, hide
from ai_batch.core.vendor_calls import direct_calls, sdk_client

if TYPE_CHECKING:
    from anthropic import Anthropic, AsyncAnthropic

__all__ = [
    "ClientSettings",
    "check_client",
    "is_async",
    "load_sdk",
    "make_client",
    "make_live_client",
    "signs_body",
]

DEFAULT_URL = "https://api.anthropic.com"

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
"""Variables that hold a key or a token."""

TENANT = ("workspace_id", "project_id", "project")
"""What tells the accounts of a client apart that has no key: those of the cloud platforms."""

INSTEAD = {
    "anthropic.lib.bedrock": (
        "Amazon Bedrock has batch jobs of its own kind, over S3; use AnthropicAWS (Claude Platform "
        "on AWS) or the plain Anthropic client"
    ),
    "anthropic.lib.vertex": (
        "Vertex AI has batch jobs of its own kind, over BigQuery and Cloud Storage; use "
        "AnthropicGoogleCloud (Claude managed by Anthropic) or the plain Anthropic client"
    ),
    "anthropic.lib.foundry": (
        "Microsoft Foundry has no message batches; use the plain Anthropic client"
    ),
}
"""Clients of the SDK that refuse message batches, and what to use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Where the server is and who asks. The key never shows in the repr."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    extra_headers: Mapping[str, str] | None = field(default=None, repr=False)
    timeout: float = 60.0
    client: AsyncAnthropic | Anthropic | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The server's base URL, without a slash at its end."""
        if self.client is not None:
            return bare_url(str(self.client.base_url))
        return (self.base_url or os.environ.get("ANTHROPIC_BASE_URL") or DEFAULT_URL).rstrip("/")

    @property
    def host(self) -> str:
        """The server's name."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_priced(self) -> bool:
        """Whether Anthropic's list prices hold: also for a server on this machine, its stand-in."""
        return self.host in {"api.anthropic.com", "127.0.0.1", "localhost", "::1"}

    @property
    def token(self) -> str | None:
        """The bearer token, which stands in for a key that is not given."""
        if self.client is not None or self.api_key or os.environ.get("ANTHROPIC_API_KEY"):
            return None
        return os.environ.get("ANTHROPIC_AUTH_TOKEN")

    @property
    def secret(self) -> str | None:
        """The key or token, for masking and fingerprints."""
        if self.client is not None:
            return self.client.api_key or self.client.auth_token
        return self.api_key or os.environ.get("ANTHROPIC_API_KEY") or self.token

    @property
    def key_fingerprint(self) -> str:
        """Tells accounts apart without giving the key away."""
        names = [str(getattr(self.client, name, None) or "") for name in TENANT]
        return fingerprint(self.secret, *names, headers=self.extra_headers)

    def check(self) -> None:
        """Raises ``UsageError`` for an address that can't be right, or where a key is missing."""
        # The environment's also where others are used: what is read may be about either.
        hide(self.secret, *map(os.environ.get, KEYS), *(self.extra_headers or {}).values())
        check_url(self.url)
        if self.url.endswith("/v1"):
            # All calls would go to /v1/v1 and get a 404 (tidyverse/ellmer#835).
            raise UsageError(f"the base URL {self.url} must not end in /v1, which is added to it")
        if self.client is None and not self.secret and self.host == "api.anthropic.com":
            hint = "or client=AsyncAnthropic() for other ways to sign in"
            raise UsageError(f"there is no API key: set ANTHROPIC_API_KEY, pass api_key=, {hint}")


def check_client(client: object) -> None:
    """Raises ``UsageError`` for a client that has no message batches, and says what has."""
    kinds = type(client).__mro__
    for kind in kinds:
        for module, reason in INSTEAD.items():
            if kind.__module__.startswith(module):
                raise UsageError(f"client=: {type(client).__name__} can't be used. {reason}")
    if not {kind.__name__ for kind in kinds} & {"Anthropic", "AsyncAnthropic"}:
        wanted = "an Anthropic or AsyncAnthropic of the official SDK"
        raise UsageError(f"client= must be {wanted}, found {type(client).__name__}")


def load_sdk() -> ModuleType:
    """The vendor's SDK. Raises ``ProviderNotInstalled`` where it is missing."""
    try:
        import anthropic
    except ImportError as error:
        raise ProviderNotInstalled(
            f"the Anthropic SDK can't be imported ({error}): pip install ai-batch-anthropic"
        ) from None
    return anthropic


def make_client(settings: ClientSettings) -> AsyncAnthropic | Anthropic:
    """The SDK's client, with its retries off.

    Raises ``ProviderNotInstalled`` where the SDK is missing.
    """
    if settings.client is not None:
        return settings.client.with_options(max_retries=0, timeout=settings.timeout)
    sdk: Any = load_sdk()
    import httpx2

    make: Callable[..., AsyncAnthropic] = sdk.AsyncAnthropic
    return sdk_client(make, sdk, httpx2, _who(settings), settings.timeout)


def make_live_client(settings: ClientSettings) -> DirectCalls | AsyncAnthropic | Anthropic:
    """What makes many calls at once: over aiohttp where it is installed, at twice the speed."""
    if settings.client is not None:
        return make_client(settings)
    sdk: Any = load_sdk()
    import httpx2

    return direct_calls(sdk.AsyncAnthropic, sdk, httpx2, _who(settings), settings.timeout)


def _who(settings: ClientSettings) -> dict[str, Any]:
    token = settings.token
    return {
        # Servers of one's own often want no key, the SDK always does; and it takes one of both.
        "api_key": None if token else settings.secret or "none",
        "auth_token": token,
        "base_url": settings.url,
        "default_headers": settings.extra_headers,
        "max_retries": 0,
    }


def is_async(client: object) -> bool:
    """Whether the client's calls are awaited."""
    return any(kind.__name__ == "AsyncAnthropic" for kind in type(client).__mro__)


def signs_body(client: object) -> bool:
    """Whether the client has to read a whole body in order to sign it, as for AWS."""
    return any(kind.__module__.startswith("anthropic.lib.aws") for kind in type(client).__mro__)

"""Makes the SDK's client, or takes the user's; says who asks, and where."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ai_batch.core.connections import bare_url, check_url, fingerprint
from ai_batch.core.errors import ProviderNotInstalled, UsageError, hide
from ai_batch.core.guards import guards
from ai_batch.gemini.sdk import http_options, inner

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.genai import Client

__all__ = ["CONNECT_SECONDS", "ClientSettings", "close_client", "is_download", "make_client"]

DEVELOPER_URL = "https://generativelanguage.googleapis.com"

CONNECT_SECONDS = 10.0
"""For a connection to be made; a call as a whole may take as long as the user says."""

KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
"""In the order in which the SDK prefers them."""

HERE = frozenset({"127.0.0.1", "localhost", "::1"})

_MULTI_REGIONS = frozenset({"us", "eu"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Where the server is and who asks. Secrets never show in the repr."""

    vertex: bool = False
    api_key: str | None = field(default=None, repr=False)
    project: str | None = None
    location: str | None = None
    credentials: Credentials | None = field(default=None, repr=False)
    base_url: str | None = None
    api_version: str | None = None
    extra_headers: Mapping[str, str] | None = field(default=None, repr=False)
    timeout: float = 60.0
    client: Client | None = field(default=None, repr=False)
    storage_url: str | None = field(
        default_factory=lambda: os.environ.get("STORAGE_EMULATOR_HOST") or None
    )
    """Instead of Cloud Storage's own; as its library does, but known from the beginning."""

    @property
    def url(self) -> str:
        """The server's base URL, without a slash at its end."""
        if self.client is not None:
            return bare_url(str(http_options(self.client).base_url))
        variable = "GOOGLE_VERTEX_BASE_URL" if self.vertex else "GOOGLE_GEMINI_BASE_URL"
        default = _vertex_url(self.place[1]) if self.vertex else DEVELOPER_URL
        return (self.base_url or os.environ.get(variable) or default).rstrip("/")

    @property
    def is_here(self) -> bool:
        """Whether a server on this machine stands in for Google."""
        return (urlsplit(self.url).hostname or "") in HERE

    @property
    def is_google(self) -> bool:
        """Whether the server is one of Google's own."""
        host = urlsplit(self.url).hostname or ""
        return host.endswith(".googleapis.com")

    @property
    def place(self) -> tuple[str | None, str | None]:
        """Project and location of Vertex AI."""
        if self.client is not None:
            made_with = inner(self.client)
            return made_with.project, made_with.location
        return (
            self.project or os.environ.get("GOOGLE_CLOUD_PROJECT"),
            self.location or os.environ.get("GOOGLE_CLOUD_LOCATION"),
        )

    @property
    def secret(self) -> str | None:
        """The key, for masking and fingerprints; None for Vertex AI."""
        if self.client is not None:
            found: str | None = inner(self.client).api_key
            return found
        if self.vertex:
            return None
        return self.api_key or next(filter(None, map(os.environ.get, KEYS)), None)

    @property
    def hidden(self) -> str | None:
        """What errors must not show: the key, or the access token of the moment."""
        token: str | None = getattr(self.credentials, "token", None)
        return self.secret or token

    @property
    def key_fingerprint(self) -> str:
        """Tells accounts apart without giving the key away."""
        tenant = map(str, self.place if self.vertex else ())
        return fingerprint(self.secret, *tenant, headers=self.extra_headers)

    def check(self) -> None:
        """Raises ``UsageError`` when it is not told who asks.

        From now on errors hide what must not show.
        """
        # The environment's also where others are used: what is read may be about either.
        hide(self.secret, *map(os.environ.get, KEYS), *(self.extra_headers or {}).values())
        check_url(self.url)
        if self.client is not None:
            self._check_client(self.client)
        elif self.vertex:
            project, location = self.place
            if not project:
                raise UsageError(
                    "Vertex AI needs a project: pass project=, or set GOOGLE_CLOUD_PROJECT"
                )
            if not location:
                raise UsageError(
                    "Vertex AI needs a location, such as us-central1 or global: pass location=, "
                    "or set GOOGLE_CLOUD_LOCATION"
                )
        elif not self.secret and self.is_google:
            raise UsageError("there is no API key: set GEMINI_API_KEY, or pass api_key=")

    def _check_client(self, client: Client) -> None:
        if bool(client.vertexai) != self.vertex:
            found = "Vertex AI" if client.vertexai else "the Developer API"
            fitting = "vertex" if client.vertexai else "developer"
            raise UsageError(f"client= is one for {found}: use backend={fitting!r}")
        if self.vertex and not all(self.place):
            raise UsageError("client= has no project and location: give it both as arguments")


def _vertex_url(location: str | None) -> str:
    if location in (None, "global"):
        return "https://aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def make_client(
    settings: ClientSettings, transport: Callable[[ClientSettings], dict[str, Any]] | None = None
) -> Client:
    """The SDK's client, without retries, or the user's as it is.

    ``transport`` gives further options of HTTP; without it calls go over httpx2 and not aiohttp.
    Raises ``ProviderNotInstalled`` where the SDK is missing.
    """
    if settings.client is not None:
        return settings.client
    try:
        from google import genai
        from google.genai import types
    except ImportError as error:
        raise ProviderNotInstalled(
            f"Google's SDK can't be imported ({error}): pip install ai-batch-gemini"
        ) from None
    options = types.HttpOptions(
        base_url=settings.url,
        api_version=settings.api_version,
        headers=dict(settings.extra_headers or {}),
        timeout=int(settings.timeout * 1000),
        **(transport or _over_httpx)(settings),
    )
    if not settings.vertex:
        # Servers of one's own may want no key, the SDK always does.
        key = settings.secret or "none"
        return genai.Client(vertexai=False, api_key=key, http_options=options)
    project, location = settings.place
    # As arguments: with a base URL, the SDK forgets those that come from the environment.
    return genai.Client(
        vertexai=True,
        project=project,
        location=location,
        credentials=settings.credentials or _stand_in(settings),
        http_options=options,
    )


def _over_httpx(settings: ClientSettings) -> dict[str, Any]:
    """A client of one's own: where aiohttp is installed the SDK prefers it.

    It then sends a call that was cut a second time, without being asked to.
    """
    import httpx2

    timeout = httpx2.Timeout(settings.timeout, connect=min(CONNECT_SECONDS, settings.timeout))
    hooks = guards(settings.url, httpx2, is_download)
    client = httpx2.AsyncClient(timeout=timeout, follow_redirects=True, event_hooks=hooks)
    return {"httpx_async_client": client}


def is_download(request: Any) -> bool:
    """Whether the answer is a file, which goes to disk as it comes."""
    return str(request.url.path).endswith(":download")


def _stand_in(settings: ClientSettings) -> Credentials | None:
    """No real credentials leave for a server on this machine; None for those of the environment."""
    if not settings.is_here:
        return None
    from google.oauth2.credentials import Credentials

    made: Any = Credentials
    credentials: Credentials = made("none")
    return credentials


async def close_client(client: Client) -> None:
    """Close a client of ours, with the HTTP client that it was given."""
    http = http_options(client).httpx_async_client
    await client.aio.aclose()
    if http is not None:
        await http.aclose()
    client.close()

"""Where the emulated API stands, and with which key it is called."""

from __future__ import annotations

from starlette.requests import Request

PREFIX = "/anthropic"


def base_url(request: Request) -> str:
    """Return the API's address as the caller sees it.

    The SDK downloads results from the URL it is given, so that must name the caller's own host.
    """
    return f"{request.url.scheme}://{request.url.netloc}{PREFIX}"


def key_of(request: Request) -> str:
    """Return the caller's key: of the header of old SDKs, or else of that of new ones."""
    if key := request.headers.get("x-api-key", "").strip():
        return key
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""

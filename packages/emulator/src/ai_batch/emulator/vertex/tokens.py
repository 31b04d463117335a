"""The caller's access token."""

from __future__ import annotations

from starlette.requests import Request


def token_of(request: Request) -> str:
    """Return the bearer token, or the API key that may take its place."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("x-goog-api-key", "")

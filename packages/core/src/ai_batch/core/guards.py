"""What an HTTP client of ours refuses: to carry a key elsewhere, and to read without end.

HTTP libraries follow redirects and take off no header but ``Authorization``; Google's key and a
user's own headers travel in others. And they read an answer whole, however long it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

from ai_batch.core.errors import RequestRefused

__all__ = ["MAX_ANSWER", "guards"]

MAX_ANSWER = 256 << 20
"""Bytes of an answer that is read whole: more than 2,048 of the longest vectors, as text."""

HARMLESS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "host",
        "user-agent",
        "x-stainless-raw-response",  # By which the SDKs know how an answer is to be read.
    }
)
"""Headers that say nothing of who asks."""

Hook: TypeAlias = Callable[[Any], Awaitable[None]]

Origin: TypeAlias = tuple[str, str, int | None]


def _origin(url: Any) -> Origin:
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return cast("Origin", (url.scheme, url.host, port))


def guards(url: str, http: Any, is_stream: Callable[[Any], bool]) -> dict[str, list[Hook]]:
    """Event hooks for an async client of the HTTP library ``http`` that calls the server ``url``.

    ``is_stream`` tells of a request whether its answer goes to disk as it comes.

    What is only read may be elsewhere, as results in a cloud's storage are: it is asked for
    without a word of who asks, and never in the clear where the server is not. All else is
    refused: a body holds what nobody but the vendor was meant to see.
    """
    guard = _Guard(_origin(http.URL(url)), is_stream)
    return {"request": [guard.stay], "response": [guard.bound]}


class _Guard:
    def __init__(self, home: Origin, is_stream: Callable[[Any], bool]) -> None:
        self._home = home
        self._is_stream = is_stream

    async def stay(self, request: Any) -> None:
        place = _origin(request.url)
        self._check(request.method, place)
        if place != self._home:
            for name in set(request.headers) - HARMLESS:
                del request.headers[name]

    async def bound(self, response: Any) -> None:
        request = response.request
        if response.has_redirect_location:
            # A POST may be sent on as a GET, whose answer would be taken for the call's.
            self._check(request.method, _origin(request.url.join(response.headers["location"])))
        if response.is_success and self._is_stream(request):
            return
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_ANSWER:
                raise ValueError(f"the answer is longer than {MAX_ANSWER >> 20} MiB")
        # As ``aread`` does, which knows no limit.
        response._content = bytes(body)  # noqa: SLF001

    def _check(self, method: str, place: Origin) -> None:
        if place == self._home:
            return
        if method != "GET" or (self._home[0] == "https" and place[0] != "https"):
            raise RequestRefused(
                f"the server sends the call on to {place[0]}://{place[1]}:{place[2]}, where "
                "neither keys nor requests are sent: set base_url if that is the right server"
            )

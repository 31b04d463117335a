"""The ends of the SDKs' HTTP libraries, connected with the network of the history that runs."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias
from unittest.mock import patch

import httpx2
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from tests.simulation.asgi import Answer, Asked
from tests.simulation.lockstep import await_here
from tests.simulation.programs import RUNNING

__all__ = ["LINE", "MemoryTransport", "without_sockets"]

Line: TypeAlias = Callable[[Asked], Awaitable[Answer]]

LINE: ContextVar[Line] = ContextVar("LINE")
"""Where the calls of the current task go."""

PIECE = 100
"""Bytes of a body that come at once; a program may die between two pieces."""


class _Body(httpx2.AsyncByteStream):
    """The body of an answer, in pieces."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = self._answer.body
        for start in range(0, len(body), PIECE * 20):
            RUNNING.get().check()
            yield body[start : start + PIECE * 20]
        if self._answer.torn:
            raise httpx2.ReadError("the answer was torn")


class MemoryTransport(httpx2.AsyncBaseTransport):
    """Hands requests over instead of sending them."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request."""
        body = await request.aread()
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        asked = Asked(request.method, str(request.url), headers, body)
        answer = await LINE.get()(asked)
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer))


class _TornBody(io.BytesIO):
    """A body whose end never comes."""

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if not found:
            raise requests.exceptions.ChunkedEncodingError("the answer was torn")
        return found


def _send(adapter: HTTPAdapter, request: requests.PreparedRequest, **_: Any) -> requests.Response:
    """Stands in for what sends a request of the library ``requests``; called in a thread."""
    asked = Asked(
        request.method or "GET",
        request.url or "",
        [(key.lower().encode(), _bytes(value)) for key, value in request.headers.items()],
        _whole(request.body),
    )
    try:
        answer = await_here(_ask(asked))
    except httpx2.TransportError as error:
        kinds: dict[type[Exception], type[Exception]] = {
            httpx2.ReadTimeout: requests.exceptions.ReadTimeout,
        }
        raise kinds.get(type(error), requests.exceptions.ConnectionError)(str(error)) from None
    raw = HTTPResponse(
        body=(_TornBody if answer.torn else io.BytesIO)(answer.body),
        headers={key.decode("latin-1"): value.decode("latin-1") for key, value in answer.headers},
        status=answer.status,
        preload_content=False,
        request_method=request.method,
    )
    return adapter.build_response(request, raw)


async def _ask(asked: Asked) -> Answer:
    return await LINE.get()(asked)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


def _whole(body: Any) -> bytes:
    if body is None:
        return b""
    if hasattr(body, "read"):
        body = body.read()
    return _bytes(body) if isinstance(body, (bytes, str)) else b"".join(map(_bytes, body))


@contextmanager
def without_sockets() -> Generator[None]:
    """Cloud Storage's library speaks through ``requests``, wherever it makes its connections."""
    with patch.object(HTTPAdapter, "send", _send):
        yield

"""What an HTTP client with guards does not do."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from ai_batch.core import RequestRefused, guards
from ai_batch.core.guards import MAX_ANSWER

URL = "https://api.example/v1"


class Elsewhere:
    """Sends every call of ``api.example`` on, and remembers what reached which host."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.seen: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        if request.url.host == "api.example" and request.url.path == "/v1/x":
            return httpx2.Response(302, headers={"Location": self.location})
        return httpx2.Response(200, content=b"{}")


def client(answer: Any, *, is_stream: bool = False) -> httpx2.AsyncClient:
    """A guarded client of ``URL``."""
    return httpx2.AsyncClient(
        transport=httpx2.MockTransport(answer),
        follow_redirects=True,
        headers={"X-Api-Key": "secret", "Authorization": "Bearer secret"},
        event_hooks=guards.guards(URL, httpx2, lambda _: is_stream),
    )


def always(response: httpx2.Response) -> Callable[[httpx2.Request], httpx2.Response]:
    """A server that knows one answer."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return response

    return answer


async def test_a_stranger_asks_elsewhere() -> None:
    """What is only read is asked for at another server without a word of who asks."""
    answer = Elsewhere("https://cloud.example/signed")
    async with client(answer) as http:
        assert (await http.get(f"{URL}/x")).json() == {}
    first, second = answer.seen
    assert first.headers["x-api-key"] == "secret"
    assert "secret" not in repr(second.headers.raw)


@pytest.mark.parametrize(
    ("method", "place"),
    [
        ("POST", "https://cloud.example/"),
        ("PUT", "https://api.example:8443/v1/y"),
        ("DELETE", "https://api.example.evil/"),
        ("GET", "http://api.example/v1/y"),
        ("POST", "http://api.example/v1/y"),
    ],
)
async def test_what_is_refused(method: str, place: str) -> None:
    """Nothing is sent on, and nothing is read in the clear that was asked for by TLS."""
    answer = Elsewhere(place)
    async with client(answer) as http:
        with pytest.raises(RequestRefused, match="sends the call on to http"):
            await http.request(method, f"{URL}/x")
    assert len(answer.seen) == 1


async def test_the_same_server_may_move_things() -> None:
    """A path on the same server is asked for with the key; the port of the scheme is the same."""
    answer = Elsewhere("https://api.example:443/v1/y")
    async with client(answer) as http:
        await http.post(f"{URL}/x")
    assert answer.seen[1].headers["x-api-key"] == "secret"


class Endless(httpx2.AsyncByteStream):
    """An answer that does not end."""

    def __init__(self, pack: Callable[[bytes], bytes]) -> None:
        self._pack = pack

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield self._pack(bytes(1 << 20))


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_without_end(
    status: int, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer is read up to a limit, after it is unpacked; so are errors of downloads."""
    monkeypatch.setattr(guards, "MAX_ANSWER", 4 << 20)
    headers = {"Content-Encoding": "gzip"} if packed else {}
    stream = Endless(zlib.compressobj(wbits=31).compress if packed else bytes)
    response = httpx2.Response(status, headers=headers, stream=stream)
    async with client(always(response), is_stream=status >= 400) as http:
        with pytest.raises(ValueError, match="longer than 4 MiB"):
            await http.get(URL)


async def test_an_answer_that_ends() -> None:
    """It is what it would be without guards, also where it was packed."""
    assert MAX_ANSWER > 100 << 20
    headers = {"Content-Encoding": "gzip"}
    response = httpx2.Response(200, headers=headers, content=gzip.compress(b'{"a":"\xc3\xa4"}'))
    async with client(always(response)) as http:
        assert (await http.get(URL)).json() == {"a": "ä"}


async def test_a_stream_is_left_alone() -> None:
    """What goes to disk as it comes has its own limits."""
    response = httpx2.Response(200, stream=Endless(bytes))
    async with client(always(response), is_stream=True) as http, http.stream("GET", URL) as got:
        pieces = got.aiter_bytes()
        assert await anext(pieces) == bytes(1 << 20)

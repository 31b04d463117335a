"""HTTP of live calls: what the short way takes, and what it leaves to h11."""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import httpx2
import pytest

from ai_batch.emulator import Emulator

BODY = b'{"model":"m","messages":[{"role":"user","content":"%b"}]}'


def request(text: bytes = b"x", *extra: bytes, path: bytes = b"/v1/chat/completions") -> bytes:
    """One live call, as it is on the wire."""
    body = BODY % text
    lines = [
        b"POST %b HTTP/1.1" % path,
        b"Host: localhost",
        b"Authorization: Bearer k",
        b"Content-Length: %d" % len(body),
        *extra,
    ]
    return b"\r\n".join([*lines, b"", body])


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator."""
    with Emulator() as found:
        yield found


class Wire:
    """One connection, by hand."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        """Send bytes at once."""
        self._connection.sendall(data)

    def answer(self) -> tuple[int, bytes]:
        """The status and the body of the next answer that has a length."""
        status = int(self._file.readline().split()[1])
        length = 0
        while (line := self._file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, self._file.read(length)

    def ended(self) -> bool:
        """Tell that the other side has closed."""
        return self._file.read(1) == b""


@contextmanager
def wired(emulator: Emulator) -> Generator[Wire]:
    """Connect to an emulator."""
    host, port = emulator.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Wire(connection)


@pytest.mark.parametrize("cut", [10, 60, 120, 150])
def test_requests_may_come_in_pieces(emulator: Emulator, cut: int) -> None:
    """Cut anywhere in head or body, even byte by byte."""
    whole = request(b"hello")
    with wired(emulator) as wire:
        wire.send(whole[:cut])
        # A call of its own, so that the pieces are not joined on their way.
        assert emulator.stats.batches_created == 0
        wire.send(whole[cut:])
        status, body = wire.answer()
        assert (status, b'"content":"hello"' in body) == (200, True)
        for byte in whole:
            wire.send(bytes([byte]))
        assert wire.answer() == (200, body)


def test_requests_may_come_before_their_turn(emulator: Emulator) -> None:
    """Those that come together are answered one after the other."""
    other = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n\r\n"
    with wired(emulator) as wire:
        wire.send(request(b"one") + request(b"two") + other + request(b"three"))
        answers = [wire.answer() for _ in range(4)]
    assert [status for status, _ in answers] == [200] * 4
    words = [b'"content":"one"', b'"content":"two"', b'"object":"list"', b'"content":"three"']
    assert all(word in body for word, (_, body) in zip(words, answers, strict=True))


@pytest.mark.parametrize(
    "extra", [b"Connection: close", b"Expect: 100-continue", b"Upgrade: h2c", b"X-Odd:"]
)
def test_unusual_requests_are_answered_all_the_same(emulator: Emulator, extra: bytes) -> None:
    """By h11, which knows all of HTTP."""
    with wired(emulator) as wire:
        wire.send(request(b"odd", extra))
        status, body = wire.answer()
        if status == 100:
            status, body = wire.answer()
        assert (status, b'"content":"odd"' in body) == (200, True)
        if extra == b"Connection: close":
            assert wire.ended()


def test_a_body_in_chunks_is_read(emulator: Emulator) -> None:
    """It has no length beforehand."""
    response = httpx2.post(
        f"{emulator.openai_url}/chat/completions",
        headers={"authorization": "Bearer k", "content-type": "application/json"},
        content=iter([BODY[:10], BODY[10:] % b"chunks"]),
    )
    assert response.json()["choices"][0]["message"]["content"] == "chunks"


@pytest.mark.parametrize(
    "broken",
    [
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 1\r\nContent-Length: 2"
        ),
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: many",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nno colon",
    ],
)
def test_broken_heads_are_refused(emulator: Emulator, broken: bytes) -> None:
    """With a 400 of the server."""
    with wired(emulator) as wire:
        wire.send(broken + b"\r\n\r\n{}")
        assert wire.answer()[0] == 400


def test_paths_may_be_escaped_and_have_a_query(emulator: Emulator) -> None:
    """As for any other server."""
    path = b"/gemini/v1beta/models/gemini%2D2.5-flash:generateContent?key=k"
    body = b'{"contents":[{"parts":[{"text":"hi"}]}]}'
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path, len(body))
    with wired(emulator) as wire:
        wire.send(head + body)
        status, found = wire.answer()
    assert (status, b'"text":"hi"' in found) == (200, True)


def test_a_large_answer_is_sent_whole(emulator: Emulator) -> None:
    """However much slower the client reads it."""
    with wired(emulator) as wire:
        wire.send(request(b"z" * 20_000_000))
        status, body = wire.answer()
    assert (status, body.count(b"z")) == (200, 20_000_000)


def test_a_key_is_asked_for(emulator: Emulator) -> None:
    """A live call without one is a 401, and a path that there is not is a 404."""
    with wired(emulator) as wire:
        wire.send(request().replace(b"Authorization", b"X-Nothing"))
        assert wire.answer()[0] == 401
        wire.send(request(path=b"/v1/chat/nothing"))
        assert wire.answer()[0] == 404

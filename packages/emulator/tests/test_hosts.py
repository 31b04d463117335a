"""Who may call an emulator."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import pytest

from ai_batch.emulator import Emulator
from ai_batch.emulator.hosts import rule_for

CHAT = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
CALLS = [
    ("GET", "/_emulator/stats", None),
    ("POST", "/_emulator/reset", None),
    ("GET", "/v1/batches", None),
    ("POST", "/v1/chat/completions", CHAT),
    ("POST", "/gemini/v1beta/models/gemini-2.5-flash:generateContent", "{}"),
]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One as it comes."""
    with Emulator() as started:
        yield started


def status(emulator: Emulator, call: tuple[str, str, str | None], **headers: str) -> int:
    """What a call is answered with these headers."""
    method, path, body = call
    with closing(HTTPConnection(emulator.url.removeprefix("http://"))) as connection:
        given = {"Authorization": "Bearer x", "x-goog-api-key": "x", **headers}
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        answer.read()
        return answer.status


@pytest.mark.parametrize("call", CALLS, ids=[path for _, path, _ in CALLS])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1",
    ],
)
def test_calls_to_names_of_others_are_refused(
    emulator: Emulator, call: tuple[str, str, str | None], host: str
) -> None:
    """A host whose name suddenly points to this machine gets nothing of it."""
    before = emulator.stats
    assert status(emulator, call, Host=host) == 403
    assert emulator.stats == before


@pytest.mark.parametrize("call", CALLS, ids=[path for _, path, _ in CALLS])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://evil.example:8080"])
def test_pages_from_elsewhere_are_refused(
    emulator: Emulator, call: tuple[str, str, str | None], origin: str
) -> None:
    """A page in a browser can't reset the emulator, or read what it holds."""
    assert status(emulator, call, Origin=origin) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost"},
        {"Host": "LOCALHOST:8080"},
        {"Host": "127.0.0.1:1"},
        {"Host": "127.1.2.3"},
        {"Host": "[::1]:9"},
        {"Host": "api.localhost:80"},
        {"Host": "host.docker.internal:80"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://127.0.0.1"},
    ],
)
def test_programs_here_are_answered(emulator: Emulator, headers: dict[str, str]) -> None:
    """Whichever of this machine's names they use, and pages that it serves itself."""
    assert {status(emulator, call, **headers) for call in CALLS} <= {200, 204, 400}


def test_an_old_client_without_a_host_is_answered(emulator: Emulator) -> None:
    """No browser leaves it out."""
    port = int(emulator.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /_emulator/stats HTTP/1.0\r\n\r\n")
        assert b" 200 " in connection.recv(100)


@pytest.mark.parametrize("host", ["::", "192.0.2.7", "emulator.internal.example"])
def test_beyond_this_machine_any_name_will_do(host: str) -> None:
    """Whoever listens there knows by what names it is called, as in a network of containers."""
    assert rule_for(host)([(b"host", b"emulator:8080"), (b"origin", b"https://app.example")])

"""Small servers that behave badly on purpose, and remember who called."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias, cast


@dataclass(frozen=True)
class Asked:
    """One request that reached a server."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """All that it said."""
        lines = [f"{name}: {value}" for name, value in self.headers.items()]
        return "\n".join([f"{self.method} {self.path}", *lines, self.body.decode("latin-1")])


class Handler(BaseHTTPRequestHandler):
    """Hands each request to the function that a test has given."""

    protocol_version = "HTTP/1.1"
    asked: Asked

    def handle_one_request(self) -> None:
        # A client that goes away, or does not trust us, is what these tests are about.
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            super().handle_one_request()
            return
        self.close_connection = True

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if "chunked" in (self.headers.get("transfer-encoding") or ""):
            body = b"".join(self._chunks())
        self.asked = Asked(self.command, self.path, dict(self.headers.items()), body)
        server = cast("Server", self.server)
        server.asked.append(self.asked)
        server.answer(self)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - names of http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing is printed."""

    def reply(self, status: int, body: bytes = b"{}", **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(status)
        given = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**given, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def stream(self, pieces: Iterator[bytes], **headers: str) -> None:
        """Send an answer of no announced length, until the client has had enough."""
        self.send_response(200)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        for piece in pieces:
            self.wfile.write(piece)


Answer: TypeAlias = Callable[[Handler], None]


class Server(ThreadingHTTPServer):
    """A server on this machine, in threads."""

    daemon_threads = True

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.asked: list[Asked] = []
        self.tls = tls
        self.connections = 0

    @property
    def url(self) -> str:
        """Its address, without a path."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://localhost:{self.server_port}"

    @property
    def heard(self) -> str:
        """All that anybody said to it."""
        return "\n".join(asked.text for asked in self.asked)

    def process_request(self, request: object, client_address: object) -> None:
        self.connections += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def finish_request(self, request: object, client_address: object) -> None:
        """The handshake is made in the connection's own thread."""
        if self.tls is None:
            super().finish_request(request, client_address)  # type: ignore[arg-type]
            return
        with (
            contextlib.suppress(OSError),
            self.tls.wrap_socket(request, server_side=True) as secured,  # type: ignore[arg-type]
        ):
            super().finish_request(secured, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are no news."""


@contextlib.contextmanager
def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> Generator[Server]:
    """A server that runs for as long as the block."""
    with Server(answer, tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


__all__ = ["Answer", "Asked", "Handler", "Server", "serving"]

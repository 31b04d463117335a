"""The server behind ``ai-batch ui``: pages for one browser of this machine, and nothing to change.

It listens on the loopback interface only, answers GET and HEAD, and hands out nothing without the
token.
"""

from __future__ import annotations

import socketserver
import sys
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit

from ai_batch.cli.report_page import policy, style
from ai_batch.cli.ui_gate import Gate, Refused
from ai_batch.cli.ui_pages import Pages
from ai_batch.core import LedgerError
from ai_batch.core.errors import mask

__all__ = ["Server"]

HOST = "127.0.0.1"

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

ALWAYS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

IDLE_SECONDS = 10.0
"""How long a connection may say nothing."""


class Server(ThreadingHTTPServer):
    """Serves the pages until it is told to stop. ``link`` is where, with the token."""

    daemon_threads = True
    # One that has just ended leaves the port to the next.
    allow_reuse_address = True

    def __init__(self, pages: Pages, port: int = 0) -> None:
        """``port`` 0 takes any that is free. Raises ``OSError`` where it is taken."""
        super().__init__((HOST, port), _Handler)
        self.pages = pages
        self.gate = Gate(self.server_port)

    @property
    def link(self) -> str:
        """The address with the token: for whoever started the command only."""
        return f"http://{HOST}:{self.server_port}/?token={self.gate.token}"

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's name, as ``HTTPServer`` does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name = HOST
        self.server_port = self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that has gone away is no error; any other is told, without its request."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            tell(error)


def tell(error: BaseException | None) -> None:
    """Say in the terminal why a page could not be shown."""
    sys.stderr.write(f"ai-batch: a page could not be shown: {mask(repr(error))}\n")


class _Handler(BaseHTTPRequestHandler):
    timeout = IDLE_SECONDS

    def version_string(self) -> str:
        """Which server this is; its versions are nobody's business."""
        return "ai-batch"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Everything that ``http.server`` refuses by itself, such as other methods."""
        status = 405 if code == 501 else code
        self._send(status, TEXT, f"{message or status}\n", {"Allow": "GET, HEAD"})
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the first line of a request holds the token."""

    def _answer(self) -> None:
        server = cast("Server", self.server)
        try:
            headers = {name.title(): value for name, value in self.headers.items()}
            by_link = server.gate.check(self.path, headers)
            kind, text = self._found(server.pages)
        except Refused as refused:
            self._send(refused.status, TEXT, f"{refused}\n")
        except LedgerError as error:
            self._send(500, TEXT, f"{mask(str(error))}\n")
        except Exception as error:  # noqa: BLE001 - the next page may well be made
            tell(error)
            self._send(500, TEXT, "This page can't be made; the terminal says why.\n")
            self.close_connection = True
        else:
            more = {"Set-Cookie": server.gate.cookie} if by_link else {}
            if self.path.endswith("/report"):
                more["Content-Security-Policy"] = f"{policy()}; frame-ancestors 'none'"
            self._send(200, kind, text, more)

    def _found(self, pages: Pages) -> tuple[str, str]:
        parts = urlsplit(self.path)
        if parts.path == "/":
            return HTML, pages.jobs(_number(parse_qs(parts.query).get("page", [""])[0]))
        if parts.path in _FILES:
            name, kind = _FILES[parts.path]
            return kind, style() if name == "report.css" else _file(name)
        if parts.path.startswith("/job/"):
            return HTML, _job(pages, parts.path.removeprefix("/job/"))
        raise Refused(404, "There is no such page.")

    def _send(self, status: int, kind: str, text: str, more: dict[str, str] | None = None) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        given = {**ALWAYS, **(more or {}), "Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _number(text: str) -> int:
    """The page that an address asks for; the first where it says nothing sensible."""
    return int(text[:9]) if text.isascii() and text.isdecimal() else 1


def _job(pages: Pages, rest: str) -> str:
    name, _, page = rest.partition("/")
    if page not in {"", "report"}:
        raise Refused(404, "There is no such page.")
    job_id = unquote(name)
    if not pages.knows(job_id):
        raise Refused(404, "There is no such job.")
    return pages.report(job_id) if page else pages.job(job_id)


_FILES = {
    "/style.css": ("report.css", "text/css; charset=utf-8"),
    "/ui.js": ("ui.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("ui.svg", "image/svg+xml"),
}


@cache
def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")

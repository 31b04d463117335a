"""Hands a request to the emulator's routes, as a server does, and takes their answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from starlette.routing import BaseRoute, Match, Route

from ai_batch.emulator.route import NamedRoute

if TYPE_CHECKING:
    from starlette.types import Message

__all__ = ["Answer", "Asked", "Switchboard"]

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    method: str
    url: str
    headers: Headers
    body: bytes


@dataclass(slots=True)
class Answer:
    """An answer; its body ends with the error where one is given."""

    status: int = 0
    headers: Headers = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes = b""
    torn: bool = False


class Switchboard:
    """Finds the route of a request, and has it answered."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = routes

    def _find(self, asked: Asked) -> tuple[Route, NamedRoute, dict[str, Any]]:
        scope = _scope(asked)
        for route in self._routes:
            match, child = route.matches(scope)
            if match is Match.FULL and isinstance(route, Route):
                app = route.app
                assert isinstance(app, NamedRoute)
                return route, app, {**scope, **child}
        raise AssertionError(f"no route for {asked.method} {asked.url}")

    def name(self, asked: Asked) -> str:
        """The name of the route."""
        return self._find(asked)[1].name

    async def answer(self, asked: Asked) -> Answer:
        """Have a request answered."""
        _, app, scope = self._find(asked)
        answer = Answer()
        pieces: list[bytes] = []
        waiting: list[Message] = [{"type": "http.request", "body": asked.body, "more_body": False}]

        async def receive() -> Message:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message["headers"])
            else:
                pieces.append(message.get("body", b""))

        await app(scope, receive, send)
        answer.body = b"".join(pieces)
        return answer


def _scope(asked: Asked) -> dict[str, Any]:
    url = urlsplit(asked.url)
    return {
        "type": "http",
        # From this version on an answer in pieces needs no second task to see a client go.
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": url.scheme,
        "path": unquote(url.path),
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "root_path": "",
        "headers": asked.headers,
        "client": ("127.0.0.1", 1),
        "server": (url.hostname, url.port or 80),
        "state": {},
    }

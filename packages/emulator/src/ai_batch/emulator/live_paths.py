"""The application of the server, which finds live endpoints without asking every route."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Match, Route

from ai_batch.emulator.hosts import Rule
from ai_batch.emulator.route import NamedRoute

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_MOST = 4096
_NOT_FROM_HERE = (
    "This emulator answers calls to this machine's own names alone (Host, Origin); "
    "start it with another host to have it answer others.\n"
)


class Found(NamedTuple):
    """A live endpoint, and what the scope of its calls has to have."""

    app: ASGIApp
    scope: dict[str, Any]


class LiveApp:
    """An ASGI application that knows which of its paths are live endpoints.

    `allows` tells by its headers whether a call is answered.
    """

    def __init__(self, routes: Iterable[BaseRoute], allows: Rule) -> None:
        self.allows = allows
        self._routes = list(routes)
        self._app = Starlette(routes=self._routes)
        self._found: dict[bytes, Found | None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer any call that may be made."""
        if self.allows(scope["headers"]):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse(_NOT_FROM_HERE, 403)(scope, receive, send)

    def find(self, raw_path: bytes) -> Found | None:
        """Return the live endpoint that takes a POST to this path, if it is one."""
        if raw_path not in self._found:
            if len(self._found) >= _MOST:
                self._found.clear()
            self._found[raw_path] = self._match(unquote_to_bytes(raw_path).decode("latin-1"))
        return self._found[raw_path]

    def _match(self, path: str) -> Found | None:
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": path, "root_path": ""}
        for route in self._routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                app = route.app if isinstance(route, Route) else None
                if isinstance(app, NamedRoute) and app.is_live:
                    return Found(app, {**child, "path": path})
                return None
        return None

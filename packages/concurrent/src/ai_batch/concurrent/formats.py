"""How a concurrent job is planned and read: its shards name requests, its rows hold answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from ai_batch.concurrent.clients import Kind, LiveClient
from ai_batch.concurrent.rows import decode_row, scan_row
from ai_batch.core import ChatRequest, Limits, Problem, Request, Usage
from ai_batch.core.provider import Route, Scan
from ai_batch.core.results import Outcome

__all__ = ["LiveFormats"]

logger = logging.getLogger("ai_batch.concurrent")

LIMITS = Limits(max_requests=100_000, max_bytes=1 << 62)
"""Of a shard: its accounts are kept in memory, 17 bytes per request."""


class LiveFormats:
    """The formats of jobs that are answered one request at a time."""

    name = "concurrent"
    account = "concurrent"
    verbatim = False
    """A user's own client may look at every word."""

    def __init__(self, clients: Mapping[Kind, LiveClient]) -> None:
        """``clients`` by the kind of request that they answer."""
        self._clients = clients
        self._lacking: set[Kind] = set()

    @property
    def identity(self) -> dict[str, str]:
        """Which clients there are, and what they say of themselves."""
        return {
            f"{kind}.{name}": value
            for kind, client in self._clients.items()
            for name, value in client.identity.items()
        }

    def limits(self, route: Route) -> Limits:
        """What one shard may hold."""
        del route
        return LIMITS

    def check(self, request: Request) -> Sequence[Problem]:
        """What the client cannot do of the request."""
        client = self._clients.get(_kind_of(request))
        return () if client is None else client.check(request)

    def route(self, request: Request) -> Route:
        """By kind and model, so that each model's tokens have their own price."""
        kind = _kind_of(request)
        client = self._clients.get(kind)
        if client is None and kind not in self._lacking:
            self._lacking.add(kind)
            logger.warning("there is no client for %s requests: each gets an error", kind)
        model = request.model or ("" if client is None else client.model)
        return Route(kind, "live", model)

    def encode(self, request: Request, route: Route, wire_id: str) -> bytes:
        """Only the id: the request itself is read from the job's requests."""
        del request, route
        return wire_id.encode()

    def scan(self, row: bytes, route: Route) -> Scan:
        """Whose row it is and how it ended."""
        del route
        return scan_row(row)

    def decode(self, row: bytes, route: Route) -> tuple[str, Outcome]:
        """The wire id and the answer."""
        del route
        return decode_row(row)

    def max_output_tokens(self, request: Request) -> int:
        """The most tokens that the answer may have; 0 where the request sets no limit."""
        return (request.max_tokens or 0) if isinstance(request, ChatRequest) else 0

    def cost(self, route: Route, usage: Usage, *, batch: bool) -> float | None:
        """USD for the tokens; there is no price but the live one."""
        del batch
        client = self._clients.get(route.kind)
        if client is None or usage == Usage():
            return 0.0
        return client.cost(route.model, usage)

    async def aclose(self) -> None:
        """Close the clients' connections."""
        for client in self._clients.values():
            await client.aclose()


def _kind_of(request: Request) -> Kind:
    return "chat" if isinstance(request, ChatRequest) else "embedding"

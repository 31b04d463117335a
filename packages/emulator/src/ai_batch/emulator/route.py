"""One call of a named route: counted, struck by faults, answered."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ai_batch.emulator.agenda import Stopwatch
from ai_batch.emulator.connection import connection_of, until_gone
from ai_batch.emulator.faults import Fault, RowDamage, VendorName
from ai_batch.emulator.json_types import encode
from ai_batch.emulator.transfer import FileResponse, is_damaging, send_damaged

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from ai_batch.emulator.world import World

_T = TypeVar("_T")
UPLOADS = frozenset(
    {
        "files.upload",
        "files.upload.chunk",
        "uploads.part",
        "objects.upload",
        "objects.upload.chunk",
    }
)


class Refused(Exception, ABC):
    """A call that ends with the vendor's error."""

    @abstractmethod
    def response(self) -> Response:
        """Return the vendor's answer."""


class CutConnection(Exception):
    """The connection is to be cut now."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request, and the faults that strike it."""

    request: Request
    faults: tuple[Fault, ...] = ()

    def cut_body_at(self) -> int | None:
        """Return after how many bytes of the request's body the connection is cut."""
        return _first(fault.cut_after_bytes for fault in self.faults)

    def damaged_row(self) -> tuple[RowDamage, Fault] | None:
        """Return the damage to a result file that this call meets."""
        return _first((fault.row, fault) if fault.row else None for fault in self.faults)

    def has_quirk(self, name: str) -> bool:
        """Tell whether the call meets this oddity."""
        return any(fault.quirk == name for fault in self.faults)

    def hidden_seconds(self) -> float:
        """Return how young a batch must be to be missing from lists."""
        return max((fault.hide_seconds or 0.0 for fault in self.faults), default=0.0)

    def not_found_seconds(self) -> float:
        """Return how young a batch must be to be not found."""
        return max((fault.not_found_seconds or 0.0 for fault in self.faults), default=0.0)


Handler: TypeAlias = Callable[[Call], Awaitable[Response]]


class Vendor(Protocol):
    """An emulated vendor: its routes, and what differs between vendors around every call."""

    name: VendorName

    def routes(self) -> list[BaseRoute]:
        """Return all routes, each with the vendor's prefix."""
        ...

    def authorise(self, request: Request) -> None:
        """Raise `Refused` for a caller who is unknown."""
        ...

    def failure(self, status: int) -> Response:
        """Return the answer that the vendor typically gives with an error status."""
        ...

    def headers(self, route: str, seconds: float) -> Mapping[str, str]:
        """Return the headers that come with each answer."""
        ...

    def files_live(self) -> int:
        """Return how many files exist."""
        ...

    def batches_by_status(self) -> Mapping[str, int]:
        """Return how many batches are in each state."""
        ...

    def reload(self) -> None:
        """Read everything from the store again, after it was cleared."""
        ...


@dataclass(frozen=True, slots=True)
class NamedRoute:
    """An ASGI application for one route."""

    world: World
    vendor: Vendor
    name: str
    handler: Handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call, or let it fail as the faults say."""
        request = Request(scope, receive)
        self.world.store.add(f"requests:{self.name}")
        call = Call(request, self.world.faults.strike(self.vendor.name, self.name))
        stopwatch = Stopwatch()
        try:
            response = await self._answer(call)
        except CutConnection:
            connection_of(request).abort()
            await until_gone(request)
            return
        except ClientDisconnect:
            return
        for name, value in self.vendor.headers(self.name, stopwatch.seconds()).items():
            response.headers.setdefault(name, value)
        await self._send(call, response, scope, receive, send)

    async def _answer(self, call: Call) -> Response:
        await _sleep(fault.delay for fault in call.faults)
        if any(fault.cut == "before" for fault in call.faults):
            raise CutConnection
        failing = _first(fault if fault.status else None for fault in call.faults)
        if failing is not None and not failing.effect:
            return self._failure(failing)
        try:
            self.vendor.authorise(call.request)
            response = await self.handler(call)
        except Refused as refused:
            response = refused.response()
        await _sleep(fault.delay_after for fault in call.faults)
        cut = any(fault.cut == "after" for fault in call.faults)
        if failing is None and not cut:
            return response
        if isinstance(response, FileResponse):
            response.close()
        if failing is None or cut:
            raise CutConnection
        return self._failure(failing)

    def _failure(self, fault: Fault) -> Response:
        response = self.vendor.failure(fault.status or 500)
        if isinstance(fault.body, str):
            response = Response(fault.body, response.status_code, media_type="text/html")
        elif fault.body is not None:
            body = encode(fault.body)
            response = Response(body, response.status_code, media_type="application/json")
        response.headers.update(fault.headers)
        return response

    async def _send(
        self, call: Call, response: Response, scope: Scope, receive: Receive, send: Send
    ) -> None:
        damaging = None
        if self.name not in UPLOADS:
            damaging = _first(fault if is_damaging(fault) else None for fault in call.faults)
        if damaging is None:
            await response(scope, receive, send)
        else:
            await send_damaged(call.request, response, damaging)


NamedHandler: TypeAlias = tuple[str | None, str, str, Handler]
"""Method (any if None), path, name and handler of a route."""


def named_routes(world: World, vendor: Vendor, handlers: Iterable[NamedHandler]) -> list[BaseRoute]:
    """Return the routes of a vendor; the first that matches takes the call."""
    return [
        Route(
            path,
            NamedRoute(world, vendor, name, handler),
            methods=None if method is None else [method],
        )
        for method, path, name, handler in handlers
    ]


async def _sleep(delays: Iterable[float]) -> None:
    seconds = sum(delays)
    if seconds > 0:
        await asyncio.sleep(seconds)


def _first(values: Iterable[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)

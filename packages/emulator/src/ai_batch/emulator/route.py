"""One call of a named route: counted, struck by faults, answered."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ai_batch.emulator.agenda import Stopwatch
from ai_batch.emulator.connection import connection_of, until_gone
from ai_batch.emulator.faults import Fault, RowDamage, Spoil, VendorName
from ai_batch.emulator.json_types import encode
from ai_batch.emulator.spoiling import is_ruinous, retry_header, spoiled
from ai_batch.emulator.tally import Account, Outcome
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
    """A request, and the faults that strike it; a live one has an account of what it came to."""

    request: Request
    faults: tuple[Fault, ...] = ()
    account: Account = field(default_factory=Account)

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
    retries_by_header: bool

    def routes(self) -> list[BaseRoute]:
        """Return all routes, each with the vendor's prefix."""
        ...

    def authorise(self, request: Request) -> None:
        """Raise `Refused` for a caller who is unknown."""
        ...

    def failure(self, status: int, retry_after: float | None = None) -> Response:
        """Return the answer that the vendor typically gives with an error status.

        Where it tells in the body after how many seconds to come again, that is in it.
        """
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
    is_live: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call, or let it fail as the faults say."""
        call = Call(Request(scope, receive), self.world.faults.strike(self.vendor.name, self.name))
        if not self.is_live:
            self.world.store.add(f"requests:{self.name}")
            await self._run(call, scope, receive, send)
            return
        self.world.tally.begin(self.vendor.name, self.name)
        try:
            await self._run(call, scope, receive, send)
        finally:
            self._settle(call, None)

    def _settle(self, call: Call, status: int | None) -> None:
        """Count how a live call ends, before its client can see that it has ended."""
        if self.is_live and not call.account.settled:
            call.account.settled = True
            self.world.tally.end(self.vendor.name, _outcome(call, status))

    async def _run(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        stopwatch = Stopwatch()
        try:
            response = await self._answer(call)
        except CutConnection:
            self._settle(call, None)
            connection_of(call.request).abort()
            await until_gone(call.request)
            return
        except ClientDisconnect:
            return
        _add_headers(response, self.vendor.headers(self.name, stopwatch.seconds()))
        self._settle(call, response.status_code)
        await self._send(call, response, scope, receive, send)

    async def _answer(self, call: Call) -> Response:
        await _sleep(fault.delay for fault in call.faults)
        await _end("before", call)
        failing = _first(fault if fault.status else None for fault in call.faults)
        if failing is not None and not failing.effect:
            return self._spoiled(call, self._failure(failing))
        try:
            self.vendor.authorise(call.request)
            response = await self.handler(call)
        except Refused as refused:
            response = refused.response()
        if call.account.items and any(map(is_ruinous, call.faults)):
            self.world.tally.lose(call.account)
        await _sleep(fault.delay_after for fault in call.faults)
        ends = any("after" in {fault.cut, fault.hang} for fault in call.faults)
        spoils = any(fault.spoil for fault in call.faults)
        if isinstance(response, FileResponse) and (ends or spoils or failing is not None):
            response.close()
        await _end("after", call)
        return self._spoiled(call, response if failing is None else self._failure(failing))

    def _spoiled(self, call: Call, response: Response) -> Response:
        spoils: list[Spoil] = [fault.spoil for fault in call.faults if fault.spoil is not None]
        return spoiled(response, spoils[0]) if spoils else response

    def _failure(self, fault: Fault) -> Response:
        seconds = fault.retry_after
        response = self.vendor.failure(fault.status or 500, seconds)
        if isinstance(fault.body, str):
            response = Response(fault.body, response.status_code, media_type="text/html")
        elif fault.body is not None:
            body = encode(fault.body)
            response = Response(body, response.status_code, media_type="application/json")
        if seconds is not None and self.vendor.retries_by_header:
            now = self.world.clock.now()
            response.headers.update(retry_header(seconds, fault.retry_after_as, now))
        response.headers.update(fault.headers)
        return response

    async def _send(
        self, call: Call, response: Response, scope: Scope, receive: Receive, send: Send
    ) -> None:
        damaging = None
        if self.name not in UPLOADS:
            damaging = _first(fault if is_damaging(fault) else None for fault in call.faults)
        try:
            if damaging is None:
                await response(scope, receive, send)
            else:
                await send_damaged(call.request, response, damaging)
        finally:
            # Whoever left early, the client or this server, leaves the file half read.
            if isinstance(response, FileResponse):
                response.close()


NamedHandler: TypeAlias = tuple[str | None, str, str, Handler]
"""Method (any if None), path, name and handler of a route."""


def named_routes(
    world: World, vendor: Vendor, handlers: Iterable[NamedHandler], live: Collection[str] = ()
) -> list[BaseRoute]:
    """Return the routes of a vendor; the first that matches takes the call.

    Those whose name is in `live` are counted as live calls, and take their time.
    """
    return [
        Route(
            path,
            NamedRoute(world, vendor, name, handler)
            if name not in live
            else NamedRoute(world, vendor, name, world.patience.slow(handler), is_live=True),
            methods=None if method is None else [method],
        )
        for method, path, name, handler in handlers
    ]


def _outcome(call: Call, status: int | None) -> Outcome:
    if any(map(is_ruinous, call.faults)):
        return "faulted"
    if status is None:
        return "abandoned"
    if call.account.limited:
        return "limited"
    return "answered" if status < 400 else "failed"


async def _end(when: Literal["before", "after"], call: Call) -> None:
    """Cut the connection, or say nothing until the client hangs up, if a fault wants that now."""
    if any(fault.cut == when for fault in call.faults):
        raise CutConnection
    if any(fault.hang == when for fault in call.faults):
        await until_gone(call.request)
        raise ClientDisconnect


def _add_headers(response: Response, headers: Mapping[str, str]) -> None:
    """Add those that the answer does not have; one by one, `setdefault` takes ten times as long."""
    present = {name for name, _ in response.raw_headers}
    for name, value in headers.items():
        if (raw := name.encode("latin-1")) not in present:
            response.raw_headers.append((raw, value.encode("latin-1")))


async def _sleep(delays: Iterable[float]) -> None:
    seconds = sum(delays)
    if seconds > 0:
        await asyncio.sleep(seconds)


def _first(values: Iterable[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)

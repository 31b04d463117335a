"""The control API under `/_emulator`, for an emulator in another process."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ai_batch.emulator.faults import Fault
from ai_batch.emulator.json_types import as_object, decode, encode

if TYPE_CHECKING:
    from ai_batch.emulator.surface import Surface

PREFIX = "/_emulator"


def control_routes(emulator: Surface) -> list[BaseRoute]:
    """Return the routes that control this emulator."""

    async def stats(request: Request) -> Response:  # noqa: ARG001
        found = await run_in_threadpool(lambda: emulator.stats)
        return Response(encode(asdict(found)), media_type="application/json")

    async def advance(request: Request) -> Response:
        seconds = as_object(decode(await request.body())).get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
            return _refused(f"seconds must be a number of 0 or more, not {seconds!r}")
        await run_in_threadpool(emulator.advance, seconds=float(seconds))
        return Response(status_code=204)

    async def inject(request: Request) -> Response:
        try:
            fault = Fault.from_json(as_object(decode(await request.body())))
        except (TypeError, ValueError, msgspec.DecodeError) as error:
            return _refused(f"no such fault: {error}")
        return Response(encode(emulator.inject(fault).to_json()), media_type="application/json")

    async def clear_faults(request: Request) -> Response:  # noqa: ARG001
        emulator.clear_faults()
        return Response(status_code=204)

    async def reset(request: Request) -> Response:  # noqa: ARG001
        await run_in_threadpool(emulator.reset)
        return Response(status_code=204)

    return [
        Route(f"{PREFIX}/stats", stats, methods=["GET"]),
        Route(f"{PREFIX}/advance", advance, methods=["POST"]),
        Route(f"{PREFIX}/faults", inject, methods=["POST"]),
        Route(f"{PREFIX}/faults", clear_faults, methods=["DELETE"]),
        Route(f"{PREFIX}/reset", reset, methods=["POST"]),
    ]


def _refused(message: str) -> Response:
    return Response(encode({"error": message}), 400, media_type="application/json")

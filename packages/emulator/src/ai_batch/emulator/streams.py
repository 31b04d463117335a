"""The body of an upload as it comes, cut where a fault says so."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ai_batch.emulator.route import Call, CutConnection


async def counted_stream(call: Call) -> AsyncIterator[bytes]:
    """Yield the pieces of the request's body."""
    limit = call.cut_body_at()
    seen = 0
    async for piece in call.request.stream():
        seen += len(piece)
        if limit is not None and seen >= limit:
            raise CutConnection
        yield piece

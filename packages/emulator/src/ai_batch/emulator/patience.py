"""How long live answers take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ai_batch.emulator.identity import generator
from ai_batch.emulator.options import Latency, Seconds

if TYPE_CHECKING:
    from starlette.responses import Response

    from ai_batch.emulator.route import Call, Handler


class Patience:
    """Lets good answers wait as long as the option `latency` says."""

    def __init__(self, latency: Seconds | Latency, seed: int) -> None:
        self._latency = latency
        self._random = generator(seed, "latency")

    def seconds(self) -> float:
        """Return how long the next answer takes."""
        latency = self._latency
        if isinstance(latency, Latency):
            return latency.draw(self._random)
        if isinstance(latency, tuple):
            return self._random.uniform(*latency)
        return latency

    def slow(self, handler: Handler) -> Handler:
        """Return a handler whose good answers take their time; refusals come at once."""
        if self._latency == 0:
            return handler

        async def handle(call: Call) -> Response:
            seconds = self.seconds()
            response = await handler(call)
            if response.status_code < 400:
                await asyncio.sleep(seconds)
            return response

        return handle

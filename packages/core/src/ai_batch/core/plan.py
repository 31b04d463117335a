"""How requests are cut into shards. Pure: sizes in, drafts of shards out."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from ai_batch.core.provider import Limits, Route

__all__ = ["Draft", "ShardCutter"]


@dataclass(slots=True, kw_only=True)
class Draft:
    """A shard that is being filled. ``members`` stays empty while they are a plain range.

    ``input_check`` is the CRC-32 of its input once that is written.
    """

    seq: int
    route: Route
    first_index: int
    last_index: int = -1
    count: int = 0
    bytes: int = 0
    inputs: int = 0
    tokens: int = 0
    input_check: int | None = None
    members: array[int] = field(default_factory=lambda: array("Q"))

    @property
    def name(self) -> str:
        """The stem of the shard's files."""
        return f"{self.seq:04d}"

    def fits(self, limits: Limits, size: int, inputs: int, tokens: int) -> bool:
        """Whether one more request of this size stays within the limits."""
        return (
            self.count < limits.max_requests
            and self.bytes + size <= limits.max_bytes
            and (limits.max_inputs is None or self.inputs + inputs <= limits.max_inputs)
            and (limits.max_tokens is None or self.tokens + tokens <= limits.max_tokens)
        )

    def add(self, index: int, size: int, inputs: int, tokens: int) -> None:
        """Count one more request."""
        if self.count and index != self.last_index + 1 and not self.members:
            self.members.extend(range(self.first_index, self.first_index + self.count))
        if self.members:
            self.members.append(index)
        self.last_index = index
        self.count += 1
        self.bytes += size
        self.inputs += inputs
        self.tokens += tokens


class ShardCutter:
    """Puts each request into the open shard of its route, or opens the next one.

    A request that is larger than the limits on its own gets a shard of its own where only
    tokens, an estimate, are concerned; bytes and inputs are checked before.
    """

    def __init__(self, limits: Callable[[Route], Limits]) -> None:
        """``limits`` gives what one batch on a route may hold."""
        self._limits_of = limits
        self._limits: dict[Route, Limits] = {}
        self._open: dict[Route, Draft] = {}
        self._count = 0

    def limits(self, route: Route) -> Limits:
        """The limits of a route."""
        if route not in self._limits:
            self._limits[route] = self._limits_of(route)
        return self._limits[route]

    def place(
        self, index: int, route: Route, size: int, inputs: int, tokens: int
    ) -> tuple[Draft, Draft | None]:
        """The shard that the request belongs to, and the shard that was closed by it, if any.

        ``size`` is in bytes, the line's end included.
        """
        draft, closed = self._open.get(route), None
        if draft is None or not draft.fits(self.limits(route), size, inputs, tokens):
            closed = draft
            self._count += 1
            draft = Draft(seq=self._count, route=route, first_index=index)
            self._open[route] = draft
        draft.add(index, size, inputs, tokens)
        return draft, closed

    def open_drafts(self) -> list[Draft]:
        """The shards that are still open."""
        return list(self._open.values())

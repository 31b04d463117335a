"""Follows one shard: gives each of its results once, as soon as it is on disk."""

from __future__ import annotations

from collections.abc import Iterator

from ai_batch.core.reader import ResultReader
from ai_batch.core.results import Result
from ai_batch.core.state import TERMINAL, Shard

__all__ = ["Tail"]


class Tail:
    """How far one who follows a job has read a shard: a byte per request while it is open."""

    def __init__(self, reader: ResultReader, shard: Shard) -> None:
        """Nothing has been given yet."""
        self._reader = reader
        # Read once: what is new comes many times a second.
        self._members = range(0) if shard.state in TERMINAL else reader.members(shard)
        self._given = bytearray(shard.count if shard.state not in TERMINAL else 0)
        self._end = 0
        self._over = False

    def read(self, shard: Shard) -> Iterator[Result]:
        """What is new in the shard as it is now."""
        if self._over:
            return
        if shard.state in TERMINAL:
            self._over = True
            given, self._given = self._given, bytearray()
            yield from self._reader.read_shard(shard, given)
            return
        start, self._end = self._end, max(shard.durable, self._end)
        yield from self._reader.read_rows(shard, self._members, start, self._given)

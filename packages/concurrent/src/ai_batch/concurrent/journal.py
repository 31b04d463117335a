"""Answers on disk as they come: written at once, and synced many at a time.

What is written survives the process, what is synced the machine; nobody is told of an answer
before it is synced. A thousand answers a second cost some fifty syncs.
"""

from __future__ import annotations

import asyncio
import os
import threading
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from ai_batch.concurrent.rows import Tokens, attempts_of, owner_of, scan_row
from ai_batch.core import ItemError, Usage
from ai_batch.core.places import index_of, position_of
from ai_batch.core.provider import Scan
from ai_batch.core.rows import UNREADABLE, Source, split_rows
from ai_batch.core.runtime import Runtime
from ai_batch.core.spool import JobFolder, members_of, open_private
from ai_batch.core.state import Shard
from ai_batch.core.wire_parts import usage_of

__all__ = ["Discards", "Journal", "Tally"]

LINGER = 0.02
"""Seconds for which answers are gathered before they are synced."""


NOTHING: Tokens = (0, 0, 0, 0, 0)


def _sum(one: Tokens, other: Tokens, sign: int = 1) -> Tokens:
    a, b, c, d, e = one
    v, w, x, y, z = other
    return a + sign * v, b + sign * w, c + sign * x, d + sign * y, e + sign * z


@dataclass(slots=True)
class Discards:
    """Answers to one request that did not fit, while it has none that does.

    ``attempts`` counts the calls up to the last of them, ``usage`` is what all of them took,
    ``error`` says why the last one did not fit.
    """

    count: int = 0
    attempts: int = 0
    usage: Tokens = NOTHING
    error: ItemError | None = None

    @property
    def taken(self) -> Usage:
        """The tokens of all of them."""
        return usage_of(self.usage)


class Tally:
    """What a shard's answers come to."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.ok = self.failed = 0
        self.usage = NOTHING

    def add(self, scan: Scan, before: Discards | None = None) -> None:
        """Count one result; tokens of answers ``before`` it are in it, and counted already."""
        self.ok += scan.error is None
        self.failed += scan.error is not None
        self.spend(scan)
        if before is not None:
            self.usage = _sum(self.usage, before.usage, sign=-1)

    def spend(self, scan: Scan) -> None:
        """Count an answer's tokens only."""
        self.usage = _sum(self.usage, scan[2:])


class Journal:
    """A shard's rows while it is being answered."""

    def __init__(self, folder: JobFolder, shard: Shard, runtime: Runtime) -> None:
        """Keeps what an earlier process has written; its last row may be torn.

        ``folder`` must be guarded by the shard's lease. Whoever held it before may still be
        writing to the old file; that is a file of its own from here on.
        """
        self.tally = Tally()
        self.answered = bytearray(shard.count)
        self._discards: dict[int, Discards] = {}
        self.durable = 0
        self._written = 0
        self._runtime = runtime
        self._rows: list[bytes] = []
        self._something = asyncio.Event()
        self._closed = False
        # A sync goes on in its thread when the task that waits for it is cancelled.
        self._syncing = threading.Lock()
        self._file = self._taken_over(folder, shard)

    def _taken_over(self, folder: JobFolder, shard: Shard) -> IO[bytes]:
        path = folder.file(shard.name, Source.OUTPUT.kind)
        aside = folder.aside(path)
        file = open_private(aside)
        try:
            if path.exists():
                members = members_of(folder, shard)
                for _, row in split_rows(path):
                    self._keep(file, row, members, shard)
            file.flush()
            os.fsync(file.fileno())
            folder.publish(aside, path)
        except BaseException:
            file.close()
            aside.unlink(missing_ok=True)
            raise
        self.durable = self._written
        return file

    def _keep(self, file: IO[bytes], row: bytes, members: array[int] | range, shard: Shard) -> None:
        try:
            scan = scan_row(row)
        except UNREADABLE:
            return
        owner = owner_of(scan.wire_id)
        index = index_of(owner or scan.wire_id, shard.token)
        position = None if index is None else position_of(members, index)
        if position is None or self.answered[position]:
            return
        if owner is None:
            self._answer(position, scan)
        else:
            self._discard(position, scan, attempts_of(row))
        file.write(row + b"\n")
        self._written += len(row) + 1

    def append(self, position: int, row: bytes, scan: Scan) -> None:
        """Add the result of the request at ``position``: no kill of the process loses it now."""
        self._answer(position, scan)
        self._add(row)

    def discard(self, position: int, row: bytes, scan: Scan, attempts: int) -> None:
        """Add an answer that is asked for again: it was paid for, and is not asked more often."""
        self._discard(position, scan, attempts)
        self._add(row)

    def discards(self, position: int) -> Discards:
        """What of the request at ``position`` was discarded so far."""
        return self._discards.get(position) or Discards()

    def undecided(self) -> Iterator[tuple[int, Discards]]:
        """The requests that have discarded answers only."""
        return iter(sorted(self._discards.items()))

    def _answer(self, position: int, scan: Scan) -> None:
        self.answered[position] = 1
        self.tally.add(scan, self._discards.pop(position, None))

    def _discard(self, position: int, scan: Scan, attempts: int) -> None:
        found = self._discards.setdefault(position, Discards())
        found.count += 1
        found.attempts = attempts
        found.usage = _sum(found.usage, scan[2:])
        found.error = scan.error
        self.tally.spend(scan)

    def _add(self, row: bytes) -> None:
        self._rows.append(row + b"\n")
        self._write()
        self._something.set()

    def _write(self) -> None:
        descriptor, view = self._file.fileno(), memoryview(b"".join(self._rows))
        size = len(view)
        try:
            os.lseek(descriptor, self._written, os.SEEK_SET)
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError:
            # The disk may be full: nothing is forgotten, and no row stays torn.
            os.ftruncate(descriptor, self._written)
            raise
        self._rows.clear()
        self._written += size

    async def run(self, told: Callable[[], None]) -> None:
        """Sync what is appended, until ``close``; ``told`` is called after each sync."""
        while not self._closed:
            await self._something.wait()
            await asyncio.sleep(LINGER)
            self._something.clear()
            await self._runtime.blocking(self._sync)
            told()

    def _sync(self) -> None:
        with self._syncing:
            if not self._closed:
                written = self._written
                os.fsync(self._file.fileno())
                self.durable = written

    def close(self) -> None:
        """Have everything on disk, and close."""
        try:
            self._write()
            self._sync()
        finally:
            with self._syncing:
                self._closed = True
                self._file.close()

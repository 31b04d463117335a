"""What failed in a job, grouped by cause: read once, row by row, with memory that does not grow."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from ai_batch.cli.report_facts import safe
from ai_batch.core.accounting import load_local
from ai_batch.core.errors import LedgerError
from ai_batch.core.places import index_of, position_of
from ai_batch.core.provider import Formats
from ai_batch.core.requestlog import RequestLog
from ai_batch.core.results import ItemError
from ai_batch.core.rows import UNREADABLE, Place, RowTable, Source, split_rows
from ai_batch.core.spool import JobFolder, members_of
from ai_batch.core.state import TERMINAL, Shard

__all__ = ["Cause", "Causes", "Example"]

MAX_CAUSES = 50
"""Codes come from vendors: what has more of them is counted as one."""

OTHERS = "(other codes)"
UNKNOWN = "(not readable here)"

MAX_MESSAGE = 500
MAX_RAW = 600
"""Characters of an example that are shown."""

BETWEEN_LOOKS = 64
"""Rows between two looks at the clock."""


@dataclass(frozen=True)
class Example:
    """A request that failed; ``raw`` is the beginning of what the vendor wrote."""

    id: str
    index: int
    message: str
    raw: str | None = None


@dataclass
class Cause:
    """Requests that failed for the same reason: how many, and the first of them."""

    code: str
    number: int = 0
    examples: list[Example] = field(default_factory=list[Example])


class Causes:
    """Counts the errors of a job's batches, each of which is read once."""

    def __init__(self, folder: JobFolder, formats: Formats | None, *, examples: int = 3) -> None:
        """Without ``formats`` only errors of our own can be read; others are counted."""
        self._folder = folder
        self._formats = formats
        self._examples = examples
        self._found: dict[str, Cause] = {}
        self._read: set[str] = set()
        self._pending: Iterator[None] = iter(())

    def use(self, formats: Formats | None) -> None:
        """Go on with these formats: those of an earlier call may be closed by now."""
        self._formats = formats

    @property
    def found(self) -> list[Cause]:
        """The causes so far, the most frequent first."""
        counted = [cause for cause in self._found.values() if cause.number]
        return sorted(counted, key=lambda cause: (-cause.number, cause.code))

    @property
    def number(self) -> int:
        """How many failures have been read so far."""
        return sum(cause.number for cause in self._found.values())

    def read(
        self, shards: Sequence[Shard], *, live: bool = False, seconds: float | None = None
    ) -> bool:
        """Read what has not been read yet; whether that was all.

        Where it takes more than so many seconds, the next call goes on. ``live`` also reads
        batches that are still being answered call by call; that is for one call only.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            for count, _ in enumerate(self._pending):
                if end is not None and not count % BETWEEN_LOOKS and time.monotonic() > end:
                    return False
            shard = next((one for one in shards if self._wanted(one, live=live)), None)
            if shard is None:
                return True
            self._read.add(shard.name)
            self._pending = self._rows_of(shard)

    def _wanted(self, shard: Shard, *, live: bool) -> bool:
        if not shard.failed or shard.name in self._read:
            return False
        return shard.state in TERMINAL or live

    def _rows_of(self, shard: Shard) -> Iterator[None]:
        """Count a batch's errors; gives something for each row, so that others may go in between.

        What can't be read, since it was pruned meanwhile or is damaged, is counted all the same.
        """
        over = shard.state in TERMINAL
        left = shard.failed
        try:
            for failure in self._collected(shard) if over else self._answered(shard):
                if failure is not None:
                    self._count(failure)
                    left -= 1
                yield
                if left <= 0:
                    return
        except (OSError, LedgerError, *UNREADABLE):
            over = True
        if over and left:
            self._cause(UNKNOWN).number += left

    def _collected(self, shard: Shard) -> Iterator[_Failure | None]:
        """The errors among a collected batch's rows; None for each row that holds none."""
        table = RowTable.read(self._folder.file(shard.name, "rows"), shard.count)
        with _Files(self._folder, shard) as files:
            for position, index in enumerate(members_of(self._folder, shard)):
                place = table[position]
                if place.retried or place.source == Source.JOINED:
                    yield None
                    continue
                row = files.row(place)
                if place.source == Source.LOCAL:
                    yield _Failure(index, load_local(row))
                    continue
                error = self._error(row, shard)
                yield None if error is None else _Failure(index, error, row)

    def _answered(self, shard: Shard) -> Iterator[_Failure | None]:
        """The errors among the rows of a batch that is still being answered."""
        members = members_of(self._folder, shard)
        path = self._folder.file(shard.name, Source.OUTPUT.kind)
        if self._formats is None or not path.exists():
            return
        for _, row in split_rows(path):
            try:
                scan = self._formats.scan(row, shard.route)
            except UNREADABLE:
                continue  # Its end may not be written yet.
            index = index_of(scan.wire_id, shard.token)
            if scan.error is None or index is None or position_of(members, index) is None:
                yield None
            else:
                yield _Failure(index, scan.error, row)

    def _error(self, row: bytes, shard: Shard) -> ItemError | None:
        if self._formats is None:
            return None
        try:
            return self._formats.scan(row, shard.route).error
        except UNREADABLE as error:
            return ItemError(code="unreadable_row", message=f"the row cannot be read: {error}")

    def _count(self, failure: _Failure) -> None:
        cause = self._cause(safe(failure.error.code))
        if len(cause.examples) < self._examples:
            with RequestLog(self._folder) as log:
                identity = log.id(failure.index)
            message = _cut(safe(failure.error.message), MAX_MESSAGE)
            cause.examples.append(Example(identity, failure.index, message, failure.raw))
        cause.number += 1

    def _cause(self, code: str) -> Cause:
        if code not in self._found and len(self._found) >= MAX_CAUSES:
            code = OTHERS
        return self._found.setdefault(code, Cause(code))


@dataclass(frozen=True, slots=True)
class _Failure:
    """``row`` is the vendor's; None for an error of our own."""

    index: int
    error: ItemError
    row: bytes | None = None

    @property
    def raw(self) -> str | None:
        text = self.error.raw
        if self.row is not None:
            text = self.row[: 64 * MAX_RAW].decode("utf-8", "replace")
        # Masked before it is cut: half a key would not be known for one.
        return _cut(safe(text), MAX_RAW) if text else None


class _Files(ExitStack):
    """A batch's files, each opened when a row of it is wanted."""

    def __init__(self, folder: JobFolder, shard: Shard) -> None:
        super().__init__()
        self._folder = folder
        self._shard = shard
        self._open: dict[int, int] = {}

    def row(self, place: Place) -> bytes:
        """The row of a place."""
        if place.source not in self._open:
            path = self._folder.file(self._shard.name, Source(place.source).kind)
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self.callback(os.close, descriptor)
            self._open[place.source] = descriptor
        return os.pread(self._open[place.source], place.length, place.offset)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"

"""Reads results back from the spool, in request order, with flat memory."""

from __future__ import annotations

import os
import sys
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from ai_batch.core.accounting import load_local
from ai_batch.core.disk import of_disk
from ai_batch.core.errors import LedgerError
from ai_batch.core.places import index_of, position_of
from ai_batch.core.provider import Formats
from ai_batch.core.requestlog import AGAIN, Head, RequestLog, head_of
from ai_batch.core.requests import Request
from ai_batch.core.results import ChatResponse, ItemError, Outcome, Result
from ai_batch.core.rows import MEND, UNREADABLE, Place, RowTable, Source, rows_between
from ai_batch.core.seals import SpoolDamaged
from ai_batch.core.spool import JobFolder, members_of
from ai_batch.core.state import TERMINAL, Shard
from ai_batch.core.structured import parse_answer

__all__ = ["ResultReader", "ShardRows"]


PLACES = frozenset(Source) - {Source.NONE}

_OUTPUT, _LOCAL = Source.OUTPUT, Source.LOCAL


class ShardRows:
    """One shard's rows, open for reading."""

    def __init__(self, folder: JobFolder, shard: Shard) -> None:
        """Raises ``SpoolDamaged`` where its table, or what it holds, can't be trusted."""
        self.shard = shard
        self.members = members_of(folder, shard)
        self.table = RowTable.read(folder.file(shard.name, "rows"), shard.count)
        self._files: dict[int, int] = {}
        self._folder = folder
        self._next = 0

    def places(self) -> Iterator[Place]:
        """Where the rows are, in the order of the requests."""
        return self.table.places()

    def position(self, index: int) -> int | None:
        """Where the request stands in the shard, asked for in ascending order."""
        members, place = self.members, self._next
        if isinstance(members, range):
            return index - members.start if index in members else None
        while place < len(members) and members[place] < index:
            place += 1
        self._next = place
        return place if place < len(members) and members[place] == index else None

    def row(self, place: Place) -> bytes:
        """The row at a place. Raises ``SpoolDamaged`` when it is not what was written."""
        offset, length, source, _, check = place
        if (file := self._files.get(source)) is None:
            file = self._files[source] = self._opened(place)
        row = os.pread(file, length, offset)
        if zlib.crc32(row) != check and (self.table.checked or len(row) != length):
            raise SpoolDamaged(self._path(place), "a row is not what was written", MEND)
        return row

    def _path(self, place: Place) -> Path:
        if place.source not in PLACES:
            path = self._folder.file(self.shard.name, "rows")
            raise SpoolDamaged(path, f"it names a file {place.source}", MEND)
        return self._folder.file(self.shard.name, Source(place.source).kind)

    def _opened(self, place: Place) -> int:
        path = self._path(place)
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise SpoolDamaged(path, "it is missing", MEND) from None

    def close(self) -> None:
        """Close the files."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()


class ResultReader:
    """The results of a job; of what has been collected so far while it runs."""

    def __init__(
        self,
        folder: JobFolder,
        shards: Callable[[], Sequence[Shard]],
        provider: Formats,
        total: int,
        types: Mapping[str, object] | None,
        *,
        count_attempts: Callable[[bytes], int] | None = None,
    ) -> None:
        """``shards`` gives the job's shards as they are now.

        ``types`` gives the answers' Python types by schema key; None where no request of the
        job has an ``output_type``. ``count_attempts`` reads from a row how often its request was
        sent; without it that is the same for a whole shard.
        """
        self._folder = folder
        self._shards = shards
        self._provider = provider
        self._total = total
        self._types = types
        self._count_attempts = count_attempts

    def __len__(self) -> int:
        """The number of requests."""
        return self._total

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Result]:
        """The results ``start`` to ``stop`` in request order.

        Raises ``LedgerError`` where a request has no result yet, or can't be read.
        """
        try:
            yield from self._read(start, stop)
        except OSError as error:
            raise of_disk(error, self._folder.path) from error

    def _read(self, start: int, stop: int | None) -> Iterator[Result]:
        stop = self._total if stop is None else min(stop, self._total)
        if start >= stop:
            return
        waiting, index = self._relevant(start, stop), start
        active: list[ShardRows] = []
        log = RequestLog(self._folder)
        lines = log.lines(start)
        heads = map(head_of, lines)
        try:
            while index < stop:
                active = _activate(self._folder, waiting, active, index)
                run = range(index, min(stop, _next_change(waiting, active)))
                for result in self._read_run(active, run, heads):
                    yield result
                    index += 1
                if index != run.stop:
                    found = f"it holds {index} requests of {self._total}"
                    raise SpoolDamaged(self._folder.requests, found, AGAIN)
        finally:
            lines.close()
            log.close()
            for rows in active:
                rows.close()

    def _relevant(self, start: int, stop: int) -> list[Shard]:
        """The shards that hold some of the requests, those needed first at the end."""
        found = [
            shard
            for shard in self._shards()
            if shard.state in TERMINAL and shard.last_index >= start and shard.first_index < stop
        ]
        return sorted(found, key=lambda shard: (-shard.first_index, -shard.seq))

    def _read_run(
        self, active: Sequence[ShardRows], indices: range, heads: Iterator[Head]
    ) -> Iterator[Result]:
        """The results of requests in a row, for all of which the same shards come into question."""
        if len(active) == 1 and isinstance(active[0].members, range):
            rows = active[0]
            places = rows.table.places(indices.start - rows.shard.first_index)
            return map(partial(self._make, rows), indices, heads, places)
        return map(partial(self._find, active), indices, heads)

    def _find(self, active: Sequence[ShardRows], index: int, head: Head) -> Result:
        for rows in active:
            position = rows.position(index)
            if position is None:
                continue
            place = rows.table[position]
            if not place.retried:
                return self._make(rows, index, head, place)
        raise _missing(index, head)

    def read_shard(self, shard: Shard, given: bytes | bytearray = b"") -> Iterator[Result]:
        """The final results in one collected shard; what is asked again comes with its child.

        Leaves out the requests whose position has a mark in ``given``.
        """
        rows = ShardRows(self._folder, shard)
        try:
            with RequestLog(self._folder) as log:
                for position, index in enumerate(rows.members):
                    if not rows.table.retried(position) and not (given and given[position]):
                        place = rows.table[position]
                        yield self._make(rows, index, log.head(index), place)
        finally:
            rows.close()

    def members(self, shard: Shard) -> array[int] | range:
        """The indices of the shard's requests, ascending."""
        return members_of(self._folder, shard)

    def read_rows(
        self, shard: Shard, members: array[int] | range, start: int, given: bytearray
    ) -> Iterator[Result]:
        """The results in a shard's rows that are durable already, from byte ``start`` on.

        Marks the position of each in ``given``, and leaves out what has a mark.
        """
        path = self._folder.file(shard.name, Source.OUTPUT.kind)
        with RequestLog(self._folder) as log:
            for row in rows_between(path, start, shard.durable):
                try:
                    wire_id, outcome = self._provider.decode(row, shard.route)
                except UNREADABLE:
                    continue  # Whose it is can't be told: at the shard's end it counts as missing.
                index = index_of(wire_id, shard.token)
                position = None if index is None else position_of(members, index)
                if index is None or position is None or given[position]:
                    continue
                given[position] = 1
                yield self._result_of(outcome, index, log.head(index), self._attempts(row, shard))

    def _make(self, rows: ShardRows, index: int, head: Head, place: Place) -> Result:
        if place.retried:
            raise _missing(index, head)
        row, shard, source = rows.row(place), rows.shard, place.source
        attempts = shard.attempt
        if source == _LOCAL:
            outcome: Outcome = load_local(row)
        else:
            try:
                _, outcome = self._provider.decode(row, shard.route)
            except UNREADABLE as error:
                outcome = ItemError(
                    code="unreadable_row", message=f"the row cannot be read: {error}"
                )
            if source == _OUTPUT and self._count_attempts is not None:
                attempts = self._attempts(row, shard)
        return self._result_of(outcome, index, head, attempts)

    def _attempts(self, row: bytes, shard: Shard) -> int:
        if self._count_attempts is None:
            return shard.attempt
        return self._count_attempts(row) or shard.attempt

    def _result_of(self, outcome: Outcome, index: int, head: Head, attempts: int) -> Result:
        if self._types is not None and isinstance(outcome, ChatResponse):
            request = _load_request(self._folder, index)
            outcome = parse_answer(outcome, request, self._types)
        return Result(
            id=head.id,
            metadata=head.metadata,
            index=index,
            outcome=outcome,
            request=partial(_load_request, self._folder, index),
            attempts=attempts,
        )


def _missing(index: int, head: Head) -> LedgerError:
    return LedgerError(f"request {head.id!r} (index {index}) has no result yet")


def _load_request(folder: JobFolder, index: int) -> Request:
    with RequestLog(folder) as log:
        return log.request(index)


def _activate(
    folder: JobFolder, waiting: list[Shard], active: list[ShardRows], index: int
) -> list[ShardRows]:
    """Open the shards that begin at ``index``, close those that end before; children first."""
    while waiting and waiting[-1].first_index <= index:
        active.append(ShardRows(folder, waiting.pop()))
    for rows in active:
        if rows.shard.last_index < index:
            rows.close()
    alive = [rows for rows in active if rows.shard.last_index >= index]
    return sorted(alive, key=lambda rows: -rows.shard.seq)


def _next_change(waiting: list[Shard], active: list[ShardRows]) -> int:
    """The index at which a shard begins, or is behind."""
    begins = [waiting[-1].first_index] if waiting else []
    return min([*begins, *(rows.shard.last_index + 1 for rows in active)], default=sys.maxsize)

"""Reads results back from the spool, in request order, with flat memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from ai_batch.core.accounting import load_local
from ai_batch.core.errors import LedgerError
from ai_batch.core.provider import Provider
from ai_batch.core.requestlog import RequestLog
from ai_batch.core.requests import Request
from ai_batch.core.results import ChatResponse, ItemError, Outcome, Result
from ai_batch.core.rows import UNREADABLE, Place, RowTable, Source
from ai_batch.core.spool import JobFolder, members_of
from ai_batch.core.state import TERMINAL, Shard
from ai_batch.core.structured import parse_answer

__all__ = ["ResultReader"]


class _ShardRows:
    """One shard's rows, open for reading."""

    def __init__(self, folder: JobFolder, shard: Shard) -> None:
        self.shard = shard
        self.members = members_of(folder, shard)
        self.table = RowTable.read(folder.file(shard.name, "rows"))
        self._files: dict[int, int] = {}
        self._folder = folder
        self._next = 0

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
        if place.source not in self._files:
            path = self._folder.file(self.shard.name, Source(place.source).kind)
            self._files[place.source] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._files[place.source], place.length, place.offset)

    def close(self) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()


class ResultReader:
    """The results of a job; of what has been collected so far while it runs."""

    def __init__(
        self,
        folder: JobFolder,
        shards: Callable[[], Sequence[Shard]],
        provider: Provider,
        total: int,
        types: Mapping[str, object] | None,
    ) -> None:
        """``shards`` gives the job's shards as they are now.

        ``types`` gives the answers' Python types by schema key; None where no request of the
        job has an ``output_type``.
        """
        self._folder = folder
        self._shards = shards
        self._provider = provider
        self._total = total
        self._types = types

    def __len__(self) -> int:
        """The number of requests."""
        return self._total

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Result]:
        """The results ``start`` to ``stop`` in request order.

        Raises ``LedgerError`` where a request has no result yet.
        """
        stop = self._total if stop is None else min(stop, self._total)
        if start >= stop:
            return
        waiting = self._relevant(start, stop)
        active: list[_ShardRows] = []
        log = RequestLog(self._folder)
        try:
            for index, identity in enumerate(islice(log.ids(start), stop - start), start):
                active = _activate(self._folder, waiting, active, index)
                yield self._result(active, index, identity)
        finally:
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

    def _result(self, active: Sequence[_ShardRows], index: int, identity: str) -> Result:
        for rows in active:
            position = rows.position(index)
            if position is None:
                continue
            place = rows.table[position]
            if not place.retried:
                return self._make(rows, place, index, identity)
        raise LedgerError(f"request {identity!r} (index {index}) has no result yet")

    def read_shard(self, shard: Shard) -> Iterator[Result]:
        """The final results in one collected shard; what is asked again comes with its child."""
        rows = _ShardRows(self._folder, shard)
        try:
            with RequestLog(self._folder) as log:
                for position, index in enumerate(rows.members):
                    if not rows.table.retried(position):
                        place = rows.table[position]
                        yield self._make(rows, place, index, log.id(index))
        finally:
            rows.close()

    def _make(self, rows: _ShardRows, place: Place, index: int, identity: str) -> Result:
        outcome = self._outcome(rows, place)
        if self._types is not None and isinstance(outcome, ChatResponse):
            request = _load_request(self._folder, index)
            outcome = parse_answer(outcome, request, self._types)
        return Result(
            id=identity,
            index=index,
            outcome=outcome,
            request=partial(_load_request, self._folder, index),
            attempts=rows.shard.attempt,
        )

    def _outcome(self, rows: _ShardRows, place: Place) -> Outcome:
        row = rows.row(place)
        if place.source == Source.LOCAL:
            return load_local(row)
        try:
            return self._provider.decode(row, rows.shard.route)[1]
        except UNREADABLE as error:
            return ItemError(code="unreadable_row", message=f"the row cannot be read: {error}")


def _load_request(folder: JobFolder, index: int) -> Request:
    with RequestLog(folder) as log:
        return log.request(index)


def _activate(
    folder: JobFolder, waiting: list[Shard], active: list[_ShardRows], index: int
) -> list[_ShardRows]:
    """Open the shards that begin at ``index``, close those that end before; children first."""
    if not (waiting and waiting[-1].first_index <= index) and not any(
        rows.shard.last_index < index for rows in active
    ):
        return active
    while waiting and waiting[-1].first_index <= index:
        active.append(_ShardRows(folder, waiting.pop()))
    for rows in active:
        if rows.shard.last_index < index:
            rows.close()
    alive = [rows for rows in active if rows.shard.last_index >= index]
    return sorted(alive, key=lambda rows: -rows.shard.seq)

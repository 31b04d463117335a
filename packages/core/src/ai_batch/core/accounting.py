"""Accounts for every request of a shard once the provider's rows are here.

Each request gets exactly one place: its row in the provider's files, or an error of our own
where the provider gave none. Rows that are not ours are left aside, a second row for the same
request too; both are counted.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

import msgspec

from ai_batch.core.errors import VendorFault
from ai_batch.core.parts import PartRows, read_part
from ai_batch.core.places import index_of, position_of
from ai_batch.core.provider import Formats, Scan
from ai_batch.core.results import ItemError
from ai_batch.core.rows import UNREADABLE, Place, RowTable, Source, check_of, split_rows
from ai_batch.core.spool import JobFolder, members_of
from ai_batch.core.state import Shard
from ai_batch.core.wire_faults import INVALID

__all__ = ["Account", "Accountant", "dump_local", "load_local"]

USAGE_FIELDS = 5

# How each request ended so far, a byte each: memory must not grow with the errors.
_ANSWERED, _FAILED, _MAY_RETRY, _RETRY = range(4)


@dataclass(slots=True, kw_only=True)
class Account:
    """What a shard came to. ``retry`` holds the indices that a child shard is to ask again.

    ``rows`` counts the rows that are ours, a request's first one each; ``doubtful`` those of them
    that say they hold an answer, and don't: it may have been damaged on the way.
    """

    rows: int = 0
    ok: int = 0
    failed: int = 0
    retry: array[int] = field(default_factory=lambda: array("Q"))
    usage: list[int] = field(default_factory=lambda: [0] * USAGE_FIELDS)
    missing: int = 0
    foreign: int = 0
    duplicates: int = 0
    unreadable: int = 0
    doubtful: int = 0

    @property
    def harm(self) -> int:
        """Requests whose answer may have been damaged on the way, so that another may be whole."""
        return self.missing + self.unreadable + self.doubtful


class _LocalRow(msgspec.Struct):
    index: int
    error: dict[str, str | int | bool | None]


_read_local = msgspec.json.Decoder(_LocalRow).decode


def dump_local(index: int, error: ItemError) -> bytes:
    """An error of our own as a row."""
    return msgspec.json.encode(_LocalRow(index, error.model_dump(exclude_none=True)))


def load_local(row: bytes) -> ItemError:
    """The error that ``dump_local`` wrote."""
    return ItemError.model_validate(_read_local(row).error)


Check = Callable[[bytes, int], ItemError | None]
"""Looks at a good row (and the request's index) once more, such as for structured output."""


class Accountant:
    """Reads a shard's rows and fills its table; ``write`` then puts both on disk."""

    def __init__(
        self,
        folder: JobFolder,
        shard: Shard,
        provider: Formats,
        *,
        retries_left: bool,
        check: Check | None = None,
    ) -> None:
        """``retries_left`` tells whether requests that failed for a passing cause go again."""
        self._folder = folder
        self._shard = shard
        self._provider = provider
        self._retries_left = retries_left
        self._check = check
        self._members = members_of(folder, shard)
        self._prefix = f"{shard.token}-"
        self._table = RowTable.empty(shard.count)
        self._verdicts = bytearray(shard.count)
        self._local: list[bytes] = []
        self._local_end = 0
        self._parts = PartRows(folder, shard.name)
        self._parts.load(self._place_of)
        self.account = Account()

    def read(self, source: Source) -> None:
        """Account for the rows of one of the provider's files, where it is there."""
        path = self._folder.file(self._shard.name, source.kind)
        if path.exists():
            for offset, row in split_rows(path):
                self._take(source, offset, row)

    def _take(self, source: Source, offset: int, row: bytes) -> None:
        account = self.account
        try:
            scan = self._provider.scan(row, self._shard.route)
        except UNREADABLE:
            account.unreadable += 1
            return
        index = index_of(scan.wire_id, self._shard.token)
        position = None if index is None else self._place_of(index)
        if position is None:
            self._take_part(
                scan, Place(offset, len(row), source, retried=False, check=check_of(row))
            )
            return
        if self._table.source(position):
            account.duplicates += 1
            # The first row counts, unless it is the vendor's error and this one an answer.
            if self._answered(position) or scan.error is not None:
                return
        else:
            account.rows += 1
        error = scan.error
        # Also of an error: an answer that did not fit may be known as such from its row.
        self._add_usage(scan)
        if error is not None:
            self._doubt(error)
        elif self._check is not None:
            error = self._check(row, self._members[position])
        if error is not None and scan.error is None:
            # An answer was paid for, but it does not fit the request's schema: ours to report.
            self._put_local(position, error)
            return
        self._verdicts[position] = _verdict(error)
        self._table.put(position, offset, len(row), source, retried=False, check=check_of(row))

    def _doubt(self, error: ItemError) -> None:
        self.account.doubtful += error.code == INVALID

    def _answered(self, position: int) -> bool:
        """Whether an answer has been seen, be it one that does not fit its request's schema."""
        misfit = self._table.source(position) == Source.LOCAL
        return misfit or self._verdicts[position] == _ANSWERED

    def _add_usage(self, scan: Scan) -> None:
        usage = self.account.usage
        _, _, input_, output, cached, written, reasoning = scan
        usage[0] += input_
        usage[1] += output
        # Most answers have none of these.
        if cached or written or reasoning:
            usage[2] += cached
            usage[3] += written
            usage[4] += reasoning

    def _place_of(self, index: int) -> int | None:
        return position_of(self._members, index)

    def _take_part(self, scan: Scan, row: Place) -> None:
        """Account for a row of one of a request's lines, if it is one, as for whole requests."""
        account = self.account
        place = read_part(scan.wire_id, self._prefix)
        position = None if place is None else self._place_of(place.request)
        gathered = None
        if place is not None and position is not None:
            gathered = self._parts.of(position, place.parts)
        if place is None or gathered is None:
            account.foreign += 1
            return
        if gathered.table.source(place.part):
            account.duplicates += 1
            if not gathered.failed[place.part] or scan.error is not None:
                return
        else:
            account.rows += 1
        if scan.error is None:
            self._add_usage(scan)
        else:
            self._doubt(scan.error)
        gathered.failed[place.part] = 0 if scan.error is None else _verdict(scan.error)
        _put(gathered.table, place.part, row)

    def _settle_parts(self) -> None:
        """Give each request whose lines all have rows its place: all of them, or an error's."""
        for position, gathered in self._parts.whole():
            if self._table.source(position):
                continue
            failed = gathered.failed
            # An error that does not pass is the request's, whatever the others are.
            worst = next((kind for kind in (_FAILED, _MAY_RETRY) if kind in failed), _ANSWERED)
            self._verdicts[position] = worst
            if worst == _ANSWERED:
                self._table.put(position, 0, 0, Source.JOINED, retried=False)
            else:
                _put(self._table, position, gathered.table[failed.index(worst)])

    def carried(self, indices: Iterable[int]) -> Iterator[bytes]:
        """What of these requests is answered already, for the child shard that asks the rest."""
        return self._parts.carry(indices, self._place_of)

    def count_missing(self) -> int:
        """How many requests have no row yet."""
        self._settle_parts()
        self.account.missing = self._table.unseen()
        return self.account.missing

    def fill(self, error: ItemError) -> None:
        """Give every request that has no row this error."""
        for position in range(self._shard.count):
            if not self._table.source(position):
                self._put_local(position, error)

    def blame(self, faults: Sequence[VendorFault]) -> None:
        """Give the requests that a refused batch names by line (from 1) their own error."""
        for fault in faults:
            position = (fault.line or 0) - 1
            if 0 <= position < self._shard.count and not self._table.source(position):
                error = ItemError(code=fault.code or "refused", message=fault.message)
                self._put_local(position, error)

    def blame_row(self, row: bytes) -> None:
        """Give a request the error of a row that ``dump_local`` made for it."""
        local = _read_local(row)
        position = self._place_of(local.index)
        if position is not None:
            self._put_local(position, ItemError.model_validate(local.error))

    def keep(self, position: int, place: Place, row: bytes) -> None:
        """Take a row that was accounted for before, and is where it was then."""
        error = None
        if place.source != Source.JOINED:
            error = self._provider.scan(row, self._shard.route).error
        self._verdicts[position] = _verdict(error)
        _put(self._table, position, place)

    def leave(self, indices: Iterable[int]) -> None:
        """Mark what child shards have been given to ask again."""
        for position in map(self._place_of, indices):
            if position is None:
                continue
            self._table.put(position, 0, 0, Source.LOCAL, retried=True)
            self._verdicts[position] = _RETRY

    def ask_again(self) -> None:
        """Leave every request that has no row to a child shard."""
        for position in range(self._shard.count):
            if not self._table.source(position):
                self._table.put(position, 0, 0, Source.LOCAL, retried=True)
                self._verdicts[position] = _RETRY

    def _put_local(self, position: int, error: ItemError) -> None:
        row = dump_local(self._members[position], error)
        self._verdicts[position] = _verdict(error)
        self._table.put(
            position, self._local_end, len(row), Source.LOCAL, retried=False, check=check_of(row)
        )
        self._local.append(row)
        self._local_end += len(row) + 1

    def write(self) -> Account:
        """Put our own errors and the table on disk; the counts."""
        account = self.account
        if self._retries_left:
            for position, verdict in enumerate(self._verdicts):
                if verdict == _MAY_RETRY:
                    self._verdicts[position] = _RETRY
                    self._table.mark_retried(position)
        verdicts = self._verdicts
        account.retry = array(
            "Q",
            (self._members[place] for place, verdict in enumerate(verdicts) if verdict == _RETRY),
        )
        account.ok = verdicts.count(_ANSWERED)
        account.failed = verdicts.count(_FAILED) + verdicts.count(_MAY_RETRY)
        with self._folder.written(self._folder.file(self._shard.name, "local.jsonl")) as file:
            _write_lines(file, self._local)
        self._write_joined()
        path = self._folder.file(self._shard.name, "rows")
        with self._folder.written(path) as file:
            file.write(self._table.sealed(path))
        return account

    def _write_joined(self) -> None:
        table = self._table
        whole = [at for at, _ in self._parts.whole() if table.source(at) == Source.JOINED]
        if not whole:
            return
        path = self._folder.file(self._shard.name, Source.JOINED.kind)
        end = 0
        with self._folder.written(path) as file:
            for position, row in self._parts.joined(whole):
                table.put(
                    position, end, len(row), Source.JOINED, retried=False, check=check_of(row)
                )
                file.write(row + b"\n")
                end += len(row) + 1


def _put(table: RowTable, position: int, row: Place) -> None:
    table.put(position, row.offset, row.length, Source(row.source), retried=False, check=row.check)


def _verdict(error: ItemError | None) -> int:
    if error is None:
        return _ANSWERED
    return _MAY_RETRY if error.retryable else _FAILED


def _write_lines(file: IO[bytes], lines: Sequence[bytes]) -> None:
    for line in lines:
        file.write(line)
        file.write(b"\n")

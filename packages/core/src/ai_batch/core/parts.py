"""Requests that take several lines of a batch, one per text to embed, and come back as many rows.

Their rows are gathered into one, a JSON array in the order of the lines, once all are answers.
Where some are not and the request is asked again, the answers that are there already go with it
to the child shard, in a file of its own, so that no text is paid for twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import msgspec

from ai_batch.core.rows import RowTable, Source
from ai_batch.core.spool import JobFolder

__all__ = ["CARRIED", "Gathered", "PartRows", "carried_parts", "read_part", "without"]

CARRIED = "carried.jsonl"
"""A child shard's file of the rows that an earlier shard has paid for."""

MAX_PARTS = 1_000_000
"""Lines of one request; what claims more is not ours."""


MAX_DIGITS = 40
"""Of all three numbers; Python refuses to read numbers of thousands of digits."""


class PartPlace(NamedTuple):
    """The digits of a wire id: which request, which of its lines (from 0), and of how many."""

    request: int
    part: int
    parts: int


def read_part(wire_id: str, prefix: str) -> PartPlace | None:
    """What the wire id of one of several lines says behind its prefix; None for all others."""
    digits = wire_id[len(prefix) :]
    numbers = digits.split("_")
    if not wire_id.startswith(prefix) or len(numbers) != 3 or len(digits) > MAX_DIGITS:
        return None
    if not all(number.isascii() and number.isdecimal() for number in numbers):
        return None
    place = PartPlace(*map(int, numbers))
    return place if place.part < place.parts <= MAX_PARTS else None


@dataclass(slots=True)
class Gathered:
    """The rows of one request so far; ``failed`` has a byte per line, 0 where it is an answer."""

    table: RowTable
    failed: bytearray

    @classmethod
    def of(cls, parts: int) -> Gathered:
        """Nothing has been seen yet."""
        return cls(RowTable.empty(parts), bytearray(parts))

    @property
    def whole(self) -> bool:
        """Whether each line has a row."""
        return not self.table.unseen()

    def answered(self) -> list[int]:
        """The lines that have an answer."""
        table, failed = self.table, self.failed
        return [part for part in range(len(table)) if table.source(part) and not failed[part]]


class _Carried(msgspec.Struct):
    index: int
    part: int
    parts: int
    # At the end of the line, where its place can be told.
    row: msgspec.Raw


_read_carried = msgspec.json.Decoder(_Carried).decode


def _carried_rows(folder: JobFolder, name: str) -> Iterator[tuple[_Carried, int]]:
    path = folder.file(name, CARRIED)
    if not path.exists():
        return
    offset = 0
    with path.open("rb") as file:
        for line in file:
            carried = _read_carried(line)
            offset += len(line)
            yield carried, offset - len(b"}\n") - len(bytes(carried.row))


def carried_parts(folder: JobFolder, name: str) -> dict[int, set[int]]:
    """Which lines of which requests an earlier shard has answers to, by the request's index."""
    found: dict[int, set[int]] = {}
    for carried, _ in _carried_rows(folder, name):
        found.setdefault(carried.index, set()).add(carried.part)
    return found


def without(lines: bytes, parts: set[int]) -> bytes:
    """A request's lines without some of them."""
    kept = [line for part, line in enumerate(lines.split(b"\n")) if part not in parts]
    return b"\n".join(kept)


class PartRows:
    """The rows of a shard's requests that take several lines, by the request's position."""

    def __init__(self, folder: JobFolder, name: str) -> None:
        """Nothing is read before ``load``."""
        self._folder = folder
        self._name = name
        self._gathered: dict[int, Gathered] = {}

    def load(self, position_of: Callable[[int], int | None]) -> None:
        """Take the rows that came with the shard; positions are by the requests' indices."""
        for carried, offset in _carried_rows(self._folder, self._name):
            position = position_of(carried.index)
            group = None if position is None else self.of(position, carried.parts)
            if group is not None:
                length = len(bytes(carried.row))
                group.table.put(carried.part, offset, length, Source.CARRIED, retried=False)

    def of(self, position: int, parts: int) -> Gathered | None:
        """The rows of a request; None where it is known to have another number of lines."""
        group = self._gathered.get(position)
        if group is None:
            group = self._gathered[position] = Gathered.of(parts)
        return group if len(group.table) == parts else None

    def whole(self) -> Iterator[tuple[int, Gathered]]:
        """The requests of which each line has a row."""
        return ((place, group) for place, group in self._gathered.items() if group.whole)

    def joined(self, positions: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """The requests' rows in one, each an array in the order of the lines."""
        with _Files(self._folder, self._name) as files:
            for position in positions:
                table = self._gathered[position].table
                rows = [files.row(table, part) for part in range(len(table))]
                yield position, b"[" + b",".join(rows) + b"]"

    def carry(
        self, indices: Iterable[int], position_of: Callable[[int], int | None]
    ) -> Iterator[bytes]:
        """Lines for a child shard: the answers to parts of the requests that it asks again."""
        with _Files(self._folder, self._name) as files:
            for index in indices if self._gathered else ():
                position = position_of(index)
                if position not in self._gathered:
                    continue
                group = self._gathered[position]
                for part in group.answered():
                    row = msgspec.Raw(files.row(group.table, part).strip())
                    yield msgspec.json.encode(_Carried(index, part, len(group.table), row))


class _Files:
    """A shard's files, open for reading rows at their places."""

    def __init__(self, folder: JobFolder, name: str) -> None:
        self._folder = folder
        self._name = name
        self._open: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)

    def row(self, table: RowTable, part: int) -> bytes:
        place = table[part]
        if place.source not in self._open:
            path = self._folder.file(self._name, Source(place.source).kind)
            self._open[place.source] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._open[place.source], place.length, place.offset)

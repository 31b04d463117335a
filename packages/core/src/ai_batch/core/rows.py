"""Where each request's row is: a file of 20 bytes per request beside the provider's files.

Each place has the row's checksum, so that a row that the disk has changed is never taken for an
answer.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ai_batch.core.seals import SpoolDamaged, seal, unseal
from ai_batch.core.transfers import LONGEST_ROW

__all__ = [
    "MEND",
    "UNREADABLE",
    "Place",
    "RowTable",
    "Source",
    "check_of",
    "rows_between",
    "split_rows",
]

UNREADABLE = (ValueError, RecursionError)
"""What reading a row may raise: decoders give up on deep nesting in their own way."""

MAX_ROW = LONGEST_ROW

_BOM = b"\xef\xbb\xbf"

_PLACE = struct.Struct("<QIBB2xI")
_SOURCE, _RETRIED = 12, 13

_OLD_PLACE = struct.Struct("<QIBB2x")
"""Of format 1, which had no checksums."""

_MAGIC = b"aibrows2"

MEND = "the job's repair() brings back what the provider still has"
"""What helps against damaged results."""

check_of = zlib.crc32
"""A row's checksum."""


class Source(IntEnum):
    """Which of a shard's files holds the row."""

    NONE = 0
    OUTPUT = 1
    ERRORS = 2
    LOCAL = 3
    JOINED = 4
    CARRIED = 5

    @property
    def kind(self) -> str:
        """The file's ending."""
        return _KINDS[self]


_KINDS = ("", "output.jsonl", "errors.jsonl", "local.jsonl", "joined.jsonl", "carried.jsonl")


class Place(NamedTuple):
    """A row's place; ``retried`` tells that a child shard will give the request's result."""

    offset: int
    length: int
    source: int
    retried: bool
    check: int = 0


_placed: Callable[[Iterable[int]], Place] = partial(tuple[Any].__new__, Place)
"""What ``Place._make`` does, without a call of Python's: there is one for each result."""


class RowTable:
    """The places of a shard's rows, in the order of its requests."""

    def __init__(self, data: bytearray, *, checked: bool = True) -> None:
        """``data`` holds 20 bytes per request; ``checked`` tells whether checksums are known."""
        self._data = data
        self.checked = checked

    @classmethod
    def empty(cls, count: int) -> RowTable:
        """A table in which no row has been seen yet."""
        return cls(bytearray(count * _PLACE.size))

    @classmethod
    def read(cls, path: Path, count: int) -> RowTable:
        """The table of so many requests that was written to ``path``.

        Raises ``SpoolDamaged`` when it is not as it was written.
        """
        data, sealed = unseal(path, _MAGIC, count * _PLACE.size, MEND)
        if sealed:
            return cls(bytearray(data))
        if len(data) != count * _OLD_PLACE.size:
            found = f"it holds {len(data)} bytes for {count} requests"
            raise SpoolDamaged(path, found, MEND)
        places = (_PLACE.pack(*place, 0) for place in _OLD_PLACE.iter_unpack(data))
        return cls(bytearray().join(places), checked=False)

    def sealed(self, path: Path) -> bytes:
        """The bytes of the file that is going to be at ``path``."""
        return seal(path, _MAGIC, self._data)

    def __len__(self) -> int:
        """The number of requests."""
        return len(self._data) // _PLACE.size

    def put(
        self,
        position: int,
        offset: int,
        length: int,
        source: Source,
        *,
        retried: bool,
        check: int = 0,
    ) -> None:
        """Record where the row of the request at ``position`` is, and its checksum."""
        place = position * _PLACE.size
        _PLACE.pack_into(self._data, place, offset, length, source, retried, check)

    def source(self, position: int) -> int:
        """The source of one row; 0 while it has not been seen."""
        return self._data[position * _PLACE.size + _SOURCE]

    def unseen(self) -> int:
        """How many rows have not been seen yet."""
        return self._data[_SOURCE :: _PLACE.size].count(0)

    def mark_retried(self, position: int) -> None:
        """Record that a child shard will give the result."""
        self._data[position * _PLACE.size + _RETRIED] = 1

    def retried(self, position: int) -> bool:
        """Whether a child shard will give the result."""
        return self._data[position * _PLACE.size + _RETRIED] != 0

    def places(self, start: int = 0) -> Iterator[Place]:
        """The places from the ``start``-th on, in order."""
        return map(_placed, _PLACE.iter_unpack(memoryview(self._data)[start * _PLACE.size :]))

    def __getitem__(self, position: int) -> Place:
        """One row's place."""
        return _placed(_PLACE.unpack_from(self._data, position * _PLACE.size))


def split_rows(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their offsets, without ends; blank ones are left out.

    Splits at LF alone: vendors' text may hold U+2028 and the like. A byte order mark in front is
    not part of the first line. A line that is too long is
    given cut, so that it cannot be read and does not fill the memory.
    """
    with path.open("rb", buffering=1 << 20) as file:
        offset = file.seek(len(_BOM) if file.read(len(_BOM)) == _BOM else 0)
        while line := file.readline(MAX_ROW):
            length = len(line)
            row = line.rstrip(b"\r\n")
            if row:
                yield offset, row
            offset += length
            while length == MAX_ROW and not line.endswith(b"\n"):
                line = file.readline(MAX_ROW)
                offset += len(line)
                length = len(line)


def rows_between(path: Path, start: int, stop: int) -> Iterator[bytes]:
    """The lines in the bytes ``start`` to ``stop`` of a file that is being appended to.

    One that is too long is given in pieces, none of which can be read.
    """
    with path.open("rb", buffering=1 << 18) as file:
        file.seek(start)
        while start < stop and (line := file.readline(MAX_ROW)):
            start += len(line)
            yield line.rstrip(b"\n")

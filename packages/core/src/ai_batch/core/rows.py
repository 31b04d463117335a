"""Where each request's row is: a file of 16 bytes per request beside the provider's files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

__all__ = ["UNREADABLE", "Place", "RowTable", "Source", "rows_between", "split_rows"]

UNREADABLE = (ValueError, RecursionError)
"""What reading a row may raise: decoders give up on deep nesting in their own way."""

MAX_ROW = 64 << 20
"""Bytes of one row at most; what is longer is treated as unreadable."""

_BOM = b"\xef\xbb\xbf"

_PLACE = struct.Struct("<QIBB2x")


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


class RowTable:
    """The places of a shard's rows, in the order of its requests."""

    def __init__(self, data: bytearray) -> None:
        """``data`` holds 16 bytes per request."""
        self._data = data

    @classmethod
    def empty(cls, count: int) -> RowTable:
        """A table in which no row has been seen yet."""
        return cls(bytearray(count * _PLACE.size))

    @classmethod
    def read(cls, path: Path) -> RowTable:
        """The table that was written to ``path``."""
        return cls(bytearray(path.read_bytes()))

    @property
    def data(self) -> bytearray:
        """The bytes to be written."""
        return self._data

    def __len__(self) -> int:
        """The number of requests."""
        return len(self._data) // _PLACE.size

    def put(
        self, position: int, offset: int, length: int, source: Source, *, retried: bool
    ) -> None:
        """Record where the row of the request at ``position`` is."""
        _PLACE.pack_into(self._data, position * _PLACE.size, offset, length, source, retried)

    def source(self, position: int) -> int:
        """The source of one row; 0 while it has not been seen."""
        return self._data[position * _PLACE.size + 12]

    def unseen(self) -> int:
        """How many rows have not been seen yet."""
        return self._data[12 :: _PLACE.size].count(0)

    def mark_retried(self, position: int) -> None:
        """Record that a child shard will give the result."""
        self._data[position * _PLACE.size + 13] = 1

    def retried(self, position: int) -> bool:
        """Whether a child shard will give the result."""
        return self._data[position * _PLACE.size + 13] != 0

    def __getitem__(self, position: int) -> Place:
        """One row's place."""
        fields = _PLACE.unpack_from(self._data, position * _PLACE.size)
        return Place(fields[0], fields[1], fields[2], fields[3] != 0)


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
    """The lines in the bytes ``start`` to ``stop`` of a file that is being appended to."""
    with path.open("rb", buffering=1 << 18) as file:
        file.seek(start)
        while start < stop and (line := file.readline()):
            start += len(line)
            yield line.rstrip(b"\n")

"""Large files on their way to a vendor and back, in pieces, never whole in memory."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, cast

from ai_batch.core.disk import of_disk
from ai_batch.core.errors import RequestRefused
from ai_batch.core.privacy import NO_LINK

__all__ = ["BLOCK", "LONGEST_ROW", "BlockReader", "longest", "private_file"]

BLOCK = 1 << 20
"""Bytes read at once from a file that is sent."""


LONGEST_ROW = 64 << 20
"""Bytes of a row of results at most; what is longer is treated as unreadable."""


def longest(count: int) -> int:
    """Bytes of the results of so many requests at most: a server may send without end."""
    return (count + 1) * LONGEST_ROW


def private_file(path: Path, most: int | None = None) -> io.FileIO:
    """A new file that only its owner can read: answers are private.

    It raises ``RequestRefused`` where it would get longer than ``most`` bytes, and
    ``LedgerError`` where it can't be written, ``NoRoom`` among them: what writes to it takes an
    ``OSError`` for one of the connection.
    """
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | NO_LINK
    try:
        return _WholeWrites(os.open(path, flags, 0o600), path, most)
    except OSError as error:
        raise of_disk(error, path) from error


class _WholeWrites(io.FileIO):
    """Writes all that it is given: a disk that is about to be full takes only a part of it."""

    def __init__(self, descriptor: int, path: Path, most: int | None) -> None:
        super().__init__(descriptor, "wb")
        self._path = path
        self._room = most

    def write(self, data: Any, /) -> int:
        if self._room is not None:
            self._room -= len(data)
            if self._room < 0:
                raise RequestRefused("the results are longer than any answers to these requests")
        try:
            written = super().write(data)
            whole = memoryview(data)
            while written < len(whole):
                written += super().write(whole[written:])
        except OSError as error:
            raise of_disk(error, self._path) from error
        return written


class BlockReader(io.FileIO):
    """Reads in blocks of a megabyte at least: SDKs ask for 64 KB, at half the speed."""

    def read(self, size: int | None = -1, /) -> bytes:
        """At least a block, where one is left."""
        return cast("bytes", super().read(size if size is None or size < 0 else max(size, BLOCK)))

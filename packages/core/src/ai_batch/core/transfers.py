"""Large files on their way to a vendor and back, in pieces, never whole in memory."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, cast

from ai_batch.core.disk import of_disk
from ai_batch.core.privacy import NO_LINK

__all__ = ["BLOCK", "BlockReader", "private_file"]

BLOCK = 1 << 20
"""Bytes read at once from a file that is sent."""


def private_file(path: Path) -> io.FileIO:
    """A new file that only its owner can read: answers are private.

    It raises ``LedgerError`` where it can't be written, ``NoRoom`` among them: what writes to it
    takes an ``OSError`` for one of the connection.
    """
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | NO_LINK
    try:
        return _WholeWrites(os.open(path, flags, 0o600), path)
    except OSError as error:
        raise of_disk(error, path) from error


class _WholeWrites(io.FileIO):
    """Writes all that it is given: a disk that is about to be full takes only a part of it."""

    def __init__(self, descriptor: int, path: Path) -> None:
        super().__init__(descriptor, "wb")
        self._path = path

    def write(self, data: Any, /) -> int:
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

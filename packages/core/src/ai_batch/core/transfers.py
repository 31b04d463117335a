"""Large files on their way to a vendor and back, in pieces, never whole in memory."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import cast

__all__ = ["BLOCK", "BlockReader", "private_file"]

BLOCK = 1 << 20
"""Bytes read at once from a file that is sent."""


def private_file(path: Path) -> io.FileIO:
    """A new file that only its owner can read: answers are private."""
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY
    return io.FileIO(os.open(path, flags, 0o600), "wb")


class BlockReader(io.FileIO):
    """Reads in blocks of a megabyte at least: SDKs ask for 64 KB, at half the speed."""

    def read(self, size: int | None = -1, /) -> bytes:
        """At least a block, where one is left."""
        return cast("bytes", super().read(size if size is None or size < 0 else max(size, BLOCK)))

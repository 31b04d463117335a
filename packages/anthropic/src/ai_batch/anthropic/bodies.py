"""The body of a create call, read from the input file while it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from ai_batch.core.transfers import BLOCK

__all__ = ["CreateBody"]

HEAD = b'{"requests":['

TAIL = b"]}"


class CreateBody:
    """The lines of a file as the items of ``requests``; never more than a block in memory.

    Line ends become commas. There are none within the items, since JSON has them escaped.
    """

    def __init__(self, path: Path) -> None:
        """``path`` holds an item per line, each with a line's end."""
        self._path = path
        self._items = path.stat().st_size - 1

    @property
    def size(self) -> int:
        """Bytes of the whole body."""
        return len(HEAD) + self._items + len(TAIL)

    def blocks(self) -> Iterator[bytes]:
        """The body in pieces."""
        yield HEAD
        left = self._items
        with self._path.open("rb", buffering=0) as file:
            while left > 0 and (block := file.read(min(BLOCK, left))):
                left -= len(block)
                yield block.replace(b"\n", b",")
        yield TAIL

    async def ablocks(self) -> AsyncIterator[bytes]:
        """The same for an async client."""
        for block in self.blocks():
            yield block

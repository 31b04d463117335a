"""Finding duplicate ids among any number of requests without holding the ids in memory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

__all__ = ["IdIndex"]

BUCKETS = 256
SPILL_AT = 1 << 20
"""How many hashes are held in memory (8 MB) before they go to disk."""


class IdIndex:
    """Remembers 64-bit hashes of ids, in 256 buckets that spill to files.

    Memory is bounded by the spill size while ids are added, and by the largest bucket at the
    end. Hashes only point at suspects: the caller compares the ids themselves.
    """

    def __init__(self, folder: Path | None) -> None:
        """``folder`` is where buckets spill; without one they stay in memory."""
        self._folder = folder
        self._buckets = [array("q") for _ in range(BUCKETS)]
        self._held = 0
        self._spilled = False

    def add(self, id: str) -> None:
        """Remember an id."""
        # Randomised per process, which is all right: the index does not outlive it.
        value = hash(id)
        self._buckets[value & 0xFF].append(value)
        self._held += 1
        if self._held >= SPILL_AT and self._folder is not None:
            self._spill(self._folder)

    def _file(self, folder: Path, bucket: int) -> Path:
        return folder / f"ids.{bucket:02x}.tmp"

    def _spill(self, folder: Path) -> None:
        for number, bucket in enumerate(self._buckets):
            with self._file(folder, number).open("ab") as file:
                bucket.tofile(file)
            del bucket[:]
        self._held = 0
        self._spilled = True

    def _all(self, number: int) -> array[int]:
        hashes = self._buckets[number]
        if self._spilled and self._folder is not None:
            file = self._file(self._folder, number)
            hashes.frombytes(file.read_bytes())
            file.unlink()
        self._buckets[number] = array("q")
        return hashes

    def suspects(self) -> Iterator[int]:
        """Hashes that occurred more than once. Empties the index."""
        for number in range(BUCKETS):
            hashes = self._all(number)
            if len(set(hashes)) < len(hashes):
                yield from (value for value, times in Counter(hashes).items() if times > 1)

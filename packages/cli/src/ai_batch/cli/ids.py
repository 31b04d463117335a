"""Ids of any number of requests, and which of them occur more than once, with flat memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from ai_batch.core.duplicates import IdIndex

__all__ = ["Ids"]


class Ids:
    """Keeps ids in a file, and their hashes in an index that goes to files as well."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is empty, and goes when this has been read."""
        self._index = IdIndex(folder)
        self._path = folder / "ids.jsonl"
        self._file = self._path.open("wb", buffering=1 << 18)
        self._encode = msgspec.json.Encoder().encode
        self.number = 0

    def add(self, id: str) -> None:
        """Take the next id."""
        self._index.add(id)
        self._file.write(self._encode(id) + b"\n")
        self.number += 1

    def repeated(self) -> Iterator[tuple[str, int, int]]:
        """Ids that an earlier request had: the id, its index, and the index of the first."""
        suspects = set(self._index.suspects())
        if not suspects:
            return
        self._file.flush()
        decode = msgspec.json.Decoder(str).decode
        first: dict[str, int] = {}
        with self._path.open("rb") as lines:
            for index, line in enumerate(lines):
                id = decode(line)
                if hash(id) not in suspects:
                    continue
                if id in first:
                    yield id, index, first[id]
                first.setdefault(id, index)

    def __enter__(self) -> Self:
        """The ids themselves."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the file."""
        self._file.close()

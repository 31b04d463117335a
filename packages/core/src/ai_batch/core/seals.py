"""Checksums of what is on disk: damage is found before it becomes a wrong result, and named.

A sealed file begins with eight bytes that say what it is, and ends with a CRC-32 of all before
it. The CRC starts from the file's place (the job's id and the file's name), so that a file that
belongs to another job or shard does not pass for this one's.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import IO

from ai_batch.core.errors import LedgerError

__all__ = [
    "HEADER_SIZE",
    "MAGIC_SIZE",
    "SpoolDamaged",
    "claim_places",
    "place_of",
    "places_header",
    "read_header",
    "seal",
    "unseal",
]

MAGIC_SIZE = 8
"""Bytes in front of a sealed file that say what it is."""

PLACES = b"aibreqs2"
"""In front of the file that says where the requests are: it is too large to be sealed."""

_HEADER = struct.Struct("<8sQ")

HEADER_SIZE = _HEADER.size

_CRC = struct.Struct("<I")


class SpoolDamaged(LedgerError):
    """A file of a job is not as it was written: a fault of the disk, or somebody's hand.

    ``path`` is the file, ``found`` what is wrong with it, ``remedy`` what brings it back.
    """

    def __init__(self, path: Path, found: str, remedy: str) -> None:
        """The message has all three."""
        super().__init__(f"{path} is damaged: {found}; {remedy}")
        self.path = path
        self.found = found
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[SpoolDamaged], tuple[Path, str, str]]:
        """Errors cross process borders with plain fields only."""
        return type(self), (self.path, self.found, self.remedy)


def place_of(path: Path) -> int:
    """A number for the job and the name of a file, the same wherever the home is."""
    return zlib.crc32(f"{path.parent.name}/{path.name}".encode())


def places_header(path: Path) -> bytes:
    """What is in front of a file of places: what it is, and whose."""
    return _HEADER.pack(PLACES, place_of(path))


def read_header(data: bytes) -> int | None:
    """Whose a file of places is; None for one of format 1, which did not say."""
    if len(data) < HEADER_SIZE or not data.startswith(PLACES):
        return None
    return int(_HEADER.unpack_from(data)[1])


def claim_places(file: IO[bytes], path: Path) -> None:
    """Make a file of places that of the job at ``path``."""
    file.seek(0)
    file.write(places_header(path))


def seal(path: Path, magic: bytes, data: bytes | bytearray) -> bytes:
    """The bytes of a sealed file that is going to be at ``path``."""
    check = zlib.crc32(data, zlib.crc32(magic, place_of(path)))
    return b"".join((magic, data, _CRC.pack(check)))


def unseal(path: Path, magic: bytes, size: int, remedy: str) -> tuple[bytes, bool]:
    """What a file holds, and whether it was sealed: older versions wrote the bytes alone.

    ``size`` is how many bytes a sealed file holds. Raises ``SpoolDamaged`` with ``remedy``.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise SpoolDamaged(path, "it is missing", remedy) from None
    if not data.startswith(magic):
        return data, False
    inside, end = data[MAGIC_SIZE : -_CRC.size], data[-_CRC.size :]
    if len(inside) != size:
        found = f"it holds {len(inside)} bytes of {size}"
        raise SpoolDamaged(path, found, remedy)
    if zlib.crc32(data[: -_CRC.size], place_of(path)) != _CRC.unpack(end)[0]:
        raise SpoolDamaged(path, "its checksum is wrong", remedy)
    return inside, True

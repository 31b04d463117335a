"""The job's requests on disk: appended while planning, read by place afterwards.

Beside the lines is a file of their places: 16 bytes that say whose it is, then 12 for each line,
where it begins and its checksum, then where the last one ends. Format 1 had 8 bytes for each, and
no checksums.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import msgspec

from ai_batch.core.disk import of_disk
from ai_batch.core.messages import JSONObject
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request
from ai_batch.core.seals import HEADER_SIZE, SpoolDamaged, place_of, places_header, read_header
from ai_batch.core.spool import JobFolder, open_private, sync

__all__ = ["Head", "RequestLog", "RequestWriter", "dump_request", "head_of", "load_request"]

_PLACE = struct.Struct("<QI")
_OLD_PLACE = struct.Struct("<Q")

PLACES_AT_ONCE = 1 << 12

HELD = 1 << 17
"""Bytes of lines that are handed to the file at once."""

AGAIN = "the same script with the same requests brings it back"
"""What helps against damaged requests."""


def dump_request(request: Request) -> bytes:
    """The request as one line of JSON."""
    # model_dump_json would decode the bytes, to have them encoded again by the file.
    return request.__pydantic_serializer__.to_json(request, exclude_none=True)


def load_request(line: bytes) -> Request:
    """The request that ``dump_request`` wrote."""
    fields = cast("JSONObject", msgspec.json.decode(line))
    kind = EmbeddingRequest if "texts" in fields else ChatRequest
    return kind.model_validate(fields)


class Head(msgspec.Struct):
    """What a result carries of its request: read without the rest of it."""

    id: str
    metadata: dict[str, str] | None = None


head_of: Callable[[bytes], Head] = msgspec.json.Decoder(Head).decode
"""The head in a request's line."""


class _OnlyId(msgspec.Struct):
    id: str


_read_id = msgspec.json.Decoder(_OnlyId).decode


class RequestWriter:
    """Appends requests; each line's place is kept in a file and not in memory."""

    def __init__(self, folder: JobFolder) -> None:
        """Starts both files anew. Raises ``LedgerError`` where that can't be done."""
        with contextlib.ExitStack() as opened:
            try:
                self._lines = opened.enter_context(open_private(folder.requests))
                self._places = open_private(folder.offsets)
            except OSError as error:
                raise of_disk(error, folder.path) from error
            opened.pop_all()
        self._places.write(places_header(folder.offsets))
        self._end = 0
        self._held: list[bytes] = []
        self._held_places: list[bytes] = []
        self._written = 0

    def append(self, line: bytes) -> None:
        """Add one request."""
        self._held_places.append(_PLACE.pack(self._end, zlib.crc32(b"\n", zlib.crc32(line))))
        self._held.append(line)
        self._end += len(line) + 1
        if self._end - self._written >= HELD:
            self._flush()

    def _flush(self) -> None:
        self._held.append(b"")
        self._lines.write(b"\n".join(self._held))
        self._places.write(b"".join(self._held_places))
        self._held.clear()
        self._held_places.clear()
        self._written = self._end

    def finish(self) -> None:
        """Have everything on disk, and close."""
        self._held_places.append(_PLACE.pack(self._end, 0))
        self._flush()
        for file in (self._lines, self._places):
            sync(file)
        self.close()

    def close(self) -> None:
        """Close without making sure of anything."""
        try:
            self._lines.close()
        finally:
            self._places.close()


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise SpoolDamaged(path, "it is missing", AGAIN) from None


class RequestLog:
    """Reads requests by index, or the ids of a run of them in order.

    What it gives is what was written: where the disk has changed it, ``SpoolDamaged`` is raised.
    """

    def __init__(self, folder: JobFolder) -> None:
        """Opens both files. Raises ``SpoolDamaged`` where one is missing or another job's."""
        self._folder = folder
        self._lines = _opened(folder.requests)
        try:
            self._places = _opened(folder.offsets)
        except BaseException:
            os.close(self._lines)
            raise
        owner = read_header(os.pread(self._places, HEADER_SIZE, 0))
        self._checked = owner is not None
        self._place = _PLACE if self._checked else _OLD_PLACE
        self._first = HEADER_SIZE if self._checked else 0
        if owner not in (None, place_of(folder.offsets)):
            self.close()
            raise SpoolDamaged(folder.offsets, "it belongs to another job", AGAIN)

    def line(self, index: int) -> bytes:
        """One request's line, without its end."""
        size = self._place.size
        both = os.pread(self._places, 2 * size, self._first + index * size)
        if len(both) < 2 * size:
            raise SpoolDamaged(self._folder.offsets, f"it has no request {index}", AGAIN)
        start, end = self._place.unpack_from(both), self._place.unpack_from(both, size)
        if not start[0] < end[0] <= self._size():
            raise self._changed(index)
        line = os.pread(self._lines, end[0] - start[0], start[0])
        whole = line.endswith(b"\n") and len(line) == end[0] - start[0]
        if not whole or (self._checked and zlib.crc32(line) != start[1]):
            raise self._changed(index)
        return line[:-1]

    def _size(self) -> int:
        return os.fstat(self._lines).st_size

    def _changed(self, index: int) -> SpoolDamaged:
        found = f"the request at index {index} is not what was written"
        return SpoolDamaged(self._folder.requests, found, AGAIN)

    def __len__(self) -> int:
        """The number of requests."""
        return (os.fstat(self._places).st_size - self._first) // self._place.size - 1

    def request(self, index: int) -> Request:
        """One request."""
        return load_request(self.line(index))

    def ids(self, start: int) -> Iterator[str]:
        """The ids of the requests from ``start`` on, in order."""
        for line in self.lines(start):
            yield _read_id(line).id

    def lines(self, start: int) -> Generator[bytes, None, None]:
        """The lines of the requests from ``start`` on, in order, with their ends."""
        places = chain.from_iterable(map(self._place.iter_unpack, self._blocks_from(start)))
        first = next(places, None)
        if first is None or first[0] > self._size():
            raise self._changed(start)
        index, crc, checked = start, zlib.crc32, self._checked
        with self._folder.requests.open("rb", buffering=1 << 18) as file:
            file.seek(first[0])
            for line, place in zip(file, chain((first,), places), strict=False):
                if checked and crc(line) != place[1]:
                    raise self._changed(index)
                yield line
                index += 1
        if index != len(self):
            raise self._changed(index)

    def _blocks_from(self, start: int) -> Iterator[bytes]:
        """What the file of places holds from the ``start``-th on, in whole places."""
        size = self._place.size
        at = self._first + start * size
        while block := os.pread(self._places, PLACES_AT_ONCE * size, at):
            at += len(block)
            yield block[: len(block) - len(block) % size]

    def head(self, index: int) -> Head:
        """One request's head."""
        return head_of(self.line(index))

    def id(self, index: int) -> str:
        """One request's id."""
        return _read_id(self.line(index)).id

    def close(self) -> None:
        """Close the files."""
        os.close(self._lines)
        os.close(self._places)

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the files."""
        self.close()

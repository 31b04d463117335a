"""The job's requests on disk: appended while planning, read by place afterwards."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Self, cast

import msgspec

from ai_batch.core.messages import JSONObject
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request
from ai_batch.core.spool import JobFolder, open_private, sync

__all__ = ["Head", "RequestLog", "RequestWriter", "dump_request", "load_request"]

_PLACE = struct.Struct("<Q")


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


_read_head = msgspec.json.Decoder(Head).decode


class _OnlyId(msgspec.Struct):
    id: str


_read_id = msgspec.json.Decoder(_OnlyId).decode


class RequestWriter:
    """Appends requests; each line's place is kept in a file and not in memory."""

    def __init__(self, folder: JobFolder) -> None:
        """Starts both files anew."""
        self._lines = open_private(folder.requests)
        self._places = open_private(folder.offsets)
        self._end = 0

    def append(self, line: bytes) -> None:
        """Add one request."""
        self._places.write(_PLACE.pack(self._end))
        self._lines.write(line + b"\n")
        self._end += len(line) + 1

    def finish(self) -> None:
        """Have everything on disk, and close."""
        self._places.write(_PLACE.pack(self._end))
        for file in (self._lines, self._places):
            sync(file)
        self.close()

    def close(self) -> None:
        """Close without making sure of anything."""
        self._lines.close()
        self._places.close()


class RequestLog:
    """Reads requests by index, or the ids of a run of them in order."""

    def __init__(self, folder: JobFolder) -> None:
        """Opens both files."""
        self._folder = folder
        self._lines = os.open(folder.requests, os.O_RDONLY | os.O_CLOEXEC)
        self._places = os.open(folder.offsets, os.O_RDONLY | os.O_CLOEXEC)

    def line(self, index: int) -> bytes:
        """One request's line, without its end."""
        both = os.pread(self._places, 2 * _PLACE.size, index * _PLACE.size)
        start, end = _PLACE.unpack_from(both), _PLACE.unpack_from(both, _PLACE.size)
        return os.pread(self._lines, end[0] - start[0] - 1, start[0])

    def request(self, index: int) -> Request:
        """One request."""
        return load_request(self.line(index))

    def ids(self, start: int) -> Iterator[str]:
        """The ids of the requests from ``start`` on, in order."""
        for line in self._lines_from(start):
            yield _read_id(line).id

    def heads(self, start: int) -> Iterator[Head]:
        """The heads of the requests from ``start`` on, in order."""
        for line in self._lines_from(start):
            yield _read_head(line)

    def _lines_from(self, start: int) -> Iterator[bytes]:
        place = os.pread(self._places, _PLACE.size, start * _PLACE.size)
        with self._folder.requests.open("rb", buffering=1 << 18) as file:
            file.seek(_PLACE.unpack(place)[0])
            yield from file

    def head(self, index: int) -> Head:
        """One request's head."""
        return _read_head(self.line(index))

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

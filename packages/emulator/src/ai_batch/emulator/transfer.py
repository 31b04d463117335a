"""Answers whose body is a file: ranges, and the ways in which a download goes wrong."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ai_batch.emulator.connection import connection_of, until_gone
from ai_batch.emulator.faults import Fault

_BLOCK = 1 << 18
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_GZIP_WBITS = 31


@dataclass(frozen=True, slots=True)
class Download:
    """A file (already open, so that it may be deleted meanwhile) as the body of an answer."""

    source: BinaryIO
    size: int
    headers: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, path: Path) -> Download:
        """Open a file."""
        source = path.open("rb")
        return cls(source, path.stat().st_size)

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        """Read part of the file, and close it."""
        with self.source as source:
            source.seek(start)
            while start < stop and (block := source.read(min(_BLOCK, stop - start))):
                start += len(block)
                yield block


class FileResponse(StreamingResponse):
    """An answer that holds a file open until it has been sent."""

    def __init__(
        self,
        download: Download,
        blocks: Iterator[bytes],
        status: int = 200,
        media_type: str = "application/octet-stream",
    ) -> None:
        super().__init__(_in_turns(blocks), status, media_type=media_type)
        self._source = download.source

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()


def requested_range(header: str, size: int) -> tuple[int, int] | None:
    """Return first and last-plus-one byte of a `Range` header; None if it asks for all.

    An unsatisfiable range gives an empty one past the end.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    if int(first) >= size or (last and int(last) < int(first)):
        return size, size
    return int(first), min(int(last) + 1, size) if last else size


def download_response(request: Request, download: Download) -> Response:
    """Answer with the file, or the range of it that was asked for."""
    size = download.size
    wanted = requested_range(request.headers.get("range", ""), size)
    start, stop = wanted or (0, size)
    headers = {**download.headers, "accept-ranges": "bytes", "content-length": str(stop - start)}
    status = 200
    if wanted is not None:
        status = 206 if stop > start else 416
        bounds = f"{start}-{stop - 1}" if stop > start else "*"
        headers["content-range"] = f"bytes {bounds}/{size}"
    response = FileResponse(download, download.blocks(start, stop), status)
    response.headers.update(headers)
    return response


def whole_response(download: Download, media_type: str) -> Response:
    """Answer with all of the file, whatever range was asked for."""
    blocks = download.blocks(0, download.size)
    response = FileResponse(download, blocks, media_type=media_type)
    response.headers.update({**download.headers, "content-length": str(download.size)})
    return response


async def _in_turns(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block
        await asyncio.sleep(0)


def is_damaging(fault: Fault) -> bool:
    """Tell whether the fault changes how an answer's bytes travel."""
    return (
        fault.cut_after_bytes is not None
        or fault.close_delimited
        or fault.gzip
        or fault.bytes_per_second is not None
    )


async def send_damaged(request: Request, response: Response, fault: Fault) -> None:
    """Send an answer by hand: cut, slow, compressed, or without a length."""
    connection = connection_of(request)
    await connection.write_raw(_head(response, fault))
    left = fault.cut_after_bytes
    chunked = not fault.close_delimited and fault.gzip
    async for block in _compressed(_body(response), fault):
        piece = block if left is None else block[:left]
        left = None if left is None else left - len(piece)
        for part in _parts(piece, fault):
            await connection.write_raw(_chunk(part) if chunked else part)
            await _pause(len(part), fault)
        if left == 0:
            break
    if chunked and left != 0:
        await connection.write_raw(b"0\r\n\r\n")
    connection.hang_up()
    await until_gone(request)


def _head(response: Response, fault: Fault) -> bytes:
    dropped = {b"connection"}
    lines = [b"HTTP/1.1 %d OK" % response.status_code, b"connection: close"]
    if fault.close_delimited or fault.gzip:
        dropped.add(b"content-length")
    if fault.gzip:
        lines.append(b"content-encoding: gzip")
        if not fault.close_delimited:
            lines.append(b"transfer-encoding: chunked")
    lines += [b"%b: %b" % pair for pair in response.raw_headers if pair[0] not in dropped]
    return b"\r\n".join([*lines, b"", b""])


async def _body(response: Response) -> AsyncIterator[bytes]:
    if isinstance(response, StreamingResponse):
        async for block in response.body_iterator:
            yield block.encode() if isinstance(block, str) else bytes(block)
    else:
        yield bytes(response.body)


async def _compressed(blocks: AsyncIterator[bytes], fault: Fault) -> AsyncIterator[bytes]:
    if not fault.gzip:
        async for block in blocks:
            yield block
        return
    gzip = zlib.compressobj(wbits=_GZIP_WBITS)
    async for block in blocks:
        yield gzip.compress(block)
    yield gzip.flush()


def _parts(piece: bytes, fault: Fault) -> Iterator[bytes]:
    size = fault.bytes_per_second or max(1, len(piece))
    step = max(1, size // 10) if fault.bytes_per_second else size
    for start in range(0, len(piece), step):
        yield piece[start : start + step]


async def _pause(sent: int, fault: Fault) -> None:
    if fault.bytes_per_second:
        await asyncio.sleep(sent / fault.bytes_per_second)


def _chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)

"""Reads a `multipart/related` upload: a JSON part, and a content that goes straight to disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from ai_batch.emulator.gcs.errors import StorageError


async def read_related(
    pieces: AsyncIterator[bytes], content_type: str, target: Path
) -> tuple[bytes, str]:
    """Read the content into `target`; return the JSON part, and the content's media type."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/related" or boundary is None:
        raise StorageError("Missing multipart boundary in the Content-Type header.")
    with target.open("wb") as sink:
        reader = _Reader(sink)
        parser = reader.parser(boundary)
        try:
            async for piece in pieces:
                parser.write(piece)
            parser.finalize()
        except FormParserError as error:
            raise StorageError(f"Malformed multipart body: {error}") from error
    if reader.parts < 2:
        raise StorageError("Malformed multipart body: it needs two parts.")
    return bytes(reader.resource), reader.media_type.decode(errors="replace").strip()


class _Reader:
    def __init__(self, sink: BinaryIO) -> None:
        self.parts = 0
        self.resource = bytearray()
        self.media_type = b""
        self._sink = sink
        self._name = b""
        self._value = b""

    def parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._more_name,
                "on_header_value": self._more_value,
                "on_header_end": self._end_header,
                "on_part_data": self._data,
            },
        )

    def _begin_part(self) -> None:
        self.parts += 1

    def _more_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _more_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self.parts == 2 and self._name.lower() == b"content-type":
            self.media_type = self._value
        self._name = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self.parts == 1:
            self.resource += data[start:end]
        else:
            self._sink.write(data[start:end])

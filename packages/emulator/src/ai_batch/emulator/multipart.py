"""Reads a multipart form whose one file goes straight to disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

_MAX_FIELD = 65_536


class NotMultipart(ValueError):
    """The body is no multipart form."""


@dataclass(slots=True)
class Form:
    """A form: its plain fields, and the name and size of its file (None if it has none)."""

    fields: dict[str, str] = field(default_factory=dict[str, str])
    filename: str | None = None
    size: int = 0
    too_large: bool = False


async def read_form(
    chunks: AsyncIterator[bytes], content_type: str, target: Path, max_bytes: int
) -> Form:
    """Read a form, its file into `target`. Bytes past `max_bytes` are read and dropped."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or boundary is None:
        msg = "the body is no multipart/form-data"
        raise NotMultipart(msg)
    with target.open("wb") as sink:
        reader = _Reader(sink, max_bytes)
        parser = reader.parser(boundary)
        try:
            async for chunk in chunks:
                parser.write(chunk)
            parser.finalize()
        except FormParserError as error:
            msg = f"the form cannot be read: {error}"
            raise NotMultipart(msg) from error
    return reader.form


class _Reader:
    def __init__(self, sink: BinaryIO, max_bytes: int) -> None:
        self.form = Form()
        self._sink = sink
        self._max_bytes = max_bytes
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._name = ""
        self._value = bytearray()
        self._is_file = False

    def parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._more_name,
                "on_header_value": self._more_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._data,
                "on_part_end": self._end_part,
            },
        )

    def _begin_part(self) -> None:
        self._disposition = b""
        self._value = bytearray()

    def _more_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _more_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        filename = options.get(b"filename")
        self._is_file = filename is not None or self._name == "data"
        if self._is_file:
            self.form.filename = (filename or b"").decode(errors="replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._value += data[start : min(end, start + _MAX_FIELD - len(self._value))]
            return
        self.form.size += end - start
        if self.form.size > self._max_bytes:
            self.form.too_large = True
        else:
            self._sink.write(data[start:end])

    def _end_part(self) -> None:
        if not self._is_file:
            self.form.fields[self._name] = self._value.decode(errors="replace")

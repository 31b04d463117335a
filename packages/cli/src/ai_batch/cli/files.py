"""Reads input files row by row: JSONL, CSV, TSV, plain lines, Parquet, and standard input."""

from __future__ import annotations

import csv
import importlib
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import msgspec

from ai_batch.core import Problem, UsageError

__all__ = ["FORMATS", "Row", "format_of", "load_parquet", "read_rows"]

Row: TypeAlias = tuple[int, object | Problem]
"""The line, counted from 1, and what stands there: a JSON value, a dict of columns, a fault."""

FORMATS = ("jsonl", "csv", "tsv", "txt", "parquet")

SUFFIXES = {"ndjson": "jsonl", "json": "jsonl", "text": "txt", "pq": "parquet"}

LARGEST_FIELD = 100_000_000
"""Characters of one cell; a prompt may hold a whole book."""

PARQUET_ROWS = 1000
"""Rows that are read at once."""


def format_of(name: str, given: str | None) -> str:
    """The format of an input: what was given, else by the file's suffix; JSONL for ``-``.

    Raises ``UsageError`` for one that is not known.
    """
    if given is None and name == "-":
        return "jsonl"
    suffix = given or Path(name).suffix.lstrip(".").lower()
    found = SUFFIXES.get(suffix, suffix)
    if found not in FORMATS:
        names = ", ".join(FORMATS)
        raise UsageError(f"the format of {name!r} is not known: say --format with one of {names}")
    return found


def read_rows(name: str, given: str | None) -> Iterator[Row]:
    """The rows of a file, or of standard input where ``name`` is ``-``; read once, streaming."""
    kind = format_of(name, given)
    if kind == "parquet":
        yield from _parquet_rows(name)
        return
    with _text(name) as file:
        readers: dict[str, Callable[[TextIO], Iterator[Row]]] = {
            "jsonl": _json_rows,
            "txt": _plain_rows,
            "csv": lambda text: _table_rows(text, ","),
            "tsv": lambda text: _table_rows(text, "\t"),
        }
        try:
            yield from readers[kind](file)
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{name} is not UTF-8 ({error.reason} at byte {error.start}): convert it, such as "
                "with iconv -f latin1 -t utf-8"
            ) from None


@contextmanager
def _text(name: str) -> Generator[TextIO, None, None]:
    if name == "-":
        sys.stdin.reconfigure(encoding="utf-8-sig", newline="")  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
        yield sys.stdin
        return
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"the input {name!r} cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, buffering=1 << 18, encoding="utf-8-sig", newline="") as file:
        yield file


def _json_rows(file: TextIO) -> Iterator[Row]:
    decode = msgspec.json.Decoder().decode
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            yield number, decode(line)
        except msgspec.DecodeError as error:
            yield number, Problem(f"not JSON ({error})")
        except RecursionError:
            yield number, Problem("not JSON (it is nested too deeply)")


def _plain_rows(file: TextIO) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if text := line.strip():
            yield number, text


def _table_rows(file: TextIO, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(LARGEST_FIELD)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    names = _header(reader)
    wide = len(names)
    while True:
        # A cell may hold line ends: the row begins behind the last one's end.
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield start, Problem(str(error))
            return
        if cells is None:
            return
        if len(cells) == wide:
            yield start, dict(zip(names, cells, strict=True))
        elif cells:
            yield start, Problem(f"{len(cells)} cells, the header has {wide}")


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        names = next(reader, None)
    except csv.Error as error:
        raise UsageError(f"the first line must name the columns, but: {error}") from None
    if not names:
        raise UsageError("the table is empty: its first line must name the columns")
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise UsageError(f"the header names a column twice: {', '.join(double)}")
    return names


def load_parquet() -> Any:
    """The part of pyarrow for Parquet. Raises ``UsageError`` where it is not installed."""
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError("Parquet files need pyarrow: pip install pyarrow") from None


def _parquet_rows(name: str) -> Iterator[Row]:
    parquet = load_parquet()
    if name == "-":
        raise UsageError("Parquet can't be read from standard input: give a file")
    try:
        file = parquet.ParquetFile(name)
    except (OSError, ValueError) as error:
        raise UsageError(f"the input {name!r} cannot be read: {error}") from None
    batches: Iterable[Any] = file.iter_batches(batch_size=PARQUET_ROWS)
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            number += 1
            yield number, row

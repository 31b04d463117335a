"""Writes results to JSONL, CSV, TSV or Parquet; the file appears complete, or not at all."""

from __future__ import annotations

import csv
import importlib
import os
import secrets
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import msgspec

from ai_batch.cli.columns import Columns, fields_of
from ai_batch.cli.failures import ExitCode, leave
from ai_batch.cli.files import load_parquet
from ai_batch.core import Result, UsageError

__all__ = ["check_output", "write_results", "written"]

Write: TypeAlias = Callable[[IO[bytes], Iterable[Result], Columns], None]

PARQUET_ROWS = 1000


def check_output(path: str) -> None:
    """Raises ``UsageError`` where results can't be written to, before anything is paid for."""
    kind = _kind(path)
    if kind == "parquet":
        load_parquet()
    if path == "-":
        return
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"-o {path} is a folder: name a file in it")
    folder = target.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"-o {path}: there is no folder {folder}; make it first")
    if not os.access(folder if not target.exists() else target, os.W_OK):
        raise UsageError(f"-o {path} can't be written: choose another place")


def write_results(path: str, results: Iterable[Result], columns: Columns) -> None:
    """Write all results; ``-`` is standard output, as JSONL."""
    write = _WRITERS[_kind(path)]
    if path == "-":
        _to_stdout(lambda: write(sys.stdout.buffer, results, columns))
        return
    with written(Path(path)) as file:
        write(file, results, columns)


def _to_stdout(write: Callable[[], None]) -> None:
    try:
        write()
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Who reads has seen enough; at its end Python would complain of what was not read. The
        # job does not count as delivered.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        leave(ExitCode.OK)


def _kind(path: str) -> str:
    suffix = Path(path).suffix.lstrip(".").lower()
    kind = "jsonl" if path == "-" else {"ndjson": "jsonl", "pq": "parquet"}.get(suffix, suffix)
    if kind not in _WRITERS:
        names = ", ".join(f".{name}" for name in _WRITERS)
        raise UsageError(f"-o {path}: its end must say what to write: {names}")
    return kind


@contextmanager
def written(path: Path) -> Generator[IO[bytes], None, None]:
    """A file that takes its place, synced, when the block ends well."""
    # What a link points to is replaced, and not the link.
    target = path.resolve()
    if target.exists() and not target.is_file():
        # A device or a pipe: putting a file in its place would be its end.
        with target.open("wb") as file:
            yield file
        return
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with aside.open("xb", buffering=1 << 18) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def _write_json(file: IO[bytes], results: Iterable[Result], columns: Columns) -> None:
    encode = msgspec.json.Encoder().encode
    for result in results:
        file.write(encode(fields_of(result, columns)) + b"\n")


def _write_table(delimiter: str) -> Write:
    def write(file: IO[bytes], results: Iterable[Result], columns: Columns) -> None:
        table = csv.writer(_Encoded(file), delimiter=delimiter, lineterminator="\n")
        table.writerow(columns.names)
        for result in results:
            table.writerow(columns.cells(result))

    return write


class _Encoded:
    """Takes text where only bytes can be written, without closing what is below."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode("utf-8", "surrogatepass"))


def _write_parquet(file: IO[bytes], results: Iterable[Result], columns: Columns) -> None:
    parquet, arrow = load_parquet(), importlib.import_module("pyarrow")
    types: dict[type, Any] = {
        str: arrow.string(),
        int: arrow.int64(),
        list: arrow.list_(arrow.list_(arrow.float32())),
    }
    schema = arrow.schema([(name, types[columns.type_of(name)]) for name in columns.names])
    with parquet.ParquetWriter(file, schema) as writer:
        for rows in _chunks(columns.values(result) for result in results):
            made = dict(zip(columns.names, map(list, zip(*rows, strict=True)), strict=True))
            writer.write_table(arrow.table(made, schema=schema))


def _chunks(rows: Iterable[list[Any]]) -> Iterator[list[list[Any]]]:
    held: list[list[Any]] = []
    for row in rows:
        held.append(row)
        if len(held) == PARQUET_ROWS:
            yield held
            held = []
    if held:
        yield held


_WRITERS: dict[str, Write] = {
    "jsonl": _write_json,
    "csv": _write_table(","),
    "tsv": _write_table("\t"),
    "parquet": _write_parquet,
}

"""Rows in files of Parquet, and cut into parts of one size wherever the files end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ai_batch.core.spool import open_private, sync
from ai_batch.ray.folder import Chunk, Index

__all__ = ["REQUEST", "RowWriter", "parts_of", "read_rows"]

REQUEST = "__ai_batch_request__"
"""The column of the requests, beside those of the rows."""

GROUP_ROWS = 4096
"""Rows that are written at once: a row group."""

READ_ROWS = 1024
"""Rows that are read, and held in memory, at once."""


class RowWriter:
    """Writes the rows of one block to a file of its own."""

    def __init__(self, folder: Path) -> None:
        """The folder must be there."""
        self._path = folder / f"{secrets.token_hex(12)}.parquet"

    def write(self, pieces: Iterator[tuple[Any, Sequence[bytes]]]) -> Chunk:
        """Write tables of rows with the request of each row; gives what the index needs."""
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        rows, writer = 0, None
        with open_private(self._path) as file:
            try:
                for table, requests in pieces:
                    column = pyarrow.array(requests, pyarrow.large_binary())
                    whole = table.append_column(REQUEST, column)
                    writer = writer or ParquetWriter(file, whole.schema, compression="zstd")
                    writer.write_table(whole)
                    rows += table.num_rows
            finally:
                if writer is not None:
                    writer.close()
            if not file.closed:
                sync(file)
        return Chunk(name=self._path.name, rows=rows)


def slices(table: Any) -> Iterator[Any]:
    """A table in pieces of at most a row group."""
    for start in range(0, table.num_rows, GROUP_ROWS):
        yield table.slice(start, GROUP_ROWS)


class PartRange(NamedTuple):
    """The rows of one part: from ``first`` on, counted over all."""

    first: int
    rows: int


def parts_of(index: Index, size: int) -> list[PartRange]:
    """The parts, each of ``size`` rows but the last."""
    return [PartRange(at, min(size, index.total - at)) for at in range(0, index.total, size)]


def read_rows(
    folder: Path, index: Index, first: int, rows: int, columns: Sequence[str] | None = None
) -> Iterator[Any]:
    """Record batches of these rows, in order and with flat memory."""
    at = 0
    for chunk in index.chunks:
        start, stop = max(first - at, 0), min(first + rows - at, chunk.rows)
        if start < stop:
            yield from _read_file(folder / chunk.name, start, stop, columns)
        at += chunk.rows
        if at >= first + rows:
            return


def _read_file(path: Path, start: int, stop: int, columns: Sequence[str] | None) -> Iterator[Any]:
    from pyarrow.parquet import ParquetFile

    with path.open("rb") as file:
        parquet = ParquetFile(file)
        at = 0
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            if at < stop and start < at + count:
                yield from _cut(parquet, group, start - at, stop - at, columns)
            at += count


def _cut(
    parquet: Any, group: int, start: int, stop: int, columns: Sequence[str] | None
) -> Iterator[Any]:
    """The rows ``start`` to ``stop`` of a row group, which may begin and end within it."""
    at = 0
    names = None if columns is None else list(columns)
    for batch in parquet.iter_batches(READ_ROWS, row_groups=[group], columns=names):
        low, high = max(start - at, 0), min(stop - at, batch.num_rows)
        if low < high:
            yield batch.slice(low, high - low)
        at += batch.num_rows

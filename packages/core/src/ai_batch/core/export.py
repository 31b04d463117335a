"""Results as tables and files: one row per answer or vector, the same columns everywhere."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ai_batch.core.errors import UsageError
from ai_batch.core.tables import (
    arrow_chunks,
    arrow_schema,
    import_arrow,
    needed,
    numbers_of,
    rows_of,
    sized,
)

if TYPE_CHECKING:
    import numpy
    import pandas
    import polars
    import pyarrow
    from numpy.typing import NDArray

    from ai_batch.core.results import Result

__all__ = ["Exportable"]

PathLike = str | os.PathLike[str]


class Exportable:
    """What may be iterated for results, and be turned into tables and files.

    ``docs/results.md`` explains the columns. A library that is missing is a ``UsageError`` that
    names the ``pip install``.
    """

    if TYPE_CHECKING:

        def __iter__(self) -> Iterator[Result]: ...

    def to_pandas(self) -> pandas.DataFrame:
        """A table of pandas, in memory. Needs ``pip install "ai-batch-core[pandas]"``."""
        with needed("pandas"):
            import pandas
        types = {import_arrow().int64(): pandas.Int64Dtype()}
        table: Any = self.to_arrow()
        frame: pandas.DataFrame = table.to_pandas(types_mapper=types.get)
        return frame

    def to_polars(self) -> polars.DataFrame:
        """A table of polars, in memory. Needs ``pip install "ai-batch-core[polars]"``."""
        with needed("polars"):
            import polars
        return polars.DataFrame(self.to_arrow())

    def to_arrow(self) -> pyarrow.Table:
        """A table of Apache Arrow, in memory. Needs ``pip install "ai-batch-core[arrow]"``."""
        arrow = import_arrow()

        def build(size: int | None) -> pyarrow.Table:
            chunks = list(arrow_chunks(self, size))
            table: pyarrow.Table = arrow.Table.from_batches(chunks, arrow_schema(size))
            return table

        return sized(build)

    def to_parquet(self, path: PathLike) -> Path:
        """Write a Parquet file with flat memory, a row group at a time; its path.

        Appears under its name once it is whole. Needs ``pip install "ai-batch-core[arrow]"``.
        """
        import_arrow()
        from pyarrow.parquet import ParquetWriter

        def build(size: int | None) -> Path:
            with (
                _aside(Path(path)) as aside,
                ParquetWriter(aside, arrow_schema(size), compression="zstd") as writer,
            ):
                for chunk in arrow_chunks(self, size):
                    writer.write_batch(chunk)
            return Path(path)

        return sized(build)

    def to_jsonl(self, path: PathLike) -> Path:
        """Write a file with a JSON object per row, with flat memory; its path.

        Appears under its name once it is whole.
        """
        encode = msgspec.json.Encoder().encode
        with _aside(Path(path)) as aside, aside.open("wb", buffering=1 << 20) as file:
            for row in rows_of(self):
                row.embedding = numbers_of(row.embedding)
                file.write(encode(row) + b"\n")
        return Path(path)

    def embeddings(self) -> NDArray[numpy.float32]:
        """All vectors in one array, float32, shape (texts, dimensions), in the requests' order.

        Texts without a vector, since their request failed, are rows of NaN: row 7 is always the
        eighth text. Chats are left out. Raises ``UsageError`` where vectors differ in length.
        Needs ``pip install "ai-batch-core[numpy]"``.
        """
        with needed("numpy"):
            import numpy
        data, gaps, texts, size = bytearray(), list[slice](), 0, 0
        for result in self:
            found = result.embedding
            count = _texts(result) if found is None else found.count
            if found is None:
                gaps += [slice(texts, texts + count)]
            elif size in (0, found.dimensions):
                size = found.dimensions
                data += found.data
            else:
                raise UsageError(
                    f"vectors differ in length: {size} numbers, and {found.dimensions} of request "
                    f"{result.id!r}"
                )
            texts += count
        answered = numpy.ones(texts, dtype=bool)
        for gap in gaps:
            answered[gap] = False
        vectors = numpy.frombuffer(data, dtype="<f4").reshape(int(answered.sum()), size)
        if answered.all():
            return vectors
        array = numpy.full((texts, size), numpy.nan, dtype="<f4")
        array[answered] = vectors
        return array


def _texts(result: Result) -> int:
    """How many texts a request without a vector had; a chat has none."""
    request = None if result.chat is not None else result.request
    return 0 if request is None else len(getattr(request, "texts", ()))


@contextmanager
def _aside(path: Path) -> Generator[Path]:
    """A file that takes the path's place once it has been written."""
    # Under a name that nobody can foresee, and have a link wait there.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        aside.touch(exist_ok=False)
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)

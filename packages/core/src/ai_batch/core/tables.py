"""Results as rows, and rows as Arrow has them: the same columns for every table and file."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from pydantic import TypeAdapter

from ai_batch.core.errors import UsageError

if TYPE_CHECKING:
    from ai_batch.core.results import Result

__all__ = [
    "Row",
    "arrow_chunks",
    "arrow_schema",
    "import_arrow",
    "needed",
    "numbers_of",
    "rows_of",
    "sized",
]

CHUNK_ROWS = 8192
"""Rows that are converted at once: a row group of a Parquet file."""

CHUNK_BYTES = 32 << 20
"""The same in bytes, of vectors and texts."""

FLOAT = 4
"""Bytes of a vector's number."""

Value = TypeVar("Value")


class Row(msgspec.Struct, kw_only=True):
    """One row; the fields are the columns. ``embedding`` is packed, as results have it."""

    id: str
    index: int
    text: int | None = None
    content: str | None = None
    parsed: Any = None
    finish_reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    model: str | None = None
    attempts: int
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    metadata: Mapping[str, str] | None = None
    embedding: Any = None


NUMBERS = frozenset({"index", "text", "attempts"})
"""The columns of whole numbers, beside those of tokens."""

JSON = frozenset({"parsed", "metadata"})
"""The columns that tables hold as JSON text: what is in them may differ from row to row."""


@contextmanager
def needed(extra: str) -> Generator[None]:
    """Raises ``UsageError`` with the ``pip install`` where an import within fails."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f'{error.name or extra} is not installed: pip install "ai-batch-core[{extra}]"'
        ) from None


def import_arrow() -> Any:
    """The library; its types are too many and too deep for checkers."""
    with needed("arrow"):
        import pyarrow
    return pyarrow


def rows_of(results: Iterable[Result]) -> Iterator[Row]:
    """A row per chat, error and vector; the tokens of a request stand in its first row."""
    for result in results:
        row = _row(result)
        vectors = result.embedding
        if vectors is None:
            yield row
            continue
        length = vectors.dimensions * FLOAT
        for text in range(vectors.count):
            row.text, row.embedding = text, vectors.data[text * length : (text + 1) * length]
            yield row
            # A sum over all rows must count each token once.
            row = msgspec.structs.replace(row, **dict.fromkeys(_TOKENS))


_TOKENS = tuple(name for name in Row.__struct_fields__ if name.endswith("_tokens"))


def _row(result: Result) -> Row:
    row = Row(id=result.id, index=result.index, attempts=result.attempts)
    row.metadata = result.metadata
    if result.error is not None:
        row.error_code, row.error_message = result.error.code, result.error.message
    if (chat := result.chat) is not None:
        row.content, row.finish_reason = chat.content, chat.finish_reason
        row.parsed = _plain(chat.parsed)
    if (answer := result.chat or result.embedding) is not None:
        row.model = answer.model
        for name in _TOKENS:
            setattr(row, name, getattr(answer.usage, name))
    return row


def _plain(parsed: object) -> Any:
    """An answer's instance as JSON data."""
    if parsed is None:
        return None
    return _anything().dump_python(parsed, mode="json")


@lru_cache(maxsize=1)
def _anything() -> TypeAdapter[Any]:
    return TypeAdapter(Any)


def numbers_of(packed: bytes | None) -> list[float] | None:
    """A packed vector as a list of floats."""
    return None if packed is None else list(struct.unpack(f"<{len(packed) // FLOAT}f", packed))


# -- Arrow ----------------------------------------------------------------------------------------


class _OtherSizeError(Exception):
    """Vectors are not of the size that the schema was made for."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def sized(build: Callable[[int | None], Value]) -> Value:
    """Build with the size of the vectors, which only the results tell: begin anew when it shows.

    None stands for a size that is not known, 0 for several.
    """
    size: int | None = None
    while True:
        try:
            return build(size)
        except _OtherSizeError as other:
            size = other.size


def arrow_schema(size: int | None) -> Any:
    """The columns for vectors of this size; lists of any length where it is not one."""
    arrow = import_arrow()
    vector = arrow.list_(arrow.float32(), size or -1)
    return arrow.schema(
        [
            (name, vector if name == "embedding" else _type_of(name))
            for name in Row.__struct_fields__
        ]
    )


def _type_of(name: str) -> Any:
    arrow = import_arrow()
    return arrow.int64() if name in NUMBERS or name in _TOKENS else arrow.string()


def arrow_chunks(results: Iterable[Result], size: int | None) -> Iterator[Any]:
    """Record batches. Raises ``_OtherSizeError`` where a vector does not fit."""
    for rows in _chunks(results):
        sizes = {len(row.embedding) // FLOAT for row in rows if row.embedding is not None}
        if size != 0 and sizes - {size}:
            raise _OtherSizeError(sizes.pop() if size is None and len(sizes) == 1 else 0)
        yield import_arrow().RecordBatch.from_arrays(
            [_column(name, rows, size) for name in Row.__struct_fields__], schema=arrow_schema(size)
        )


def _chunks(results: Iterable[Result]) -> Iterator[list[Row]]:
    rows: list[Row] = []
    weight = 0
    for row in rows_of(results):
        rows.append(row)
        weight += len(row.embedding or b"") + len(row.content or "")
        if len(rows) >= CHUNK_ROWS or weight >= CHUNK_BYTES:
            yield rows
            rows, weight = [], 0
    if rows:
        yield rows


def _column(name: str, rows: list[Row], size: int | None) -> Any:
    if name == "embedding":
        return _vectors([row.embedding for row in rows], size)
    values = [getattr(row, name) for row in rows]
    if name in JSON:
        values = [None if value is None else _json(value) for value in values]
    return import_arrow().array(values, _type_of(name))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _vectors(packed: list[bytes | None], size: int | None) -> Any:
    """The packed numbers are Arrow's own format: none of them is touched."""
    arrow = import_arrow()
    absent = arrow.array([vector is None for vector in packed])
    if size:
        blank = bytes(size * FLOAT)
        numbers = _floats(b"".join(blank if vector is None else vector for vector in packed))
        return arrow.FixedSizeListArray.from_arrays(numbers, size, mask=absent)
    ends = accumulate(len(vector or b"") // FLOAT for vector in packed)
    numbers = _floats(b"".join(vector or b"" for vector in packed))
    offsets = arrow.array([0, *ends], arrow.int32())
    return arrow.ListArray.from_arrays(offsets, numbers, mask=absent)


def _floats(data: bytes) -> Any:
    arrow = import_arrow()
    count = len(data) // FLOAT
    return arrow.Array.from_buffers(arrow.float32(), count, [None, arrow.py_buffer(data)])

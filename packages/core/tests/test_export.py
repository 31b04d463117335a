"""Results as tables and files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy
import pandas
import polars
import pyarrow
import pytest
from pyarrow import parquet
from pydantic import BaseModel

from ai_batch.core import (
    BatchResponse,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ItemError,
    Result,
    Usage,
    UsageError,
    tables,
)

# Checkers know only parts of its types.
ARROW: Any = pyarrow
PARQUET: Any = parquet


class City(BaseModel):
    name: str
    people: int


class Source:
    def __init__(self, results: list[Result]) -> None:
        self.results = results

    def __len__(self) -> int:
        return len(self.results)

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Result]:
        return iter(self.results[start:stop])


def respond(*outcomes: Any) -> BatchResponse:
    """A response of these outcomes; embeddings and errors are of as many texts as asked."""
    results: list[Result] = []
    for index, outcome in enumerate(outcomes):
        request: Any = ChatRequest(messages="a", metadata={"row": str(index)})
        found = outcome
        if isinstance(outcome, EmbeddingResponse):
            request = EmbeddingRequest(texts=["a"] * outcome.count)
        elif isinstance(outcome, int):
            request = EmbeddingRequest(texts=["a"] * outcome)
            found = ItemError(code="rate_limit", message="too many")
        results.append(Result(id=f"r{index}", index=index, outcome=found, request=request))
    return BatchResponse(
        job_id="j",
        completed=len(results),
        failed=0,
        usage=Usage(),
        pricing=lambda: None,
        source=Source(results),
    )


def chat(content: str = "hi", **fields: Any) -> ChatResponse:
    """An answer."""
    return ChatResponse(content=content, **fields)


def vectors(*rows: list[float], **fields: Any) -> EmbeddingResponse:
    """An answer of these vectors."""
    return EmbeddingResponse(vectors=rows, **fields)


PARIS = chat(
    '{"name":"Paris","people":2}',
    parsed=City(name="Paris", people=2),
    model="m-1",
    usage=Usage(input_tokens=3, output_tokens=2, cached_input_tokens=1),
)
REFUSED = ItemError(code="content_filter", message="not that")


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSONL file."""
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def test_jsonl_has_an_object_per_result(tmp_path: Path) -> None:
    """With the answer's parsed data and the request's metadata as they are, not as text."""
    path = respond(PARIS, REFUSED).to_jsonl(tmp_path / "out.jsonl")

    answer, error = lines(path)
    assert answer["parsed"] == {"name": "Paris", "people": 2}
    assert answer["metadata"] == {"row": "0"}
    assert (answer["id"], answer["index"], answer["model"]) == ("r0", 0, "m-1")
    assert (answer["input_tokens"], answer["cached_input_tokens"]) == (3, 1)
    assert (answer["finish_reason"], answer["error_code"]) == ("stop", None)
    assert (error["content"], error["error_code"], error["error_message"]) == (
        None,
        "content_filter",
        "not that",
    )
    assert error["attempts"] == 1


def test_a_request_of_several_texts_has_a_row_per_vector(tmp_path: Path) -> None:
    """Its tokens stand in the first of them, so that a sum is right."""
    response = respond(vectors([1, 2], [3, 4], usage=Usage(input_tokens=7)), chat())

    rows = lines(response.to_jsonl(tmp_path / "out.jsonl"))

    assert [(row["id"], row["text"], row["embedding"]) for row in rows] == [
        ("r0", 0, [1.0, 2.0]),
        ("r0", 1, [3.0, 4.0]),
        ("r1", None, None),
    ]
    assert [row["input_tokens"] for row in rows] == [7, None, 0]


def test_a_file_appears_once_it_is_whole(tmp_path: Path) -> None:
    """What was there before stays until then, and nothing is left of a failure."""

    class Breaking(Source):
        def read(self, start: int = 0, stop: int | None = None) -> Iterator[Result]:
            yield self.results[0]
            raise OSError("the disk is gone")

    response = respond(chat())
    response._source = Breaking(response[:])
    path = tmp_path / "out.jsonl"
    path.write_text("earlier")

    with pytest.raises(OSError, match="the disk is gone"):
        response.to_jsonl(path)

    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_arrow_has_the_same_columns_and_typed_vectors() -> None:
    """Vectors of one length are lists of that length; what varies by row is JSON text."""
    table: Any = respond(PARIS, REFUSED, vectors([1, 2])).to_arrow()

    assert table.schema.field("embedding").type == ARROW.list_(ARROW.float32(), 2)
    assert table["embedding"].to_pylist() == [None, None, [1.0, 2.0]]
    assert table["parsed"].to_pylist() == ['{"name":"Paris","people":2}', None, None]
    assert table["metadata"].to_pylist() == ['{"row":"0"}', '{"row":"1"}', None]
    assert table["input_tokens"].to_pylist() == [3, None, 0]


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_vectors_of_several_lengths_are_lists(
    chunk: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Wherever the other length turns up, also when rows have been written by then."""
    monkeypatch.setattr(tables, "CHUNK_ROWS", chunk)
    response = respond(chat(), vectors([1, 2]), vectors([3, 4]), vectors([5]), REFUSED)
    wanted = [None, [1.0, 2.0], [3.0, 4.0], [5.0], None]

    table = response.to_arrow()
    kept = PARQUET.read_table(response.to_parquet(tmp_path / "out.parquet"))

    assert table["embedding"].to_pylist() == wanted
    assert kept["embedding"].to_pylist() == wanted


def test_parquet_is_written_in_row_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that memory stays flat, and readers may skip."""
    monkeypatch.setattr(tables, "CHUNK_ROWS", 10)
    response = respond(*[vectors([float(number)] * 8) for number in range(25)])

    path = response.to_parquet(tmp_path / "out.parquet")

    assert PARQUET.ParquetFile(path).metadata.num_row_groups == 3
    assert PARQUET.read_table(path).equals(response.to_arrow())
    assert list(tmp_path.iterdir()) == [path]


def test_large_rows_make_small_row_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is the bytes that fill the memory."""
    monkeypatch.setattr(tables, "CHUNK_BYTES", 1000)

    path = respond(*[chat("x" * 600) for _ in range(4)]).to_parquet(str(tmp_path / "out.parquet"))

    assert PARQUET.ParquetFile(path).metadata.num_row_groups == 2


def test_pandas_keeps_whole_numbers_whole() -> None:
    """Also where some are missing."""
    frame = respond(PARIS, REFUSED, vectors([1, 2])).to_pandas()

    assert isinstance(frame, pandas.DataFrame)
    assert frame["input_tokens"].dtype == "Int64"
    assert frame["input_tokens"].sum() == 3
    assert frame.loc[frame["error_code"].notna(), "id"].tolist() == ["r1"]
    assert frame["embedding"][2].dtype == numpy.float32


def test_polars_has_vectors_of_fixed_size() -> None:
    """An Array, which polars multiplies without a loop."""
    frame = respond(PARIS, vectors([1, 2])).to_polars()

    assert frame.schema["embedding"] == polars.Array(polars.Float32, 2)
    assert frame["parsed"].str.json_decode(polars.Struct({"name": polars.String}))[0] == {
        "name": "Paris"
    }


def test_no_results_make_an_empty_table(tmp_path: Path) -> None:
    """With all columns, so that a program need not ask first."""
    response = respond()

    assert response.to_arrow().num_rows == 0
    assert "content" in response.to_pandas().columns
    assert response.to_jsonl(tmp_path / "out.jsonl").read_bytes() == b""
    assert PARQUET.read_table(response.to_parquet(tmp_path / "o.parquet")).num_rows == 0
    assert response.embeddings().shape == (0, 0)


def test_embeddings_are_one_array() -> None:
    """Row by row the texts, in order; chats are no texts."""
    found = respond(vectors([1, 2], [3, 4]), chat(), vectors([5, 6])).embeddings()

    assert found.dtype == numpy.float32
    assert found.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize("failed", [0, 1, 2])
def test_texts_without_a_vector_are_rows_of_nan(failed: int) -> None:
    """So that rows and texts do not drift apart."""
    outcomes: list[Any] = [vectors([1, 2]), vectors([5, 6])]
    outcomes.insert(failed, 2)

    found = respond(*outcomes).embeddings()

    gone = numpy.isnan(found).all(axis=1).tolist()
    assert gone == [*([False] * failed), True, True, *([False] * (2 - failed))]
    assert found[~numpy.array(gone)].tolist() == [[1, 2], [5, 6]]


def test_where_all_failed_there_are_no_dimensions() -> None:
    """Nobody has said how many there would have been."""
    assert respond(2, 1, REFUSED).embeddings().shape == (3, 0)


def test_vectors_of_several_lengths_make_no_array() -> None:
    """Which request is of another length is named."""
    with pytest.raises(UsageError, match="2 numbers, and 1 of request 'r1'"):
        respond(vectors([1, 2]), vectors([5])).embeddings()


@pytest.mark.parametrize(
    ("module", "extra", "method", "arguments"),
    [
        ("pandas", "pandas", "to_pandas", []),
        ("polars", "polars", "to_polars", []),
        ("pyarrow", "arrow", "to_arrow", []),
        ("pyarrow", "arrow", "to_parquet", ["out.parquet"]),
        ("numpy", "numpy", "embeddings", []),
    ],
    ids=["pandas", "polars", "arrow", "parquet", "numpy"],
)
def test_a_missing_library_is_named_with_its_install(
    monkeypatch: pytest.MonkeyPatch, module: str, extra: str, method: str, arguments: list[str]
) -> None:
    """The error is what to type."""
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(UsageError) as raised:
        getattr(respond(chat()), method)(*arguments)

    assert f'{module} is not installed: pip install "ai-batch-core[{extra}]"' in str(raised.value)

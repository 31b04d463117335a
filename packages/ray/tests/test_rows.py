"""Rows become requests, are kept in files, and are cut into parts wherever the files end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_batch.core import ChatRequest, UsageError
from ai_batch.ray import chunks
from ai_batch.ray.asking import request_of
from ai_batch.ray.chunks import REQUEST, RowWriter, parts_of, read_rows
from ai_batch.ray.config import BatchAPIProcessorConfig
from ai_batch.ray.folder import Chunk, Index, JobFiles
from ai_batch.ray.planning import _check_ledger

table_of: Callable[[dict[str, Any]], Any] = pyarrow.table


def kept(folder: Path, sizes: list[int]) -> Index:
    """Files of so many rows, numbered through."""
    found: list[Chunk] = []
    for size in sizes:
        start = sum(chunk.rows for chunk in found)
        table = table_of({"n": list(range(start, start + size))})
        pieces = ((one, [str(n).encode() for n in one.column("n").to_pylist()])
                  for one in chunks.slices(table))  # fmt: skip
        found.append(RowWriter(folder).write(pieces))
    return Index(identity={}, source={}, chunks=tuple(found))


@given(sizes=st.lists(st.integers(1, 40), max_size=6), size=st.integers(1, 50))
def test_parts_have_one_size_and_no_row_is_lost(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], size: int
) -> None:
    """However Ray's blocks were, all parts but the last are full, and rows stay in order."""
    folder = tmp_path_factory.mktemp("rows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "GROUP_ROWS", 7)
        patch.setattr(chunks, "READ_ROWS", 3)
        index = kept(folder, sizes)
        parts = parts_of(index, size)
        read = [list(numbers(folder, index, first, rows)) for first, rows in parts]

    assert [n for part in read for n in part] == list(range(sum(sizes)))
    assert all(len(part) == size for part, _ in pairwise(read))


def numbers(folder: Path, index: Index, first: int, rows: int) -> Iterator[int]:
    """The numbers of these rows; each beside its own request."""
    for batch in read_rows(folder, index, first, rows):
        found = batch.column("n").to_pylist()
        assert batch.column(REQUEST).to_pylist() == [str(n).encode() for n in found]
        yield from found


def test_rows_are_nobody_elses_to_read(tmp_path: Path) -> None:
    """They hold prompts: their files have the mode of all others in the home."""
    kept(tmp_path, [3])

    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_first_rows_are_kept_for_ever(tmp_path: Path) -> None:
    """Of two processes that plan one job at once, the second takes the rows of the first."""
    config = BatchAPIProcessorConfig(provider="openai", model="m", job="j", home=tmp_path / "h")
    files = JobFiles(config)
    files.make()

    with files.writing_rows() as mine, files.writing_rows() as theirs:
        first = files.keep_rows(theirs, kept(theirs, [2]))
        second = files.keep_rows(mine, kept(mine, [3]))

    assert first == second == files.index()
    assert {path.name for path in files.path.iterdir()} == {"rows", "parts"}


# -- requests -------------------------------------------------------------------------------------


def asked(made: Any) -> ChatRequest:
    """The request that comes of what preprocess gave."""
    request = request_of({}, lambda _: made, 0)
    assert isinstance(request, ChatRequest), request
    return request


def test_sampling_params_are_fields_of_the_request() -> None:
    """They are spelled as in ray.data.llm; what is not set there is left to the vendor."""
    sampling = {"max_tokens": 7, "temperature": 0.5, "top_p": None, "stop": ["x"], "seed": 1}

    request = asked({"messages": "hello", "sampling_params": sampling})

    assert (request.max_tokens, request.temperature, request.top_p) == (7, 0.5, None)
    assert (request.stop, request.seed) == (("x",), 1)


def test_numbers_of_numpy_are_numbers() -> None:
    """Rows may come from anywhere; what is written of them is JSON."""
    request = asked(
        {
            "messages": [{"role": "user", "content": "hello"}],
            "max_tokens": numpy.int64(7),
            "temperature": numpy.float32(0.5),
            "stop": numpy.array(["a", "b"]),
            "extra": {"weights": numpy.array([1, 2])},
        }
    )

    assert (request.max_tokens, request.temperature, request.stop) == (7, 0.5, ("a", "b"))
    assert request.extra == {"weights": [1, 2]}


def test_what_arrow_adds_to_messages_is_left_out() -> None:
    """Arrow gives all dicts of a column the same keys: those without a value were not there."""
    turns = [
        {"role": "system", "content": "Be brief.", "parts": None},
        {"role": "user", "content": None, "parts": [{"type": "text", "text": "Hi", "url": None}]},
    ]

    assert [message.text for message in asked({"messages": turns}).messages] == ["Be brief.", "Hi"]


def test_rows_may_be_requests_themselves() -> None:
    """Without preprocess, columns that are called as a request's fields are its fields."""
    row = {"id": 5, "messages": "hello", "label": "x", "sampling_params": {"max_tokens": 3}}

    request = request_of(row, None, 0)

    assert isinstance(request, ChatRequest)
    assert (request.id, request.messages[0].text, request.max_tokens) == ("5", "hello", 3)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"messages": "x", "sampling_params": {"detokenize": False}}, "has no 'detokenize' here"),
        ({"messages": "x", "sampling_params": 3}, "sampling_params must be a dict"),
        ({"messages": "x", "max_tokens": 1, "sampling_params": {"max_tokens": 2}}, "given twice"),
        ({"messages": "x", "temprature": 1}, "did you mean temperature"),
        ({"text": "x"}, "needs messages"),
        (None, "a request is"),
    ],
)
def test_what_is_no_request_says_why(made: Any, words: str) -> None:
    """Nothing that was asked for is dropped without a word."""
    problems = request_of({}, lambda _: made, 4)

    assert isinstance(problems, list)
    assert words in str(problems[0])
    assert problems[0].index == 4


def test_a_ledger_in_a_file_is_for_one_machine(tmp_path: Path) -> None:
    """On several machines it would not be one ledger, and the same would be paid twice."""
    config = BatchAPIProcessorConfig(provider="openai", model="m", job="j", home=tmp_path)

    _check_ledger(config, 1)
    with pytest.raises(UsageError, match="the cluster has 2 machines"):
        _check_ledger(config, 2)
    _check_ledger(config.model_copy(update={"ledger": "postgresql://db/jobs"}), 2)

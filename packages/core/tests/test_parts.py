"""Requests that take several lines of a batch and come back as several rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
from packages.core.tests.bench import Bench

from ai_batch.core import BatchResponse, EmbeddingRequest, ItemError, NativeProcessor
from ai_batch.core.accounting import Accountant
from ai_batch.core.fakes import Line, read_line, write_line
from ai_batch.core.parts import CARRIED, read_part
from ai_batch.core.provider import Limits, Route, part_id
from ai_batch.core.requests import Request
from ai_batch.core.results import EmbeddingResponse, Outcome
from ai_batch.core.rows import RowTable, Source
from ai_batch.core.spool import JobFolder
from ai_batch.core.state import Shard, ShardState
from ai_batch.core.testing import FakeProvider, FakeVendor, Fate

TOKEN = "abcdefghijklmnop"


class OneTextPerLine(FakeProvider):
    """A provider whose vendor embeds one text per line, as Google's do."""

    def limits(self, route: Route) -> Limits:
        """At most four texts in a batch."""
        return Limits(max_requests=100, max_bytes=1 << 20, max_inputs=4)

    def encode(self, request: Request, route: Route, wire_id: str) -> bytes:
        """A line for each text."""
        texts = cast("EmbeddingRequest", request).texts
        if len(texts) == 1:
            return write_line(Line(wire_id, texts[0]))
        lines = (
            write_line(Line(part_id(wire_id, part, len(texts)), text))
            for part, text in enumerate(texts)
        )
        return b"\n".join(lines)

    def decode(self, row: bytes, route: Route) -> tuple[str, Outcome]:
        """One vector, or those of an array of rows."""
        if not row.startswith(b"["):
            return super().decode(row, route)
        rows = [read_line(json.dumps(part).encode()) for part in json.loads(row)]
        return rows[0].id, EmbeddingResponse(vectors=[part.vector for part in rows])


def lengths(response: BatchResponse) -> list[list[float] | str]:
    """The first number of each vector (the text's length), or the code of the error."""
    return [
        [vector[0] for vector in result.embedding.vectors]
        if result.embedding
        else str(result.error and result.error.code)
        for result in response
    ]


def embedded(bench: Bench, *requests: list[str], **options: Any) -> list[list[float] | str]:
    """Ask for the vectors of some lists of texts."""
    bench.make = OneTextPerLine

    async def script(processor: NativeProcessor) -> list[list[float] | str]:
        return lengths(await processor.aprocess([EmbeddingRequest(texts=t) for t in requests]))

    return bench.run(script, **options)


def once_overloaded(*troubled: str) -> FakeVendor:
    """A vendor that fails each of these texts the first time that it is asked."""
    asked: Counter[str] = Counter()

    def answer(text: str, times: int) -> str | ItemError:
        del times
        asked[text] += 1
        if text in troubled and asked[text] == 1:
            return ItemError(code="overloaded", message="", retryable=True)
        return text

    return FakeVendor(answer=answer)


def test_a_request_with_several_texts_gives_a_vector_for_each_in_order(tmp_path: Path) -> None:
    """The vendor shuffles the rows; single texts and lists of them share a batch."""
    bench = Bench(tmp_path)

    found = embedded(bench, ["a", "bb", "ccc"], ["dddd"])

    assert found == [[1.0, 2.0, 3.0], [4.0]]
    assert len(bench.vendor.batches) == 1


def test_texts_count_as_inputs_of_a_batch(tmp_path: Path) -> None:
    """Four texts fill a batch here, however few requests they are."""
    bench = Bench(tmp_path)

    assert embedded(bench, ["a", "bb", "ccc"], ["d", "ee"]) == [[1.0, 2.0, 3.0], [1.0, 2.0]]
    assert len(bench.vendor.batches) == 2


def test_only_the_texts_that_failed_are_sent_again(tmp_path: Path) -> None:
    """What was answered is carried over, so that each text is paid for once."""
    bench = Bench(tmp_path, once_overloaded("bb", "ff"))

    found = embedded(bench, ["a", "bb", "ccc"], ["ff"])

    assert found == [[1.0, 2.0, 3.0], [2.0]]
    assert bench.vendor.executed == {"a": 1, "bb": 1, "ccc": 1, "ff": 1}
    sizes = [len(batch.requests) for batch in bench.vendor.batches.values()]
    assert sizes == [4, 2]


def test_answers_are_carried_over_more_than_one_attempt(tmp_path: Path) -> None:
    """What the second attempt has gathered from the first reaches the third."""
    left = Counter({"bb": 1, "ccc": 2})

    def answer(text: str, times: int) -> str | ItemError:
        del times
        left[text] -= 1
        if left[text] >= 0:
            return ItemError(code="overloaded", message="", retryable=True)
        return text

    bench = Bench(tmp_path, FakeVendor(answer=answer))

    assert embedded(bench, ["a", "bb", "ccc"]) == [[1.0, 2.0, 3.0]]
    assert bench.vendor.executed == {"a": 1, "bb": 1, "ccc": 1}
    assert [len(batch.requests) for batch in bench.vendor.batches.values()] == [3, 2, 1]


def test_an_expired_batch_is_continued_with_the_texts_that_are_left(tmp_path: Path) -> None:
    """Half of the texts were worked through, and are not asked again."""
    fates = iter([Fate(executed=0.5), Fate()])
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: next(fates)))

    assert embedded(bench, ["a", "bb", "ccc", "dddd"]) == [[1.0, 2.0, 3.0, 4.0]]
    assert bench.vendor.executed == {"a": 1, "bb": 1, "ccc": 1, "dddd": 1}


def test_a_text_that_fails_for_good_fails_its_request_alone(tmp_path: Path) -> None:
    """The request's error is the text's own; others of the batch are not touched by it."""

    def answer(text: str, times: int) -> str | ItemError:
        del times
        return ItemError(code="too_long", message="") if text == "bb" else text

    bench = Bench(tmp_path, FakeVendor(answer=answer))

    assert embedded(bench, ["a", "bb"], ["ccc", "d"]) == ["too_long", [3.0, 1.0]]
    assert bench.vendor.executed == {"a": 1, "ccc": 1, "d": 1}


def test_the_last_attempt_leaves_the_errors_of_texts_to_their_requests(tmp_path: Path) -> None:
    """Without attempts left, an error that passes is the result."""
    bench = Bench(tmp_path, once_overloaded("bb"))

    assert embedded(bench, ["a", "bb"], max_attempts=1) == ["overloaded"]


def test_the_usage_of_carried_answers_is_counted_once(tmp_path: Path) -> None:
    """The shard that paid for a row counts it; the one that carries it on does not."""
    bench = Bench(tmp_path, once_overloaded("bb"))
    bench.make = OneTextPerLine

    async def script(processor: NativeProcessor) -> int:
        response = await processor.aprocess([EmbeddingRequest(texts=["a", "bb", "ccc"])])
        return response.usage.input_tokens

    assert bench.run(script) == len("a") + len("bb") + len("ccc")


class Gathering:
    """The accounting of one request with three lines, row by row."""

    def __init__(self, folder: Path) -> None:
        self.folder = JobFolder(folder)
        self.shard = Shard(
            job_id="job_1",
            seq=1,
            name="0001",
            state=ShardState.ENDED,
            route=Route("embedding", "/embeddings", "fake-embedding"),
            account="a",
            token=TOKEN,
            count=1,
            bytes=0,
            tokens=0,
            first_index=7,
            last_index=7,
        )

    def read(self, *rows: bytes, retries_left: bool = True) -> Accountant:
        """An accountant that has read the rows."""
        self.folder.file("0001", "output.jsonl").write_bytes(b"".join(r + b"\n" for r in rows))
        provider = OneTextPerLine(FakeVendor())
        accountant = Accountant(self.folder, self.shard, provider, retries_left=retries_left)
        accountant.read(Source.OUTPUT)
        accountant.count_missing()
        return accountant

    def result(self) -> bytes:
        """The row that the table points to."""
        place = RowTable.read(self.folder.file("0001", "rows"), 1)[0]
        data = self.folder.file("0001", Source(place.source).kind).read_bytes()
        return data[place.offset : place.offset + place.length]


def row(part: int, *, parts: int = 3, error: str = "", retryable: bool = False) -> bytes:
    """A row of the request's ``part``."""
    wire_id = part_id(f"{TOKEN}-7", part, parts)
    return write_line(Line(wire_id, str(part), [1.0], error, retryable, tokens=5))


def test_rows_are_joined_byte_for_byte(tmp_path: Path) -> None:
    """What was paid for is kept as it came, only in order."""
    books = Gathering(tmp_path)

    account = books.read(row(2), row(0), row(1)).write()

    assert books.result() == b"[" + b",".join([row(0), row(1), row(2)]) + b"]"
    assert (account.ok, account.rows, account.usage[0]) == (1, 3, 15)


def test_a_missing_line_leaves_the_whole_request_missing(tmp_path: Path) -> None:
    """The download may be tried again; there is no half of a result."""
    account = Gathering(tmp_path).read(row(0), row(2)).account

    assert (account.missing, account.rows, account.harm) == (1, 2, 1)


def test_an_answer_counts_before_an_error_of_the_same_line(tmp_path: Path) -> None:
    """A second row is a duplicate, and taken only where the first one is an error."""
    books = Gathering(tmp_path)

    account = books.read(row(0, error="no"), row(1), row(0), row(2), row(1, error="no")).write()

    assert (account.ok, account.failed, account.duplicates) == (1, 0, 2)


def test_an_error_that_lasts_comes_before_one_that_passes(tmp_path: Path) -> None:
    """Asking again would not help, so the other line is not asked again either."""
    books = Gathering(tmp_path)
    passing = row(0, error="busy", retryable=True)

    account = books.read(passing, row(1, error="never"), row(2)).write()

    assert books.result() == row(1, error="never")
    assert (account.failed, list(account.retry)) == (1, [])


def test_what_is_carried_names_the_request_and_the_line(tmp_path: Path) -> None:
    """The child shard has another token, so its rows can't be told by theirs."""
    books = Gathering(tmp_path)
    accountant = books.read(row(0), row(1, error="busy", retryable=True), row(2))
    accountant.write()

    carried = [json.loads(line) for line in accountant.carried([7])]

    assert [(c["index"], c["part"], c["parts"]) for c in carried] == [(7, 0, 3), (7, 2, 3)]
    assert [c["row"] for c in carried] == [json.loads(row(0)), json.loads(row(2))]


def test_carried_rows_are_joined_with_those_that_come_later(tmp_path: Path) -> None:
    """The earlier shard's answers stand where they belong."""
    books = Gathering(tmp_path)
    accountant = books.read(row(0), row(1, error="busy", retryable=True), row(2))
    accountant.write()
    lines = list(accountant.carried([7]))
    books.folder.file("0001", CARRIED).write_bytes(b"".join(line + b"\n" for line in lines))

    account = books.read(row(1)).write()

    assert books.result() == b"[" + b",".join([row(0), row(1), row(2)]) + b"]"
    assert (account.ok, account.rows, account.usage[0]) == (1, 1, 5)


@pytest.mark.parametrize(
    "digits",
    ["7_0", "7_0_3_1", "7_3_3", "7_-1_3", "7_0_", "_0_3", "7_a_3", "7_0_9999999", "7_\u0661_3"],
)
def test_odd_ids_are_nobodys(digits: str) -> None:
    """Only an index, a line and their number make an id."""
    assert read_part(f"{TOKEN}-{digits}", f"{TOKEN}-") is None


def test_rows_that_disagree_on_the_number_of_lines_are_left_aside(tmp_path: Path) -> None:
    """A row of another making of the request is not ours."""
    account = Gathering(tmp_path).read(row(0), row(1), row(2), row(1, parts=4)).account

    assert (account.missing, account.foreign) == (0, 1)
